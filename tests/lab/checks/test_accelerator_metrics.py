"""accelerator_metrics on the healthy lab, and where exporters are no help; its faults are in test_faults.py."""

from __future__ import annotations

import json
from typing import Any

from support.lab import Lab, Outcome

CHECK = "accelerator_metrics"


def test_the_healthy_lab_passes(healthy: Outcome) -> None:
    assert healthy.passes(CHECK)


def test_without_an_exporter_nothing_is_judged_and_the_way_out_is_said(undecided: Outcome) -> None:
    assert undecided.check(CHECK)["verdict"] == "error"
    assert "accelerator_metrics.exporter=NAMESPACE/POD" in json.dumps(undecided.check(CHECK))


def test_an_exporter_is_found_by_its_annotations_alone(lab: Lab, inspected: dict[str, dict[str, Any]]) -> None:
    for node in lab.nodes:
        assert any(f"on {node}:" in text for text in inspected[CHECK]["found"]), inspected[CHECK]
    assert not inspected[CHECK]["missing"]
    assert not inspected[CHECK]["problems"]
