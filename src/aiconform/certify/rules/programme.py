"""The programme's own rules: the verdicts are those of its validator, as it stood in September 2026."""

from __future__ import annotations

import re
from dataclasses import dataclass

from aiconform.certify.checklist import MAY_BE_NA, TESTS, Checklist
from aiconform.certify.evidence import Answer, Artifact, Examined, Reference
from aiconform.certify.findings import Report, Rule, listed
from aiconform.certify.nodes import shown
from aiconform.certify.submission import METADATA, Submission, snake_case

STATUSES = ("Implemented", "Not Implemented", "Partially Implemented", "N/A")
BASE_CONFORMANCE = re.compile(r"https://github\.com/cncf/k8s-conformance/tree/(master|main)/v[0-9]+\.[0-9]+/[^/]+/?")
FROM_ARTIFACTS = 37  # the minor version from which a mapped requirement should come with an artifact

RULES = (
    Rule(
        "P-version",
        "error",
        "The path names a version with a checklist",
        "put the product's folder below vX.Y/ of a released version",
    ),
    Rule("P-load", "error", "PRODUCT.yaml can be loaded", "mend the file as the message says"),
    Rule("P-metadata", "error", "Metadata fields are there", "fill the field in; only repoUrl may be left out"),
    Rule("P-metadata-type", "error", "Metadata values are text", "put the value into quotes"),
    Rule("P-placeholder", "error", "No placeholder is left", "replace the bracketed placeholder by the real value"),
    Rule(
        "P-base-conformance",
        "error",
        "k8sConformanceUrl names the platform's Kubernetes certification",
        "link the product's folder: https://github.com/cncf/k8s-conformance/tree/master/vX.Y/<product>",
    ),
    Rule("P-link", "error", "Links answer", "correct the link; it must answer HEAD or GET with a status below 400"),
    Rule(
        "P-member",
        "error",
        "The vendor is a CNCF member",
        "write vendorName exactly as in the member list of the CNCF landscape",
    ),
    Rule("P-spec", "error", "Every category and requirement is there", "add it as the version's checklist has it"),
    Rule("P-status", "error", "The status is one of the four", f"write one of: {', '.join(STATUSES)}"),
    Rule(
        "P-must",
        "error",
        "A MUST is Implemented",
        "a platform without it cannot be certified for this version; only cluster_autoscaling may be N/A",
    ),
    Rule("P-na-notes", "error", "N/A is justified", "say in the notes why the requirement does not apply"),
    Rule(
        "P-evidence-file",
        "error",
        "Files named as evidence are in the product's folder",
        "name a file of this folder by its path from here, without words around it, or use a web link",
    ),
    Rule(
        "P-artifact",
        "error",
        "Test artifacts can be read",
        "keep the names junit.xml, results.json and e2e.log for the output of the test suite itself",
    ),
    Rule("P-test-failed", "error", "No test of an artifact failed", "mend the platform and run the tests again"),
    Rule(
        "P-test-missing",
        "error",
        "The test looked at is in the artifact",
        "name a test of the file after the #, or use the right file",
    ),
    Rule(
        "P-test-skipped",
        "error",
        "An Implemented requirement's test was not skipped",
        "run the test where it is not skipped",
    ),
    Rule(
        "P-na-must",
        "warning",
        "A reviewer looks at N/A on a MUST",
        "let the notes say what was looked at to know that it does not apply",
    ),
    Rule(
        "P-no-artifact",
        "warning",
        "From v1.37 tested requirements come with an artifact",
        "add junit.xml, results.json or e2e.log of the test suite: `aiconform certify build`",
    ),
)


@dataclass(frozen=True)
class Link:
    """A link that must answer; `what` says whose it is."""

    url: str
    line: int
    requirement: str | None
    what: str


def check(found: Examined, report: Report, members: frozenset[str] | None) -> list[Link]:
    """Everything but the links, which are returned. `members` is None where no list of them is at hand."""
    links = _metadata(found.submission, report)
    _membership(found.submission, report, members)
    links += _spec(found, report)
    return links


def _metadata(submission: Submission, report: Report) -> list[Link]:
    if submission.metadata is None:
        report.add("P-metadata", 1, "there is no metadata")
        return []
    links: list[Link] = []
    top = submission.lines.get("metadata", 1)
    for name, required in METADATA.items():
        given = submission.metadata.get(name)
        if given is None:
            if required:
                report.add("P-metadata", top, f"{name} (or {snake_case(name)}) is missing")
        elif given.text is None:
            report.add("P-metadata-type", given.line, f"{given.key} is not text")
        elif given.text == "":
            if required:
                report.add("P-metadata", given.line, f"{given.key} is empty")
        elif given.text.startswith("[") and given.text.endswith("]"):
            report.add("P-placeholder", given.line, f"{given.key} is still {shown(given.text)}")
        elif name == "k8sConformanceUrl" and not BASE_CONFORMANCE.fullmatch(given.text):
            report.add("P-base-conformance", given.line, f"{given.key} is {shown(given.text)}")
        elif given.text.startswith("http"):
            links.append(Link(given.text, given.line, None, given.key))
    return links


def _membership(submission: Submission, report: Report, members: frozenset[str] | None) -> None:
    name = submission.value("vendorName")
    if members is not None and name and name not in members:
        line = (submission.metadata or {})["vendorName"].line
        report.add("P-member", line, f"{shown(name)} is not in the list of CNCF members")


def _spec(found: Examined, report: Report) -> list[Link]:
    submission, checklist = found.submission, found.checklist
    if submission.claims is None:
        report.add("P-spec", 1, "there is no spec")
        return []
    links: list[Link] = []
    for category in dict.fromkeys(item.category for item in checklist.items):
        if category not in submission.claims:
            report.add("P-spec", submission.lines.get("spec", 1), f"the category {category} is missing")
            continue
        for item in checklist.items:
            if item.category != category:
                continue
            answer = found.answers.get(item.id)
            if answer is None:
                line = submission.lines.get(f"spec.{category}", 1)
                report.add("P-spec", line, f"{item.id} is missing in {category}", requirement=item.id)
            elif answer.counts:
                _status(answer, report)
                links += _evidence(found, answer, report)
    _every_failure(found, report)
    return links


def _status(answer: Answer, report: Report) -> None:
    item, status = answer.item, answer.claim.status
    if status.text not in STATUSES:
        report.add("P-status", status.line, f"the status is {shown(status.text)}", requirement=item.id)
    if item.level == "MUST" and status.text != "Implemented":
        if item.id in MAY_BE_NA and status.text == "N/A":
            report.add("P-na-must", status.line, "a MUST is answered with N/A", requirement=item.id)
        else:
            report.add("P-must", status.line, f"a MUST has the status {shown(status.text)}", requirement=item.id)
    if status.text == "N/A" and not answer.claim.notes:
        report.add("P-na-notes", status.line, "N/A without a reason in the notes", requirement=item.id)


def _evidence(found: Examined, answer: Answer, report: Report) -> list[Link]:
    links = []
    with_artifact = False
    for reference in answer.references:
        if reference.kind == "link":
            links.append(Link(reference.text, reference.line, answer.item.id, "evidence"))
        elif reference.kind == "bad":
            text = f"{shown(reference.text)}: {reference.problem}"
            report.add("P-evidence-file", reference.line, text, requirement=answer.item.id)
        elif reference.artifact and reference.artifact.read_by_programme:
            with_artifact = True
            _artifact(found, answer, reference, reference.artifact, report)
    test = TESTS.get(answer.item.id)
    if (
        test
        and found.checklist.minor >= FROM_ARTIFACTS
        and answer.claim.status.text == "Implemented"
        and not with_artifact
    ):
        text = f"{test} exists for this requirement, and no artifact of it is named"
        report.add("P-no-artifact", answer.claim.line, text, requirement=answer.item.id)
    return links


def _artifact(found: Examined, answer: Answer, reference: Reference, artifact: Artifact, report: Report) -> None:
    if artifact.results is None:
        if _first(found, artifact) is reference:
            text = f"{artifact.name}: {artifact.error}"
            report.add("P-artifact", reference.line, text, requirement=answer.item.id)
        return
    test = reference.fragment or TESTS.get(answer.item.id)
    if not test:
        return
    outcome = artifact.results.outcome(test)
    told = f"{shown(test)} in {artifact.name}"
    if outcome is None:
        report.add("P-test-missing", reference.line, f"there is no {told}", requirement=answer.item.id)
    elif outcome == "fail":
        report.add("P-test-failed", reference.line, f"{told} failed", requirement=answer.item.id)
    elif outcome == "skip" and answer.claim.status.text == "Implemented":
        report.add("P-test-skipped", reference.line, f"{told} was skipped", requirement=answer.item.id)


def _first(found: Examined, artifact: Artifact) -> Reference | None:
    """The first reference to the artifact that counts."""
    for answer in found.answers.values():
        if answer.counts:
            for reference, other in answer.artifacts():
                if other is artifact:
                    return reference
    return None


def _every_failure(found: Examined, report: Report) -> None:
    """Any failing test of an artifact is an error, once for each file."""
    for artifact in found.artifacts.values():
        first = _first(found, artifact)
        if first and artifact.read_by_programme and artifact.results and artifact.results.failures:
            failed = listed(sorted(set(artifact.results.failures)))
            report.add("P-test-failed", first.line, f"{artifact.name} has failed tests: {failed}")


def of_checklist(checklist: Checklist | None, version: str | None, report: Report) -> bool:
    """Whether there is a checklist to hold the submission to."""
    if version is None:
        report.add("P-version", 1, "the path names no version: it should be vX.Y/<product>/PRODUCT.yaml")
    elif checklist is None:
        report.add("P-version", 1, f"there is no checklist of {version}")
    return checklist is not None
