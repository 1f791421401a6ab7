"""Loads the standard: every file of a folder, checked, with errors that name file, line and what was expected."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from aiconform.spec.errors import ExtensionConflict, MalformedFile, UnknownRequirement, UnknownVersion
from aiconform.spec.model import Requirement, version_key
from aiconform.spec.validation import validated
from aiconform.spec.words import Level, Text, Version
from aiconform.spec.yamlfile import Tree, Where, content, parse, read

HERE = Path(__file__).parent
REQUIREMENTS = HERE / "requirements"
VERSIONS = HERE / "versions.yaml"
NEW_EXTENSION = "an id such as acme.fabric, with the vendor's name before the dot"


class Release(BaseModel):
    """A Kubernetes version that the standard speaks about.

    released: its list is frozen and platforms are certified against it. announced: what is known of the next list.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Version
    released: bool
    note: Text
    sources: tuple[str, ...] = Field(default=())


@dataclass(frozen=True)
class Standard:
    """Every requirement, and the Kubernetes versions with a list."""

    requirements: tuple[Requirement, ...]
    releases: tuple[Release, ...]
    digest: str
    """sha256 over the requirement files, "sha256:…": names the wording a run was judged by."""
    folder: Path = REQUIREMENTS
    extensions: tuple[Requirement, ...] = ()
    """Requirements that other packages bring: on no version's list, and not in the digest."""

    @cached_property
    def versions(self) -> tuple[str, ...]:
        """Kubernetes versions, oldest first, the announced one included."""
        return tuple(release.version for release in self.releases)

    @cached_property
    def newest(self) -> str:
        """The newest version whose list is released."""
        return [release.version for release in self.releases if release.released][-1]

    @cached_property
    def ids(self) -> tuple[str, ...]:
        return tuple(requirement.id for requirement in self.requirements)

    def requirement(self, wanted: str) -> Requirement:
        """The requirement or extension of that id. Raises UnknownRequirement, with the most similar ids."""
        known = {requirement.id: requirement for requirement in (*self.requirements, *self.extensions)}
        if wanted not in known:
            raise UnknownRequirement(wanted, known)
        return known[wanted]

    def extended(self, requirements: Iterable[Requirement]) -> Standard:
        """This standard with these extensions as well. Raises ExtensionConflict."""
        extensions = {requirement.id: requirement for requirement in self.extensions}
        for requirement in requirements:
            if not requirement.is_extension:
                raise ExtensionConflict(
                    f"{requirement.id} has no dot, which the id of an extension has: {NEW_EXTENSION}"
                )
            if requirement.id in extensions:
                raise ExtensionConflict(f"two packages bring {requirement.id}; uninstall one of them")
            extensions[requirement.id] = requirement
        return replace(self, extensions=tuple(extensions[id_] for id_ in sorted(extensions)))

    def version(self, wanted: str) -> str:
        """The version in the standard's spelling: takes "1.37" and "v1.37". Raises UnknownVersion."""
        version = wanted if wanted.startswith("v") else f"v{wanted}"
        if version not in self.versions:
            raise UnknownVersion(wanted, self.versions)
        return version

    def release(self, wanted: str) -> Release:
        """Raises UnknownVersion."""
        version = self.version(wanted)
        return next(release for release in self.releases if release.version == version)

    def at(self, wanted: str) -> tuple[Requirement, ...]:
        """The requirements on that version's list or folded by then: MUST first, then SHOULD, then folded.

        Raises UnknownVersion.
        """
        version = self.version(wanted)
        order = [Level.MUST, Level.SHOULD, Level.FOLDED]
        listed = [requirement for requirement in self.requirements if version in requirement.levels]
        return tuple(sorted(listed, key=lambda requirement: order.index(requirement.levels[version])))


def requirement_files(folder: Path) -> list[Path]:
    """The folder's requirement files by name. Raises MalformedFile if there are none."""
    files = sorted(folder.glob("*.yaml"))
    if not files:
        raise MalformedFile(folder, None, "holds no requirement", "files named <id>.yaml")
    return files


def load_standard(folder: Path = REQUIREMENTS) -> Standard:
    """The standard in `folder` (this package's own unless told, which is read once). Raises MalformedFile."""
    return _own() if folder == REQUIREMENTS else _load(folder)


@cache
def _own() -> Standard:
    return _load(REQUIREMENTS)


def _load(folder: Path) -> Standard:
    digest = hashlib.sha256()
    requirements = []
    for path in requirement_files(folder):
        raw = content(path)
        digest.update(f"{path.name}\0{len(raw)}\0".encode() + raw)
        requirements.append(requirement_from(parse(path, raw)))
    beside = folder.parent / VERSIONS.name
    releases = _releases(read(beside if beside.exists() else VERSIONS))
    return Standard(_in_order(requirements), releases, f"sha256:{digest.hexdigest()}", folder)


def load_extension(path: Path) -> Requirement:
    """The requirement of a package outside the standard. Raises MalformedFile."""
    tree = read(path)
    id_ = tree.data.get("id") if isinstance(tree.data, dict) else None
    # Before the rest is read: without a dot the rules of the standard hold for it.
    if isinstance(id_, str) and "." not in id_:
        raise MalformedFile(path, tree.line(("id",)), f"the id {id_!r} of an extension has no dot", NEW_EXTENSION)
    return _requirement(tree)


def requirement_from(tree: Tree) -> Requirement:
    """The requirement of the standard that a file holds. Raises MalformedFile."""
    requirement = _requirement(tree)
    if requirement.is_extension:
        raise MalformedFile(
            tree.path,
            tree.line(("id",)),
            f"the id {requirement.id!r} has a dot, which marks an extension",
            "an id without a dot; the package that brings an extension also brings its file",
        )
    if requirement.id != tree.path.stem:
        raise MalformedFile(
            tree.path, tree.line(("id",)), f"the id is {requirement.id!r}", f"{tree.path.stem!r}, the file's name"
        )
    return requirement


def _requirement(tree: Tree) -> Requirement:
    requirement: Requirement = validated(tree, Requirement)
    procedure = requirement.procedure
    places: list[tuple[Where, str]] = [
        (("procedure", "steps", i, "holds", j, "id"), line.id)
        for i, step in enumerate(procedure.steps)
        for j, line in enumerate(step.holds)
    ]
    places += [(("procedure", "limits", i, "id"), limit.id) for i, limit in enumerate(procedure.limits)]
    given: dict[str, int] = {}
    for where, id_ in places:
        if id_ in given:
            raise MalformedFile(
                tree.path,
                tree.line(where),
                f"the id {id_!r} is also on line {given[id_]}",
                "another id for each line and limit of a requirement",
            )
        given[id_] = tree.line(where)
    return requirement


def _releases(tree: Tree) -> tuple[Release, ...]:
    releases: tuple[Release, ...] = validated(tree, tuple[Release, ...])
    if [r.version for r in releases] != sorted({r.version for r in releases}, key=version_key):
        raise MalformedFile(tree.path, 1, "the versions are out of order", "each version once, oldest first")
    if not any(release.released for release in releases):
        raise MalformedFile(tree.path, 1, "no version is released", "at least one with `released: true`")
    return releases


def _in_order(requirements: Sequence[Requirement]) -> tuple[Requirement, ...]:
    return tuple(sorted(requirements, key=lambda r: (not r.levels, r.id)))


__all__ = ["REQUIREMENTS", "Release", "Standard", "load_extension", "load_standard", "requirement_from"]
