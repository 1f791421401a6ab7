"""dra_support on the healthy lab; its faults are in test_faults.py."""

from __future__ import annotations

from support.lab import Outcome

CHECK = "dra_support"


def test_the_healthy_lab_passes(healthy: Outcome) -> None:
    assert healthy.passes(CHECK)
