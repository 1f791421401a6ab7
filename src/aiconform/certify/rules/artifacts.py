"""Rules about test artifacts: those that disagree, contain unit tests, or show nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from itertools import combinations
from pathlib import Path

from aiconform.certify.artifacts import NAMES, BadArtifact, Results, read_results
from aiconform.certify.context import Context
from aiconform.certify.examined import Answer, Artifact, Examined, Reference
from aiconform.certify.findings import Problem, Rule, listed
from aiconform.certify.yamlvalues import shown
from aiconform.reports.facts import suite_tests
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
    Rule(
        "F-unit-fragment",
        "error",
        "The test after the # ran on a cluster",
        "name the conformance test: a unit test says nothing about the platform and earns no grade",
    ),
    Rule(
        "F-skipped-beside",
        "warning",
        "The test of an Implemented requirement was not skipped in the results beside it",
        "run the test where it is not skipped, or explain in the notes why other evidence shows the requirement",
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
    for answer in found.answers.values():
        yield from _tests_of(answer, found)
    for one, other in combinations(found.artifacts.values(), 2):
        if one.path.parent == other.path.parent and id(one) in first and id(other) in first:
            yield from _agreement(one, other, first[id(other)])


def _tests_of(answer: Answer, found: Examined) -> Iterator[Problem]:
    """Unit tests that are named as evidence, and tests of the requirement that were skipped."""
    requirement = answer.item.id
    for reference, artifact in answer.artifacts():
        test = reference.fragment
        if artifact.results and test and is_unit_test(artifact.results, test):
            text = f"{shown(test)} in {artifact.name} took no time: it is a unit test"
            yield Problem("F-unit-fragment", reference.line, text, requirement)
    if not answer.counts or answer.claim.status.text != "Implemented":
        return
    named = {(artifact.path, reference.fragment or answer.item.test) for reference, artifact in answer.artifacts()}
    for path, name, results in results_beside(found):
        for test, about in suite_tests().items():
            # Of those that the claim names itself the programme's own rule speaks.
            if about == requirement and results.outcome(test) == "skip" and (path, test) not in named:
                text = f"{test} was skipped in {name}"
                yield Problem("F-skipped-beside", answer.claim.status.line, text, requirement)


def results_beside(found: Examined) -> Iterator[tuple[Path, str, Results]]:
    """The readable artifacts: those named as evidence, and the usual three even if no claim names them."""
    folder = found.submission.folder
    for artifact in found.artifacts.values():
        if artifact.results:
            yield artifact.path, artifact.name, artifact.results
    for name, kind in NAMES.items():
        if folder / name not in found.artifacts and (folder / name).is_file():
            with suppress(BadArtifact):  # no claim depends on it
                yield folder / name, name, read_results(folder / name, kind)


def conformance_tests() -> frozenset[str]:
    """Names of the programme's tests, and of the tests in the artifacts of this tool."""
    return frozenset({*suite_tests(), *map(own_name, load_standard().ids)})


def is_unit_test(results: Results, test: str) -> bool:
    """Whether it took no time, as nothing does that asks a cluster, and is no conformance test."""
    top = test.partition("/")[0]
    return bool(_GO_TEST.fullmatch(top)) and top not in conformance_tests() and test in results.instant


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
