"""The Pods of gangs over time: when each waited, started and ran."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from aiconform.check.figures import Axis, Moment, Row, Span, Spans, figure
from aiconform.checks.gang_scheduling.observations import Contention, Room, Scarcity
from aiconform.checks.gang_scheduling.outcome import Gang, Member, most_at_once

TIME = Axis("Time since the gang was submitted", "s")
NO_PODS = "no Pod of the gang was created"


@figure
def gang_with_room(seen: Room) -> Spans | str:
    if seen.gang is None:
        return seen.problem or NO_PODS
    return _drawn("A gang that has room", [seen.gang], ())


@figure
def gang_without_room(seen: Scarcity) -> Spans | str:
    made = Moment(f"room is made; before, {seen.left} accelerators were free", seen.released or 0.0)
    return _drawn("A gang that has no room at first", [seen.gang], () if seen.released is None else (made,))


@figure
def gangs_that_contend(seen: Contention) -> Spans | str:
    return _drawn(f"Two gangs, with room for {seen.room} Pods", seen.gangs, ())


def _drawn(title: str, gangs: Sequence[Gang], moments: tuple[Moment, ...]) -> Spans | str:
    several = len(gangs) > 1
    rows = tuple(
        Row(f"{f'gang {number}, ' if several else ''}{member.name}", tuple(_spans(member, gang.watched)))
        for number, gang in enumerate(gangs, start=1)
        for member in sorted(gang.members, key=lambda member: member.name)
    )
    if not rows:
        return NO_PODS
    together = ", ".join(
        f"{f'gang {number}: ' if several else ''}at most {most_at_once(gang)} of {gang.size} Pods ran at the same time"
        for number, gang in enumerate(gangs, start=1)
    )
    return Spans(title, f"{together[0].upper()}{together[1:]}.", TIME, rows, moments)


def _spans(member: Member, watched: float) -> Iterator[Span]:
    """What is not over when watching ends, is drawn until then."""
    end = watched if member.left is None else member.left
    scheduled = end if member.scheduled is None else member.scheduled
    yield Span("waits to be scheduled", member.created, scheduled, "quiet")
    if member.scheduled is not None:
        running = end if member.running is None else member.running
        yield Span("starts", member.scheduled, running, "soft")
        if member.running is not None:
            yield Span("runs", member.running, end)
