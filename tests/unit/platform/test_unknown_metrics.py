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
