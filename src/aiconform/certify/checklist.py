"""What a version's checklist asks for: categories, ids, levels, and the digests of the descriptions.

Levels come from the standard or, if given, from a folder with the programme's own checklists. The descriptions are the
programme's text: the standard has only their digests, which is enough to notice a change.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from aiconform.certify.yamlvalues import Malformed, YamlList, YamlMapping, YamlScalar, read
from aiconform.reports.facts import requirement_of
from aiconform.spec import load_standard

CATEGORIES = ("accelerators", "networking", "schedulingOrchestration", "observability", "security", "operator")


class BadChecklists(Exception):
    """The given folder has no usable checklist."""


@dataclass(frozen=True)
class ChecklistItem:
    """A requirement as the checklist lists it, and what the programme says about it.

    digests: of the accepted descriptions, normalised; empty if none is known. description: if available. test: the
    test of the programme's suite for this requirement, if there is one. keywords: what notes and test names about it
    mention. may_not_apply: whether a platform may answer this MUST requirement with N/A.
    """

    category: str
    id: str
    level: str
    title: str
    digests: frozenset[str]
    description: str | None = None
    test: str | None = None
    keywords: tuple[str, ...] = ()
    may_not_apply: bool = False


@dataclass(frozen=True)
class Checklist:
    version: str
    items: tuple[ChecklistItem, ...]
    note: str = ""

    def item(self, requirement: str) -> ChecklistItem | None:
        return next((item for item in self.items if item.id == requirement), None)

    @property
    def minor(self) -> int:
        return int(self.version.rpartition(".")[2])


def normalised(description: str) -> str:
    """Line breaks and repeated blanks do not change what a description says."""
    return " ".join(description.split())


def digest_of(description: str) -> str:
    return hashlib.sha256(normalised(description).encode("utf-8", "surrogatepass")).hexdigest()


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
        _item(str(requirement.category), requirement.id, str(level))
        for requirement in standard.at(version)
        if (level := requirement.level_at(version)) in ("MUST", "SHOULD") and requirement.category
    ]
    return Checklist(version, tuple(sorted(items, key=_order)))


def _order(item: ChecklistItem) -> tuple[int, str, str]:
    known = CATEGORIES.index(item.category) if item.category in CATEGORIES else len(CATEGORIES)
    return known, item.level, item.id


def _from_folder(version: str, folder: Path) -> Checklist | None:
    name = f"AIConformance-{version.removeprefix('v')}.yaml"
    path = next((found for found in (folder / name, folder / "docs" / name) if found.exists()), None)
    if path is None:
        return None
    try:
        root = read(path).root
    except (OSError, Malformed) as error:
        raise BadChecklists(f"{path}: {error}") from error
    spec = root.get("spec") if isinstance(root, YamlMapping) else None
    if not isinstance(spec, YamlMapping):
        raise BadChecklists(f"{path} has no spec: name a folder with the programme's AIConformance-1.NN.yaml files")
    items = []
    for category, listed in spec.entries.items():
        for entry in listed.items if isinstance(listed, YamlList) else []:
            entries = entry.entries.items() if isinstance(entry, YamlMapping) else ()
            values = {key: node.text for key, node in entries if isinstance(node, YamlScalar)}
            if re.fullmatch(r"[a-z0-9_]+", values.get("id", "")):
                items.append(_item(category, values["id"], values.get("level", ""), values.get("description", "")))
    return Checklist(version, tuple(items), str(path))


def _item(category: str, requirement: str, level: str, description: str | None = None) -> ChecklistItem:
    known = requirement_of(requirement)
    digests = {
        *(known.programme.descriptions if known else ()),
        *([] if description is None else [digest_of(description)]),
    }
    if known and digests and description is None:
        # What `certify init` writes where the programme's own words are not at hand.
        digests.add(digest_of(known.title))
    return ChecklistItem(
        category,
        requirement,
        level,
        known.title if known else requirement,
        frozenset(digests),
        description,
        known.programme.test if known else None,
        known.programme.keywords if known else (),
        level == "MUST" and known is not None and known.applicability.may_not_apply,
    )
