"""Time and peak memory of `aiconform certify validate --offline` over a folder of submissions.

    python benchmarks/certify_corpus.py [FOLDER] [RUNS]

FOLDER is that of the shared corpus by default (AICONFORM_SHARED, or ../shared beside the checkout).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path


def main() -> None:
    shared = Path(os.environ.get("AICONFORM_SHARED", Path(__file__).parents[1].parent / "shared"))
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else shared / "cncf" / "submissions"
    runs = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    command = [sys.executable, "-m", "aiconform", "certify", "validate", str(folder), "--offline", "-o", "json"]
    seconds, peaks, summary = [], [], {}
    for _ in range(runs):
        begun = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert process.stdout is not None
        summary = json.loads(process.stdout.read())["summary"]
        _, _, usage = os.wait4(process.pid, 0)
        seconds.append(time.perf_counter() - begun)
        peaks.append(usage.ru_maxrss / 1024)
    print(
        f"{summary['submissions']} submissions, {summary['valid']} valid, {sum(summary['findings'].values())} findings"
    )
    print(f"seconds: best {min(seconds):.2f}, worst {max(seconds):.2f} of {runs}; peak memory {max(peaks):.0f} MiB")


if __name__ == "__main__":
    main()
