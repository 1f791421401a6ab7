"""Time, memory and sizes of `aiconform certify registry build` over submissions, and over many made from them.

    python benchmarks/registry.py [FOLDER] [NUMBER]

FOLDER is that of the shared corpus by default (AICONFORM_SHARED, or ../shared beside the checkout). NUMBER submissions
(10,000 by default) are made from its platforms under new names, with a date for each. Seconds of the CPU do not depend
on what else the machine does.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import date, timedelta
from pathlib import Path

LARGEST_PAGE = 300_000  # bytes
NAME = re.compile(r"(?m)^(\s*(?:platformName|platform_name):).*$")


def main() -> None:
    shared = Path(os.environ.get("AICONFORM_SHARED", Path(__file__).parents[1].parent / "shared"))
    real = Path(sys.argv[1]) if len(sys.argv) > 1 else shared / "cncf" / "submissions"
    number = int(sys.argv[2]) if len(sys.argv) > 2 else 10_000
    with tempfile.TemporaryDirectory(prefix="aiconform-registry-") as scratch:
        folder = Path(scratch)
        build("real submissions", real, folder / "real")
        many = folder / "corpus"
        dates = make(real, many, number)
        for label in ("made from them", "again, unchanged"):
            build(label, many, folder / "many", "--dates", str(dates))
        for path in sorted(many.glob("*/*/PRODUCT.yaml"))[:: max(1, number // 10)]:
            path.write_text(path.read_text(encoding="utf-8") + "# changed\n", encoding="utf-8")
        build("again, 10 changed", many, folder / "many", "--dates", str(dates))


def make(real: Path, many: Path, number: int) -> Path:
    """Submissions below `many`, whole families of versions under one new name; returns the file of their dates."""
    originals = sorted(path.parent for path in real.glob("v*/*/PRODUCT.yaml"))
    dates = {}
    for index in range(number):
        original = originals[index % len(originals)]
        series = index // len(originals)
        folder = many / original.parent.name / f"{original.name}-{series:04}"
        folder.mkdir(parents=True)
        for path in original.iterdir():
            if path.name == "PRODUCT.yaml":
                text = path.read_text(encoding="utf-8-sig", errors="replace")
                (folder / path.name).write_text(
                    NAME.sub(rf"\1 Platform {original.name} {series}", text, count=1), encoding="utf-8"
                )
                continue
            first = many / original.parent.name / f"{original.name}-0000" / path.name
            if series:
                os.link(first, folder / path.name)
            else:
                shutil.copyfile(path, folder / path.name)
        dates[f"{folder.parent.name}/{folder.name.lower()}"] = (
            date(2026, 11, 1) - timedelta(days=index % 700)
        ).isoformat()
    (many / "dates.json").write_text(json.dumps(dates), encoding="utf-8")
    return many / "dates.json"


def build(label: str, corpus: Path, out: Path, *options: str) -> None:
    command = [
        sys.executable,
        "-m",
        "aiconform",
        "certify",
        "registry",
        "build",
        str(corpus),
        str(out),
        "-o",
        "json",
        *options,
    ]
    begun, before = time.perf_counter(), os.times()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdout is not None
    answer = json.loads(process.stdout.read())
    _, code, usage = os.wait4(process.pid, 0)
    seconds, after = time.perf_counter() - begun, os.times()
    assert code == 0
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    files = [path for path in out.rglob("*") if path.is_file()]
    loaded = [path for path in files if path.suffix in (".html", ".js", ".css", ".svg") or path.parent.name == "index"]
    largest = sorted(loaded, key=lambda path: path.stat().st_size, reverse=True)[:3]
    print(
        f"{label}: {answer['submissions']} submissions, {answer['platforms']} platforms, {answer['recorded']} read anew"
    )
    print(f"  {seconds:.1f} s ({cpu:.1f} s of the CPU), peak memory {usage.ru_maxrss / 1024:.0f} MiB")
    megabytes = sum(path.stat().st_size for path in files) / 1e6
    print(f"  {answer['written']} files written of {len(files)}, {megabytes:.1f} MB")
    sizes = [f"{path.relative_to(out)} {path.stat().st_size / 1e3:.0f} kB" for path in largest]
    print(f"  largest: {', '.join(sizes)}")
    print(f"  over {LARGEST_PAGE // 1000} kB: {sum(path.stat().st_size > LARGEST_PAGE for path in loaded)}")


if __name__ == "__main__":
    main()
