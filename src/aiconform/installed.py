"""What brings checks: distributions and files, found without importing one of them, nor the client of a cluster."""

from __future__ import annotations

import os
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

GROUP = "aiconform.checks"
OWN = "aiconform"
"""This project's distribution: its checks are the standard's."""
FILES = "AICONFORM_CHECKS"
"""Environment variable: files of checks without Python, or folders with such files, separated as in PATH."""


@cache
def check_entries() -> tuple[EntryPoint, ...]:
    """The entry points of all installed checks; their names are ids of requirements."""
    return tuple(entry_points(group=GROUP))


def distribution_of(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist else entry.value


def check_files() -> tuple[Path, ...]:
    """The files that FILES names; of a folder, its YAML files. A path that does not exist is among them."""
    paths = [Path(each) for each in os.environ.get(FILES, "").split(os.pathsep) if each]
    found = [sorted(path.glob("*.yaml")) if path.is_dir() else [path] for path in paths]
    return tuple(dict.fromkeys(path for group in found for path in group))


def only_own() -> bool:
    """Whether nothing but this project brings a check."""
    return not check_files() and all(distribution_of(entry) == OWN for entry in check_entries())
