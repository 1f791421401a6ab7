"""The utilization of each device of a node before, under and after the load of one."""

from __future__ import annotations

from aiconform.check.figures import Axis, Curve, Lines, Threshold, figure
from aiconform.checks.accelerator_metrics.observations import MARGIN, Load

READINGS = Axis("Reading", names=("before", "under load", "afterwards"))


@figure
def utilization_under_load(seen: Load) -> Lines | str:
    if seen.problem:
        return f"no Pod started with a device: {seen.problem}"
    if not seen.during:
        return "no utilization was read under load"
    readings = (seen.before, seen.during, seen.after)
    labels = sorted({label for reading in readings for label in reading}, key=lambda label: label != seen.label)
    known = seen.label in seen.before
    limit = (Threshold(f"{MARGIN:g} points more", seen.before[seen.label] + MARGIN),) if known else ()
    return Lines(
        title="Utilization under load",
        says=f"{len(labels)} devices by {seen.endpoint}: before, {seen.seconds_during:g} s into the load of "
        f"{seen.label or 'one of them'}, and {seen.seconds_after:g} s after its end.",
        x=READINGS,
        y=Axis("Utilization", "%"),
        curves=tuple(
            Curve(
                _name(seen, label),
                tuple((float(number), reading.get(label)) for number, reading in enumerate(readings)),
                strong=label == seen.label,
            )
            for label in labels
        ),
        thresholds=limit,
    )


def _name(seen: Load, label: str) -> str:
    return f"{label} (under load)" if label == seen.label else f"{label} (idle)" if label in seen.idle else label
