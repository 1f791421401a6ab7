"""Validation of submissions: one, several, or a whole repository, each also compared with the others."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiconform.certify import rules
from aiconform.certify.context import Context
from aiconform.certify.corpus import Corpus
from aiconform.certify.examined import Examined
from aiconform.certify.findings import Problem, RuleFinding, findings
from aiconform.certify.grades import grades
from aiconform.certify.links import links_of
from aiconform.certify.releases import Releases
from aiconform.certify.rules import loading
from aiconform.certify.submission import FILE, version_of
from aiconform.reports.summary import counted

MOST_SUBMISSIONS = 10_000
MOST_LINKS = 500  # of one submission that are tried; a real one has about 40
SKIPPED = {".git", "node_modules", ".venv"}


class NothingToValidate(Exception):
    """The user named no submission; the text says what was looked for."""


@dataclass(frozen=True)
class ValidationSettings:
    """offline: links are not tried and count as answering. members: names of CNCF members, None without a list.
    releases: what judges runs that this release cannot."""

    offline: bool = False
    members: frozenset[str] | None = None
    checklists: Path | None = None
    releases: Releases | None = None


@dataclass
class Validated:
    """The result for one PRODUCT.yaml. `valid`: by the programme's rules; findings beyond them do not count.

    not_checked: what could not be checked, in words.
    """

    path: Path
    version: str | None
    errors: list[RuleFinding]
    warnings: list[RuleFinding]
    findings: list[RuleFinding]
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


def find(paths: Sequence[Path]) -> list[Path]:
    """The PRODUCT.yaml files at or below the paths. Links below them are not followed. Raises NothingToValidate."""
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            below = _below(path)
            if not below:
                raise NothingToValidate(
                    f"{path} contains no {FILE}: name a submission, or a folder of them (vX.Y/<product>/{FILE})"
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
            raise NothingToValidate(f"{folder} contains more than {MOST_SUBMISSIONS:,} submissions: name a part of it")
    return sorted(found)


def validate(paths: Sequence[Path], settings: ValidationSettings, against: Sequence[Path] = ()) -> list[Validated]:
    """`against`: submissions to compare with, which are not judged. Raises BadChecklists."""
    judged = {path.resolve() for path in paths}
    examined = [loading.examined(path, settings.checklists, settings.releases) for path in paths]
    others = [loading.examined(path, settings.checklists) for path in against if path.resolve() not in judged]
    corpus = Corpus([each for each in (*examined, *others) if isinstance(each, Examined)])
    links = {} if settings.offline else _unreachable(examined)
    results = []
    for path, each in zip(paths, examined, strict=True):
        if isinstance(each, Problem):
            problems: Iterable[Problem] = [each]
        else:
            problems = rules.check(Context(each, corpus, settings.members, links))
        results.append(_validated(path, each, findings(path.as_posix(), rules.CATALOGUE, problems), settings))
    return results


def _unreachable(examined: Sequence[Examined | Problem]) -> dict[str, str]:
    from aiconform.certify.reachability import unreachable  # imports the HTTP client, which --offline does not need

    submissions = [each for each in examined if isinstance(each, Examined)]
    return unreachable({url for each in submissions for url in list(dict.fromkeys(_urls(each)))[:MOST_LINKS]})


def _urls(examined: Examined) -> list[str]:
    return [link.url for link in links_of(examined)]


def _validated(
    path: Path, examined: Examined | Problem, found: list[RuleFinding], settings: ValidationSettings
) -> Validated:
    known = examined if isinstance(examined, Examined) else None
    own = [finding for finding in found if rules.of_programme(finding.rule)]
    return Validated(
        path,
        version_of(path),
        [finding for finding in own if finding.severity == "error"],
        [finding for finding in own if finding.severity == "warning"],
        [finding for finding in found if not rules.of_programme(finding.rule)],
        grades(known) if known else {},
        list(_not_checked(known, settings)) if known else [],
        known,
    )


def _not_checked(examined: Examined, settings: ValidationSettings) -> Iterator[str]:
    links = len(set(_urls(examined)))
    if settings.offline and links:
        yield f"{counted(links, 'link')} (offline): counted as answering"
    elif links > MOST_LINKS:
        yield f"{counted(links - MOST_LINKS, 'link')} beyond the first {MOST_LINKS}: counted as answering"
    if settings.members is None:
        yield "whether the vendor is a CNCF member: no list given (--members)"


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
