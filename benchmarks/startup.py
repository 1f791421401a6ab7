"""How long commands take before they do anything: medians of several calls, in seconds of the clock and of the CPU.

`--help` until it is printed; the others until a server on this machine is connected to. On a machine that is busy,
compare the CPU's. With --imports, also the modules whose import takes longest until then.

python benchmarks/startup.py [--times N] [--imports]
"""

from __future__ import annotations

import argparse
import json
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

HELP: Sequence[Sequence[str]] = (
    ("--help",),
    ("run", "--help"),
    ("certify", "build", "--help"),
    ("lab", "up", "--help"),
)
TALK: Sequence[Sequence[str]] = (("run",), ("inspect",), ("doctor",), ("cleanup",))
LIMIT_SECONDS = 0.5
TIMED = re.compile(r"^import time: +(\d+) \| +(\d+) \| ( *)(\S+)$", re.MULTILINE)


def call(words: Sequence[str], *options: str) -> subprocess.Popen[str]:
    arguments = [sys.executable, *options, "-m", "aiconform", *words]
    return subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def printed(words: Sequence[str], *options: str) -> tuple[float, float, str]:
    """(seconds, CPU seconds, what was said on standard error) until the command ends."""
    begun, before = time.perf_counter(), os.times()
    said = call(words, *options).communicate()[1]
    taken, after = time.perf_counter() - begun, os.times()
    return taken, after.children_user - before.children_user + after.children_system - before.children_system, said


def talks(words: Sequence[str], *options: str) -> tuple[float, float, str]:
    """As `printed`, until it connects to a server; each time another one, since it tries more than once."""
    with tempfile.TemporaryDirectory() as folder, socket.create_server(("127.0.0.1", 0)) as server:
        config = kubeconfig(folder, server.getsockname()[1])
        begun = time.perf_counter()
        process = call([*words, "--kubeconfig", config], *options)
        with server.accept()[0]:
            taken, cpu = time.perf_counter() - begun, cpu_of(process.pid)
            process.terminate()
            said = process.communicate()[1]
    return taken, cpu, said


def cpu_of(pid: int) -> float:
    """CPU seconds that a running process has used; NaN where there is no /proc."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return float("nan")
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def kubeconfig(folder: str, port: int) -> str:
    named = {"name": "here", "cluster": {"server": f"http://127.0.0.1:{port}"}, "user": {}}
    context = {"name": "here", "context": {"cluster": "here", "user": "here"}}
    path = Path(folder) / "kubeconfig"
    path.write_text(
        json.dumps({"clusters": [named], "users": [named], "contexts": [context], "current-context": "here"})
    )
    return str(path)


def slowest(said: str, number: int = 12) -> list[str]:
    found = [(int(own), name) for own, _, _, name in TIMED.findall(said)]
    return [f"    {own / 1e6:6.3f}  {name}" for own, name in sorted(found, reverse=True)[:number]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=9, help="calls of each command (default: 9)")
    parser.add_argument("--imports", action="store_true", help="show which modules take longest to import")
    arguments = parser.parse_args()
    print(f"{'until':<8}{'command':<32}{'seconds':>8}{'CPU':>8}   (aim: {LIMIT_SECONDS} s)")
    for until, cases in ((printed, HELP), (talks, TALK)):
        for words in cases:
            samples = [until(words)[:2] for _ in range(arguments.times)]
            seconds, cpu = (statistics.median(column) for column in zip(*samples, strict=True))
            print(f"{until.__name__:<8}aiconform {' '.join(words):<22}{seconds:8.2f}{cpu:8.2f}")
            if arguments.imports:
                print(*slowest(until(words, "-X", "importtime")[2]), sep="\n")


if __name__ == "__main__":
    main()
