"""The installed checks: each is an entry point of the group `aiconform.checks`, including this project's own.

An entry point's name is the requirement's id, its object a Check. An id without a dot belongs to the standard, whose
checks this project brings. Ids with a dot (`acme.fabric`) are extensions: their package brings the requirement as well.
A check without Python is a file that the user names (`--checks`).

`extended_standard` gives the standard with the requirements of all extensions that can be used; `broken_checks` names
those that cannot, and why. An extension that is broken changes nothing for the others.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint
from pathlib import Path

from aiconform.check.check import API_VERSION, Check
from aiconform.check.container import container_check
from aiconform.check.origin import Origin, origin_of, origin_of_file
from aiconform.installed import OWN, check_entries, check_files, distribution_of
from aiconform.spec import Requirement, SpecError, Standard, load_extension, load_standard


class NoSuchCheck(LookupError):
    """The suite has no check for this requirement."""


class BrokenCheck(NoSuchCheck):
    """A check is installed and cannot be used. Attributes: id, distribution, problem, way_out."""

    def __init__(self, id_: str, distribution: str, problem: str, way_out: str) -> None:
        self.id, self.distribution, self.problem, self.way_out = id_, distribution, problem, way_out
        super().__init__(f"the check {id_} of {distribution} cannot be used: {problem}; {way_out}")


@dataclass(frozen=True)
class Extension:
    """The check of another distribution, with the requirement that it brings."""

    check: Check
    requirement: Requirement
    origin: Origin


def check_ids() -> tuple[str, ...]:
    """Ids of all installed checks, sorted; no package is imported for it."""
    return tuple(sorted({*_entries()[0], *_files()[0]}))


def has_check(requirement: str) -> bool:
    return requirement in _entries()[0] or requirement in _files()[0]


@cache
def load_check(requirement: str) -> Check:
    """The check of a requirement. Raises NoSuchCheck, BrokenCheck."""
    usable, refused = _entries()
    if requirement in usable:
        return _load(usable[requirement])
    if requirement in _files()[0]:
        return _files()[0][requirement].check
    raise refused.get(requirement) or NoSuchCheck(f"the suite has no check for {requirement} yet")


def extension_ids() -> tuple[str, ...]:
    """Ids of the extensions that can be used, sorted."""
    return tuple(sorted(_extensions()[0]))


def load_extension_check(id_: str) -> Extension:
    """An extension with its requirement. Raises NoSuchCheck, BrokenCheck."""
    usable, broken = _extensions()
    if id_ in usable:
        return usable[id_]
    raise next((error for error in broken if error.id == id_), None) or NoSuchCheck(
        f"no extension {id_} is installed: install the package that brings it"
    )


def broken_checks() -> tuple[BrokenCheck, ...]:
    """The checks of other distributions that cannot be used, sorted by id."""
    return _extensions()[1]


def extended_standard() -> Standard:
    """The standard with the requirements of all extensions that can be used. Raises MalformedFile."""
    return load_standard().extended(extension.requirement for extension in _extensions()[0].values())


def forget() -> None:
    """Clear all caches, so that the next call reads again what is installed."""
    for remembered in (check_entries, _entries, _files, _extensions, load_check):
        remembered.cache_clear()


@cache
def _entries() -> tuple[dict[str, EntryPoint], dict[str, BrokenCheck]]:
    """(entry points that may be loaded, those that are refused by their names alone), by id."""
    by_id: dict[str, dict[str, EntryPoint]] = defaultdict(dict)
    for entry in check_entries():
        # A distribution that is found twice on the path counts once: the first one is imported.
        by_id[entry.name].setdefault(distribution_of(entry), entry)
    usable: dict[str, EntryPoint] = {}
    refused: dict[str, BrokenCheck] = {}
    for id_, found in by_id.items():
        others = sorted(found.keys() - {OWN})
        if OWN in found:
            usable[id_] = found[OWN]
        if "." not in id_ and others:
            problem = f"the id {id_} has no dot, so it belongs to the standard"
            refused[id_] = BrokenCheck(id_, " and ".join(others), problem, "give it an id such as acme.fabric")
        elif len(found) > 1:
            problem = "more than one distribution brings this id"
            refused[id_] = BrokenCheck(id_, " and ".join(others), problem, "uninstall all but one of them")
        elif others:
            usable[id_] = found[others[0]]
    return usable, refused


@cache
def _extensions() -> tuple[dict[str, Extension], tuple[BrokenCheck, ...]]:
    usable, refused = _entries()
    extensions, broken_files = _files()
    extensions = dict(extensions)
    broken = {**refused, **broken_files}
    for id_, entry in usable.items():
        if distribution_of(entry) == OWN:
            continue
        try:
            check = load_check(id_)
            extensions[id_] = Extension(check, _requirement(check, distribution_of(entry)), origin_of(entry))
        except BrokenCheck as error:
            broken[id_] = error
    return extensions, tuple(broken[id_] for id_ in sorted(broken))


@cache
def _files() -> tuple[dict[str, Extension], dict[str, BrokenCheck]]:
    """(checks without Python that can be used, those that cannot), by id or, where a file has none, by its path."""
    usable: dict[str, Extension] = {}
    broken: dict[str, BrokenCheck] = {}
    taken = {entry.name for entry in check_entries()}
    for path in check_files():
        try:
            requirement = load_extension(path)
            check = container_check(requirement, path)
            if check.id in taken:
                problem, way_out = "another check has this id", "leave one of them out"
                broken[check.id] = BrokenCheck(check.id, str(path), problem, way_out)
                continue
            usable[check.id] = Extension(check, requirement, origin_of_file(path))
            taken.add(check.id)
        except (SpecError, OSError, ValueError) as error:
            broken[str(path)] = BrokenCheck(path.stem, str(path), str(error), "correct the file")
    return usable, broken


def _load(entry: EntryPoint) -> Check:
    source = distribution_of(entry)
    try:
        found = entry.load()
    except (Exception, SystemExit) as error:
        problem = f"{entry.value} cannot be loaded: {type(error).__name__}: {error}"
        raise BrokenCheck(entry.name, source, problem, f"repair or uninstall {source}") from error
    if not isinstance(found, Check) or found.id != entry.name:
        problem = f"{entry.value} is not a Check of that id"
        raise BrokenCheck(entry.name, source, problem, "make the entry point name what `collect` returns for this id")
    if found.api != API_VERSION:
        problem = f"it was made for version {found.api} of the checks' contract, and this is version {API_VERSION}"
        raise BrokenCheck(entry.name, source, problem, f"install a version of {source} that was made for this one")
    return found


def _requirement(check: Check, source: str) -> Requirement:
    """The requirement that an extension brings. Raises BrokenCheck."""
    way_out = "name its file in `collect(..., requirement=...)`; `aiconform spec new --check` writes one"
    if not isinstance(check.requirement, Path):
        raise BrokenCheck(check.id, source, "it brings no requirement", way_out)
    try:
        requirement = load_extension(check.requirement)
    except (SpecError, OSError) as error:
        raise BrokenCheck(check.id, source, f"its requirement cannot be read: {error}", "correct the file") from error
    if requirement.id != check.id:
        problem = f"its requirement {check.requirement} has the id {requirement.id}"
        raise BrokenCheck(check.id, source, problem, "give both the same id")
    return requirement
