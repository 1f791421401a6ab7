"""The whole table of faults: what the tests of each check show on the lab, and that nothing is left out of it."""

from __future__ import annotations

import json
from collections.abc import Mapping

from support.lab import succeed

from aiconform.check.registry import has_check, load_check
from aiconform.lab.faults.breaks import BREAKS
from aiconform.spec import load_standard
from tests.lab import (
    test_accelerator_metrics,
    test_ai_inference,
    test_ai_service_metrics,
    test_checks,
    test_cluster_autoscaling,
    test_gang_scheduling,
    test_pod_autoscaling,
    test_robust_controller,
)

# Each module has a FAULTS: fault -> check -> titles of the assertions that it breaks, no more and no fewer.
TABLES: tuple[Mapping[str, Mapping[str, set[str]]], ...] = (
    test_checks.FAULTS,
    test_ai_inference.FAULTS,
    test_cluster_autoscaling.FAULTS,
    test_gang_scheduling.FAULTS,
    test_accelerator_metrics.FAULTS,
    test_pod_autoscaling.FAULTS,
    test_robust_controller.FAULTS,
    test_ai_service_metrics.FAULTS,
)


def shown(fault: str) -> dict[str, set[str]]:
    return {check: titles for table in TABLES for check, titles in table.get(fault, {}).items() if titles}


def test_what_faults_break_is_what_the_lab_shows() -> None:
    assert {fault: set(shown(fault)) for table in TABLES for fault in table} == BREAKS


def test_every_assertion_is_broken_by_a_fault() -> None:
    for check in filter(has_check, load_standard().ids):
        titles = {entry.title for entry in load_check(check).assertions}
        assert titles == set().union(*(shown(fault).get(check, set()) for fault in BREAKS)), check


def test_every_fault_of_the_lab_breaks_an_assertion() -> None:
    listed = {entry["name"] for entry in json.loads(succeed("lab", "fault", "--list", "-o", "json"))}
    assert listed == {fault for fault in BREAKS if shown(fault)}
