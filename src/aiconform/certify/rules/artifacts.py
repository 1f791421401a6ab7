"""Rules about test artifacts: those that disagree, contain unit tests, or show nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import combinations

from aiconform.certify.context import Context
from aiconform.certify.examined import Artifact, Reference
from aiconform.certify.findings import Problem, Rule, listed
from aiconform.reports.facts import programme_tests
from aiconform.reports.names import own_name
from aiconform.spec import load_standard

RULES = (
    Rule(
        "F-artifacts-disagree",
        "error",
        "Artifacts of one run agree",
        "take all three files from the same run; a reviewer cannot tell which of them is right",
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
        "Conformance results contain conformance tests only",
        "create the artifact from the conformance suite alone; a unit test says nothing about the platform",
    ),
    Rule(
        "F-nothing-passed",
        "warning",
        "A test of the artifact passed",
        "run the tests where they are not skipped",
    ),
    Rule(
        "F-artifact-name",
        "warning",
        "Results have a name that the programme reads",
        "rename it to junit.xml, results.json or e2e.log; the programme does not read other names",
    ),
    Rule("F-artifact-unreadable", "warning", "Results can be read", "attach the unchanged output of the test suite"),
)
_GO_TEST = re.compile(r"Test[A-Z0-9_]\w*")


def check(context: Context) -> Iterator[Problem]:
    found = context.examined
    first: dict[int, Reference] = {}
    for answer in found.answers.values():
        for reference, artifact in answer.artifacts():
            first.setdefault(id(artifact), reference)
    for artifact in found.artifacts.values():
        if id(artifact) not in first:
            continue
        reference = first[id(artifact)]
        if not artifact.read_by_programme:
            yield Problem("F-artifact-name", reference.line, f"the programme does not read {artifact.name}")
            if artifact.results is None:
                yield Problem("F-artifact-unreadable", reference.line, f"{artifact.name}: {artifact.error}")
        if artifact.results:
            yield from _content(artifact, reference)
    for one, other in combinations(found.artifacts.values(), 2):
        if one.path.parent == other.path.parent and id(one) in first and id(other) in first:
            yield from _agreement(one, other, first[id(other)])


def conformance_tests() -> frozenset[str]:
    """Names of the programme's tests, and of the tests in the artifacts of this tool."""
    return frozenset({*programme_tests().values(), *map(own_name, load_standard().ids)})


def _content(artifact: Artifact, reference: Reference) -> Iterator[Problem]:
    results = artifact.results
    assert results is not None  # noqa: S101 - the caller has looked
    if results.tests and set(results.tests.values()) == {"skip"}:
        yield Problem(
            "F-nothing-passed", reference.line, f"all {len(results.tests)} tests of {artifact.name} were skipped"
        )
    known = conformance_tests()
    others = sorted(name for name in results.top_level() if _GO_TEST.fullmatch(name) and name not in known)
    if others:
        instant = [name for name in others if name in results.instant]
        how = f", {len(instant)} of them done in 0 s" if instant else ""
        text = f"{artifact.name} has {len(others)} tests that are not conformance tests{how}: {listed(others)}"
        yield Problem("F-unit-tests", reference.line, text)


def _agreement(one: Artifact, other: Artifact, reference: Reference) -> Iterator[Problem]:
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
        yield Problem("F-artifacts-disagree", reference.line, text)
    only = sorted(one.results.top_level() ^ other.results.top_level())
    if only:
        text = f"{one.name} and {other.name} do not have the same tests: {listed(only)}"
        yield Problem("F-artifacts-differ", reference.line, text)
