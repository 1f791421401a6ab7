"""What each check costs alone, and all of them side by side, on a warm lab with the add-ons that they need.

    ./dev python benchmarks/all_checks.py [--runs 3] [ID...]

Prints for each check of the lab's Kubernetes version, as the median of the runs: seconds of the whole process (start
and clean-up included), API requests, peak memory. Then the same for one run of all of them, beside the sum of single
runs, which is what a suite takes that runs one check after another, and the longest single one, below which no
order of them can come; and for each check what it worked and what it only waited in the last of these runs.
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
from pathlib import Path
from typing import Any

from aiconform.check.registry import has_check
from aiconform.lab.addons.registry import needed
from aiconform.lab.config import DEFAULT_KUBERNETES
from aiconform.spec import load_standard

LAB = "bench"
Figures = tuple[float, int, float]
"""(seconds, API requests, peak MiB)."""


def aiconform(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "aiconform", *arguments]


def once(kubeconfig: str, checks: list[str]) -> tuple[Figures, dict[str, Any]]:
    """(its figures, the run's report) of one run of these checks."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        begun = time.perf_counter()
        process = subprocess.Popen(
            aiconform("run", *checks, "--kubeconfig", kubeconfig, "--out", str(out), "-o", "json"),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        _, _, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - begun
        report = json.loads((out / "report.json").read_text())
    return (seconds, report["requests"], usage.ru_maxrss / 1024), report


def measure(kubeconfig: str, checks: list[str], runs: int, name: str) -> float:
    """Median seconds; prints a row."""
    rows, reports = zip(*(once(kubeconfig, checks) for _ in range(runs)), strict=True)
    seconds, requests, peak = (float(statistics.median(column)) for column in zip(*rows, strict=True))
    spread = f"{min(row[0] for row in rows):.1f}-{max(row[0] for row in rows):.1f}"
    figures = f"{seconds:>7.1f} s ({spread})  {requests:>6.0f} requests  {peak:>5.0f} MiB"
    print(f"{name:<28} {figures}  {', '.join(sorted({report['verdict'] for report in reports}))}")
    for check in reports[-1]["checks"] if len(checks) > 1 else ():
        print(f"  {check['id']:<26} {check['seconds']:>7.1f} s, waited {check['waited']:.1f} s")
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ids", nargs="*", metavar="ID")
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    listed = [entry.id for entry in load_standard().at(f"v{DEFAULT_KUBERNETES}") if has_check(entry.id)]
    checks = arguments.ids or listed
    add_ons = ",".join(needed(map(load_standard().requirement, checks)))
    up = aiconform("lab", "up", "--name", LAB, *(["--with", add_ons] if add_ons else []))
    subprocess.run(up, check=True, stdout=subprocess.DEVNULL)
    try:
        command = aiconform("lab", "kubeconfig", "--name", LAB)
        kubeconfig = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
        once(kubeconfig, checks)  # not counted: caches, page cache
        single = [measure(kubeconfig, [check], arguments.runs, check) for check in checks]
        together = measure(kubeconfig, checks, arguments.runs, "all of them side by side")
        print(f"one after another {sum(single):.1f} s, the longest {max(single):.1f} s, side by side {together:.1f} s")
    finally:
        subprocess.run(aiconform("lab", "down", "--name", LAB), check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
