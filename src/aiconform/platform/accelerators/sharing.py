"""Which accelerators several Pods share on purpose, from sharing.yaml beside this module."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files
from pathlib import Path

from aiconform.spec import yamlfile


@cache
def _known() -> Mapping[str, list[str]]:
    name = "sharing.yaml"
    content: Mapping[str, list[str]] = yamlfile.parse(Path(name), files(__package__).joinpath(name).read_bytes()).data
    return content


def shared(resource: str, labels: Mapping[str, str]) -> str:
    """What says that Pods with this extended resource share devices, by its name or its node's labels; empty if not."""
    if _matches(resource, "resources"):
        return f"{resource} is a share of a device"
    for label in (f"{resource}.replicas", f"{resource}.sharing-strategy"):
        value = labels.get(label, "")
        if value in _known()["sharing"] or (value.isdecimal() and int(value) > 1):
            return f"label {label}={value}"
    return ""


def perhaps_shared(resource: str) -> bool:
    """Whether the device plugin of this extended resource can share devices without a word in the API."""
    return _matches(resource, "unlabelled")


def _matches(resource: str, key: str) -> bool:
    patterns: Iterable[str] = _known()[key]
    return any(fnmatchcase(resource, pattern) for pattern in patterns)
