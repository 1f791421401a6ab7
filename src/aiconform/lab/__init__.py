"""A reference AI platform of real components on one Linux machine, on which the suite itself is proven."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from aiconform.lab.config import LabConfig, LabError, require_linux

if TYPE_CHECKING:
    from aiconform.lab.end import end_lab
    from aiconform.lab.existing import Node
    from aiconform.lab.lab import Lab, load, up

__all__ = ["Lab", "LabConfig", "LabError", "Node", "end_lab", "load", "require_linux", "up"]

_HOMES = {
    "Lab": "aiconform.lab.lab",
    "Node": "aiconform.lab.existing",
    "end_lab": "aiconform.lab.end",
    "load": "aiconform.lab.lab",
    "up": "aiconform.lab.lab",
}


def __getattr__(name: str) -> Any:
    # The machines' inits and the supervisor are processes of this package too: they must stay small.
    if name in _HOMES:
        require_linux()
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
