"""Seconds to load the standard, to list it from the command line, and to render its site: median of several runs.

python benchmarks/spec_load.py
"""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from aiconform.spec import load_standard
from aiconform.spec.site import render_site
from aiconform.spec.standard import REQUIREMENTS


def median(action: Callable[[], object], times: int) -> float:
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        action()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def command(*words: str) -> Callable[[], object]:
    return lambda: subprocess.run([sys.executable, "-m", "aiconform", *words], check=True, capture_output=True)


def main() -> None:
    standard = load_standard()
    print(f"{len(standard.requirements)} requirements, {len(standard.versions)} versions")
    with tempfile.TemporaryDirectory() as copied:
        # Another folder than its own, since that one is read once.
        folder = Path(copied)
        for path in REQUIREMENTS.glob("*.yaml"):
            shutil.copy(path, folder)
        print(f"load_standard()             {median(lambda: load_standard(folder), 20):7.3f} s")
    print(f"aiconform spec list         {median(command('spec', 'list'), 7):7.3f} s")
    print(f"aiconform spec check        {median(command('spec', 'check'), 7):7.3f} s")
    with tempfile.TemporaryDirectory() as made:
        site = Path(made) / "site"
        print(f"render_site()               {median(lambda: render_site(standard, site), 3):7.3f} s")


if __name__ == "__main__":
    main()
