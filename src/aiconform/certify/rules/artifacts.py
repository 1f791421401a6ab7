"""Findings about test artifacts: those that disagree, unit tests among them, those that show nothing."""

from __future__ import annotations

import re
from itertools import combinations

from aiconform.certify.checklist import TESTS
from aiconform.certify.evidence import Artifact, Examined, Reference
from aiconform.certify.findings import Report, Rule, listed
from aiconform.spec import load_standard

RULES = (
    Rule(
        "F-artifacts-disagree",
        "error",
        "Artifacts of one run agree",
        "take all three files from the same run; the reviewer cannot tell which of them is true",
    ),
    Rule(
        "F-artifacts-differ",
        "note",
        "Artifacts of one run have the same tests",
        "take all three files from the same run",
    ),
    Rule(
        "F-unit-tests",
        "warning",
        "Conformance results hold conformance tests",
        "run only the conformance suite when making the artifact; a unit test says nothing about the platform",
    ),
    Rule("F-nothing-passed", "warning", "Some test of an artifact passed", "run the tests where they are not skipped"),
    Rule(
        "F-artifact-name",
        "warning",
        "Results have the names that the programme reads",
        "rename it to junit.xml, results.json or e2e.log, or else nobody looks into it",
    ),
    Rule("F-artifact-unreadable", "warning", "Results can be read", "attach the unchanged output of the test suite"),
)
_GO_TEST = re.compile(r"Test[A-Z0-9_]\w*")


def check(found: Examined, report: Report) -> None:
    first: dict[int, Reference] = {}
    for answer in found.answers.values():
        for reference, artifact in answer.artifacts():
            first.setdefault(id(artifact), reference)
    for artifact in found.artifacts.values():
        if id(artifact) not in first:
            continue
        reference = first[id(artifact)]
        if not artifact.read_by_programme:
            report.add("F-artifact-name", reference.line, f"the programme does not read {artifact.name}")
            if artifact.results is None:
                report.add("F-artifact-unreadable", reference.line, f"{artifact.name}: {artifact.error}")
        if artifact.results:
            _content(artifact, reference, report)
    for one, other in combinations(found.artifacts.values(), 2):
        if one.path.parent == other.path.parent and id(one) in first and id(other) in first:
            _agreement(one, other, first[id(other)], report)


def conformance_tests() -> frozenset[str]:
    """Names of the programme's tests, and those by which this tool calls its checks."""
    own = {
        "Test" + "".join(part.capitalize() for part in requirement.split("_")) for requirement in load_standard().ids
    }
    return frozenset({*TESTS.values(), *own})


def _content(artifact: Artifact, reference: Reference, report: Report) -> None:
    results = artifact.results
    assert results is not None  # noqa: S101 - the caller has looked
    if results.tests and set(results.tests.values()) == {"skip"}:
        report.add(
            "F-nothing-passed", reference.line, f"all {len(results.tests)} tests of {artifact.name} were skipped"
        )
    known = conformance_tests()
    strangers = sorted(name for name in results.top_level() if _GO_TEST.fullmatch(name) and name not in known)
    if strangers:
        instant = [name for name in strangers if name in results.instant]
        how = f", {len(instant)} of them done in 0 s" if instant else ""
        text = f"{artifact.name} has {len(strangers)} tests that are no conformance tests{how}: {listed(strangers)}"
        report.add("F-unit-tests", reference.line, text)


def _agreement(one: Artifact, other: Artifact, reference: Reference, report: Report) -> None:
    if not one.results or not other.results:
        return
    common = one.results.tests.keys() & other.results.tests.keys()
    differing = sorted(name for name in common if one.results.tests[name] != other.results.tests[name])
    if differing:
        name = differing[0]
        text = (
            f"{one.name} and {other.name} disagree on {listed(differing)}: "
            f"{one.results.tests[name]} there, {other.results.tests[name]} here"
        )
        report.add("F-artifacts-disagree", reference.line, text)
    only = sorted(one.results.top_level() ^ other.results.top_level())
    if only:
        text = f"{one.name} and {other.name} do not have the same tests: {listed(only)}"
        report.add("F-artifacts-differ", reference.line, text)
