"""Validation of submissions: one, many, or a repository of them, with what they have to do with one another."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiconform.certify.checklist import checklist_of
from aiconform.certify.evidence import Examined, examine
from aiconform.certify.findings import Finding, Report
from aiconform.certify.grades import grades
from aiconform.certify.links import unreachable
from aiconform.certify.nodes import LARGEST
from aiconform.certify.rules import BEYOND, CATALOGUE, corpus, programme
from aiconform.certify.rules.programme import Link
from aiconform.certify.submission import FILE, Submission, Unreadable, load, read_bytes, version_of

MOST_SUBMISSIONS = 10_000
MOST_LINKS = 500  # of one submission that are asked; a real one has about 40
SKIPPED = {".git", "node_modules", ".venv"}


class NothingToValidate(Exception):
    """The user named no submission; the text says what was looked for."""


@dataclass(frozen=True)
class Options:
    """offline: links are not asked and count as answering. members: names, or None without a list."""

    offline: bool = False
    members: frozenset[str] | None = None
    checklists: Path | None = None


@dataclass
class Validated:
    """The outcome for one PRODUCT.yaml. `valid`: as the programme's validator says, findings beyond it apart.

    not_checked: what could not be looked at, in words.
    """

    path: Path
    version: str | None
    errors: list[Finding]
    warnings: list[Finding]
    findings: list[Finding]
    grades: dict[str, str]
    not_checked: list[str]
    examined: Examined | None

    @property
    def valid(self) -> bool:
        return not self.errors

    def as_data(self) -> dict[str, Any]:
        return {
            "path": self.path.as_posix(),
            "version": self.version,
            "valid": self.valid,
            "errors": [finding.as_data() for finding in self.errors],
            "warnings": [finding.as_data() for finding in self.warnings],
            "findings": [finding.as_data() for finding in self.findings],
            "grades": self.grades,
            "not_checked": self.not_checked,
        }


@dataclass
class _Draft:
    path: Path
    said: Report
    beyond: Report
    examined: Examined | None = None
    links: list[Link] = field(default_factory=list)


def find(paths: Sequence[Path]) -> list[Path]:
    """The PRODUCT.yaml files at or below the paths. Links below them are not followed. Raises NothingToValidate."""
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            below = _below(path)
            if not below:
                raise NothingToValidate(
                    f"{path} holds no {FILE}: name a submission, or a folder of them (vX.Y/<product>/{FILE})"
                )
            found += below
        elif path.exists() or path.is_symlink():
            found.append(path)
        else:
            raise NothingToValidate(f"{path} does not exist: name a {FILE} or a folder that holds some")
    return list(dict.fromkeys(found))


def _below(folder: Path) -> list[Path]:
    found = []
    for root, folders, files in os.walk(folder, followlinks=False):
        folders[:] = sorted(name for name in folders if name not in SKIPPED)
        if FILE in files:
            found.append(Path(root) / FILE)
        if len(found) > MOST_SUBMISSIONS:
            raise NothingToValidate(f"{folder} holds more than {MOST_SUBMISSIONS:,} submissions: name a part of it")
    return sorted(found)


def validate(paths: Sequence[Path], options: Options) -> list[Validated]:
    """Raises BadChecklists."""
    drafts = [_draft(path, options) for path in paths]
    if not options.offline:
        _links(drafts)
    corpus.check([(draft.examined, draft.beyond) for draft in drafts if draft.examined])
    return [_finish(draft, options) for draft in drafts]


def _draft(path: Path, options: Options) -> _Draft:
    draft = _Draft(path, Report(path.as_posix(), CATALOGUE), Report(path.as_posix(), CATALOGUE))
    version = version_of(path)
    checklist = checklist_of(version, options.checklists) if version else None
    if not programme.of_checklist(checklist, version, draft.said) or checklist is None:
        return draft
    submission = _read(path, draft)
    if submission is None:
        return draft
    draft.examined = examine(submission, checklist)
    draft.links = programme.check(draft.examined, draft.said, options.members)
    for rules in BEYOND:
        rules.check(draft.examined, draft.beyond)
    return draft


def _read(path: Path, draft: _Draft) -> Submission | None:
    try:
        folder = path.parent.resolve()
        return load(path, read_bytes(path, folder, LARGEST), folder)
    except Unreadable as error:
        draft.said.add("P-load", error.line, f"{error.problem}; {error.mend}")
        return None


def _links(drafts: Sequence[_Draft]) -> None:
    asked = {url for draft in drafts for url in list(dict.fromkeys(link.url for link in draft.links))[:MOST_LINKS]}
    problems = unreachable(asked)
    for draft in drafts:
        for link in draft.links:
            if link.url in problems:
                text = f"{link.what} {link.url[:200]}: {problems[link.url]}"
                draft.said.add("P-link", link.line, text, requirement=link.requirement)


def _finish(draft: _Draft, options: Options) -> Validated:
    said = draft.said.sorted()
    not_checked = []
    if draft.examined:
        links = len({link.url for link in draft.links})
        if options.offline and links:
            not_checked.append(f"{links} links (offline): taken as answering")
        elif links > MOST_LINKS:
            not_checked.append(f"{links - MOST_LINKS} links beyond the first {MOST_LINKS}: taken as answering")
        if options.members is None:
            not_checked.append("whether the vendor is a CNCF member: no list given (--members)")
    return Validated(
        draft.path,
        version_of(draft.path),
        [finding for finding in said if finding.severity == "error"],
        [finding for finding in said if finding.severity == "warning"],
        draft.beyond.sorted(),
        grades(draft.examined) if draft.examined else {},
        not_checked,
        draft.examined,
    )


def summary(results: Sequence[Validated]) -> dict[str, Any]:
    """Counts over all submissions: valid by version, findings by rule, grades."""
    versions: dict[str, dict[str, int]] = {}
    for result in results:
        counts = versions.setdefault(result.version or "none", {"valid": 0, "invalid": 0})
        counts["valid" if result.valid else "invalid"] += 1
    return {
        "submissions": len(results),
        "valid": sum(result.valid for result in results),
        "versions": dict(sorted(versions.items())),
        "errors": dict(Counter(f.rule for r in results for f in r.errors).most_common()),
        "warnings": dict(Counter(f.rule for r in results for f in r.warnings).most_common()),
        "findings": dict(Counter(f.rule for r in results for f in r.findings).most_common()),
        "grades": dict(Counter(grade for r in results for grade in r.grades.values()).most_common()),
    }
