"""The table of faults: every assertion of the suite is broken by one, and the lab's tests try each."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import pytest

from aiconform.check.registry import check_ids, load_check
from aiconform.lab.faults.fault import EVERY_OTHER, Scope, assertions
from aiconform.lab.faults.registry import FAULTS, collect, rounds, together

CHECKS = {id_: load_check(id_) for id_ in check_ids() if "." not in id_}
ASSERTIONS = {f"{id_}/{entry.id}" for id_, check in CHECKS.items() for entry in check.assertions}


def test_every_assertion_is_broken_by_a_fault_and_every_fault_breaks_some() -> None:
    assert set().union(*(fault.breaks for fault in FAULTS.values())) == ASSERTIONS
    assert set().union(*(fault.may_break for fault in FAULTS.values())) <= ASSERTIONS


@pytest.mark.parametrize("scope", Scope)
def test_every_fault_is_in_one_round_and_a_round_can_be_on_together(scope: Scope) -> None:
    """The lab's tests take their rounds from here: there is no second table."""
    faults = [fault for fault in FAULTS.values() if fault.scope is scope]
    found = rounds(faults)
    assert sorted(fault.name for members in found for fault in members) == sorted(fault.name for fault in faults)
    for members in found:
        for first, second in combinations(members, 2):
            assert together(first, second)
            assert not first.checks & second.checks
            assert not first.disturbs & second.checks
            assert not second.disturbs & first.checks


def test_what_a_fault_disturbs_is_a_check_that_it_does_not_break() -> None:
    for fault in FAULTS.values():
        assert fault.disturbs <= CHECKS.keys() | {EVERY_OTHER}
        assert not fault.disturbs & fault.checks


def test_a_fault_that_disturbs_every_other_check_is_alone() -> None:
    alone = FAULTS["no-dra-api"]
    assert [members for members in rounds(FAULTS.values()) if alone in members] == [(alone,)]


def test_bad_faults_are_refused_when_they_register() -> None:
    fault = FAULTS["kueue-counts-quota-only"]
    assert collect([fault]) == {fault.name: fault}
    with pytest.raises(ValueError, match="two faults"):
        collect([fault, fault])
    with pytest.raises(ValueError, match="add-ons that do not exist: kueu"):
        collect([replace(fault, needs=("kueu",))])
    with pytest.raises(ValueError, match="breaks no assertion"):
        collect([replace(fault, breaks=assertions("gang_scheduling"))])
    with pytest.raises(ValueError, match="cannot disturb what it breaks: gang_scheduling"):
        collect([replace(fault, disturbs=frozenset({"gang_scheduling"}))])
