"""dra_support and secure_accelerator_access on the healthy lab, and with each fault that has to break them."""

from __future__ import annotations

import pytest
from support.lab import Lab, succeed

DRA = "dra_support"
ACCESS = "secure_accelerator_access"
QUICK = ("--patience", "15")

SERVED = "The DRA API is served with its four kinds and all their verbs"
PUBLISHES = "A DRA driver publishes devices"
SATISFIED = "A claim with a selector is allocated one device that satisfies it"
POD_STARTS = "The Pod that holds an allocated claim starts"
NO_MORE = "A claim for more devices than a node has stays unallocated"
STARTS = "A Pod that asks for a device starts with it"
SEES = "The holder sees a device that a Pod without a claim does not see"
EXACT = "Each holder sees exactly the device it asked for"
SIBLING = "A sibling container without the claim sees no device"
STRANGER = "A Pod without a claim on the same node sees no device"
DISJOINT = "Two holders see disjoint devices"
OPENS = "The holder can open its device"
FORGED = "The kernel refuses a Pod without a claim that makes its own node for a held device"

# fault -> check -> the assertions that it has to break, no more and no fewer
FAULTS = {
    "runtime-leaks-devices": {DRA: set(), ACCESS: {SIBLING, STRANGER, DISJOINT, FORGED}},
    "runtime-opens-devices": {DRA: set(), ACCESS: {FORGED}},
    "driver-prepares-all": {DRA: set(), ACCESS: {EXACT, DISJOINT}},
    "driver-prepares-nothing": {DRA: set(), ACCESS: {SEES, DISJOINT}},
    "driver-withholds-access": {DRA: set(), ACCESS: {OPENS}},
    "driver-never-prepares": {DRA: {POD_STARTS}, ACCESS: {STARTS}},
    "driver-renumbers-devices": {DRA: {SATISFIED}, ACCESS: set()},
    "allocator-overcommits": {DRA: {NO_MORE}, ACCESS: set()},
    "no-driver": {DRA: {PUBLISHES}, ACCESS: set()},
    "no-dra-api": {DRA: {SERVED}, ACCESS: set()},
}
# What a fault may break as well, by chance: when the claim that got too much is deleted, the scheduler takes all its
# devices for free, also one that a holder has, and gives that to a second one.
CONSEQUENCES = {"allocator-overcommits": {ACCESS: {DISJOINT}}}


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
    assert "no gang scheduling solution" in done.check("gang_scheduling")["reason"]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_breaks_its_assertions_and_no_others(lab: Lab, fault: str) -> None:
    with lab.fault(fault):
        done = lab.run(DRA, ACCESS, *QUICK)
    assert done.code == 1
    assert done.report["verdict"] == "not-conformant"
    for name, broken in FAULTS[fault].items():
        assert done.broken(name) - CONSEQUENCES.get(fault, {}).get(name, set()) == broken
        verdict = done.check(name)["verdict"]
        assert verdict == "fail" if done.broken(name) else verdict in ("pass", "error")
        for entry in done.check(name)["assertions"]:
            assert entry["reason"]
    succeed("judge", done.folder)


def test_the_lab_is_healthy_again_after_all_faults(lab: Lab) -> None:
    assert lab.run(DRA, ACCESS).code == 0
