"""secure_accelerator_access, together with dra_support: the healthy lab, and each fault that breaks the former."""

from __future__ import annotations

import pytest
from support.lab import Lab, assert_breaks_exactly, succeed

from aiconform.lab.faults.registry import breaking

DRA = "dra_support"
ACCESS = "secure_accelerator_access"


def test_the_healthy_lab_passes(lab: Lab) -> None:
    done = lab.run(DRA, ACCESS)
    assert done.code == 0, done.stderr
    assert done.report["verdict"] == "conformant"
    assert done.report["scope"] == "chosen"
    assert done.report["simulated"] is True
    assert "gang_scheduling" in done.report["uncovered"]
    for name in (DRA, ACCESS):
        assert done.check(name)["verdict"] == "pass"
        assert all(entry["holds"] and entry["subjects"] for entry in done.check(name)["assertions"])
    ways = {entry["way"] for entry in done.report["accelerators"]}
    assert ways == {"dra", "device-plugin"}
    succeed("judge", done.folder)
    assert "aiconform" not in lab.kubectl("get", "namespaces,deviceclasses", "-o", "name").replace(
        "simulated-accelerator.aiconform.dev", ""
    )


def test_a_whole_run_does_not_call_conformant_what_it_did_not_check(lab: Lab) -> None:
    done = lab.run()
    assert done.code == 3
    assert done.report["verdict"] == "undetermined"
    assert "not-run" in {entry["verdict"] for entry in done.report["checks"]}
    # Without a solution for it there is nothing to look at: that is no failure, and no pass.
    assert done.check("gang_scheduling")["verdict"] == "error"
    assert "no known gang scheduling solution" in done.check("gang_scheduling")["reason"]


@pytest.mark.parametrize("fault", breaking(ACCESS))
def test_a_fault_breaks_its_assertions_and_no_others(lab: Lab, fault: str) -> None:
    assert_breaks_exactly(lab, fault, DRA, ACCESS)


def test_the_lab_is_healthy_again_after_all_faults(lab: Lab) -> None:
    assert lab.run(DRA, ACCESS).code == 0
