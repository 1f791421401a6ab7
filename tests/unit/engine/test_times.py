"""When the parts of a run were, by its journal."""

from __future__ import annotations

from pathlib import Path

import pytest

from aiconform.engine.evidence import Evidence, Record, digest, encode_record
from aiconform.engine.journal import Journal, JournalEntry
from aiconform.engine.rundir import RunDirectory
from aiconform.engine.times import Times, read_times, times_of

RUNS = Path(__file__).parents[2] / "runs"
LOOK = Record(
    probe="look",
    target="node-1",
    outcome="seen",
    message="",
    observes="View",
    observation={},
    seconds=4.0,
    requests=3,
)


def lines(*events: tuple[str, str, dict[str, object]]) -> list[JournalEntry]:
    return [
        JournalEntry(number, f"2026-11-28T22:{time}Z", event, data)
        for number, (time, event, data) in enumerate(events, 1)
    ]


def test_a_probe_worked_until_its_record_was_written() -> None:
    key = digest(encode_record(LOOK))
    times = times_of(
        lines(
            ("13:58.500", "started", {}),
            ("14:08.500", "recorded", {"check": "c", "probe": "look", "digest": key}),
            ("14:09.000", "observed", {"check": "c", "digest": "x"}),
        )
    )
    assert times.of_record(LOOK) == (6.0, 10.0)
    assert times.of_record(LOOK.model_copy(update={"target": "node-2"})) is None
    evidence = Evidence(check="c", suite="", seconds=4.0, waited=6.5, requests=3, records=(LOOK,))
    assert times.of_check(evidence) == (0.0, 10.5)
    assert times.of_check(evidence.model_copy(update={"check": "other"})) is None


def test_an_interruption_is_a_pause() -> None:
    times = times_of(
        lines(
            ("13:58.000", "started", {}),
            ("14:00.000", "interrupted", {"by": "Cancelled"}),
            ("15:00.000", "resumed", {}),
        )
    )
    assert times.pauses == ((2.0, 62.0),)


def test_a_line_without_a_time_is_passed_over() -> None:
    broken = JournalEntry(1, "yesterday", "started", {})
    assert times_of([broken, *lines(("14:00.000", "observed", {"check": "c"}))]).observed == {"c": 0.0}


def test_runs_of_before_each_probe_was_recorded_say_when_checks_ended() -> None:
    times = read_times(RunDirectory(RUNS / "whole-healthy"))
    assert times.observed["accelerator_metrics"] == pytest.approx(7.391)
    assert times.recorded == {}


def test_a_broken_journal_says_nothing(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.ndjson")
    journal.append("started", {})
    journal.path.write_bytes(journal.path.read_bytes().replace(b"started", b"altered") + b"{}\n")
    assert read_times(RunDirectory(tmp_path)) == Times()
    assert read_times(RunDirectory(tmp_path / "absent")) == Times()
