"""secure_accelerator_access on the healthy lab; its faults are in test_faults.py."""

from __future__ import annotations

from support.lab import Outcome

CHECK = "secure_accelerator_access"


def test_the_healthy_lab_passes_by_both_ways_of_allocation(healthy: Outcome) -> None:
    assert healthy.passes(CHECK)
    assert {entry["way"] for entry in healthy.report["accelerators"]} == {"dra", "device-plugin"}
    assert healthy.targets(CHECK) == {"dra": 1, "device-plugin": 1}
