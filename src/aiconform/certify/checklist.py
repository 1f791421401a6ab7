"""What a version's checklist asks: categories, ids, levels, and the digests of the descriptions.

Levels come from the standard or, if given, from a folder with the programme's own checklists. The descriptions are the
programme's text: this package knows only their digests, which is enough to notice that one was changed.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

import yaml

from aiconform.certify.nodes import Malformed, Mapping, Scalar, Sequence, parse
from aiconform.spec import load_standard

CATEGORIES = ("accelerators", "networking", "schedulingOrchestration", "observability", "security", "operator")
MAY_BE_NA = frozenset({"cluster_autoscaling"})
"""The MUST requirements that the programme lets a platform answer with N/A."""
TESTS = {
    "secure_accelerator_access": "TestSecureAcceleratorAccess",
    "gang_scheduling": "TestGangScheduling",
    "cluster_autoscaling": "TestAcceleratorClusterAutoscaling",
}
"""The requirements that the programme maps to a test of its suite."""


class BadChecklists(Exception):
    """The given folder has no usable checklist."""


@dataclass(frozen=True)
class Item:
    """`digests`: of the accepted descriptions, normalised; empty if none is known. `description`: if at hand."""

    category: str
    id: str
    level: str
    title: str
    digests: frozenset[str]
    description: str | None = None


@dataclass(frozen=True)
class Checklist:
    version: str
    items: tuple[Item, ...]
    note: str = ""

    def item(self, requirement: str) -> Item | None:
        return next((item for item in self.items if item.id == requirement), None)

    @property
    def minor(self) -> int:
        return int(self.version.rpartition(".")[2])


def normalised(description: str) -> str:
    """Line breaks and repeated blanks do not change what a description says."""
    return " ".join(description.split())


def digest_of(description: str) -> str:
    return hashlib.sha256(normalised(description).encode("utf-8", "surrogatepass")).hexdigest()


@cache
def known_digests() -> dict[str, list[str]]:
    """id -> digests of the descriptions on the released lists."""
    raw = files("aiconform.certify").joinpath("descriptions.yaml").read_bytes()
    found: dict[str, list[str]] = yaml.load(raw, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506
    return found


def versions() -> tuple[str, ...]:
    """The versions with a released list, oldest first."""
    standard = load_standard()
    return tuple(release.version for release in standard.releases if release.released)


@cache
def checklist_of(version: str, folder: Path | None = None) -> Checklist | None:
    """None if the version has no checklist. Raises BadChecklists."""
    if folder is not None:
        return _from_folder(version, folder)
    standard = load_standard()
    if version not in versions():
        return None
    items = [
        Item(
            str(requirement.category),
            requirement.id,
            str(level),
            requirement.title,
            frozenset(known_digests().get(requirement.id, ())),
        )
        for requirement in standard.at(version)
        if (level := requirement.level_at(version)) in ("MUST", "SHOULD") and requirement.category
    ]
    return Checklist(version, tuple(sorted(items, key=_order)))


def _order(item: Item) -> tuple[int, str, str]:
    known = CATEGORIES.index(item.category) if item.category in CATEGORIES else len(CATEGORIES)
    return known, item.level, item.id


def _from_folder(version: str, folder: Path) -> Checklist | None:
    name = f"AIConformance-{version.removeprefix('v')}.yaml"
    path = next((found for found in (folder / name, folder / "docs" / name) if found.is_file()), None)
    if path is None:
        return None
    try:
        root = parse(path.read_bytes()).root
    except (OSError, Malformed) as error:
        raise BadChecklists(f"{path}: {error}") from error
    spec = root.get("spec") if isinstance(root, Mapping) else None
    if not isinstance(spec, Mapping):
        raise BadChecklists(f"{path} has no spec: name a folder with the programme's AIConformance-1.NN.yaml files")
    items = []
    for category, listed in spec.entries.items():
        for entry in listed.items if isinstance(listed, Sequence) else []:
            values = (
                {k: v.text for k, v in entry.entries.items() if isinstance(v, Scalar)}
                if isinstance(entry, Mapping)
                else {}
            )
            if re.fullmatch(r"[a-z0-9_]+", values.get("id", "")):
                description = values.get("description", "")
                items.append(
                    Item(
                        category,
                        values["id"],
                        values.get("level", ""),
                        _title(values["id"]),
                        frozenset({digest_of(description), *known_digests().get(values["id"], ())}),
                        description,
                    )
                )
    return Checklist(version, tuple(items), str(path))


def _title(requirement: str) -> str:
    standard = load_standard()
    return next((r.title for r in standard.requirements if r.id == requirement), requirement)
