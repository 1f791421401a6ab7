"""Which accelerators the nodes of a pool can have, by what the pool asks its cloud for: requirements and labels.

A requirement is that of Kubernetes' node affinity: key, operator, values. Names are data, in instances.yaml beside this
module. What is not listed there says nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files
from pathlib import Path

from aiconform.cluster import Object
from aiconform.spec import yamlfile

NONE = "none"
_UNKNOWN = "unknown"
# The last part of a requirement's key -> the table of instances.yaml that explains its values. The part before it
# names the provider: karpenter.k8s.aws, eks.amazonaws.com, karpenter.azure.com, ...
_TABLES = {
    "instance-category": "categories",
    "instance-family": "categories",
    "sku-family": "categories",
    "instance-type": "types",
    "sku-name": "types",
    "instance-gpu-name": "names",
    "instance-accelerator-name": "names",
    "sku-gpu-name": "names",
    "instance-gpu-manufacturer": "makers",
    "instance-accelerator-manufacturer": "makers",
    "sku-gpu-manufacturer": "makers",
}
# The tables, the one that tells products apart best first.
_EXACTNESS = ("makers", "names", "types", "labels", "categories", "present")
_COUNTS = ("instance-gpu-count", "instance-accelerator-count", "sku-gpu-count")
_ABSENT, _PRESENT = "DoesNotExist", ("Exists", "Gt", "Gte")


@dataclass(frozen=True)
class Hardware:
    """The accelerators that nodes can have: extended resources, the likeliest first. without: why they have none.

    Both are empty if nothing is known.
    """

    resources: tuple[str, ...] = ()
    without: str = ""


def stated(requirements: Iterable[Object], labels: Mapping[str, str]) -> Hardware:
    """What requirements and labels of a pool's nodes say together."""
    found: dict[str, list[str]] = {}
    absent = ""
    for requirement in [*requirements, *({"key": key, "operator": "In", "values": [labels[key]]} for key in labels)]:
        table, allowed = _allowed(requirement)
        if allowed == [NONE]:
            values = ", ".join(requirement.get("values") or ["absent"])
            absent = f"its {requirement['key']} is {values}"
            if table != "present":
                return Hardware(without=absent)
        found.setdefault(table, []).extend(each for each in allowed if each not in (NONE, _UNKNOWN))
    exact = next((found[table] for table in _EXACTNESS if found.get(table)), [])
    # A pool without GPUs can have accelerators of another kind, which say so themselves.
    return Hardware(tuple(dict.fromkeys(exact)), "" if exact else absent)


def _allowed(requirement: Object) -> tuple[str, list[str]]:
    """(the table that explains the requirement, what it lets nodes have: extended resources, NONE, _UNKNOWN).

    The list is empty if the requirement is about something else.
    """
    key, operator = requirement["key"], requirement.get("operator", "In")
    values = [str(value) for value in requirement.get("values") or []]
    resource = _match("labels", key)
    if resource != _UNKNOWN:
        return "labels", [resource] if operator in ("In", "Exists") else []
    part = key.rpartition("/")[2]
    table = _TABLES.get(part, "")
    if part in _COUNTS or (table in ("makers", "names") and operator != "In"):
        if operator == _ABSENT or (operator == "In" and set(values) == {"0"}):
            return "present", [NONE]
        some = operator in _PRESENT or (operator == "In" and "0" not in values)
        return "present", [_match("present", part)] if some else []
    if not table or operator != "In":
        return table, []
    return table, list(dict.fromkeys(_of_value(table, value) for value in values))


def _of_value(table: str, value: str) -> str:
    if table == "types" and (exact := _match("types", value)) != _UNKNOWN:
        return exact
    if table == "types":
        # m7i.large, a3-highgpu-8g: the family comes first.
        family, dot, _ = value.partition(".")
        return _match("categories", family if dot else value.partition("-")[0])
    return _match(table, value.lower() if table in ("names", "makers") else value)


def _match(table: str, value: str) -> str:
    found = (entry["resource"] for entry in _tables()[table] if fnmatchcase(value, entry["pattern"]))
    return next(found, _UNKNOWN)


@cache
def _tables() -> dict[str, list[dict[str, str]]]:
    content = yamlfile.parse(Path("instances.yaml"), files(__package__).joinpath("instances.yaml").read_bytes()).data
    return dict(content)
