"""What a lab costs: seconds of `lab up` and of its steps, and CPU, memory and disk of each component.

    ./dev python benchmarks/lab_cost.py [--nodes 6] [--with all] [--idle 60]

It starts a lab of its own, looks at it while it starts and while it is idle, and deletes it. CPU is that of the lab's
cgroup; what no longer runs when it is looked at (ctr, runc, CNI plugins) is in the line `short-lived`. Seconds depend
on what else the machine does; CPU seconds hardly do.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from aiconform.lab.config import Paths
from aiconform.lab.machines import cgroups

TICKS = os.sysconf("SC_CLK_TCK")
MIB = 1024 * 1024


class Meter:
    """What the processes of one lab have used, by component."""

    def __init__(self, name: str) -> None:
        self._cgroup = Paths(name).cgroup
        self._cpu: dict[tuple[int, str], tuple[str, float]] = {}
        self._written: dict[tuple[int, str], int] = {}

    def look(self) -> None:
        for pid in cgroups.processes(self._cgroup):
            try:
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
                written = Path(f"/proc/{pid}/io").read_text().partition("write_bytes:")[2].split()[0]
            except (OSError, IndexError):
                continue
            module = [word.decode() for word in words if word.startswith(b"aiconform.")]
            name = module[0] if module else Path(words[0].decode() or "kernel").name
            key = (pid, fields[19])
            self._cpu[key] = name, (int(fields[11]) + int(fields[12])) / TICKS
            self._written[key] = int(written)

    def cpu(self) -> dict[str, float]:
        """Seconds of each component, and `short-lived`, `total`."""
        found: defaultdict[str, float] = defaultdict(float)
        for name, seconds in self._cpu.values():
            found[name] += seconds
        found["total"] = self._total()
        found["short-lived"] = found["total"] - sum(seconds for _, seconds in self._cpu.values())
        return found

    def written(self) -> float:
        """MiB that processes wrote for disks, whether or not they have reached them."""
        return sum(self._written.values()) / MIB

    def memory(self) -> float:
        """MiB of processes: each shared page is divided among those that share it."""
        total = 0.0
        for pid in cgroups.processes(self._cgroup):
            try:
                rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
            except OSError:
                continue
            total += int(rollup.partition("Pss:")[2].split()[0])
        return total / 1024

    def _total(self) -> float:
        for hierarchy in cgroups.hierarchies():
            folder = hierarchy.mount / self._cgroup
            if (folder / "cpuacct.usage").exists():
                return int((folder / "cpuacct.usage").read_text()) / 1e9
            if (folder / "cpu.stat").exists() and cgroups.unified():
                return int((folder / "cpu.stat").read_text().split()[1]) / 1e6
        return 0.0


def table(title: str, found: Mapping[str, float]) -> None:
    print(f"\n{title}")
    for name, seconds in sorted(found.items(), key=lambda item: -item[1]):
        if seconds >= 0.1:
            print(f"  {seconds:8.1f}  {name}")


def up(arguments: list[str]) -> None:
    """Run `lab up`, and print when each line of its progress came."""
    began = time.monotonic()
    command = [sys.executable, "-m", "aiconform", "lab", "up", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout
        for line in process.stdout:
            print(f"  {time.monotonic() - began:6.1f}  {line}", end="", flush=True)
        children = os.wait4(process.pid, 0)[2]
    print(f"  {time.monotonic() - began:6.1f}  up; the command used {children.ru_utime + children.ru_stime:.1f} CPU s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--name", default="cost")
    parser.add_argument("--nodes", default="6")
    parser.add_argument("--with", dest="add_ons", default="all")
    parser.add_argument("--idle", type=float, default=60.0)
    options = parser.parse_args()
    meter, done = Meter(options.name), threading.Event()

    def keep_looking() -> None:
        while not done.wait(0.5):
            meter.look()

    looking = threading.Thread(target=keep_looking, daemon=True)
    looking.start()
    try:
        print(f"load before: {os.getloadavg()[0]:.1f}; lab up, {options.nodes} nodes, with {options.add_ons}")
        add_ons = ["--with", options.add_ons] if options.add_ons else []
        up(["--name", options.name, "--nodes", options.nodes, *add_ons])
        meter.look()
        start, written = meter.cpu(), meter.written()
        table("CPU seconds until it is up", start)
        print(f"\nMiB written for disks: {written:.0f}; MiB of memory: {meter.memory():.0f}")
        time.sleep(options.idle)
        meter.look()
        idle = {name: seconds - start.get(name, 0.0) for name, seconds in meter.cpu().items()}
        table(f"CPU seconds while idle for {options.idle:.0f} s", idle)
        print(f"\nMiB written for disks while idle: {meter.written() - written:.0f}")
    finally:
        done.set()
        began = time.monotonic()
        subprocess.run([sys.executable, "-m", "aiconform", "lab", "down", "--name", options.name], check=False)
        print(f"lab down: {time.monotonic() - began:.1f} s")


if __name__ == "__main__":
    main()
