"""What changed between two runs, as text and as data."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from aiconform.engine.between import STEPS, AssertionStep, Between, RequirementStep, Step
from aiconform.engine.evidence import CheckResult
from aiconform.engine.finished import Finished
from aiconform.engine.journal import moment
from aiconform.reports.plain import plain, shortened
from aiconform.reports.summary import assertion_counts, check_verdict, counted, finite

REASON_LIMIT = 400
MOST_DIFFERENCES = 40
"""Of a platform with 1,000 nodes, each of which has accelerators that differ, text names these; JSON has all."""
HEADS: dict[Step, str] = {
    "worse": "Worse: fails now, and did not before",
    "undecided": "Undecided: was decided before, and could not be decided now",
    "better": "Better",
    "changed": "Changed",
}
ENDS: dict[Step, str] = {
    "worse": "Something got worse.",
    "undecided": "Nothing is known to be worse; something could not be decided any more, or could not be compared.",
    "better": "Nothing got worse.",
    "changed": "Nothing got worse.",
    "same": "Nothing got worse: every verdict and every assertion is what it was.",
}
IN_PART = "Nothing got worse of what both runs looked at."


def as_data(found: Between) -> dict[str, Any]:
    """For `-o json`: `step` of all, of each requirement and of each assertion is one of STEPS."""
    return {
        "step": found.step,
        "before": run_data(found.before),
        "after": run_data(found.after),
        "requirements": [_requirement(each) for each in found.requirements],
        "only_before": list(found.only[0]),
        "only_after": list(found.only[1]),
        "not_compared": list(found.unread),
        "unknown": list(found.unknown),
        "run": [{"what": each.what, "before": each.before, "after": each.after} for each in found.run],
    }


def run_data(run: Finished) -> dict[str, Any]:
    info, report = run.info, run.report
    return {
        "directory": str(run.path),
        "run": info.run,
        "started": info.started,
        "standard": info.standard,
        "kubernetes": info.kubernetes,
        "tool": info.tool.version,
        "verdict": None if run.unread else report.verdict,
        "strict": None if run.unread else report.strict,
        "seconds": finite(report.seconds),
        "requests": report.requests,
    }


def _requirement(each: RequirementStep) -> dict[str, Any]:
    return {
        "id": each.id,
        "level": each.after.level,
        "step": each.step,
        "before": _result(each.before),
        "after": _result(each.after),
        "assertions": [
            {
                "id": f"{each.id}/{one.id}",
                "asked_by": one.asked_by,
                "step": one.step,
                "before": one.before or None,
                "after": one.after or None,
                "reason": one.reason,
            }
            for one in each.assertions
        ],
    }


def _result(check: CheckResult) -> dict[str, Any]:
    return {
        "verdict": check.verdict,
        "strict": check.strict,
        "reason": check.reason,
        "seconds": finite(check.seconds),
        "waited": finite(check.waited),
        "requests": check.requests,
    }


def lines(found: Between) -> Iterator[str]:
    """A table of verdicts, times and requests, then what changed, what matters most first."""
    yield plain(f"before: {_about(found.before)}")
    yield plain(f"after:  {_about(found.after)}")
    yield ""
    yield from table([_HEAD, *(_row(each) for each in found.requirements), _total(found)])
    texts = [text for each in found.requirements for text in _texts(each)]
    for step in STEPS[:-1]:
        if told := [text for of, text in texts if of == step]:
            yield ""
            yield f"{HEADS[step]}:"
            yield from (plain(f"  {text}") for text in told)
    if found.run:
        yield ""
        yield "The runs:"
        yield from (
            plain(f"  {each.what}: {_brief(each.before)} -> {_brief(each.after)}")
            for each in found.run[:MOST_DIFFERENCES]
        )
        if (more := len(found.run) - MOST_DIFFERENCES) > 0:
            yield f"  and {counted(more, 'other difference')} (-o json has them)"
    yield ""
    yield from (plain(text) for text in _notes(found))
    in_part = any(found.only) and found.step not in ("worse", "undecided")
    yield IN_PART if in_part else ENDS[found.step]


_HEAD = ["REQUIREMENT", "LEVEL", "BEFORE", "AFTER", "SECONDS", "REQUESTS", ""]


def _row(each: RequirementStep) -> list[str]:
    before, after = each.before, each.after
    return [
        each.id,
        after.level,
        check_verdict(before),
        check_verdict(after),
        f"{finite(before.seconds):.1f} -> {finite(after.seconds):.1f}",
        f"{before.requests} -> {after.requests}",
        "" if each.step == "same" else each.step,
    ]


def _total(found: Between) -> list[str]:
    before, after = found.before.report, found.after.report
    seconds = f"{finite(before.seconds):.1f} -> {finite(after.seconds):.1f}"
    return ["the run", "", "", "", seconds, f"{before.requests} -> {after.requests}", ""]


def table(rows: list[list[str]]) -> Iterator[str]:
    """Columns as wide as what is in them; two spaces between them."""
    shown = [[plain(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    for row in shown:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _about(run: Finished) -> str:
    verdict = "cannot be recomputed here" if run.unread else run.report.verdict
    return (
        f"run {run.info.run} of {started(run)}, {run.info.standard} on Kubernetes {run.info.kubernetes}: {verdict} "
        f"({run.path})"
    )


def started(run: Finished) -> str:
    """When it began, in UTC; as it stands there if it is no time."""
    found = moment(run.info.started)
    return f"{found:%Y-%m-%d %H:%M}" if found else run.info.started[:40]


def _texts(each: RequirementStep) -> Iterator[tuple[Step, str]]:
    """(its step, what to say) of the verdict, then of its assertions."""
    if each.verdict != "same":
        after = each.after
        # The reasons follow below, assertion by assertion.
        reason = assertion_counts(after) if after.verdict == "fail" and each.assertions else after.reason
        verdicts = f"{check_verdict(each.before)} -> {check_verdict(after)}"
        yield each.verdict, f"{each.id}: {verdicts}: {shortened(reason, REASON_LIMIT)}"
    for one in each.assertions:
        yield one.step, _assertion(each.id, one)


def _assertion(check: str, one: AssertionStep) -> str:
    beyond = "" if one.asked_by == "programme" else " (beyond the programme's words)"
    reason = f": {shortened(one.reason, REASON_LIMIT)}" if one.reason else ""
    return f"{check}/{one.id}{beyond}: {one.before or 'no result'} -> {one.after or 'no result'}{reason}"


def _notes(found: Between) -> Iterator[str]:
    for ids, which in zip(found.only, ("before", "after"), strict=True):
        if ids:
            yield f"Only the run {which} looked at {', '.join(ids)}."
    for id_ in found.unread:
        why = found.before.unread.get(id_) or found.after.unread.get(id_, "")
        yield f"{id_} is not compared, because this release cannot recompute it: {shortened(why, REASON_LIMIT)}."
    if found.before.info.started > found.after.info.started:
        yield "The first run is newer than the second one: name the older one first."
    if found.before.info.run == found.after.info.run:
        yield "Both are the same run."


def _brief(text: str) -> str:
    return shortened(text, 160) or "-"
