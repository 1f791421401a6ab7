"""What a lab is to be: names, addresses, device numbers, and what may change while it runs."""

from __future__ import annotations

import ipaddress
import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiconform.lab import plan, planning
from aiconform.lab.accelerators import identities
from aiconform.lab.accelerators.devices import numbers_needed
from aiconform.lab.config import MAX_LABS, MAX_NODES, LabConfig, LabError, Network, Paths
from aiconform.lab.device_numbers import FIRST, LAST


def made(config: LabConfig, root: Path) -> plan.LabPlan:
    """The plan of a new lab, saved."""
    new = planning.make(config, plan.read(Paths(config.name, root)), root)
    new.save(Paths(config.name, root))
    return new


@pytest.mark.parametrize("name", ["", "Lab", "1lab", "a" * 21, "lab-", "la/b", "..", "lab lab"])
def test_a_name_that_cannot_be_a_folder_and_a_cgroup_is_refused(name: str) -> None:
    with pytest.raises(LabError, match="lab name"):
        LabConfig(name=name)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"kubernetes": "1.20"}, r"1\.37.*1\.34"),
        ({"nodes": 0}, "1 to 32 nodes"),
        ({"nodes": 33}, "1 to 32 nodes"),
        ({"accelerators": -1}, "0 to 64"),
        ({"accelerators": 65}, "0 to 64"),
        ({"allocation": "magic"}, "dra, device-plugin"),
        ({"allocation": {"node-1": "magic"}}, "dra, device-plugin"),
    ],
)
def test_options_no_lab_can_have_are_refused_with_those_it_can(options: dict[str, object], says: str) -> None:
    with pytest.raises(LabError, match=says):
        LabConfig(**options)  # type: ignore[arg-type]


def test_addresses_of_all_labs_and_nodes_are_apart_and_reserved() -> None:
    seen: set[ipaddress.IPv4Address] = set()
    blocks = []
    for index in range(MAX_LABS):
        network = Network(index)
        blocks.append(network.block)
        machines = {network.host, network.control_plane, *(network.node(n) for n in range(1, MAX_NODES + 1))}
        assert len(machines) == MAX_NODES + 2
        assert all(ipaddress.ip_address(address) in network.machines for address in machines)
        parts = [network.machines, network.services, *(network.pods(n) for n in range(1, MAX_NODES + 1))]
        assert all(not one.overlaps(other) for one, other in itertools.combinations(parts, 2))
        assert all(part.subnet_of(network.block) for part in parts)
        assert all(network.pods(n).subnet_of(network.all_pods) for n in range(1, MAX_NODES + 1))
        assert ipaddress.ip_address(network.dns) in network.services
        assert not seen & set(parts[0])
        seen |= set(parts[0])
    assert all(not one.overlaps(other) for one, other in itertools.combinations(blocks, 2))
    assert all(block.subnet_of(ipaddress.IPv4Network("198.18.0.0/15")) for block in blocks)


def test_the_paths_of_sockets_fit_into_a_socket_address() -> None:
    paths = Paths("a" * 20)
    assert len(str(paths.machine_socket("n" * 40))) < 108
    assert len(str(paths.supervisor_socket)) < 108


def test_a_new_lab_has_two_nodes_that_offer_their_accelerators_in_different_ways(tmp_path: Path) -> None:
    new = made(LabConfig(), tmp_path)
    assert [(node.name, node.allocation, node.accelerators) for node in new.nodes] == [
        ("node-1", "dra", 4),
        ("node-2", "device-plugin", 4),
    ]
    assert plan.read(Paths("lab", tmp_path)) == new


def test_options_left_out_keep_a_lab_as_it_is(tmp_path: Path) -> None:
    new = made(LabConfig(nodes=3, accelerators=1, allocation={"node-2": "both"}, kubernetes="1.35"), tmp_path)
    assert made(LabConfig(), tmp_path) == new


def test_a_lab_grows_and_shrinks_and_keeps_the_nodes_that_stay(tmp_path: Path) -> None:
    two = made(LabConfig(), tmp_path)
    four = made(LabConfig(nodes=4), tmp_path)
    assert four.nodes[:2] == two.nodes
    assert [node.name for node in four.nodes] == ["node-1", "node-2", "node-3", "node-4"]
    assert made(LabConfig(nodes=1), tmp_path).nodes == two.nodes[:1]


@pytest.mark.parametrize("options", [{"kubernetes": "1.36"}, {"identity": "nvidia"}])
def test_what_cannot_change_while_a_lab_is_up_is_refused_with_the_way_out(
    options: dict[str, str], tmp_path: Path
) -> None:
    made(LabConfig(), tmp_path)
    with pytest.raises(LabError, match="lab down --name lab"):
        made(LabConfig(**options), tmp_path)  # type: ignore[arg-type]


def test_a_way_for_a_node_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="no node node-7; it has node-1, node-2"):
        made(LabConfig(allocation={"node-7": "dra"}), tmp_path)


def test_accelerators_can_change_while_a_lab_is_up(tmp_path: Path) -> None:
    made(LabConfig(), tmp_path)
    changed = made(LabConfig(accelerators=6, allocation="both"), tmp_path)
    assert {(node.accelerators, node.allocation) for node in changed.nodes} == {(6, "both")}
    assert numbers_are_apart([changed])


def test_an_identity_that_needs_a_newer_kubernetes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LabError, match=r"nvidia-dra-dynamic-mig needs Kubernetes 1\.36 or newer, not 1\.34"):
        made(LabConfig(identity="nvidia-dra-dynamic-mig", kubernetes="1.34"), tmp_path)
    assert made(LabConfig(identity="nvidia-dra-dynamic-mig", kubernetes="1.36"), tmp_path).kubernetes == "1.36"


def test_accelerators_that_need_more_device_nodes_than_there_are_numbers_are_refused(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="a node cannot have 16 accelerators of this identity: they need 257"):
        made(LabConfig(identity="amd-partitioned", accelerators=16), tmp_path)
    assert made(LabConfig(identity="nvidia", accelerators=64), tmp_path).nodes[0].accelerators == 64


def test_what_is_offered_in_one_way_only_is_so_by_default(tmp_path: Path) -> None:
    shared = made(LabConfig(identity="nvidia-mps"), tmp_path)
    assert {node.allocation for node in shared.nodes} == {"device-plugin"}
    asked = made(LabConfig(name="asked", identity="nvidia-mps", allocation="both"), tmp_path)
    assert {node.allocation for node in asked.nodes} == {"both"}


def test_nodes_of_a_persona_have_slots_for_all_their_device_nodes(tmp_path: Path) -> None:
    first, second = made(LabConfig(identity="amd"), tmp_path).nodes
    assert second.first_minor == first.first_minor + 9


def test_each_node_can_have_another_identity(tmp_path: Path) -> None:
    config = LabConfig(nodes=3, identity={"node-2": "tpu", "node-3": "nvidia-dra"}, allocation={"node-1": "both"})
    made(config, tmp_path)
    lab = plan.read(Paths("lab", tmp_path))
    assert lab is not None
    assert [lab.identity_of(node) for node in lab.nodes] == ["simulated", "tpu", "nvidia-dra"]
    assert [node.allocation for node in lab.nodes] == ["both", "device-plugin", "dra"]
    grown = made(LabConfig(nodes=4, accelerators=2), tmp_path)
    assert [lab.identity_of(node) for node in grown.nodes] == ["simulated", "tpu", "nvidia-dra", "simulated"]
    for identity in ("tpu", {"node-2": "gaudi"}):
        with pytest.raises(LabError, match="which cannot change to"):
            planning.make(LabConfig(identity=identity), lab, tmp_path)
    with pytest.raises(LabError, match="no node node-9"):
        planning.make(LabConfig(name="other", identity={"node-9": "tpu"}), None, tmp_path)


def test_the_machine_s_own_devices_are_handed_out_once_and_kept(tmp_path: Path) -> None:
    new = made(LabConfig(devices=("/dev/null", "/dev/zero", "/dev/random"), nodes=2), tmp_path)
    assert new.identity == "machine"
    assert [(node.devices, node.accelerators) for node in new.nodes] == [
        (("/dev/null", "/dev/zero"), 2),
        (("/dev/random",), 1),
    ]
    assert plan.read(Paths("lab", tmp_path)) == new
    more = made(LabConfig(nodes=3, allocation="both"), tmp_path)
    assert [node.accelerators for node in more.nodes] == [2, 1, 0]
    assert [node.devices for node in more.nodes[:2]] == [node.devices for node in new.nodes]
    with pytest.raises(LabError, match="has devices /dev/null /dev/random /dev/zero, which cannot change to /dev/full"):
        made(LabConfig(devices=("/dev/full",)), tmp_path)
    with pytest.raises(LabError, match="offers the machine's own devices"):
        made(LabConfig(accelerators=4), tmp_path)


def test_a_lab_of_one_s_own_devices_has_one_node_and_one_of_simulated_ones_gets_none(tmp_path: Path) -> None:
    assert [node.devices for node in made(LabConfig(name="own", devices=("/dev/null",)), tmp_path).nodes] == [
        ("/dev/null",)
    ]
    made(LabConfig(), tmp_path)
    with pytest.raises(LabError, match="has devices that are simulated, which cannot change to /dev/null"):
        made(LabConfig(devices=("/dev/null",)), tmp_path)
    assert "devices" not in Paths("lab", tmp_path).plan.read_text()
    with pytest.raises(LabError, match="leave out --accelerators"):
        LabConfig(devices=("/dev/null",), accelerators=1)


def test_labs_of_one_machine_have_indexes_and_device_numbers_of_their_own(tmp_path: Path) -> None:
    labs = [made(LabConfig(name=f"lab-{letter}"), tmp_path) for letter in "abc"]
    assert {lab.index for lab in labs} == {0, 1, 2}
    assert numbers_are_apart(labs)
    # A lab that has gone makes room.
    Paths("lab-b", tmp_path).plan.unlink()
    assert made(LabConfig(name="lab-d"), tmp_path).index == 1


def test_the_machine_takes_only_so_many_labs(tmp_path: Path) -> None:
    for i in range(MAX_LABS):
        made(LabConfig(name=f"lab-{i}", nodes=1), tmp_path)
    with pytest.raises(LabError, match="lab down"):
        made(LabConfig(name="one-more"), tmp_path)


@given(st.lists(st.integers(0, 64), min_size=1, max_size=6))
def test_device_numbers_are_always_valid_and_apart_while_there_are_enough(counts: list[int]) -> None:
    root = Path("/nonexistent")
    current = plan.LabPlan("lab", 0)
    for i, count in enumerate(counts):
        current = planning.add_node(current, f"node-{i}", root, accelerators=count)
    for node in current.nodes:
        assert node.first_minor >= FIRST
        assert node.first_minor + _numbers(node) - 1 <= LAST
    if sum(map(_numbers, current.nodes)) <= LAST - FIRST + 1:
        assert numbers_are_apart([current])


def _numbers(node: plan.NodePlan) -> int:
    return numbers_needed(identities()["simulated"], node.accelerators)


def numbers_are_apart(labs: list[plan.LabPlan]) -> bool:
    numbers = [node.first_minor + i for lab in labs for node in lab.nodes for i in range(_numbers(node))]
    return len(set(numbers)) == len(numbers)


def test_nodes_are_added_and_removed_by_name(tmp_path: Path) -> None:
    new = made(LabConfig(), tmp_path)
    grown = planning.add_node(new, "gpu-a", tmp_path, allocation="both", accelerators=1)
    assert grown.node("gpu-a").allocation == "both"
    assert planning.remove_node(grown, "node-1").nodes == grown.nodes[1:]
    with pytest.raises(LabError, match="already"):
        planning.add_node(grown, "gpu-a", tmp_path)
    with pytest.raises(LabError, match="it has node-1, node-2"):
        planning.remove_node(new, "gpu-a")
    with pytest.raises(LabError, match="last node"):
        planning.remove_node(planning.remove_node(new, "node-1"), "node-2")
    # A number that has become free is used again: addresses do not run out.
    assert planning.add_node(planning.remove_node(grown, "node-1"), "back", tmp_path).node("back").number == 1


@pytest.mark.parametrize("name", ["control-plane", "UPPER", "", "a_b", "-a", "a" * 41])
def test_names_no_node_can_have(name: str, tmp_path: Path) -> None:
    with pytest.raises(LabError, match="node name"):
        planning.add_node(made(LabConfig(), tmp_path), name, tmp_path)


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"machines": {}, "nodes": [{"name": "x"}]}'])
def test_a_broken_plan_says_how_to_get_rid_of_it(content: str, tmp_path: Path) -> None:
    paths = Paths("lab", tmp_path)
    paths.state.mkdir()
    paths.plan.write_text(content)
    with pytest.raises(LabError, match="lab down --name lab"):
        plan.read(paths)
