"""gpu_sharing on every way in which devices are shared: right where it is healthy, and broken as each fault says.

One lab has a node for each way, each with two devices, so that a run looks at all of them, each with another fault.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pytest
from support.lab import LAB, Lab
from support.shapes import assert_broken, found_at, rounds, shaped_lab

from aiconform.lab.accelerators import Offer, identities
from aiconform.lab.accelerators.sharing import WAYS
from aiconform.lab.faults.fault import Fault
from aiconform.lab.faults.registry import FAULTS

NAME = f"{LAB}-sharing"
CHECK = "gpu_sharing"


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
        """The faults of sharing that such a node can have; where a claim of two Pods shares devices, of drivers."""
        if not self.bound:
            return [FAULTS[name] for name in OF_DRIVERS]
        return [FAULTS[name] for name in WAYS if FAULTS[name].suits(identities()[self.identity], self.offer)]


# What else drivers do wrong shows by a claim, too: fault -> what it breaks.
OF_DRIVERS = {"driver-never-prepares": {"both_pods_run"}, "driver-prepares-nothing": set[str]()}
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
SLOW = ("second-share-refused", "last-share-refused", "driver-never-prepares")
"""By DRA, a run waits for the Pods that do not get their share."""
# A fixed window, only as long as a defect of the lab needs to show itself; and the limit of Pods that never start.
BRIEF = {f"{CHECK}.observe_seconds": 8, f"{CHECK}.start_seconds": 40}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "faults" in metafunc.fixturenames:
        found = rounds(NODES, SLOW)
        metafunc.parametrize("faults", found.values(), ids=found)


@pytest.fixture(scope="module")
def lab(can_have_labs: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with shaped_lab(NAME, NODES, tmp_path_factory.mktemp("runs")) as made:
        yield made


def test_every_way_is_found_and_right(lab: Lab) -> None:
    done = lab.look(CHECK, brief=BRIEF, words=["--every-node"])
    assert done.code == 0, done.stderr
    assert done.passes(CHECK)
    for name, node in NODES.items():
        assert found_at(done, CHECK, name) == dict.fromkeys(node.assertions, True), name
    records = json.loads((done.folder / f"observations/{CHECK}.json").read_text())["records"]
    seen = [record["observation"] for record in records if record["observation"]]
    assert {each["node"]: each["strategy"] for each in seen} == {name: node.strategy for name, node in NODES.items()}
    assert done.report["simulated"] is True


def test_each_fault_breaks_its_assertions_where_it_is(lab: Lab, faults: Mapping[str, Fault]) -> None:
    with lab.faults_at({node: [fault.name] for node, fault in faults.items()}):
        done = lab.look(CHECK, brief=BRIEF, words=["--every-node"])
    assert_broken(done, CHECK, NODES, faults)
    if of_driver := faults.get(BY_CLAIM):
        # A container without its device is no proof of sharing.
        assert done.broken(CHECK, BY_CLAIM) == OF_DRIVERS[of_driver.name]
        assert found_at(done, CHECK, BY_CLAIM)["shares_are_of_one_device"] is None
