"""A reviewer's minute: what a run says, on what, and what it leaves open, in five lines."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from aiconform.engine.evidence import Accelerator, Evidence, Report
from aiconform.reports.plain import shortened
from aiconform.reports.summary import SIMULATED, counted, duration, statements, way

MOST = 3
"""So many of a kind are named, and the others are counted."""
LIMIT = 160


@dataclass(frozen=True)
class MinuteLine:
    name: str
    texts: tuple[str, ...]
    caution: bool = False


def minute(report: Report, evidence: Mapping[str, Evidence]) -> tuple[MinuteLine, ...]:
    """Verdict, tried, platform, undecided, simulated."""
    real = not any(each.simulated for each in report.accelerators)
    what = "No accelerator says that it is simulated." if report.accelerators else "There was no accelerator."
    simulated = SIMULATED if report.simulated else what if real else "Some accelerators say that they are simulated."
    return (
        MinuteLine("Verdict", statements(report)),
        MinuteLine("Tried", (_tried(report, evidence),)),
        MinuteLine("Platform", (_platform(report),)),
        MinuteLine("Undecided", tuple(_undecided(report))),
        MinuteLine("Simulated", (simulated,), caution=report.simulated),
    )


def _tried(report: Report, evidence: Mapping[str, Evidence]) -> str:
    checks = [check for check in report.checks if check.verdict != "not-run"]
    records = [record for check in checks if check.id in evidence for record in evidence[check.id].records]
    targets = {record.target for record in records}
    return (
        f"{counted(len(checks), 'requirement')} of {len(report.checks)}, by {counted(len(records), 'observation')} of "
        f"{counted(len(targets), 'target')}; {counted(report.requests, 'API request')} in {duration(report.seconds)}."
    )


def _platform(report: Report) -> str:
    kinds: dict[tuple[str, str], list[Accelerator]] = defaultdict(list)
    for each in report.accelerators:
        kinds[(each.product or each.name, way(each))].append(each)
    named = [
        f"{sum(each.total for each in found)} {shortened(product, LIMIT)} by {offered} on {_nodes(found)}"
        for (product, offered), found in kinds.items()
    ]
    server = shortened(report.cluster.get("server", ""), LIMIT)
    kubernetes = f"Kubernetes {shortened(report.kubernetes, LIMIT)}{f' at {server}' if server else ''}"
    return f"{kubernetes}; {_some(named) or 'no accelerators'}."


def _nodes(found: Iterable[Accelerator]) -> str:
    nodes = sorted({each.node for each in found})
    return shortened(nodes[0], LIMIT) if len(nodes) == 1 else counted(len(nodes), "node")


def _undecided(report: Report) -> Iterable[str]:
    """Checks without a verdict, and of the others the assertions that are open."""
    open_ = [f"{check.id}: {shortened(check.reason, LIMIT)}" for check in report.checks if check.verdict == "error"]
    open_ += [
        f"{check.id}/{result.id or result.title}: {shortened(result.reason, LIMIT)}"
        for check in report.checks
        if check.verdict != "error"
        for result in check.assertions
        if result.holds is None
    ]
    if not open_:
        yield "Nothing of what was tried."
    yield from open_[:MOST]
    if len(open_) > MOST:
        yield f"{len(open_) - MOST} more."


def _some(named: list[str]) -> str:
    more = [f"{counted(len(named) - MOST, 'more kind')}"] if len(named) > MOST else []
    return ", ".join([*named[:MOST], *more])
