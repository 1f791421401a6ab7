"""The table by which `aiconform spec check` counts, against what the lab's tests show."""

from __future__ import annotations

from aiconform.lab.faults.breaks import BREAKS
from tests.lab.test_checks import FAULTS


def test_what_faults_break_is_what_the_lab_shows() -> None:
    shown = {fault: {check for check, titles in checks.items() if titles} for fault, checks in FAULTS.items()}
    assert shown == BREAKS
