"""dra_support with the faults that break it alone; those that break secure_accelerator_access, too, are with that."""

from __future__ import annotations

import pytest
from support.lab import Lab, assert_breaks_exactly

from aiconform.lab.faults.registry import breaking

DRA = "dra_support"
ACCESS = "secure_accelerator_access"


@pytest.mark.parametrize("fault", sorted(set(breaking(DRA)) - set(breaking(ACCESS))))
def test_a_fault_breaks_its_assertions_and_no_others(lab: Lab, fault: str) -> None:
    assert_breaks_exactly(lab, fault, DRA, ACCESS)


def test_the_lab_is_healthy_again_after_all_faults(lab: Lab) -> None:
    assert lab.run(DRA, ACCESS).code == 0
