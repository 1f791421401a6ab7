"""gpu_sharing on every way in which devices are shared: right where it is healthy, and broken as each fault says.

One lab has a node for each way, each with two devices, so that a run looks at all of them, each with another fault.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass

import pytest
from support.lab import LAB, Lab, Outcome, at_node, options, succeed

from aiconform.lab.accelerators import Offer, identities
from aiconform.lab.accelerators.sharing import WAYS
from aiconform.lab.faults.fault import Fault
from aiconform.lab.faults.registry import FAULTS

NAME = f"{LAB}-sharing"
CHECK = "gpu_sharing"
DEVICES = 2


@dataclass(frozen=True)
class Shared:
    """What a node acts out. bound: how many shares there are to fill, None without a bound. partitions: of memory."""

    identity: str
    offer: Offer
    strategy: str
    bound: int | None
    partitions: bool = False

    @property
    def assertions(self) -> set[str]:
        """Those that apply."""
        return {
            *("shares_can_be_requested", "both_pods_run", "shares_are_of_one_device"),
            *(("advertised_shares_run", "excess_share_stays_unscheduled") if self.bound else ()),
            *(("partition_memory_is_its_own",) if self.partitions else ()),
        }

    @property
    def faults(self) -> list[Fault]:
        """The faults of sharing that such a node can have."""
        return [FAULTS[name] for name in WAYS if FAULTS[name].suits(identities()[self.identity], self.offer)]


NODES = {
    "node-1": Shared("simulated-shared", Offer.DRA, "consumable-capacity", 4),
    "node-2": Shared("nvidia-dra-dynamic-mig", Offer.DRA, "partitions-by-DRA", 7, partitions=True),
    "node-3": Shared("nvidia-mig-mixed", Offer.DEVICE_PLUGIN, "hardware-partitions", 8, partitions=True),
    "node-4": Shared("nvidia-time-slicing", Offer.DEVICE_PLUGIN, "device-plugin-replicas", 8),
    "node-5": Shared("amd-partitioned", Offer.DEVICE_PLUGIN, "hardware-partitions", 16, partitions=True),
    # By a claim of two Pods where its vendor's devices are shared in no other way.
    "node-6": Shared("intel-gpu", Offer.DRA, "shared-claim", None),
}
BY_CLAIM = "node-6"
# What else drivers do wrong shows there, too: fault -> what it breaks. A container without its device decides nothing.
OF_DRIVERS = {"driver-never-prepares": {"both_pods_run"}, "driver-prepares-nothing": set[str]()}
# A fixed window, only as long as a defect of the lab needs to show itself; and the limit of Pods that never start.
BRIEF = {f"{CHECK}.observe_seconds": 8, f"{CHECK}.start_seconds": 40}


def rounds() -> list[dict[str, Fault]]:
    """Node -> its fault, for each of as few runs as show every fault in every way; different ones where possible."""
    most = max(len(node.faults) for node in NODES.values())
    found = []
    for number in range(most):
        turns = enumerate(NODES.items())
        found.append(
            {
                name: node.faults[(number + position) % most]
                for position, (name, node) in turns
                if (number + position) % most < len(node.faults)
            }
        )
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


def looked_at(lab: Lab, *words: str) -> Outcome:
    slowness = lab.slowness
    done = lab.run(CHECK, "--every-node", *words, "--patience", str(30 * slowness), *options(BRIEF, slowness))
    succeed("judge", done.folder)
    return done


def found_at(done: Outcome, node: str) -> Mapping[str, bool | None]:
    """Assertion -> what it finds at a node, of those that apply there."""
    entries = done.check(CHECK)["assertions"]
    return {entry["id"]: held[0] for entry in entries if (held := at_node(entry, node))}


def test_every_way_is_found_and_right(lab: Lab) -> None:
    done = looked_at(lab)
    assert done.code == 0, done.stderr
    assert done.passes(CHECK)
    for name, node in NODES.items():
        assert found_at(done, name) == dict.fromkeys(node.assertions, True), name
    records = json.loads((done.folder / f"observations/{CHECK}.json").read_text())["records"]
    seen = [record["observation"] for record in records if record["observation"]]
    assert {each["node"]: each["strategy"] for each in seen} == {name: node.strategy for name, node in NODES.items()}
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
        may_break = {each.rpartition("/")[2] for each in fault.may_break} if fault else set()
        if broken - may_break != expected or (not fault and None in found_at(done, name).values()):
            wrong[name] = (node.identity, fault and fault.name, broken, found_at(done, name))
    assert not wrong, (wrong, [(each["id"], each["reason"]) for each in done.check(CHECK)["assertions"]])
    # Each of them counts in the strict verdict.
    assert (done.code, done.check(CHECK)["strict"]) == (1, "fail"), done.stderr


@pytest.mark.parametrize("name", OF_DRIVERS)
def test_a_claim_whose_device_does_not_come_is_no_proof_of_sharing(lab: Lab, name: str) -> None:
    with lab.fault(name, where=("--node", BY_CLAIM)):
        done = looked_at(lab, "--nodes", f"kubernetes.io/hostname={BY_CLAIM}")
    assert done.broken(CHECK, BY_CLAIM) == OF_DRIVERS[name]
    assert found_at(done, BY_CLAIM)["shares_are_of_one_device"] is None
