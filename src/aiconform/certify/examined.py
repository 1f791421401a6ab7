"""Evidence of claims: links, and files of the product, which are resolved without leaving its folder."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Literal

from aiconform.certify.artifacts import BadArtifact, Kind, Results, kind_of, looks_like, read_results
from aiconform.certify.checklist import Checklist, ChecklistItem
from aiconform.certify.elsewhere import judged_anywhere
from aiconform.certify.releases import Releases
from aiconform.certify.runs import Runs
from aiconform.certify.submission import Claim, Submission

_OTHER_PRODUCT = re.compile(r"v[0-9]+\.[0-9]+/[^/]+/")


class Misplaced(Exception):
    """A local reference that does not name a file inside the product's folder."""


@dataclass
class Artifact:
    """A file of results; `error` if it could not be read. `read_by_programme`: whether the programme reads it."""

    path: Path
    name: str
    results: Results | None
    error: str
    read_by_programme: bool


@dataclass(frozen=True)
class Reference:
    """One entry of a claim's evidence.

    kind: `link`, `file`, `blank` (an empty string) or `bad` (`problem` says why). path, fragment: of a file.
    """

    text: str
    line: int
    kind: Literal["link", "file", "blank", "bad"]
    path: Path | None = None
    fragment: str = ""
    problem: str = ""
    artifact: Artifact | None = None

    @property
    def bare(self) -> str:
        """Without the fragment."""
        return self.text.partition("#")[0].strip()


@dataclass(frozen=True)
class Answer:
    """A requirement of the checklist with the claim about it; `counts` is False for a SHOULD left blank."""

    item: ChecklistItem
    claim: Claim
    references: tuple[Reference, ...]
    counts: bool

    @property
    def given(self) -> tuple[Reference, ...]:
        return tuple(reference for reference in self.references if reference.kind != "blank")

    def artifacts(self) -> Iterator[tuple[Reference, Artifact]]:
        for reference in self.references:
            if reference.artifact:
                yield reference, reference.artifact


@dataclass(eq=False)
class Examined:
    """A submission beside its checklist. `answers` by requirement id, in the checklist's order."""

    submission: Submission
    checklist: Checklist
    answers: dict[str, Answer] = field(default_factory=dict)
    artifacts: dict[Path, Artifact] = field(default_factory=dict)
    releases: Releases | None = None

    @cached_property
    def runs(self) -> Runs:
        if self.releases is None:
            return Runs(self.submission.folder)
        return Runs(self.submission.folder, partial(judged_anywhere, releases=self.releases))


def examine(submission: Submission, checklist: Checklist, releases: Releases | None = None) -> Examined:
    """Resolve the evidence of all requirements on the checklist and read the artifacts in it.

    releases: what judges runs that this release cannot.
    """
    found = Examined(submission, checklist, releases=releases)
    known: dict[str, Reference] = {}  # the same entry has the same meaning everywhere
    for item in checklist.items:
        claim = submission.claim(item.category, item.id)
        if claim is None:
            continue
        references = []
        for entry in claim.evidence:
            if entry.text not in known:
                known[entry.text] = _reference(entry.text, entry.line, submission.folder, found.artifacts)
            references.append(replace(known[entry.text], line=entry.line))
        skipped = item.level == "SHOULD" and claim.status.text == "" and not claim.evidence
        found.answers[item.id] = Answer(item, claim, tuple(references), not skipped)
    return found


def _reference(text: str, line: int, folder: Path, artifacts: dict[Path, Artifact]) -> Reference:
    if text == "":
        return Reference(text, line, "blank")
    if text.startswith(("http://", "https://")):
        return Reference(text, line, "link", fragment=text.partition("#")[2])
    try:
        path, fragment = locate(text, folder)
    except Misplaced as problem:
        return Reference(text, line, "bad", problem=str(problem))
    kind = kind_of(path.name)
    kind, by_programme = (kind, True) if kind else (looks_like(path.name), False)
    artifact = _artifact(path, kind, by_programme, artifacts) if kind and path.is_file() else None
    if kind and by_programme and artifact is None:
        artifact = artifacts.setdefault(path, Artifact(path, path.name, None, "it is not a regular file", True))
    return Reference(text, line, "file", path, fragment, artifact=artifact)


def _artifact(path: Path, kind: Kind, by_programme: bool, known: dict[Path, Artifact]) -> Artifact:
    if path not in known:
        try:
            known[path] = Artifact(path, path.name, read_results(path, kind), "", by_programme)
        except BadArtifact as error:
            known[path] = Artifact(path, path.name, None, str(error), by_programme)
    return known[path]


def locate(text: str, folder: Path) -> tuple[Path, str]:
    """(the file, the fragment) of a local reference in the product's folder. Raises Misplaced.

    It works like the programme's validator, but refuses symbolic links that lead out of the folder.
    """
    raw, _, fragment = text.strip().removeprefix("file://").partition("#")
    raw = raw.strip().removeprefix("/")
    if raw == "":
        raise Misplaced("it names no file")
    own = f"{folder.parent.name}/{folder.name}/"
    if raw.startswith(own):
        raw = raw.removeprefix(own)
    elif _OTHER_PRODUCT.match(raw):
        raise Misplaced(f"it names another product's folder than {own.rstrip('/')}")
    if "\0" in raw or len(raw) > 4096:
        raise Misplaced("it is not a path")
    full = Path(os.path.normpath(folder / raw.lstrip("/")))
    if full == folder or not full.is_relative_to(folder):
        raise Misplaced("it leaves the product's folder" if full != folder else "it names the folder itself")
    try:
        real = full.resolve()
        if not real.is_relative_to(folder):
            raise Misplaced("it is a link to something outside the product's folder")
        if not real.exists():
            raise Misplaced(f"there is no such file in {folder.name}/")
    except (OSError, RuntimeError) as error:
        raise Misplaced(f"it cannot be followed: {getattr(error, 'strerror', None) or error}") from error
    return full, fragment
