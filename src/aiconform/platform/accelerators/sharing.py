"""Which accelerators several Pods share, and how many shares a device has, from sharing.yaml beside this module."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Any

from aiconform.spec import yamlfile

_MEMORY = re.compile(r"(\d+)(G?)")


@cache
def _known() -> Mapping[str, Any]:
    name = "sharing.yaml"
    content: Mapping[str, Any] = yamlfile.parse(Path(name), files(__package__).joinpath(name).read_bytes()).data
    return content


def shared(resource: str, labels: Mapping[str, str]) -> str:
    """What says that Pods with this extended resource share devices, by its name or its node's labels; empty if not."""
    if _matches(resource, "shares"):
        return f"{resource} is a share of a device"
    for label in _labels(resource, "replicas", "replicas"):
        if _number(labels.get(label, "")) > 1:
            return f"label {label}={labels[label]}"
    for label in _labels(resource, "sharing-strategy", "strategy"):
        if labels.get(label, "") in _known()["strategies"]:
            return f"label {label}={labels[label]}"
    return ""


def shares_of_one(resource: str, labels: Mapping[str, str]) -> int:
    """How many of an extended resource are one device or partition, as the node's labels say; 0 if they do not."""
    told = (_number(labels.get(label, "")) for label in _labels(resource, "replicas", "replicas"))
    return next(filter(None, told), 0)


def may_be_shares(resource: str) -> bool:
    """Whether the number of an extended resource may be one of shares instead of devices."""
    return any(_matches(resource, key) for key in ("shares", "labelled", "unlabelled"))


def perhaps_shared(resource: str) -> bool:
    """Whether the device plugin of this extended resource can share devices without a word in the API."""
    return _matches(resource, "unlabelled")


def partition_of(resource: str, product: str = "", labels: Mapping[str, str] = MappingProxyType({})) -> str:
    """What the partitions are called that an extended resource stands for; empty if it stands for none.

    By its name, its product, or labels of its node.
    """
    if _matches(resource, "partitions"):
        return resource
    if any(fnmatchcase(product, each) for each in _known()["products"]):
        return product
    return next(filter(None, (labels.get(label, "") for label in _known()["modes"].get(resource, ()))), "")


def is_complete(partition: str) -> bool:
    """Whether such a partition is a complete device."""
    return _matches(partition.lower(), "complete")


def whole_memory(resource: str, labels: Mapping[str, str]) -> float:
    """The memory of a complete device in bytes, as labels tell it beside partitions of a resource; 0 if none does."""
    named = [name for pattern, names in _known()["whole"].items() if fnmatchcase(resource, pattern) for name in names]
    told = (_MEMORY.fullmatch(labels.get(name, "")) for name in named)
    return next((float(found[1]) * (2.0**30 if found[2] else 2.0**20) for found in told if found), 0.0)


def beside_share(resource: str) -> str:
    """The resource that a Pod asks for beside a share, in percent of a device; empty if a share is only a number."""
    return str(_known()["besides"].get(resource, ""))


def never_shared(profile: str) -> str:
    """The source by which devices of this profile cannot be shared; empty if none is known to say so."""
    return str(_known()["never"].get(profile, ""))


def _number(text: str) -> int:
    return int(text) if text.isdecimal() else 0


def _labels(resource: str, name: str, others: str) -> list[str]:
    """The labels that say it of a resource: that of its own name, and another one."""
    resource = resource.removesuffix(".shared")
    return [f"{resource}.{name}", *filter(None, [_known()[others].get(resource)])]


def _matches(resource: str, key: str) -> bool:
    patterns: Iterable[str] = _known()[key]
    return any(fnmatchcase(resource, pattern) for pattern in patterns)
