"""A reference AI platform of real components on one Linux machine, on which the suite itself is proven."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiconform.lab.config import LabConfig, LabError, require_linux

if TYPE_CHECKING:
    from aiconform.lab.end import end_lab
    from aiconform.lab.lab import Lab, Node, load, up

__all__ = ["Lab", "LabConfig", "LabError", "Node", "end_lab", "load", "require_linux", "up"]


def __getattr__(name: str) -> Any:
    # The machines' inits and the supervisor are processes of this package too: they must stay small.
    if name in __all__:
        require_linux()
        from aiconform.lab import lab

        return getattr(lab, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
