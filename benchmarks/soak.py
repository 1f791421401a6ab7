"""Whether the tests of the lab ever fail on a busy machine.

    ./dev python benchmarks/soak.py [--load 4] [--keep DIR] N [pytest arguments]

Runs the tests of the lab N times beside busy processes and prints every failure with its evidence: the test, what it
said, and where its run directories are kept. Exits with 1 if there was one. Without pytest arguments it runs tests/lab.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).parents[1]


@contextmanager
def load(processes: int) -> Iterator[None]:
    """So many processes that use a core each, as long as the body lasts and never longer than this process."""
    busy = "import os\nparent = os.getppid()\nwhile os.getppid() == parent:\n    sum(range(10**6))"
    started = [subprocess.Popen([sys.executable, "-c", busy]) for _ in range(processes)]
    try:
        yield
    finally:
        for process in started:
            process.kill()
            process.wait()


def once(folder: Path, arguments: list[str]) -> tuple[int, list[tuple[str, str]]]:
    """(number of tests, the failures as (test, what it said)) of one run."""
    xml = folder / "junit.xml"
    command = [sys.executable, "-m", "pytest", "-n", "3", *(arguments or ["tests/lab"]), f"--junitxml={xml}"]
    environment = {**os.environ, "AICONFORM_TEST_LAB": os.environ.get("AICONFORM_TEST_LAB", "soak")}
    with (folder / "output.txt").open("w") as output:
        code = subprocess.run(
            [*command, f"--basetemp={folder / 'runs'}"], cwd=ROOT, env=environment, stdout=output, stderr=output
        ).returncode
    if not xml.exists():
        return 0, [("pytest", f"ended with {code}, see {folder}/output.txt")]
    cases = list(ElementTree.parse(xml).getroot().iter("testcase"))  # noqa: S314 - pytest wrote it
    failures = [
        (f"{case.get('classname')}::{case.get('name')}", problem.text or problem.get("message") or "")
        for case in cases
        for problem in (*case.findall("failure"), *case.findall("error"))
    ]
    return len(cases), failures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=int, metavar="N")
    parser.add_argument("--load", type=int, default=0, metavar="K", help="busy processes beside it")
    parser.add_argument("--keep", type=Path, help="folder for output and run directories; a new one by default")
    arguments, rest = parser.parse_known_args()
    keep = arguments.keep or Path(tempfile.mkdtemp(prefix="aiconform-soak-"))
    green = 0
    with load(arguments.load):
        for number in range(1, arguments.runs + 1):
            folder = keep / f"run-{number}"
            folder.mkdir(parents=True)
            begun = time.monotonic()
            tests, failures = once(folder, rest)
            minutes = (time.monotonic() - begun) / 60
            print(f"run {number}: {tests} tests, {len(failures)} failed, {minutes:.1f} min, {folder}", flush=True)
            for name, said in failures:
                print(f"\n--- {name}\n{said.strip()[-3000:]}\n", flush=True)
            green += not failures
    print(f"{green} of {arguments.runs} green, beside {arguments.load} busy processes; kept in {keep}")
    sys.exit(green < arguments.runs)


if __name__ == "__main__":
    main()
