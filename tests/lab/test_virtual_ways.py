"""virtualized_accelerator on every identity with virtual devices: right where it is healthy, and broken as faults say.

One lab has a node for each of them, so that a run looks at all, each with another fault. What changes DeviceClasses is
a fault of the whole lab: tests/lab/checks/test_faults.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass

import pytest
from support.lab import LAB, Lab, Outcome, at_node, options, succeed

from aiconform.lab.accelerators import Offer, identities
from aiconform.lab.accelerators.virtual import VIRTUAL_WAYS
from aiconform.lab.faults.fault import Fault
from aiconform.lab.faults.registry import FAULTS

NAME = f"{LAB}-virtual"
CHECK = "virtualized_accelerator"
DEVICES = 2


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
# A fixed window, only as long as a defect of the lab needs to show itself; and limits of what never happens.
BRIEF = {f"{CHECK}.observe_seconds": 6, f"{CHECK}.start_seconds": 40, f"{CHECK}.release_seconds": 20}


def rounds() -> list[dict[str, Fault]]:
    """Node -> its fault, for each of as few runs as show every fault at every node; different ones where possible."""
    most = max(len(node.faults) for node in NODES.values())
    found = []
    for number in range(most):
        turns = [(name, node.faults, (number + at) % most) for at, (name, node) in enumerate(NODES.items())]
        found.append({name: faults[turn] for name, faults, turn in turns if turn < len(faults)})
    return found


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "faults" in metafunc.fixturenames:
        ids = ["+".join(f"{node}={fault.name}" for node, fault in each.items()) for each in rounds()]
        metafunc.parametrize("faults", rounds(), ids=ids)


@pytest.fixture(scope="module")
def lab(can_have_labs: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    shape = []
    for name, node in NODES.items():
        shape += ["--identity", f"{name}={node.identity}", "--allocation", f"{name}={node.offer}"]
    succeed("lab", "down", "--name", NAME)
    succeed("lab", "up", "--name", NAME, "--nodes", str(len(NODES)), "--accelerators", str(DEVICES), *shape)
    yield Lab(NAME, tmp_path_factory.mktemp("runs"))
    succeed("lab", "down", "--name", NAME)


def looked_at(lab: Lab) -> Outcome:
    slowness = lab.slowness
    done = lab.run(CHECK, "--every-node", "--patience", str(30 * slowness), *options(BRIEF, slowness))
    succeed("judge", done.folder)
    assert not done.report["leaks"], done.report["leaks"]
    return done


def found_at(done: Outcome, node: str) -> Mapping[str, bool | None]:
    """Assertion -> what it finds at a node, of those that apply there."""
    entries = done.check(CHECK)["assertions"]
    return {entry["id"]: held[0] for entry in entries if (held := at_node(entry, node))}


def assertions(done: Outcome) -> set[str]:
    return {entry["id"] for entry in done.check(CHECK)["assertions"]}


def test_every_identity_is_found_and_right(lab: Lab) -> None:
    done = looked_at(lab)
    assert done.code == 0, done.stderr
    assert done.passes(CHECK)
    for name, node in NODES.items():
        assert found_at(done, name) == dict.fromkeys(assertions(done) - node.left_out, True), name
    assert done.report["simulated"] is True


def test_each_fault_breaks_its_assertions_where_it_is(lab: Lab, faults: Mapping[str, Fault]) -> None:
    with ExitStack() as on:
        for node, fault in faults.items():
            on.enter_context(lab.fault(fault.name, where=("--node", node)))
        done = looked_at(lab)
    wrong = {}
    for name, node in NODES.items():
        fault = faults.get(name)
        broken, expected = done.broken(CHECK, name), fault.broken(CHECK) if fault else frozenset()
        if broken != expected or (not fault and None in found_at(done, name).values()):
            wrong[name] = (node.identity, fault and fault.name, broken, found_at(done, name))
    assert not wrong, (wrong, [(each["id"], each["reason"]) for each in done.check(CHECK)["assertions"]])
    # Each of them counts in the strict verdict.
    assert (done.code, done.check(CHECK)["strict"]) == (1, "fail"), done.stderr
