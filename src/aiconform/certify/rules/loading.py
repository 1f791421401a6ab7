"""The programme's rules about what has to be there before any other rule can be applied."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from aiconform.certify.checklist import checklist_of
from aiconform.certify.context import Context
from aiconform.certify.examined import Examined, examine
from aiconform.certify.findings import Problem, Rule
from aiconform.certify.releases import Releases
from aiconform.certify.submission import Unreadable, load, read_bytes, version_of
from aiconform.certify.yamlvalues import LARGEST

RULES = (
    Rule(
        "P-version",
        "error",
        "The path names a version that has a checklist",
        "put the product's folder below vX.Y/ of a released version",
    ),
    Rule("P-load", "error", "PRODUCT.yaml can be loaded", "correct the file as the message says"),
)


def check(context: Context) -> Iterator[Problem]:
    """The values of claims that cannot be loaded."""
    for fault in context.examined.submission.faults:
        yield _problem(fault)


def examined(path: Path, checklists: Path | None, releases: Releases | None = None) -> Examined | Problem:
    """The submission beside its checklist, or the reason why it cannot be examined. Raises BadChecklists."""
    version = version_of(path)
    if version is None:
        return Problem("P-version", 1, "the path names no version: it should be vX.Y/<product>/PRODUCT.yaml")
    checklist = checklist_of(version, checklists)
    if checklist is None:
        return Problem("P-version", 1, f"there is no checklist of {version}")
    try:
        folder = path.parent.resolve()
        return examine(load(path, read_bytes(path, folder, LARGEST), folder), checklist, releases)
    except Unreadable as error:
        return _problem(error)


def _problem(error: Unreadable) -> Problem:
    return Problem("P-load", error.line, f"{error.problem}; {error.help}")
