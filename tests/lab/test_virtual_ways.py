"""virtualized_accelerator on every identity with virtual devices: right where it is healthy, and broken as faults say.

One lab has a node for each of them, so that a run looks at all, each with another fault. What changes DeviceClasses is
a fault of the whole lab: tests/lab/checks/test_faults.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pytest
from support.lab import LAB, Lab, Outcome
from support.shapes import assert_broken, found_at, rounds, shaped_lab

from aiconform.lab.accelerators import Offer, identities
from aiconform.lab.accelerators.virtual import VIRTUAL_WAYS
from aiconform.lab.faults.fault import Fault
from aiconform.lab.faults.registry import FAULTS

NAME = f"{LAB}-virtual"
CHECK = "virtualized_accelerator"


@dataclass(frozen=True)
class Virtual:
    """What a node acts out. beside: whether it has physical devices, too. parent: whether a physical device is told."""

    identity: str
    offer: Offer
    beside: bool = True
    parent: bool = True

    @property
    def left_out(self) -> set[str]:
        """The assertions that do not apply."""
        compared = ("one_interface_for_both", "names_are_the_same", "only_selector_differs")
        return {*(() if self.beside else compared), *(() if self.parent else ("two_run_on_one_device",))}

    @property
    def faults(self) -> list[Fault]:
        """The faults of virtual devices that such a node can have."""
        return [FAULTS[name] for name in VIRTUAL_WAYS if FAULTS[name].suits(identities()[self.identity], self.offer)]


NODES = {
    "node-1": Virtual("simulated", Offer.DRA),
    "node-2": Virtual("intel-gpu-sriov", Offer.DRA),
    "node-3": Virtual("nvidia-vgpu", Offer.DRA, beside=False, parent=False),
    "node-4": Virtual("nvidia-vgpu", Offer.DEVICE_PLUGIN, beside=False, parent=False),
}
SLOW = ("second-virtual-device-refused", "virtual-device-is-not-released")
"""A run waits for the Pod, or the device, that does not come."""
# A fixed window, only as long as a defect of the lab needs to show itself; and limits of what never happens.
BRIEF = {f"{CHECK}.observe_seconds": 6, f"{CHECK}.start_seconds": 40, f"{CHECK}.release_seconds": 20}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "faults" in metafunc.fixturenames:
        found = rounds(NODES, SLOW)
        metafunc.parametrize("faults", found.values(), ids=found)


@pytest.fixture(scope="module")
def lab(can_have_labs: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with shaped_lab(NAME, NODES, tmp_path_factory.mktemp("runs")) as made:
        yield made


def assertions(done: Outcome) -> set[str]:
    return {entry["id"] for entry in done.check(CHECK)["assertions"]}


def test_every_identity_is_found_and_right(lab: Lab) -> None:
    done = lab.look(CHECK, brief=BRIEF, words=["--every-node"])
    assert done.code == 0, done.stderr
    assert done.passes(CHECK)
    for name, node in NODES.items():
        assert found_at(done, CHECK, name) == dict.fromkeys(assertions(done) - node.left_out, True), name
    assert done.report["simulated"] is True


def test_each_fault_breaks_its_assertions_where_it_is(lab: Lab, faults: Mapping[str, Fault]) -> None:
    with lab.faults_at({node: [fault.name] for node, fault in faults.items()}):
        done = lab.look(CHECK, brief=BRIEF, words=["--every-node"])
    assert_broken(done, CHECK, NODES, faults)
    assert not done.report["leaks"], done.report["leaks"]
