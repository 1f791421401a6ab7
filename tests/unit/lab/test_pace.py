"""Limits inside the lab are multiples of how slow the machine is."""

from __future__ import annotations

from pathlib import Path

import pytest

from aiconform.lab.config import Paths
from aiconform.lab.machines import pace


@pytest.mark.parametrize(("measured", "factor"), [(0.3, 1.0), (1.0, 1.0), (3.26, 3.3), (500.0, 10.0)])
def test_limits_follow_what_was_measured_and_are_never_shorter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, measured: float, factor: float
) -> None:
    paths = Paths("test", tmp_path)
    monkeypatch.setattr(pace, "_measured", lambda: measured)
    assert pace.measure(paths) == factor
    assert pace.slowness(paths) == factor
    assert pace.limit(paths, 30) == 30 * factor


@pytest.mark.parametrize("content", [None, "", "[]", '{"slowness": null}'])
def test_without_a_measurement_limits_are_those_of_a_quiet_machine(tmp_path: Path, content: str | None) -> None:
    paths = Paths("test", tmp_path)
    if content is not None:
        paths.state.mkdir()
        (paths.state / "pace.json").write_text(content)
    assert pace.limit(paths, 30) == 30


def test_a_machine_is_measured(tmp_path: Path) -> None:
    assert 1 <= pace.measure(Paths("test", tmp_path)) <= 10
