"""What pod_autoscaling asserts: the autoscaler reads the metric and scales the Pods by it, in both directions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from aiconform.check import Finding, assertion, holds, undecided
from aiconform.checks.pod_autoscaling.observations import TOLERANCE, Sample, Scaling, near, shown
from aiconform.checks.pod_autoscaling.scaled_workload import REPLICAS, TARGET, longest_gap, shortest_delay


def _values(values: Iterable[float]) -> str:
    return ", ".join(dict.fromkeys(map(shown, values))) or "nothing"


def _replicas(numbers: Sequence[int]) -> str:
    return ", then ".join(str(number) for number in dict.fromkeys(numbers)) or "nothing"


@assertion("metric_is_read", "The autoscaler reads the value that was set")
def metric_is_read(seen: Scaling) -> Finding:
    where = f"{seen.metric} by the {seen.api} metrics API of {seen.by}"
    if seen.broken:
        return holds(False, f"{where}: the API does not answer: {seen.broken}", subjects=1)
    read = [sample.average for sample in seen.samples if sample.average is not None]
    if not read:
        return undecided(f"{where}: no value was read")
    if seen.high_at is None:
        reason = f"{where}: set {seen.low}, read {_values(read[-5:])} in {seen.limit:.0f} s"
        return holds(False, reason, subjects=1)
    during = seen.between(seen.high_at, seen.fall_at)
    raised = [(sample.average, sample.current) for sample in during if sample.average is not None]
    # Either the average, or, if a slow pipeline let Pods start before it showed the entire load, the sum over all Pods.
    if any(near(average, seen.high) or near(average * current, seen.high) for average, current in raised):
        return holds(True, f"{where}: set {seen.low} and {seen.high}, read the same", subjects=2)
    last = _values(average for average, _ in raised[-5:])
    return holds(False, f"{where}: set {seen.high}, read {last}", subjects=2)


@assertion(
    "scales_up",
    "The number of Pods grows as the metric requires",
    formerly=("The number of Pods grows as the metric asks",),
)
def scales_up(seen: Scaling) -> Finding:
    if seen.high_at is None:
        return undecided("the metric was not read")
    # A status that is late is received only when the Pods already run.
    desired = [sample.desired for sample in seen.between(seen.high_at, seen.fall_at)]
    reason = f"for {seen.high} at a target of {TARGET} the autoscaler requested {_replicas(desired)}"
    if REPLICAS in desired:
        return holds(True, reason, subjects=1)
    reason = f"{reason}, but not {REPLICAS}, in {seen.limit:.0f} s; {seen.said}"
    return holds(False, reason.rstrip("; "), subjects=1)


@assertion("each_pod_has_accelerator", "Every Pod runs with an accelerator of its own")
def each_pod_has_accelerator(seen: Scaling) -> Finding:
    if not seen.pods:
        return undecided("the number of Pods did not grow")
    if seen.problem:
        return holds(False, f"{len(seen.pods)} Pods run; {seen.problem}", subjects=len(seen.pods))
    if len(seen.pods) < REPLICAS:
        return undecided("the number of Pods did not grow")
    without = [pod.name for pod in seen.pods if not pod.devices]
    if without:
        return holds(False, f"Pods without an accelerator: {', '.join(without)}", subjects=len(seen.pods))
    devices = [device for pod in seen.pods for device in pod.devices]
    shared = sorted({device for device in devices if devices.count(device) > 1})
    if shared:
        return holds(False, f"held by more than one Pod: {', '.join(shared)}", subjects=len(seen.pods))
    reason = f"{len(seen.pods)} Pods hold {len(devices)} accelerators ({seen.resource})"
    return holds(True, reason, subjects=len(devices))


@assertion("holds_at_target", "The number of Pods stays while the metric is at its target")
def holds_at_target(seen: Scaling) -> Finding:
    if seen.held_at is None:
        return undecided(f"{REPLICAS} Pods never ran")
    requested = next((sample.at for sample in seen.samples if sample.desired >= REPLICAS), seen.held_at)
    # While Pods run, the status that requested them can still be on its way.
    during = seen.between(max(seen.held_at, requested), seen.fall_at)
    desired = [sample.desired for sample in during]
    steady = set(desired) == {REPLICAS}
    reason = f"the autoscaler requested {_replicas(desired)} in {seen.hold:.0f} s"
    if steady and not any(near(sample.average, TARGET) for sample in during):
        return undecided(f"{reason}, and never read the metric at its target of {TARGET}")
    return holds(steady, reason, subjects=len(desired))


@assertion(
    "scales_down",
    "The number of Pods decreases when the metric falls",
    formerly=("The number of Pods goes back when the metric falls",),
)
def scales_down(seen: Scaling) -> Finding:
    if seen.fall_at is None:
        return undecided(f"{REPLICAS} Pods never ran")
    if seen.end_at is not None:
        return holds(True, f"one Pod was left {seen.end_at - seen.fall_at:.0f} s after the metric fell", subjects=1)
    reason = f"{seen.left} Pods are left {seen.limit + seen.window:.0f} s after the metric fell; {seen.said}"
    return holds(False, reason.rstrip("; "), subjects=1)


@assertion(
    "respects_stabilization_window",
    "The number of Pods does not decrease before the stabilization window ends",
    formerly=("It does not go back before its window is over",),
)
def respects_stabilization_window(seen: Scaling) -> Finding:
    if seen.fall_at is None:
        return undecided(f"{REPLICAS} Pods never ran")
    after = seen.between(seen.fall_at, None)
    most = max((sample.desired for sample in after[:1]), default=0)
    decreased = next((number for number, sample in enumerate(after) if sample.desired < most), None)
    if decreased is None:
        return undecided("the number of Pods did not decrease")
    fewer = after[decreased]
    # The window begins when the autoscaler first reads less than before.
    read = next((sample for sample in after[:decreased] if _is_low(sample)), fewer)
    waited = fewer.since(read)
    reason = f"it requested fewer Pods {waited:.0f} s after it read less; its window is {seen.window} s"
    if waited >= shortest_delay(seen.window, seen.round):
        return holds(True, reason, subjects=1)
    # An autoscaler that read nothing for a whole window has no higher recommendation left in it.
    before = seen.samples[: seen.samples.index(read)]
    high = [sample for sample in before if sample.average is not None and not _is_low(sample)]
    unread = fewer.since(high[-1]) if high else fewer.at
    if unread >= longest_gap(seen.window, seen.round):
        return undecided(
            f"{reason}, but before that it was not seen to read the metric for {unread - waited:.0f} s. What helps: "
            "run again, or set a longer window (--set pod_autoscaling.window_seconds=...) if it reads so rarely"
        )
    return holds(False, reason, subjects=1)


def _is_low(sample: Sample) -> bool:
    return sample.average is not None and sample.average < TARGET * (1 - 2 * TOLERANCE)
