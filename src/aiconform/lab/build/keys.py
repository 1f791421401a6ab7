"""The name of each component in the cache, which covers all of its inputs."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from aiconform.lab.build.components import Component

_MODULES = Path(__file__).parent / "go"


def key(component: Component, go_version: str) -> str:
    """Folder name in the cache: name and version for people, and a digest of all inputs."""
    digest = hashlib.sha256()
    parts = [*component.packages, *component.called_by, *component.tags, *(repr(each) for each in component.renders)]
    parts += [repr(component.wheel)] if component.wheel else [component.ldflags, go_version]
    for part in (*parts, os.uname().machine):
        digest.update(part.encode() + b"\0")
    for file in sources(component):
        digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return f"{component.name}-{component.version}-{digest.hexdigest()[:16]}"


def sources(component: Component) -> list[Path]:
    """The files under go/ that it is built from."""
    module = _MODULES / component.module
    files = [module / "go.mod", module / "go.sum", *([_MODULES / component.main] if component.main else [])]
    return [file for file in files if file.exists()]  # a module that needs no other has no sums
