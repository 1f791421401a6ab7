"""Names that may be the utilization of accelerators, although no convention has them."""

from __future__ import annotations

import re

import pytest

from aiconform.platform.monitoring import unknown
from aiconform.platform.monitoring.conventions import load_conventions
from aiconform.platform.monitoring.metrics import MetricSample
from aiconform.platform.monitoring.unknown import perhaps_utilization


def told(*names: str) -> tuple[str, ...]:
    return perhaps_utilization([MetricSample(name, {}, 1.0) for name in names], load_conventions())


@pytest.mark.parametrize(
    "name",
    [
        "amd_gpu_use_percent",
        "gpu_load",
        "tegra_gr3d_load_percent",
        "tegra:gpu:load",
        "acme_npu_busy",
        "acme_gpu_duty_cycle",
        "acmeGpuUtilization",
        "accelerator_usage_ratio",
        "dcu_utilizationrate2",
    ],
)
def test_a_name_that_may_be_the_utilization_is_told(name: str) -> None:
    assert told(name) == (name,)


@pytest.mark.parametrize(
    "name",
    [
        "gpu_operator_config_reload_success",
        "gpu_operator_config_reload",
        "gpu_workload_ready",
        "gpu_results_upload_ratio",
        "gpu_driver_download_progress",
        "gpu_driver_loaded",
        "gpu_load_balancer_up",
        "gpu_utilities_version",
        "gpu_pause_percent",
        "model_gpu_load_duration",
        "model_gpu_load_time_ms",
        "gpu_busy_seconds_total",
        "gpu_usage_info",
        "gpu_usage_count",
        "gpu_usage_seconds",
        "gpu_power_usage_milli",
        "gpu_energy_usage",
        "gpu_host_cpu_util",
        "node_load1",
    ],
)
def test_a_name_of_something_else_is_not_told(name: str) -> None:
    assert told(name) == ()


def test_a_name_is_looked_at_once_however_many_samples_have_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages of 16 MiB are read where nothing else can go on meanwhile."""
    looked: list[str] = []

    class Counting:
        def __init__(self, pattern: re.Pattern[str]) -> None:
            self._pattern = pattern

        def search(self, name: str) -> re.Match[str] | None:
            looked.append(name)
            return self._pattern.search(name)

    patterns = [name for name, value in vars(unknown).items() if isinstance(value, re.Pattern)]
    for name in patterns:
        monkeypatch.setattr(unknown, name, Counting(getattr(unknown, name)))
    assert told(*["amd_gpu_use_percent"] * 1000, *["node_load1"] * 1000) == ("amd_gpu_use_percent",)
    assert max(map(looked.count, looked)) <= len(patterns)
