"""Many runs by time, as text and as data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from aiconform.engine.between import Step, not_looked_at
from aiconform.engine.evidence import CheckResult
from aiconform.engine.history import History, Moment, Since
from aiconform.reports.between import run_data, started, table
from aiconform.reports.plain import plain, shortened
from aiconform.reports.summary import check_verdict, counted

MARKS: dict[Step, str] = {"worse": " !", "undecided": " ?"}
MARK_WORDS = "! fails, and did not before; ? was decided before, and could not be decided"
REASON_LIMIT = 300
NOTHING = "-"
UNREAD = "cannot be recomputed"


def as_data(found: History) -> dict[str, Any]:
    """For `-o json`: the runs by time, each with its verdicts and the steps since the run before on its cluster."""
    return {
        "step": found.step,
        "runs": [_moment(each) for each in found.moments],
        "left_out": [{"directory": str(each.path), "reason": each.reason} for each in found.left_out],
        "unknown": [{"directory": str(path), "reason": reason} for path, reason in found.unknown],
    }


def _moment(each: Moment) -> dict[str, Any]:
    return {
        **run_data(each.run),
        "cluster": each.run.info.cluster.get("uid", ""),
        "step": each.step,
        "requirements": {
            check.id: {"verdict": check.verdict, "strict": check.strict, "since": _since(check.id, each)}
            for check in each.run.report.checks
        },
    }


def _since(id_: str, each: Moment) -> dict[str, Any] | None:
    found = each.since.get(id_)
    if found is None:
        return None
    return {"run": found.before.info.run, "step": found.step.step, "worse": [f"{id_}/{one}" for one in _worse(found)]}


def _worse(since: Since) -> list[str]:
    return [one.id for one in since.step.assertions if one.step == "worse"]


def lines(found: History, last: int) -> Iterator[str]:
    """The last runs with a number each, a table of their verdicts by requirement, and what got worse when."""
    shown = list(enumerate(found.moments, 1))[-last:]
    if hidden := len(found.moments) - len(shown):
        yield f"{counted(hidden, 'older run')} not shown (--last, -o json)"
    head = ["", "STARTED", "VERSION", "KUBERNETES", "CLUSTER", "VERDICT", "RUN"]
    yield from table([head, *(_about(number, each) for number, each in shown)])
    yield ""
    yield from table(_verdicts(shown))
    if any(each.step in MARKS for _, each in shown):
        yield MARK_WORDS
    numbers = {each.run.path: number for number, each in enumerate(found.moments, 1)}
    for number, each in shown:
        yield from (plain(text) for text in _told(number, each, numbers))
    for out in found.left_out:
        yield plain(f"left out: {out.path}: {shortened(out.reason, REASON_LIMIT)}")
    for path, reason in found.unknown:
        yield plain(f"not known whether anything got worse with {path}: {shortened(reason, REASON_LIMIT)}")


def _about(number: int, each: Moment) -> list[str]:
    info = each.run.info
    verdict = "cannot be recomputed" if each.run.unread else each.run.report.verdict
    cluster = info.cluster.get("uid", "")[:8]
    return [str(number), started(each.run), info.standard, info.kubernetes, cluster, verdict, str(each.run.path)]


def _verdicts(shown: Sequence[tuple[int, Moment]]) -> list[list[str]]:
    """A row for each requirement that one of the runs looked at."""
    checks = [{check.id: check for check in each.run.report.checks} for _, each in shown]
    rows = [["REQUIREMENT", *(str(number) for number, _ in shown)]]
    for id_ in dict.fromkeys(id_ for each in checks for id_ in each):
        cells = [_cell(each, found.get(id_)) for (_, each), found in zip(shown, checks, strict=True)]
        if set(cells) != {NOTHING}:
            rows.append([id_, *cells])
    return rows


def _cell(each: Moment, check: CheckResult | None) -> str:
    if check is None or not_looked_at(check, each.run):
        return NOTHING
    if check.id in each.run.unread:
        return UNREAD
    since = each.since.get(check.id)
    return check_verdict(check) + (MARKS.get(since.step.step, "") if since else "")


def _told(number: int, each: Moment, numbers: Mapping[Path, int]) -> Iterator[str]:
    befores = []
    for id_, since in each.since.items():
        if since.step.step == "worse":
            assertions = f" ({', '.join(_worse(since))})" if _worse(since) else ""
            yield f"{number} is worse than {numbers[since.before.path]}: {id_}{assertions}"
            befores.append((since.before.path, since.before.info.standard))
    for before, standard in dict.fromkeys(befores):
        other = " --any-version" if standard != each.run.info.standard else ""
        yield f"what changed: aiconform compare{other} {before} {each.run.path}"
