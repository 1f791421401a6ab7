"""Where a check that is not this project's own comes from: distribution, version, and a digest of its code."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from importlib.util import find_spec
from pathlib import Path

from aiconform.installed import distribution_of


@dataclass(frozen=True)
class Origin:
    """digest: sha256 over the files that the distribution's record lists, or, for an editable install, over those of
    the package that the entry point names. Of a check in a file, `distribution` is the file's name.
    """

    distribution: str
    version: str
    digest: str


def origin_of(entry: EntryPoint) -> Origin:
    distribution = entry.dist
    version = distribution.version if distribution else ""
    return Origin(distribution_of(entry), version, _digest(_recorded(entry) or _of_the_package(entry)))


def origin_of_file(path: Path) -> Origin:
    return Origin(path.name, "", _digest([(path.name, path)]))


def _recorded(entry: EntryPoint) -> list[tuple[str, Path]]:
    """(name, file) of what the distribution installed; not its metadata, nor what Python compiled."""
    found = []
    for path in (entry.dist.files if entry.dist else None) or ():
        first = path.parts[0]
        made_by_the_installer = first.endswith((".dist-info", ".egg-info", ".pth")) or first == ".."
        # An editable install records the finder that leads to the sources, not the sources.
        if not made_by_the_installer and "__pycache__" not in path.parts and not first.startswith("__editable__"):
            found.append((path.as_posix(), Path(str(path.locate()))))
    return found


def _of_the_package(entry: EntryPoint) -> list[tuple[str, Path]]:
    spec = find_spec(entry.module.partition(".")[0])
    if spec is None or spec.origin is None:
        return []
    if not spec.submodule_search_locations:
        return [(Path(spec.origin).name, Path(spec.origin))]
    roots = [Path(each) for each in spec.submodule_search_locations]
    return [
        (path.relative_to(root.parent).as_posix(), path)
        for root in roots
        for path in root.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    ]


def _digest(files: Iterable[tuple[str, Path]]) -> str:
    total = hashlib.sha256()
    for name, path in sorted(files):
        data = path.read_bytes() if path.is_file() else b""
        total.update(f"{name}\0{len(data)}\0".encode() + data)
    return f"sha256:{total.hexdigest()}"
