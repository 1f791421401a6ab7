"""The table of faults: every assertion of the suite is broken by one, and the lab's tests try each."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from aiconform.check.registry import check_ids, load_check
from aiconform.lab.faults.fault import assertions
from aiconform.lab.faults.registry import FAULTS, breaking, collect

CHECKS = {id_: load_check(id_) for id_ in check_ids() if "." not in id_}
ASSERTIONS = {f"{id_}/{entry.id}" for id_, check in CHECKS.items() for entry in check.assertions}
TESTS = Path(__file__).parents[2] / "lab"


def test_every_assertion_is_broken_by_a_fault_and_every_fault_breaks_some() -> None:
    assert set().union(*(fault.breaks for fault in FAULTS.values())) == ASSERTIONS
    assert set().union(*(fault.may_break for fault in FAULTS.values())) <= ASSERTIONS


@pytest.mark.parametrize("check", sorted(CHECKS))
def test_the_lab_tries_each_fault_of_each_check(check: str) -> None:
    """The tests of a check take their faults from the registry: there is no second table."""
    text = (TESTS / f"test_{check}.py").read_text(encoding="utf-8")
    names = [line.partition(" = ")[0] for line in text.splitlines() if line.endswith(f' = "{check}"')]
    assert any(f"breaking({name})" in text for name in names)
    assert breaking(check)


def test_bad_faults_are_refused_when_they_register() -> None:
    fault = FAULTS["kueue-ignores-jobs"]
    assert collect([fault]) == {fault.name: fault}
    with pytest.raises(ValueError, match="two faults"):
        collect([fault, fault])
    with pytest.raises(ValueError, match="add-ons that do not exist: kueu"):
        collect([replace(fault, needs=("kueu",))])
    with pytest.raises(ValueError, match="breaks no assertion"):
        collect([replace(fault, breaks=assertions("gang_scheduling"))])
