"""The plan of a run: its requirements, and the checks for them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import aiconform
from aiconform.check import Check
from aiconform.check.origin import Origin
from aiconform.check.registry import NoSuchCheck, has_check, load_check, load_extension_check
from aiconform.engine.evidence import ReportLevel
from aiconform.engine.verdicts import level_of
from aiconform.spec import Requirement, Standard


class BadChoice(Exception):
    """The user asked for something that does not exist; the text names what does."""


@dataclass(frozen=True)
class Item:
    """A requirement of this run; `check` is None where there is none that can be used, and `missing` says why.

    origin: of an extension's check.
    """

    requirement: Requirement
    level: ReportLevel
    check: Check | None
    missing: str = ""
    origin: Origin | None = None


@dataclass(frozen=True)
class Plan:
    """`chosen` is None for a run of the whole version. `uncovered`: MUST requirements that the run does not check."""

    version: str
    items: tuple[Item, ...]
    chosen: tuple[str, ...] | None
    uncovered: tuple[str, ...]


def version_of(kubernetes: str) -> str:
    """`v1.37` for a gitVersion such as `v1.37.2-gke.100`. Raises BadChoice if it is none."""
    match = re.match(r"v?(\d+\.\d+)", kubernetes)
    if not match:
        raise BadChoice(f"{kubernetes!r} is not a Kubernetes version")
    return f"v{match.group(1)}"


def is_of(kubernetes: str, version: str) -> bool:
    """Whether a gitVersion is of a version such as v1.37; a text that is no version is of none."""
    return bool(re.match(rf"{re.escape(version)}(?![0-9])", kubernetes))


def make_plan(standard: Standard, kubernetes: str, chosen: Sequence[str], *, extensions: bool = False) -> Plan:
    """The chosen requirements, or all that the version lists; with `extensions`, also all installed extensions.

    Raises BadChoice, UnknownRequirement, UnknownVersion or NoSuchCheck.
    """
    version = version_of(kubernetes)
    listed = standard.at(version)
    for wanted in chosen:
        if "." in wanted:
            load_extension_check(wanted)
        requirement = standard.requirement(wanted)
        if requirement not in listed and not requirement.is_extension:
            known = ", ".join(entry.id for entry in listed)
            raise BadChoice(f"{wanted} is not on the list of {version}. That list has: {known}")
    named = tuple(dict.fromkeys(chosen))
    if named and extensions:
        named = tuple(dict.fromkeys((*named, *(entry.id for entry in standard.extensions))))
    run = [entry for entry in listed if not named or entry.id in named]
    run += [entry for entry in standard.extensions if entry.id in named or (extensions and not named)]
    items = tuple(_item(entry, version) for entry in run)
    covered = {item.requirement.id for item in items if item.check}
    uncovered = tuple(entry.id for entry in listed if level_of(entry, version) == "MUST" and entry.id not in covered)
    return Plan(version, items, named or None, uncovered)


def _item(requirement: Requirement, version: str) -> Item:
    level = level_of(requirement, version)
    try:
        if requirement.is_extension:
            extension = load_extension_check(requirement.id)
            return Item(requirement, level, extension.check, origin=extension.origin)
        if not has_check(requirement.id):
            return Item(requirement, level, None, "the suite has no check for this requirement yet")
        return Item(requirement, level, load_check(requirement.id))
    except NoSuchCheck as error:
        return Item(requirement, level, None, str(error))


@cache
def suite_digest() -> str:
    """Identifies the code that observes and judges: sha256 over the checks, what they use, and the verdicts."""
    root = Path(aiconform.__file__).parent
    sources = [
        path
        for folder in ("check", "kit", "checks", "platform")
        for path in (root / folder).rglob("*")
        if path.suffix in (".py", ".yaml")
    ]
    total = hashlib.sha256()
    for path in sorted((*sources, root / "engine" / "verdicts.py"), key=lambda path: path.relative_to(root).as_posix()):
        data = path.read_bytes()
        total.update(f"{path.relative_to(root).as_posix()}\0{len(data)}\0".encode() + data)
    return f"sha256:{total.hexdigest()}"
