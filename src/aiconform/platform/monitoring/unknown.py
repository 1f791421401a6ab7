"""Metrics that may be the utilization of accelerators, by names that no convention has."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from aiconform.platform.monitoring.conventions import Convention
from aiconform.platform.monitoring.metrics import MetricSample

_SHOWN = 3
_OF_ACCELERATORS = re.compile(r"gpu|npu|xpu|tpu|dcu|gcu|mlu|accelerator|tegra", re.IGNORECASE)
# "load" as a word: not of a workload, an upload, a reload.
_UTILIZATION = re.compile(r"util(?!it)|busy|usage|(?<![a-z])use_perc|duty|(?:^|[_:])load(?:[_:]|$)", re.IGNORECASE)
# What model servers, schedulers and kernels have of their own: vllm:gpu_cache_usage_perc, kubelet_cpu_..., node_load1.
# What is counted, and what has another unit, is no share of a device's time.
_SOMETHING_ELSE = re.compile(
    r"cache|kv_|queue|request|quota|mem|ram|output|input|cpu|power|watt|energy|temp|balanc|_time(?:_|$)|duration"
    r"|_(?:total|info|count|success|sum|bucket|created|timestamp|seconds|bytes|joules|celsius)$",
    re.IGNORECASE,
)


def perhaps_utilization(samples: Iterable[MetricSample], conventions: Sequence[Convention]) -> tuple[str, ...]:
    """The names of these samples that may be what an unknown exporter calls the utilization, a few of them."""
    # Pages have thousands of samples, and few names.
    names = sorted({sample.name for sample in samples})
    named = (name for name in names if _OF_ACCELERATORS.search(name) and _UTILIZATION.search(name))
    named = (name for name in named if not _SOMETHING_ELSE.search(name))
    return tuple(name for name in named if all(each.entry(name) is None for each in conventions))[:_SHOWN]
