"""The programme's own rules. The verdicts are those of its validator, as of September 2026."""

from __future__ import annotations

from collections.abc import Iterator

from aiconform.certify.context import Context
from aiconform.certify.examined import Answer, Artifact, Examined, Reference
from aiconform.certify.findings import Problem, Rule, listed
from aiconform.certify.links import links_of
from aiconform.certify.submission import BASE_CONFORMANCE, METADATA, Submission, is_placeholder, snake_case
from aiconform.certify.yamlvalues import shown

STATUSES = ("Implemented", "Not Implemented", "Partially Implemented", "N/A")
FROM_ARTIFACTS = 37  # the minor version from which a requirement that has a test should come with an artifact

RULES = (
    Rule("P-metadata", "error", "Required metadata is present", "fill in the field; only repoUrl is optional"),
    Rule("P-metadata-type", "error", "Metadata values are text", "quote the value"),
    Rule("P-placeholder", "error", "No placeholder is left", "replace the bracketed placeholder with the value"),
    Rule(
        "P-base-conformance",
        "error",
        "k8sConformanceUrl names the platform's Kubernetes certification",
        "link the product's folder: https://github.com/cncf/k8s-conformance/tree/master/vX.Y/<product>",
    ),
    Rule(
        "P-link", "error", "Links answer", "correct the link; it must answer HEAD or GET with a status code below 400"
    ),
    Rule(
        "P-member",
        "error",
        "The vendor is a CNCF member",
        "write vendorName exactly as in the member list of the CNCF landscape",
    ),
    Rule("P-spec", "error", "Every category and requirement is present", "add it as in the version's checklist"),
    Rule(
        "P-status",
        "error",
        "The status is one of the four",
        f"write one of: {', '.join(STATUSES)}; `aiconform certify build` writes what a run shows",
    ),
    Rule(
        "P-must",
        "error",
        "A MUST is Implemented",
        "a platform without it cannot be certified for this version",
    ),
    Rule("P-na-notes", "error", "N/A is justified", "explain in the notes why the requirement does not apply"),
    Rule(
        "P-evidence-file",
        "error",
        "Files named as evidence are in the product's folder",
        "name a file by its path relative to this folder, without other words, or use a web link",
    ),
    Rule(
        "P-artifact",
        "error",
        "Test artifacts can be read",
        "use the names junit.xml, results.json and e2e.log only for the output of the test suite",
    ),
    Rule("P-test-failed", "error", "No test of an artifact failed", "fix the platform and run the tests again"),
    Rule(
        "P-test-missing",
        "error",
        "The named test is in the artifact",
        "after the #, name a test that is in the file, or use the right file",
    ),
    Rule(
        "P-test-skipped",
        "error",
        "The test of an Implemented requirement was not skipped",
        "run the test where it is not skipped",
    ),
    Rule(
        "P-na-must",
        "warning",
        "A reviewer checks N/A on a MUST",
        "say in the notes how you found out that it does not apply",
    ),
    Rule(
        "P-no-artifact",
        "warning",
        "From v1.37 on, requirements that have a test come with an artifact",
        "add junit.xml, results.json or e2e.log of the test suite: `aiconform certify build`",
    ),
)


def check(context: Context) -> Iterator[Problem]:
    submission = context.examined.submission
    yield from _metadata(submission)
    yield from _membership(submission, context.members)
    yield from _spec(context.examined)
    for link in links_of(context.examined):
        if link.url in context.unreachable:
            text = f"{link.what} {link.url[:200]}: {context.unreachable[link.url]}"
            yield Problem("P-link", link.line, text, link.requirement)


def _metadata(submission: Submission) -> Iterator[Problem]:
    if submission.metadata is None:
        yield Problem("P-metadata", 1, "there is no metadata")
        return
    top = submission.lines.get("metadata", 1)
    for name, required in METADATA.items():
        given = submission.metadata.get(name)
        if given is None:
            if required:
                yield Problem("P-metadata", top, f"{name} (or {snake_case(name)}) is missing")
        elif given.text is None:
            yield Problem("P-metadata-type", given.line, f"{given.key} is not text")
        elif given.text == "":
            if required:
                yield Problem("P-metadata", given.line, f"{given.key} is empty")
        elif is_placeholder(given.text):
            yield Problem("P-placeholder", given.line, f"{given.key} is still {shown(given.text)}")
        elif name == "k8sConformanceUrl" and not BASE_CONFORMANCE.fullmatch(given.text):
            yield Problem("P-base-conformance", given.line, f"{given.key} is {shown(given.text)}")


def _membership(submission: Submission, members: frozenset[str] | None) -> Iterator[Problem]:
    name = submission.value("vendorName")
    if members is not None and name and name not in members:
        line = (submission.metadata or {})["vendorName"].line
        yield Problem("P-member", line, f"{shown(name)} is not in the list of CNCF members")


def _spec(found: Examined) -> Iterator[Problem]:
    submission, checklist = found.submission, found.checklist
    if submission.claims is None:
        yield Problem("P-spec", 1, "there is no spec")
        return
    allowed = [item.id for item in checklist.items if item.level == "MUST" and item.may_not_apply]
    for category in dict.fromkeys(item.category for item in checklist.items):
        if category not in submission.claims:
            yield Problem("P-spec", submission.lines.get("spec", 1), f"the category {category} is missing")
            continue
        for item in checklist.items:
            if item.category != category:
                continue
            answer = found.answers.get(item.id)
            if answer is None:
                line = submission.lines.get(f"spec.{category}", 1)
                yield Problem("P-spec", line, f"{item.id} is missing in {category}", item.id)
            elif answer.counts:
                yield from _status(answer, allowed)
                yield from _evidence(found, answer)
    yield from _every_failure(found)


def _status(answer: Answer, allowed: list[str]) -> Iterator[Problem]:
    """`allowed`: the MUST requirements that may be answered with N/A."""
    item, status = answer.item, answer.claim.status
    if status.text not in STATUSES:
        # One error for one mistake, although the programme's validator counts it twice for a MUST.
        yield Problem("P-status", status.line, _no_status(answer), item.id)
    elif item.level == "MUST" and status.text != "Implemented":
        if item.may_not_apply and status.text == "N/A":
            yield Problem("P-na-must", status.line, "a MUST is answered with N/A", item.id)
        else:
            only = f"; only {', '.join(allowed)} may be N/A" if status.text == "N/A" and allowed else ""
            yield Problem("P-must", status.line, f"a MUST has the status {shown(status.text)}{only}", item.id)
    if status.text == "N/A" and not answer.claim.notes:
        yield Problem("P-na-notes", status.line, "N/A without a reason in the notes", item.id)


def _no_status(answer: Answer) -> str:
    if answer.claim.status:
        return f"the status is {shown(answer.claim.status.text)}"
    if answer.item.level == "MUST":
        return "a MUST is not answered: its status is blank"
    return "the status is blank, although there is evidence: a SHOULD stays blank as a whole or gets a status"


def _evidence(found: Examined, answer: Answer) -> Iterator[Problem]:
    item = answer.item
    with_artifact = False
    for reference in answer.references:
        if reference.kind == "bad":
            text = f"{shown(reference.text)}: {reference.problem}"
            yield Problem("P-evidence-file", reference.line, text, item.id)
        elif reference.artifact and reference.artifact.read_by_programme:
            with_artifact = True
            yield from _artifact(found, answer, reference, reference.artifact)
    asked = item.test and found.checklist.minor >= FROM_ARTIFACTS and answer.claim.status.text == "Implemented"
    if asked and not with_artifact:
        text = f"the programme has {item.test} for this requirement, and the evidence names no artifact of it"
        yield Problem("P-no-artifact", answer.claim.line, text, item.id)


def _artifact(found: Examined, answer: Answer, reference: Reference, artifact: Artifact) -> Iterator[Problem]:
    item = answer.item
    if artifact.results is None:
        if _first(found, artifact) is reference:
            yield Problem("P-artifact", reference.line, f"{artifact.name}: {artifact.error}", item.id)
        return
    test = reference.fragment or item.test
    if not test:
        return
    outcome = artifact.results.outcome(test)
    name = f"{shown(test)} in {artifact.name}"
    if outcome is None:
        yield Problem("P-test-missing", reference.line, f"there is no {name}", item.id)
    elif outcome == "fail":
        yield Problem("P-test-failed", reference.line, f"{name} failed", item.id)
    elif outcome == "skip" and answer.claim.status.text == "Implemented":
        yield Problem("P-test-skipped", reference.line, f"{name} was skipped", item.id)


def _first(found: Examined, artifact: Artifact) -> Reference | None:
    """The first reference to the artifact that counts."""
    for answer in found.answers.values():
        if answer.counts:
            for reference, other in answer.artifacts():
                if other is artifact:
                    return reference
    return None


def _every_failure(found: Examined) -> Iterator[Problem]:
    """Any failing test of an artifact is an error, once for each file."""
    for artifact in found.artifacts.values():
        first = _first(found, artifact)
        if first and artifact.read_by_programme and artifact.results and artifact.results.failures:
            failed = listed(sorted(set(artifact.results.failures)))
            yield Problem("P-test-failed", first.line, f"{artifact.name} has failed tests: {failed}")
