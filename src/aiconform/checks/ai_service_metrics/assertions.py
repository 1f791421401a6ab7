"""What must hold of ai_service_metrics' observations."""

from __future__ import annotations

from aiconform.check import Finding, assertion, holds, undecided
from aiconform.checks.ai_service_metrics.observations import Collected


def _none(seen: Collected) -> str:
    return f"{seen.query} has no series of {seen.pod}, declared by {seen.way} ({seen.why})"


@assertion(
    "workload_is_collected",
    "The platform's monitoring finds a declared workload, and its series name Namespace and Pod",
)
def workload_is_collected(seen: Collected) -> Finding:
    first = seen.rounds[0]
    if first.collected is None:
        return holds(False, f"{_none(seen)} after {first.seconds:.0f} s", subjects=1)
    missing = [word for word in (seen.namespace, seen.pod) if word not in seen.labels.values()]
    if missing:
        return holds(False, f"the labels of its series do not contain {', '.join(missing)}: {seen.labels}", subjects=1)
    return holds(True, f"by {seen.way} ({seen.why}), read from {seen.query}", subjects=1)


@assertion("counter_equals_requests", "The collected counter equals the number of requests that were sent")
def counter_equals_requests(seen: Collected) -> Finding:
    first = seen.rounds[0]
    if first.collected is None:
        return undecided(_none(seen))
    return holds(
        first.collected == first.sent, f"{first.sent} sent, {first.collected:g} collected", subjects=first.sent
    )


@assertion("counter_follows", "The collected counter follows when more requests are sent")
def counter_follows(seen: Collected) -> Finding:
    if len(seen.rounds) < 2:
        return undecided(_none(seen))
    first, second = seen.rounds
    if first.collected is None:
        return undecided(_none(seen))
    now = "nothing" if second.collected is None else f"{second.collected:g}"
    values = f"{first.collected:g} after {first.sent} requests, {now} {second.seconds:.0f} s after {second.sent}"
    return holds(second.collected == second.sent, values, subjects=second.sent - first.sent)
