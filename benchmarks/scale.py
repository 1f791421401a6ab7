"""How `inspect` and the planning of a run grow with the platform: Nodes without machines (kwok), real API server.

    ./dev python benchmarks/scale.py [--nodes 50 500 5000]

Each Node has eight devices in a ResourceSlice: the default ends at 5,000 Nodes and 40,000 devices. Prints for each size
the whole process's seconds (also of its own processor time), peak memory and API requests of `aiconform inspect` and of
`aiconform run --dry-run`, and beside them what a user would take instead: the same lists fetched by kubectl as JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from aiconform.cluster import Cluster, Object, connect
from aiconform.lab.accelerators.identity import DEFAULT_IDENTITY, find_identity

SIMULATED = find_identity(DEFAULT_IDENTITY)

LAB = "bench"
DEVICES = 8
AT_ONCE = 40
KUBECTL = str(Path(sys.executable).with_name("kubectl"))
KINDS = ("nodes", "resourceslices", "resourceclaims", "deviceclasses", "pods")


def aiconform(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "aiconform", *arguments]


def node(number: int) -> Object:
    name = f"kwok-{number:05}"
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "annotations": {"kwok.x-k8s.io/node": "fake"},
            "labels": {"kubernetes.io/hostname": name, "type": "kwok"},
        },
        # Nothing of the lab is to be placed on a Node without a machine.
        "spec": {"taints": [{"key": "kwok.x-k8s.io/node", "value": "fake", "effect": "NoSchedule"}]},
    }


def resource_slice(number: int) -> Object:
    name = f"kwok-{number:05}"
    devices = [
        {
            "name": f"accel-{index}",
            "attributes": {
                "model": {"string": SIMULATED.product},
                "uuid": {"string": f"SIM-{number:05}-{index:02}-4f6c-9d0e-aiconformbench"},
                "index": {"int": index},
                "minor": {"int": index},
                "driverVersion": {"version": SIMULATED.driver_version},
                "runtimeVersion": {"version": SIMULATED.runtime_version},
                "simulated": {"bool": True},
            },
            "capacity": {"memory": {"value": SIMULATED.memory}},
        }
        for index in range(DEVICES)
    ]
    return {
        "apiVersion": "resource.k8s.io/v1",
        "kind": "ResourceSlice",
        "metadata": {"name": f"{name}-slice"},
        "spec": {
            "driver": SIMULATED.driver,
            "nodeName": name,
            "pool": {"name": name, "generation": 1, "resourceSliceCount": 1},
            "devices": devices,
        },
    }


async def grow(kubeconfig: str, have: int, want: int, node_of: Callable[[int], Object] = node) -> None:
    """Make the Nodes and slices have+1 ... want, and wait until all Nodes are Ready."""

    async def make(cluster: Cluster, number: int) -> None:
        await cluster.create(node_of(number))
        await cluster.create(resource_slice(number))

    async with connect(kubeconfig) as cluster:
        work: Iterator[Coroutine[Any, Any, None]] = (make(cluster, number) for number in range(have + 1, want + 1))
        while batch := list(islice(work, AT_ONCE)):
            await asyncio.gather(*batch)
        while ready := want - await count_ready(cluster):
            print(f"  waiting for {ready} Nodes", file=sys.stderr)
            await asyncio.sleep(5)


async def count_ready(cluster: Cluster) -> int:
    return sum(
        [
            any(c["type"] == "Ready" and c["status"] == "True" for c in each["status"].get("conditions", []))
            async for each in cluster.list("v1", "Node", labels="type=kwok")
        ]
    )


def measured(command: Sequence[str], kubeconfig: str) -> tuple[float, float, float, bytes]:
    """(seconds, processor seconds, peak MiB, standard output) of one process."""
    with tempfile.TemporaryFile() as out:
        begun = time.perf_counter()
        process = subprocess.Popen(command, stdout=out, env={**os.environ, "KUBECONFIG": kubeconfig})
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - begun
        assert os.waitstatus_to_exitcode(status) == 0, command
        out.seek(0)
        return seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, out.read()


def report(what: str, rows: Iterable[tuple[float, float, float]], requests: str) -> None:
    best = [sorted(column) for column in zip(*rows, strict=True)]
    figures = [
        " / ".join(f"{value:.1f}" for value in (column[0], column[len(column) // 2], column[-1])) for column in best
    ]
    print(f"  {what:<34} {figures[0]:>20} s  {figures[1]:>20} s of processor  {figures[2]:>22} MiB  {requests}")


def measure(kubeconfig: str, nodes: int, runs: int) -> None:
    inspected = [measured(aiconform("inspect", "-o", "json"), kubeconfig) for _ in range(runs)]
    found = json.loads(inspected[0][3])
    devices = sum(entry["total"] for entry in found["accelerators"])
    assert found["nodes"]["ready"] >= nodes
    assert devices >= nodes * DEVICES
    print(f"{found['nodes']['ready']} Nodes ready, {devices} devices (min / median / max of {runs})")
    report("aiconform inspect", (row[:3] for row in inspected), f"{found['requests']} requests")
    planned = [measured(aiconform("run", "--dry-run", "-o", "json"), kubeconfig) for _ in range(runs)]
    report("aiconform run --dry-run", (row[:3] for row in planned), "")
    by_hand = [measured([KUBECTL, "get", ",".join(KINDS), "-A", "-o", "json"], kubeconfig) for _ in range(runs)]
    report("kubectl get ... -o json", (row[:3] for row in by_hand), f"{len(by_hand[0][3]) / 2**20:.0f} MiB of JSON")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, nargs="+", default=[50, 500, 5000])
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    subprocess.run(aiconform("lab", "up", "--name", LAB, "--with", "kwok"), check=True, stdout=subprocess.DEVNULL)
    try:
        command = aiconform("lab", "kubeconfig", "--name", LAB)
        kubeconfig = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
        have = 0
        for nodes in sorted(arguments.nodes):
            begun = time.perf_counter()
            asyncio.run(grow(kubeconfig, have, nodes))
            print(f"({nodes - have} Nodes and slices more in {time.perf_counter() - begun:.0f} s)")
            have = nodes
            measure(kubeconfig, nodes, arguments.runs)
    finally:
        subprocess.run(aiconform("lab", "down", "--name", LAB), check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
