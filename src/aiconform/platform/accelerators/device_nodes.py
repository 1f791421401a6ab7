"""What a device node is to an accelerator, by its path, from device_nodes.yaml beside this module."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Literal

from aiconform.spec import yamlfile

Role = Literal["companion", "control", "partition", "device"]
# Control nodes are named more narrowly than what they stand beside.
_ROLES: tuple[Role, ...] = ("companion", "control", "partition", "device")


@dataclass(frozen=True)
class KnownNodes:
    """The file's content; its top explains the terms."""

    patterns: tuple[tuple[re.Pattern[str], Role], ...]
    ordinary: re.Pattern[str]
    environment: dict[str, str]

    def role(self, path: str) -> Role | None:
        """What this node is; None if it is not a known accelerator's."""
        return next((role for pattern, role in self.patterns if pattern.fullmatch(path)), None)

    def family(self, path: str) -> tuple[str, str] | None:
        """(what the nodes of several devices have in common, what tells this device): `/dev/nvidia` and `0`.

        None for a node without an index, which all holders share.
        """
        for pattern, _ in self.patterns:
            if "device" in pattern.groupindex and (match := pattern.fullmatch(path)):
                return pattern.pattern, match["device"]
        indexed = re.fullmatch(r"(.*?)(\d+)", path)
        return (indexed[1], indexed[2]) if indexed else None

    def is_ordinary(self, path: str) -> bool:
        """Whether containers can have this node on a machine without accelerators."""
        return bool(self.ordinary.fullmatch(path))


@cache
def known_nodes() -> KnownNodes:
    name = "device_nodes.yaml"
    content = yamlfile.parse(Path(name), files(__package__).joinpath(name).read_bytes()).data
    return KnownNodes(
        tuple(
            (re.compile(pattern), role)
            for family in content["families"]
            for role in _ROLES
            for pattern in family.get(role, ())
        ),
        re.compile("|".join(content["ordinary"])),
        dict(content["environment"]),
    )
