"""driver_runtime_management on the healthy lab; its faults are in test_faults_of_nodes.py."""

from __future__ import annotations

import json
from typing import Any

from support.lab import Outcome

CHECK = "driver_runtime_management"


def test_the_healthy_lab_passes_by_both_ways_of_allocation(healthy: Outcome) -> None:
    assert healthy.passes(CHECK)
    looked = healthy.targets(CHECK)
    assert looked["dra"] >= 1
    assert looked["device-plugin"] == 2, "two nodes of one kind are compared"


def test_what_a_simulated_module_shows_is_recorded_as_simulated(healthy: Outcome) -> None:
    records = json.loads((healthy.folder / f"observations/{CHECK}.json").read_text())["records"]
    found = [each for record in records for each in (record["observation"] or {}).get("found", [])]
    assert {each["kind"] for each in found} == {"module", "injected"}
    assert all(each["path"].startswith("/run/simulated-kernel/") for each in found if each["kind"] == "module")


def test_what_is_advertised_is_shown_in_advance(inspected: dict[str, dict[str, Any]]) -> None:
    found = "\n".join(inspected[CHECK]["found"])
    assert (
        "node-1: attribute driverVersion=1.4.2, label aiconform.dev/simulated-accelerator.driver-version=1.4.2" in found
    )
    assert not inspected[CHECK]["problems"]
