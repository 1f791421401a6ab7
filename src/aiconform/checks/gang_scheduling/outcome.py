"""What became of a gang's Pods, as plain data, and what it means. Nothing here looks at a cluster or a clock."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from aiconform.check import Observation

# Pods of a gang are bound one after the other, on a busy API server some seconds apart. Longer than this, a gang holds
# accelerators without being whole.
TOGETHER = 5.0


class Member(Observation):
    """One Pod. Times are seconds since the gangs were submitted, as a watch saw them; None: that never happened.

    ended: its containers ended; gone: it was deleted, or asked to go, before that.
    """

    name: str
    node: str = ""
    created: float
    scheduled: float | None = None
    running: float | None = None
    ended: float | None = None
    gone: float | None = None
    succeeded: bool = False

    @property
    def left(self) -> float | None:
        """When it held its accelerator no more."""
        ends = [end for end in (self.ended, self.gone) if end is not None]
        return min(ends) if ends else None


class Gang(Observation):
    """A gang of `size` Pods, all that was made for it, and until when it was watched."""

    name: str
    size: int
    watched: float
    members: tuple[Member, ...]


def started(gang: Gang, before: float | None = None) -> list[Member]:
    """Members that were placed on a node, also if they then did not run; only those placed before a given time."""
    return [
        member
        for member in gang.members
        if member.scheduled is not None and (before is None or member.scheduled < before)
    ]


def most_at_once(gang: Gang) -> int:
    """How many Pods ran at the same time at most."""
    runs = [
        (member.running, gang.watched if member.left is None else member.left)
        for member in gang.members
        if member.running is not None
    ]
    return max((sum(begin <= moment < max(end, begin + 1e-6) for begin, end in runs) for moment, _ in runs), default=0)


def succeeded(gang: Gang) -> list[Member]:
    return [member for member in gang.members if member.succeeded]


def finished(gang: Gang) -> float | None:
    """When the last of its Pods had succeeded, None if not all of them did."""
    ends = sorted(member.ended for member in gang.members if member.succeeded and member.ended is not None)
    return ends[gang.size - 1] if len(ends) >= gang.size else None


def longest_split(gang: Gang) -> float:
    """For how many seconds at a stretch some of its Pods held accelerators while others had not got any."""
    moments = {gang.watched}
    holds: list[tuple[float, float, bool]] = []
    for member in gang.members:
        if member.scheduled is not None:
            end = gang.watched if member.left is None else member.left
            holds.append((member.scheduled, end, member.succeeded))
            moments |= {member.scheduled, end}
    longest = current = 0.0
    ordered = sorted(moments)
    for begin, end in pairwise(ordered):
        held = sum(start <= begin < stop for start, stop, _ in holds)
        done = sum(stop <= begin for _, stop, well in holds if well)
        split = held > 0 and held + done < gang.size
        current = current + end - begin if split else 0.0
        longest = max(longest, current)
    return longest


def times(members: Sequence[Member]) -> str:
    """Names and times of placement, for reasons."""
    return ", ".join(f"{member.name} on {member.node} after {member.scheduled:.1f} s" for member in members)
