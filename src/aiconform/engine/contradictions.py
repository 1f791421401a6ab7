"""Contradictions inside a run: what its files say and what cannot all be true, whoever wrote them.

They do not depend on a check. What a run claims beyond its observations `judge` finds.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from aiconform.engine.evidence import Accelerator, Evidence, Identity, Report, RunInfo
from aiconform.engine.journal import JournalEntry, moment

# Clocks are corrected during a run, and an entry is written a moment after the event.
SLACK = timedelta(minutes=1)
# Of a machine whose clock is that wrong, no certificate would be accepted.
AHEAD = timedelta(days=1)
_FIGURES = frozenset({"seconds", "waited", "requests", "subjects", "total", "free"})
_KIND = ("way", "name")
_OFFER = (*_KIND, "product")


def contradictions(
    info: RunInfo,
    report: Report,
    evidence: Mapping[str, Evidence],
    identity: Identity | None,
    lines: Sequence[JournalEntry],
    now: datetime,
) -> list[str]:
    """What contradicts itself, in words. evidence: by check. now: what is later has not happened."""
    known: dict[str, list[Accelerator]] = defaultdict(list)
    for entry in (*info.accelerators, *info.others):
        known[entry.node].append(entry)
    # As JSON, "not a number" in an observation would be nothing.
    observed = {check: found.model_dump() for check, found in evidence.items()}
    return [
        *_figures("run.json", info.model_dump(mode="json")),
        *_figures("report.json", report.model_dump(mode="json")),
        *(text for check, data in observed.items() for text in _figures(f"observations/{check}.json", data)),
        *_times(info, report, lines, now),
        *_twice(info, report, evidence, lines),
        *(_identity(info, identity) if identity else ()),
        *(text for check, data in observed.items() for text in _simulated(known, check, data["records"])),
        *(text for check, data in observed.items() for text in _unknown(known, check, data["records"])),
        *(text for check, found in evidence.items() for text in _elsewhere(known, check, found)),
    ]


def _figures(name: str, data: Any, place: str = "", *, ours: bool = True) -> Iterator[str]:
    """Figures that are none. ours: what a probe observed is the platform's and may be negative, but is a number."""
    if isinstance(data, dict):
        for key, value in data.items():
            where = f"{place}.{key}".lstrip(".")
            if ours and key in _FIGURES and isinstance(value, int | float) and value < 0:
                yield f"{name}: {where} is {value}"
            elif key != "options":
                yield from _figures(name, value, where, ours=ours and key != "observation")
    elif isinstance(data, list | tuple):
        for number, value in enumerate(data):
            yield from _figures(name, value, f"{place}.{number}", ours=ours)
    elif isinstance(data, float) and not math.isfinite(data):
        yield f"{name}: {place} is {data}"


def _times(info: RunInfo, report: Report, lines: Sequence[JournalEntry], now: datetime) -> Iterator[str]:
    started, ended = moment(info.started), moment(info.ended)
    moments = [(f"line {line.number} of the journal", moment(line.time)) for line in lines]
    every = [("the start", started), ("the end", ended), *moments]
    for name, at in every:
        if at is None:
            yield f"the time of {name} is none"
            return
        if at > now + AHEAD:
            yield f"{name} lies in the future ({at.isoformat()})"
    if started is None or ended is None:
        return
    if ended < started - SLACK:
        yield f"the run ended ({info.ended}) before it started ({info.started})"
    known = [(name, at) for name, at in moments if at is not None]
    for (name, before), (later, after) in pairwise(known):
        if after < before - SLACK:
            yield f"{later} is earlier than {name}"
    wall = max(ended - started, timedelta()) + SLACK
    for name, seconds in (("the run", report.seconds), *((each.id, each.seconds) for each in report.checks)):
        if math.isfinite(seconds) and seconds > wall.total_seconds():
            yield f"{name} took {seconds:.0f} s, between a start and an end that are {(ended - started)} apart"
    if not any(line.event == "resumed" for line in lines):
        yield from _less_than_its_checks(report)
    yield from _against_the_journal(info, started, ended, lines)


def _less_than_its_checks(report: Report) -> Iterator[str]:
    """A run that was continued counts what it did since."""
    requests = sum(each.requests for each in report.checks)
    longest = max((each.seconds for each in report.checks), default=0.0)
    if report.requests < requests:
        yield f"the run made {report.requests} API requests, its checks {requests}"
    if report.seconds < longest - SLACK.total_seconds():
        yield f"the run took {report.seconds:.0f} s, one of its checks {longest:.0f} s"


def _against_the_journal(
    info: RunInfo, started: datetime, ended: datetime, lines: Sequence[JournalEntry]
) -> Iterator[str]:
    """Runs of the first format were also written by tests, with times of their choice."""
    if info.format < 2:
        return
    for event, said in (("started", started), ("ended", ended)):
        written = next((moment(line.time) for line in reversed(lines) if line.event == event), None)
        if written is None:
            yield f"the journal does not say when the run {event}"
        elif abs(written - said) > SLACK:
            yield f"the journal says that the run {event} at {written.isoformat()}, run.json {said.isoformat()}"


def _twice(
    info: RunInfo, report: Report, evidence: Mapping[str, Evidence], lines: Sequence[JournalEntry]
) -> Iterator[str]:
    # However often a run was continued, it is started once, and each check is observed once.
    if sum(line.event == "started" for line in lines) > 1:
        yield "the journal says twice that the run started"
    observed = (str(line.data.get("check")) for line in lines if line.event == "observed")
    # A driver can offer several products on a node, such as whole GPUs and partitions.
    offered = (f"{each.name} ({each.product}) on {each.node} by {each.way}" for each in info.accelerators)
    yield from (f"the journal says twice that {each} was observed" for each in _repeated(observed))
    yield from (f"the report has two results of {each}" for each in _repeated(each.id for each in report.checks))
    yield from (f"run.json lists twice: {each}" for each in _repeated(offered))
    for check, found in evidence.items():
        if found.check != check:
            yield f"observations/{check}.json is about {found.check}"
        targets = (f"{record.probe} on {record.target}" for record in found.records)
        yield from (f"observations/{check}.json has twice: {each}" for each in _repeated(targets))


def _identity(info: RunInfo, identity: Identity) -> Iterator[str]:
    yield from (
        f"identity.json has two nodes with the UID {uid}" for uid in _repeated(n.uid for n in identity.nodes if n.uid)
    )
    if identity.echo and not info.challenge:
        yield "identity.json answers a challenge that run.json does not name"


def _repeated(values: Iterable[str]) -> list[str]:
    return [value for value, count in Counter(values).items() if count > 1]


def _elsewhere(known: Mapping[str, Sequence[Accelerator]], check: str, found: Evidence) -> Iterator[str]:
    """Observations of another node than the one that their probe was sent to. known: accelerators by node."""
    for record in found.records:
        seen = (record.observation or {}).get("node")
        sent = re.split(", |/", record.target, maxsplit=1)[0] in known
        if sent and isinstance(seen, str) and seen not in record.target:
            yield f"observations/{check}.json has an observation of {seen} for {record.target}"


def _unknown(known: Mapping[str, Sequence[Accelerator]], check: str, data: Any) -> Iterator[str]:
    """Observations of accelerators that run.json does not list on their node. Of a node that is new it lists none."""
    for each in _objects(data):
        here = known.get(each["node"], ()) if isinstance(each.get("node"), str) else ()
        said = tuple(each.get(key) for key in _OFFER)
        if here and all(said) and said not in {tuple(getattr(entry, key) for key in _OFFER) for entry in here}:
            yield f"{check} saw {' '.join(map(str, said))} on {each['node']}; run.json lists no such accelerators there"


def _objects(data: Any) -> Iterator[dict[str, Any]]:
    """Every object at any depth."""
    if isinstance(data, dict):
        yield data
        data = tuple(data.values())
    if isinstance(data, list | tuple):
        for value in data:
            yield from _objects(value)


def _simulated(known: Mapping[str, Sequence[Accelerator]], check: str, data: Any) -> Iterator[str]:
    """Observations of accelerators that run.json knows, by node, and that say something else about their hardware."""
    for each in _objects(data):
        said = each.get("simulated")
        node = each.get("node")
        here = {
            entry.simulated
            for entry in (known.get(node, ()) if isinstance(node, str) else ())
            if all(each.get(key) in (None, getattr(entry, key)) for key in _KIND)
        }
        if isinstance(said, bool) and here and said not in here:
            words = {True: "simulated", False: "real"}
            yield f"{check} saw {words[said]} accelerators on {node}; run.json says {words[not said]} ones"
