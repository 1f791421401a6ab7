"""Proof grades: a claim has the best grade of any piece of its evidence."""

from __future__ import annotations

import re
from collections.abc import Callable

from aiconform.certify.examined import Answer, Examined, Reference
from aiconform.certify.rules.artifacts import is_unit_test
from aiconform.certify.runs import JudgedRun

GRADE_WORDS = {
    "executed": "a run for this version, which agrees with its observations and passes the requirement",
    "simulated": "such a run, with accelerators that have no hardware: its artifacts show no more than it does",
    "artifact": "a test in junit.xml, results.json or e2e.log passed",
    "captured-log": "output or a report in the submission, or a link to a log",
    "documentation-link": "a page that says how it could be done",
    "bare-claim": "words, or an empty file",
}
GRADES = tuple(GRADE_WORDS)
"""Best first."""
TESTED = ("executed", "artifact")
"""The grades of what a test showed."""
NOT_CLAIMED = "not-claimed"
CLAIMING = ("Implemented", "Partially Implemented", "N/A")
Executed = Callable[[str, Reference], JudgedRun | None]
_LOG = re.compile(r"\.(?:log|txt|out|json|xml|ndjson|csv)$|[_/-](?:logs?|results?|outputs?)(?:/|$)", re.IGNORECASE)


def grades(found: Examined) -> dict[str, str]:
    """The grade by requirement."""
    graded = {}

    def executed(requirement: str, reference: Reference) -> JudgedRun | None:
        if reference.path is None:
            return None
        return found.runs.showing(requirement, reference.path, found.checklist.version)

    for item in found.checklist.items:
        answer = found.answers.get(item.id)
        if answer is None or not answer.counts or answer.claim.status.text not in CLAIMING:
            graded[item.id] = NOT_CLAIMED
            continue
        each = [_grade(answer, reference, executed) for reference in answer.given]
        graded[item.id] = min([*each, "bare-claim"], key=GRADES.index)
    return graded


def _grade(answer: Answer, reference: Reference, executed: Executed) -> str:
    if reference.kind == "link":
        return "captured-log" if _LOG.search(reference.bare.rstrip("/")) else "documentation-link"
    if reference.kind != "file" or reference.path is None:
        return "bare-claim"
    run = executed(answer.item.id, reference)
    if run:
        return "simulated" if run.simulated else "executed"
    if reference.artifact and reference.artifact.results and reference.artifact.read_by_programme:
        test = reference.fragment or answer.item.test
        if test and is_unit_test(reference.artifact.results, test):
            return "bare-claim"
        return "artifact" if test and reference.artifact.results.outcome(test) == "pass" else "captured-log"
    return "captured-log" if reference.path.is_file() and reference.path.stat().st_size else "bare-claim"
