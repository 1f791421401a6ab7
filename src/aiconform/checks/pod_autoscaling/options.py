"""What a user can set for pod_autoscaling."""

from __future__ import annotations

from pydantic import ValidationInfo, field_validator

from aiconform.check import Options, option
from aiconform.checks.pod_autoscaling.scaled_workload import SERIES, shortest_delay
from aiconform.cluster.guest import pairs
from aiconform.platform.autoscaling.metrics_api import GROUPS
from aiconform.platform.monitoring import collection as monitoring

INTERVAL_SECONDS = 15.0


class PodAutoscaling(Options):
    api: str = option(
        "",
        "The metrics API that the autoscaler reads; by default the first one served.",
        choices=lambda: GROUPS,
    )
    collection: str = option(
        "",
        "How the Pods declare their metrics to the platform's monitoring; by default it is discovered.",
        formerly=("scrape",),
        choices=lambda: monitoring.NAMES,
    )
    collection_labels: str = option("", monitoring.LABELS_HELP, pattern=monitoring.LABELS_PATTERN)
    metric: str = option(
        SERIES,
        f"The name that the metrics API gives to the series {SERIES}, which the Pods report.",
        pattern=r"^\S+$",
    )
    scale_seconds: float = option(
        240.0,
        "The longest time from a change of the metric until the number of Pods changes. The autoscaler reads the "
        "metric every 15 seconds, metrics pipelines add up to a minute, and Pods with devices start slowly.",
        serves=("scaling",),
        formerly=("limit",),
        gt=0,
    )
    observe_seconds: float = option(
        30.0,
        "How long the number of Pods is observed while the metric is at its target: two periods of the autoscaler.",
        serves=("steady_window",),
        formerly=("hold",),
        gt=0,
    )
    interval_seconds: float = option(
        INTERVAL_SECONDS,
        "The period of the autoscaler (the flag --horizontal-pod-autoscaler-sync-period of kube-controller-manager).",
        formerly=("round",),
        ge=1,
    )
    window_seconds: int = option(
        45,
        "The stabilization window for scaling down that the check sets: longer than two periods of the autoscaler.",
        formerly=("window",),
        le=3600,
    )

    @property
    def labels(self) -> dict[str, str]:
        return pairs(filter(None, self.collection_labels.split(",")))

    @field_validator("window_seconds")
    @classmethod
    def _is_longer_than_two_periods(cls, window: int, info: ValidationInfo) -> int:
        if shortest_delay(window, info.data.get("interval_seconds", INTERVAL_SECONDS)) <= 0:
            raise ValueError("must be more than one second longer than two periods of the autoscaler")
        return window
