"""What each lever saves in a cold build: a table.

    ./dev python benchmarks/build.py COMPONENT... [--lever NAME]...

Every build has an empty cache of Go, in a temporary folder. Modules are downloaded before, so that the network does not
count. On a busy machine compare the processor's seconds: those of the wall include what others did.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import tempfile
import threading
import time
from pathlib import Path

from aiconform.lab.addons.registry import ADD_ONS, components_of
from aiconform.lab.build import assets, golang
from aiconform.lab.build.building import build
from aiconform.lab.build.components import RENDERERS, Component, components
from aiconform.lab.build.keys import sources
from aiconform.lab.build.levers import Levers
from aiconform.lab.config import DEFAULT_KUBERNETES

LEVERS = {
    "none": Levers(memory=False, no_dwarf=False),
    "memory": Levers(no_dwarf=False),
    "no-dwarf": Levers(memory=False),
    "all": Levers(),
}


def main() -> None:
    every = (*components(DEFAULT_KUBERNETES), *RENDERERS.values(), *components_of(ADD_ONS))
    known = {component.name: component for component in every if component.wheel is None and component.packages}
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("components", nargs="+", choices=known, metavar="COMPONENT")
    parser.add_argument("--lever", choices=LEVERS, action="append", default=[])
    chosen = parser.parse_args()
    go = golang.toolchain(assets.cache_folder()) or sys.exit("needs Go")
    print(f"{os.cpu_count()} cores, {go.version}")
    print(f"{'COMPONENT':20} {'LEVERS':9} {'WALL s':>8} {'CPU s':>8} {'MiB':>7}")
    for name in chosen.components:
        fetch(known[name], go)
        for lever in chosen.lever or LEVERS:
            wall, cpu, size = measure(known[name], go, LEVERS[lever])
            print(f"{name:20} {lever:9} {wall:8.1f} {cpu:8.1f} {size / (1 << 20):7.1f}", flush=True)


def fetch(component: Component, go: golang.Toolchain) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for file in sources(component):
            (Path(folder) / file.name).write_bytes(file.read_bytes())
        golang.fetch(go, Path(folder), component.packages, component.tags, threading.Event())


def measure(component: Component, go: golang.Toolchain, levers: Levers) -> tuple[float, float, int]:
    """Seconds of the wall and of the processors, and the size of the files, of one cold build."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["GOCACHE"] = f"{folder}/cache"
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        out = Path(folder) / "bin" / component.name
        tools = {
            name: folder_ / name for name, tool in RENDERERS.items() for folder_ in assets.folders([tool]).values()
        }
        build(component, out, go, tools, levers)
        after, wall = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic() - began
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return wall, cpu, sum(file.stat().st_size for file in out.iterdir())


if __name__ == "__main__":
    main()
