"""What both checks cost on a warm lab, beside the same look at isolation done by hand with kubectl.

    ./dev python benchmarks/run_checks.py [--runs 5]

Prints, as min / median / max: seconds of the whole process (clean-up included), API requests, peak memory. The way by
hand is what a checklist asks of a reader: a Pod with a claim, one with a second claim, one without, each started,
waited for, looked into and deleted after the other, then the Namespace. It looks at one node and forges no device node,
so it does less than half of what the checks do.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from aiconform.platform.images import IMAGES

LAB = "bench"
CHECKS = ("dra_support", "secure_accelerator_access")
IMAGE = IMAGES["shell"]
KUBECTL = Path(sys.executable).with_name("kubectl")
CLAIM = """
apiVersion: resource.k8s.io/v1
kind: ResourceClaim
metadata: {name: NAME}
spec: {devices: {requests: [{name: device, exactly: {deviceClassName: simulated-accelerator.aiconform.dev}}]}}
"""
POD = """
apiVersion: v1
kind: Pod
metadata: {name: NAME}
spec:
  restartPolicy: Never
  RESOURCECLAIMS
  containers:
    - {name: main, image: IMAGE, command: [sh, -c, "find /dev; sleep 3600"], resources: RESOURCES}
"""


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "aiconform", *arguments]


def by_suite(kubeconfig: str) -> tuple[float, int, int]:
    """(seconds, API requests, peak KiB) of one run."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        begun = time.perf_counter()
        process = subprocess.Popen(
            command("run", *CHECKS, "--kubeconfig", kubeconfig, "--out", str(out), "-o", "json"),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - begun
        assert os.waitstatus_to_exitcode(status) == 0, "the run did not end conformant"
        report = json.loads((out / "report.json").read_text())
    return seconds, report["requests"], usage.ru_maxrss


def by_hand(kubeconfig: str) -> tuple[float, int, int]:
    """(seconds, kubectl calls, peak KiB of kubectl) of the way by hand."""
    calls = peak = 0

    def kubectl(*arguments: str, manifest: str = "") -> None:
        nonlocal calls, peak
        calls += 1
        with tempfile.NamedTemporaryFile("w+") as file:
            file.write(manifest)
            file.seek(0)
            process = subprocess.Popen(
                [KUBECTL, "--kubeconfig", kubeconfig, *arguments], stdin=file, stdout=subprocess.DEVNULL
            )
            _, status, usage = os.wait4(process.pid, 0)
        assert os.waitstatus_to_exitcode(status) == 0, arguments
        peak = max(peak, usage.ru_maxrss)

    begun = time.perf_counter()
    kubectl("create", "namespace", "by-hand")
    for name in ("holder", "second", "stranger"):
        claims = resources = ""
        if name != "stranger":
            kubectl("apply", "-n", "by-hand", "-f", "-", manifest=CLAIM.replace("NAME", name))
            claims = f"resourceClaims: [{{name: device, resourceClaimName: {name}}}]"
            resources = "{claims: [{name: device}]}"
        filled = POD.replace("NAME", name).replace("IMAGE", IMAGE).replace("RESOURCECLAIMS", claims)
        kubectl("apply", "-n", "by-hand", "-f", "-", manifest=filled.replace("RESOURCES", resources or "{}"))
        kubectl("wait", "-n", "by-hand", "--for=condition=Ready", f"pod/{name}", "--timeout=120s")
        kubectl("logs", "-n", "by-hand", name)
        kubectl("delete", "-n", "by-hand", "pod", name)
    kubectl("delete", "namespace", "by-hand")
    return time.perf_counter() - begun, calls, peak


def measure(name: str, once: Callable[[str], tuple[float, int, int]], kubeconfig: str, runs: int, unit: str) -> None:
    once(kubeconfig)  # not counted: caches, page cache, CoreDNS
    rows = [once(kubeconfig) for _ in range(runs)]
    print(f"{name}, {runs} runs")
    for label, values, form in (
        ("seconds", [row[0] for row in rows], "{:.1f}"),
        (unit, [float(row[1]) for row in rows], "{:.0f}"),
        ("peak MiB", [row[2] / 1024 for row in rows], "{:.0f}"),
    ):
        figures = (min(values), statistics.median(values), max(values))
        print(f"  {label:<14}" + " / ".join(form.format(figure) for figure in figures))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()
    subprocess.run(command("lab", "up", "--name", LAB), check=True, stdout=subprocess.DEVNULL)
    try:
        found = subprocess.run(
            command("lab", "kubeconfig", "--name", LAB), check=True, capture_output=True, text=True
        ).stdout
        kubeconfig = found.strip()
        measure("aiconform run (both checks)", by_suite, kubeconfig, arguments.runs, "API requests")
        measure("by hand with kubectl", by_hand, kubeconfig, max(1, arguments.runs // 3), "kubectl calls")
    finally:
        subprocess.run(command("lab", "down", "--name", LAB), check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
