"""When checks and probes worked and waited, as figures, by what the journal of the run recorded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from aiconform.check.figures import Axis, Moment, Row, Span, Spans
from aiconform.engine.evidence import Evidence, Record
from aiconform.engine.times import Times
from aiconform.reports.summary import duration

RUN = Axis("Time since the run began", "s")
WAITS = "waits for accelerators or its turn"
WORKS = "works"
BOTH = "works or waits"
UNSEEN = "works, and ends without an observation"


def of_run(evidence: Mapping[str, Evidence], times: Times) -> Spans | None:
    """Every check of a run; None where the journal does not say when they were."""
    rows = {check: _check_spans(each, times) for check, each in evidence.items()}
    drawn = sorted((spans[0].begin, spans[-1].end, check, spans) for check, spans in rows.items() if spans)
    if not drawn:
        return None
    _, end, last, _ = max(drawn, key=lambda row: row[1])
    return Spans(
        title="What was done when",
        says=f"{len(drawn)} checks side by side; {last} was the last one, {end:.0f} s after the run began.",
        x=RUN,
        rows=tuple(Row(check, spans) for _, _, check, spans in drawn),
        moments=_pauses(times),
    )


def of_check(evidence: Evidence, times: Times) -> Spans | None:
    """Every probe of a check on each of its targets; None where the journal does not say when they were."""
    whole = times.of_check(evidence)
    found = [(times.of_record(record), record) for record in evidence.records]
    worked = sorted(((at, record) for at, record in found if at), key=lambda each: each[0])
    if not worked:
        return None
    begun = whole[0] if whole else 0.0
    targets = {record.target for _, record in worked}
    _, slowest = max(worked, key=lambda each: each[0][1] - each[0][0])
    where = f"on {slowest.target}" if len(targets) == 1 else f"on {len(targets)} targets"
    count = "One observation" if len(worked) == 1 else f"{len(worked)} observations"
    says = f"{count} {where}; longest: {slowest.probe}, {duration(slowest.seconds)}."
    names = [record.probe if len(targets) == 1 else f"{record.probe}: {record.target}" for _, record in worked]
    rows = tuple(
        Row(name, (*_wait(begun, at[0], times), _work(record, *at)))
        for name, (at, record) in zip(names, worked, strict=True)
    )
    return Spans(title="Timeline", says=says, x=RUN, rows=rows, moments=_pauses(times))


def _work(record: Record, begin: float, end: float) -> Span:
    seen = record.outcome == "seen"
    return Span(WORKS if seen else UNSEEN, begin, end, "good" if seen else "open")


def _check_spans(evidence: Evidence, times: Times) -> tuple[Span, ...]:
    whole = times.of_check(evidence)
    worked = _merged(at for record in evidence.records if (at := times.of_record(record)))
    if not worked:
        return (Span(BOTH, *whole),) if whole else ()
    spans: list[Span] = []
    before = whole[0] if whole else worked[0][0]
    for begin, end in worked:
        spans += [*_wait(before, begin, times), Span(WORKS, begin, end)]
        before = end
    return tuple(spans)


def _wait(begin: float, end: float, times: Times) -> tuple[Span, ...]:
    """Nothing for what nobody would notice, nor for a time in which the run was interrupted."""
    parts = [(begin, end)]
    for before, after in times.pauses:
        if before < after:
            cut = [piece for start, stop in parts for piece in ((start, min(stop, before)), (max(start, after), stop))]
            parts = [(start, stop) for start, stop in cut if start < stop]
    return tuple(Span(WAITS, start, stop, "quiet") for start, stop in parts if stop - start >= 1)


def _merged(spans: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """The same times without overlaps, in order."""
    merged: list[tuple[float, float]] = []
    for begin, end in sorted(spans):
        if merged and begin <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((begin, end))
    return merged


def _pauses(times: Times) -> tuple[Moment, ...]:
    return tuple(
        moment
        for before, after in times.pauses
        for moment in (Moment("interrupted", before), Moment("continued", after))
    )
