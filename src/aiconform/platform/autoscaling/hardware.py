"""Which accelerators the nodes of a pool can have, by what the pool asks its cloud for: requirements and labels.

A requirement is that of Kubernetes' node affinity: key, operator, values. Names are data, in instances.yaml beside this
module. What is not listed there says nothing, and the name of an instance says nothing of another cloud's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

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
    "instance-shape-name": "types",
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
_ABSENT, _PRESENT, _NOT = "DoesNotExist", ("Exists", "Gt", "Gte"), "NotIn"


@dataclass(frozen=True)
class Hardware:
    """The accelerators that nodes can have: extended resources, the likeliest first. without: why they have none.

    Both are empty if nothing is known. others: nodes may have accelerators that are not among the resources.
    """

    resources: tuple[str, ...] = ()
    without: str = ""
    others: bool = False


def provider_of(domains: Iterable[str], provider_id: str = "") -> str:
    """The cloud, by one of its domains among those of keys and node classes, or by a providerID; empty if unknown."""
    domains = list(domains)
    for entry in _content()["providers"]:
        if provider_id.startswith(tuple(entry["ids"])) or any(
            fnmatchcase(domain, pattern) for domain in domains for pattern in entry["domains"]
        ):
            return str(entry["name"])
    return ""


def provider_of_class(kind: str) -> str:
    """The cloud whose node classes of Karpenter are of this kind; empty if unknown."""
    return next((str(entry["name"]) for entry in _content()["providers"] if kind in entry.get("classes", ())), "")


def stated(requirements: Iterable[Object], labels: Mapping[str, str], provider: str = "") -> Hardware:
    """What requirements and labels of a pool's nodes say together. provider: the cloud, if a key does not tell it."""
    found: dict[str, list[str]] = {}
    absent = ""
    # The tables that leave something open: that there are GPUs does not tell whose.
    vague = {"present"}
    for requirement in [*requirements, *({"key": key, "operator": "In", "values": [labels[key]]} for key in labels)]:
        table, allowed = _allowed(requirement, provider)
        if allowed == [NONE]:
            values = ", ".join(map(str, requirement.get("values") or ["absent"]))
            absent = f"its {requirement['key']} is {'not ' if requirement.get('operator') == _NOT else ''}{values}"
            if table != "present":
                return Hardware(without=absent)
        vague |= {table} if _UNKNOWN in allowed else set()
        found.setdefault(table, []).extend(each for each in allowed if each not in (NONE, _UNKNOWN))
    best = next((table for table in _EXACTNESS if found.get(table)), "")
    exact = found.get(best, [])
    # A pool without GPUs can have accelerators of another kind, which say so themselves.
    return Hardware(tuple(dict.fromkeys(exact)), "" if exact else absent, others=best in vague)


def _allowed(requirement: Object, provider: str) -> tuple[str, list[str]]:
    """(the table that explains the requirement, what it lets nodes have: extended resources, NONE, _UNKNOWN).

    The list is empty if the requirement is about something else.
    """
    key, operator = requirement["key"], requirement.get("operator", "In")
    values = [str(value) for value in requirement.get("values") or []]
    resource = _match(_content()["labels"], key)
    if resource != _UNKNOWN:
        return "labels", [resource] if operator in ("In", "Exists") else []
    domain, _, part = key.rpartition("/")
    table = _TABLES.get(part, "")
    if part in _COUNTS or (table in ("makers", "names") and operator != "In"):
        if operator == _ABSENT or (operator == "In" and set(values) == {"0"}) or (operator == "Lt" and values == ["1"]):
            return "present", [NONE]
        some = operator in _PRESENT or (operator == "In" and "0" not in values)
        return "present", [_match(_content()["present"], part)] if some else []
    cloud = provider_of([domain]) or provider
    accelerated = _of_cloud(cloud).get("accelerated")
    if part == "instance-category" and operator == _NOT and accelerated and {*accelerated} <= {*values}:
        return table, [NONE]
    if not table or operator != "In":
        return table, []
    return table, list(dict.fromkeys(_of_value(table, value, cloud) for value in values))


def _of_value(table: str, value: str, cloud: str) -> str:
    if table in ("names", "makers"):
        return _match(_content()[table], value.lower())
    known = _of_cloud(cloud)
    if table == "types" and (exact := _match(known.get("types", ()), value)) != _UNKNOWN:
        return exact
    if table == "types":
        # m7i.large, a3-highgpu-8g: the family comes first.
        family, dot, _ = value.partition(".")
        value = family if dot else value.partition("-")[0]
    return _match(known.get("categories", ()), value)


def _of_cloud(cloud: str) -> Mapping[str, Any]:
    """The tables of a cloud; empty if it is not known."""
    return next((entry for entry in _content()["providers"] if entry["name"] == cloud), {})


def _match(table: Iterable[Mapping[str, str]], value: str) -> str:
    return next((entry["resource"] for entry in table if fnmatchcase(value, entry["pattern"])), _UNKNOWN)


@cache
def _content() -> dict[str, Any]:
    found = yamlfile.parse(Path("instances.yaml"), files(__package__).joinpath("instances.yaml").read_bytes()).data
    return dict(found)
