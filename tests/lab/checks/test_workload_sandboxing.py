"""workload_sandboxing on the lab's gVisor and agent-sandbox; its faults are in test_faults.py."""

from __future__ import annotations

import json

import pytest
from support.lab import Lab, Outcome, options

from aiconform.lab.faults.registry import FAULTS

CHECK = "workload_sandboxing"


def observation(done: Outcome) -> dict[str, object]:
    records = json.loads((done.folder / f"observations/{CHECK}.json").read_text())["records"]
    (found,) = (each["observation"] for each in records if each["probe"] == "isolation")
    assert isinstance(found, dict)
    return found


def test_gvisor_passes(healthy: Outcome) -> None:
    assert healthy.passes(CHECK)
    seen = observation(healthy)
    assert (seen["name"], seen["handler"], seen["known"]) == ("gvisor", "runsc", "gVisor")
    assert seen["listener"] is True


def test_agent_sandbox_makes_pods_with_a_kernel_of_their_own(healthy: Outcome) -> None:
    agents = observation(healthy)["agents"]
    assert isinstance(agents, list)
    assert [(each["way"], each["problem"]) for each in agents] == [("Sandbox", ""), ("SandboxClaim", "")]


def test_a_pod_with_an_accelerator_stays_in_gvisor(healthy: Outcome) -> None:
    records = json.loads((healthy.folder / f"observations/{CHECK}.json").read_text())["records"]
    (seen,) = (each["observation"] for each in records if each["probe"] == "with_accelerator")
    (tried,) = seen["pods"]
    assert (tried["name"], tried["problem"]) == ("gvisor", "")
    # gVisor shows the device, and has no driver for it.
    assert [each["outcome"].rpartition(": ")[2] for each in tried["opens"]] == ["No such device or address"]


def test_every_assertion_has_a_fault_that_breaks_it() -> None:
    broken = {each for fault in FAULTS.values() for each in fault.broken(CHECK)}
    assert len(broken) == 8


def test_inspect_says_what_is_tried_and_what_is_not(inspected: dict[str, dict[str, list[str]]]) -> None:
    assert any(text.startswith("RuntimeClass gvisor (handler runsc") for text in inspected[CHECK]["found"])


@pytest.mark.parametrize(("name", "said"), [("none-such", "there is no RuntimeClass none-such")])
def test_a_class_that_is_not_there_is_an_error(lab: Lab, name: str, said: str) -> None:
    done = lab.run(CHECK, *options({f"{CHECK}.runtime_class": name}))
    assert done.code == 3
    assert said in done.check(CHECK)["reason"]
