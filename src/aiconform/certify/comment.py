"""The results of a validation as a comment on a pull request. Text of a submission is untrusted."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from aiconform.certify.findings import SEVERITIES, RuleFinding
from aiconform.certify.grades import NOT_CLAIMED
from aiconform.certify.rules import CATALOGUE, of_programme
from aiconform.certify.validate import Validated
from aiconform.reports.markdown import escaped
from aiconform.reports.plain import shortened

LONGEST = 60_000  # characters; code hosts take 65,536
LINES = 8  # findings of one rule
READ = {
    "executed": "nothing: the verdict was recomputed from the run",
    "simulated": "whether real hardware does the same: the accelerators of this run had none",
    "artifact": "who ran the tests, and where",
    "captured-log": "the log: nothing shows which platform it is of",
    "documentation-link": "the pages: they say how it could be done",
    "bare-claim": "nothing is there: ask for evidence",
    NOT_CLAIMED: "it is not claimed",
}
"""What a reviewer has to read, by grade."""


def comment(results: Sequence[Validated]) -> str:
    """For each submission: per MUST the grade and what to read, open questions, and the findings by rule."""
    text = "\n".join(line for result in results for line in _one(result)) + "\n"
    if not results:
        return "No submission changed.\n"
    if len(text) <= LONGEST:
        return text
    kept = text[:LONGEST].rpartition("\n")[0]
    return f"{kept}\n\nThe rest is left out here: run `aiconform certify validate`.\n"


def _one(result: Validated) -> Iterator[str]:
    state = "valid by the programme's rules" if result.valid else "**not valid** by the programme's rules"
    yield f"## {escaped(shortened(result.path.parent.as_posix(), 200))}: {state}"
    yield ""
    if result.examined:
        yield "| MUST | status | grade | to read |"
        yield "|-|-|-|-|"
        for item in result.examined.checklist.items:
            if item.level == "MUST":
                answer = result.examined.answers.get(item.id)
                status = escaped(shortened(answer.claim.status.text, 40)) if answer else "missing"
                grade = result.grades[item.id]
                yield f"| {escaped(item.id)} | {status or 'blank'} | {grade} | {READ[grade]} |"
        yield ""
    found = (*result.errors, *result.warnings, *result.findings)
    questions = [each for each in found if each.severity == "error"]
    if questions:
        yield "**Open questions**"
        yield ""
        yield from (f"- {_place(each)}{escaped(shortened(each.message, 300))}" for each in questions[:LINES])
        if len(questions) > LINES:
            yield f"- and {len(questions) - LINES} more"
        yield ""
    yield from _grouped(found)
    for text in result.not_checked:
        yield f"Not checked: {escaped(text)}"
    yield ""


def _grouped(found: Sequence[RuleFinding]) -> Iterator[str]:
    by_rule: dict[str, list[RuleFinding]] = defaultdict(list)
    for each in found:
        by_rule[each.rule].append(each)
    worst = sorted(by_rule, key=lambda rule: (-max(SEVERITIES.index(each.severity) for each in by_rule[rule]), rule))
    for rule in worst:
        every, known = by_rule[rule], CATALOGUE[rule]
        whose = "programme" if of_programme(rule) else "beyond its rules"
        yield f"<details><summary>{rule}: {known.title}: {len(every)} ({whose})</summary>"
        yield ""
        yield from (f"- {_place(each)}{escaped(shortened(each.message, 300))}" for each in every[:LINES])
        if len(every) > LINES:
            yield f"- and {len(every) - LINES} more"
        yield ""
        yield f"{escaped(known.help)}"
        yield "</details>"
        yield ""


def _place(each: RuleFinding) -> str:
    about = f"{escaped(each.requirement)}, " if each.requirement else ""
    return f"{about}line {each.line}: "
