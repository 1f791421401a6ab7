"""What ai_service_metrics observes."""

from __future__ import annotations

from aiconform.check import Observation


class CounterReading(Observation):
    """One reading: the requests sent so far, the workload's own counter, and the collected one (None: no series)."""

    sent: int
    own: int
    collected: float | None
    seconds: float


class Collected(Observation):
    """A workload that was declared for collection, and what the monitoring returned for it.

    `way` is how it was declared and `why` says why so; `labels` are those of its series. Without a series, `rounds` has
    one reading without a collected value.
    """

    way: str
    why: str
    query: str
    namespace: str
    pod: str
    labels: dict[str, str]
    rounds: list[CounterReading]
