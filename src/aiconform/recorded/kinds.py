"""Which kinds the API server of a recorded platform serves: Kubernetes' own, and those of its objects."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from aiconform.cluster import Object, Resource
from aiconform.spec import yamlfile

READS = frozenset({"get", "list", "watch"})
_MINOR = re.compile(r"v?1\.(\d+)")
_CRD = "CustomResourceDefinition"


@cache
def _own() -> list[dict[str, Any]]:
    content = yamlfile.parse(Path("kinds.yaml"), files(__package__).joinpath("kinds.yaml").read_bytes()).data
    found: list[dict[str, Any]] = content["kinds"]
    return found


def own(version: str) -> Iterator[Resource]:
    """What an API server of this version (for example v1.34.1) serves without any definition."""
    match = _MINOR.match(version)
    minor = int(match[1]) if match else 0
    for entry in _own():
        if entry.get("since", 0) <= minor:
            for scope in ("namespaced", "cluster"):
                for kind, plural in (entry.get(scope) or {}).items():
                    yield Resource(entry["version"], kind, plural, scope == "namespaced", READS)


def is_own(api_version: str) -> bool:
    """Whether Kubernetes itself defines this version of an API. The items of its lists have no type."""
    return any(entry["version"] == api_version for entry in _own())


def fields(api_version: str, kind: str) -> frozenset[str]:
    """The field selectors that a kind has."""
    found: frozenset[str] = frozenset({"metadata.name", "metadata.namespace"})
    for entry in _own():
        if entry["version"] == api_version:
            found |= frozenset((entry.get("fields") or {}).get(kind, ()))
    return found


def defined(objects: Iterable[Object]) -> Iterator[Resource]:
    """The kinds that the CustomResourceDefinitions among the objects define, the preferred version of each first."""
    for obj in objects:
        if obj["kind"] == _CRD and "names" in obj.get("spec", {}):
            spec = obj["spec"]
            for version in sorted(spec.get("versions") or [], key=lambda each: _precedence(each["name"]), reverse=True):
                if version.get("served", True):
                    yield Resource(
                        f"{spec['group']}/{version['name']}",
                        spec["names"]["kind"],
                        spec["names"]["plural"],
                        spec.get("scope") == "Namespaced",
                        READS,
                    )


def shown(objects: Iterable[Object]) -> Iterator[Resource]:
    """The kinds that the objects themselves show."""
    for obj in objects:
        kind = obj["kind"]
        yield Resource(obj["apiVersion"], kind, _plural(kind), bool(obj["metadata"].get("namespace")), READS)


def _plural(kind: str) -> str:
    """As the generators of custom resources name a kind in paths."""
    name = kind.lower()
    if name.endswith(("s", "x", "ch", "sh")):
        return f"{name}es"
    if name.endswith("y") and name[-2:-1] not in "aeiou":
        return f"{name[:-1]}ies"
    return f"{name}s"


_VERSION = re.compile(r"v(\d+)(?:(alpha|beta)(\d+))?")


def _precedence(version: str) -> tuple[int, int, int]:
    """Kubernetes' order of versions: v2, v1, v1beta2, v1alpha1, then others."""
    match = _VERSION.fullmatch(version)
    if match is None:
        return (-1, 0, 0)
    stage = {None: 2, "beta": 1, "alpha": 0}[match[2]]
    return (stage, int(match[1]), int(match[3] or 0))
