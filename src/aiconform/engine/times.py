"""When the parts of a run were: what its journal recorded, in seconds since the run began."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

from aiconform.engine import journal
from aiconform.engine.evidence import Evidence, Record, digest, encode_record
from aiconform.engine.rundir import RunDirectory


@dataclass(frozen=True)
class Times:
    """observed: when the evidence of a check was complete. recorded: when a probe had ended, by its record's digest;
    empty in runs made before it was recorded. pauses: from the last line before an interruption to its end."""

    observed: Mapping[str, float] = field(default_factory=dict)
    recorded: Mapping[str, float] = field(default_factory=dict)
    pauses: tuple[tuple[float, float], ...] = ()

    def of_record(self, record: Record) -> tuple[float, float] | None:
        """When a probe worked; None where no line of the journal says it."""
        end = self.recorded.get(digest(encode_record(record)))
        return None if end is None else (max(0.0, end - record.seconds), end)

    def of_check(self, evidence: Evidence) -> tuple[float, float] | None:
        """When a check worked or waited; None where the journal does not say it."""
        end = self.observed.get(evidence.check)
        return None if end is None else (max(0.0, end - evidence.seconds - evidence.waited), end)


def read_times(directory: RunDirectory) -> Times:
    """Of a journal that cannot be read there are none; `judge` says what is wrong with it."""
    try:
        return times_of(journal.read(directory.journal.path))
    except (journal.BrokenChain, OSError):
        return Times()


def times_of(lines: Iterable[journal.JournalEntry]) -> Times:
    """Raises journal.BrokenChain for a line that cannot be read."""
    observed: dict[str, float] = {}
    recorded: dict[str, float] = {}
    read: list[tuple[float, str]] = []
    begun = None
    for line in lines:
        at = journal.moment(line.time)
        begun = begun or at
        if at is None or begun is None:
            continue
        seconds = round((at - begun).total_seconds(), 3)
        read.append((seconds, line.event))
        if line.event == "observed":
            observed[line.data["check"]] = seconds
        elif line.event == "recorded" and isinstance(line.data.get("digest"), str):
            recorded[line.data["digest"]] = seconds
    pauses = tuple((before, after) for (before, _), (after, event) in pairwise(read) if event == "resumed")
    return Times(observed, recorded, pauses)
