"""Rules about what the programme recorded beside a submission: its withdrawal, and appeals."""

from __future__ import annotations

from collections.abc import Iterator

from aiconform.certify.bundle import CERTIFICATE
from aiconform.certify.certificate import BadCertificate, read_certificate
from aiconform.certify.context import Context
from aiconform.certify.findings import Problem, Rule
from aiconform.certify.yamlvalues import shown

RULES = (
    Rule(
        "F-certificate",
        "error",
        "What the programme recorded can be read",
        "correct the file: merged, renewed, withdrawn (date, by, why), appeals (raised, by, why, about)",
    ),
    Rule("F-withdrawn", "error", "The certification was not withdrawn", "do not rely on it; the record says why"),
    Rule(
        "F-appeal",
        "warning",
        "Appeals are decided, and none was upheld",
        "read the appeal; `aiconform certify appeal --decide` records what became of it",
    ),
)


def check(context: Context) -> Iterator[Problem]:
    found = context.examined
    try:
        known = read_certificate(found.submission.folder)
    except BadCertificate as error:
        yield Problem("F-certificate", 1, str(error))
        return
    if known.withdrawn:
        text = f"withdrawn on {known.withdrawn.date} by {shown(known.withdrawn.by)}: {shown(known.withdrawn.why, 200)}"
        yield Problem("F-withdrawn", 1, text)
    for number, appeal in enumerate(known.appeals, 1):
        for requirement in appeal.about:
            if found.checklist.item(requirement) is None:
                text = f"{CERTIFICATE}: appeal {number} is about {shown(requirement)}, which is not on the checklist"
                yield Problem("F-certificate", 1, text)
        if appeal.outcome == "rejected":
            continue
        said = f"is open since {appeal.raised}" if appeal.open else f"was upheld on {appeal.decided}"
        answered: list[str | None] = [each for each in appeal.about if each in found.answers]
        for about in answered or [None]:
            line = found.answers[about].claim.status.line if about else 1
            text = f"appeal {number} by {shown(appeal.by)} {said}: {shown(appeal.decision or appeal.why, 200)}"
            yield Problem("F-appeal", line, text, about)
