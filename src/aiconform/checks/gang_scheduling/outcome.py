"""The outcome of a gang: its Pods over time as plain data, and pure functions over them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from aiconform.check import Observation

# Pods of a gang are bound one after the other, on a busy API server some seconds apart. A gang may be incomplete for
# this many seconds.
TOGETHER = 5.0


class Member(Observation):
    """One Pod. Times are seconds since the gangs were submitted, as a watch reported them; None: it did not happen.

    ended: its containers terminated. gone: its deletion began before that.
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
        """When it released its accelerator."""
        ends = [end for end in (self.ended, self.gone) if end is not None]
        return min(ends) if ends else None


class Gang(Observation):
    """A gang of `size` Pods, all Pods that were created for it, and how long it was watched."""

    name: str
    size: int
    watched: float
    members: tuple[Member, ...]


def started(gang: Gang, before: float | None = None) -> list[Member]:
    """Members that were scheduled, even if they did not run; with `before`, only those scheduled before that time."""
    return [
        member
        for member in gang.members
        if member.scheduled is not None and (before is None or member.scheduled < before)
    ]


def most_at_once(gang: Gang) -> int:
    """The largest number of Pods that ran at the same time."""
    runs = [
        (member.running, gang.watched if member.left is None else member.left)
        for member in gang.members
        if member.running is not None
    ]
    return max((sum(begin <= moment < max(end, begin + 1e-6) for begin, end in runs) for moment, _ in runs), default=0)


def succeeded(gang: Gang) -> list[Member]:
    return [member for member in gang.members if member.succeeded]


def finished(gang: Gang) -> float | None:
    """When the last of its Pods succeeded; None if not all did."""
    ends = sorted(member.ended for member in gang.members if member.succeeded and member.ended is not None)
    return ends[gang.size - 1] if len(ends) >= gang.size else None


def longest_split(gang: Gang) -> float:
    """The longest time in seconds for which some of its Pods held accelerators while others had none."""
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
    """Names, nodes and times of scheduling, for reasons."""
    return ", ".join(f"{member.name} on {member.node} after {member.scheduled:.1f} s" for member in members)
