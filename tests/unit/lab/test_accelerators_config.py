"""The configuration of a node's accelerators, and the slices built from it."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.fake_kubelet import NODE, FakeCluster, configuration

from aiconform.lab import device_numbers
from aiconform.lab.accelerators import (
    AcceleratorError,
    Identity,
    NodeRole,
    Offer,
    cluster_objects,
    devices_of,
    identities,
    read_config,
    split,
    write_config,
)
from aiconform.lab.accelerators.devices import nodes_of, numbers_needed
from aiconform.lab.accelerators.identity import canonical_identity, find_identity
from aiconform.lab.accelerators.prepared import make_device_nodes
from aiconform.lab.accelerators.slices import best_version, describe, plan

FOLDER = Path("/lab")


@given(
    count=st.integers(0, 8),
    offer=st.sampled_from(Offer),
    identity=st.sampled_from(list(identities().values())),
)
def test_each_device_is_offered_once_with_names_and_nodes_of_its_own(
    count: int, offer: Offer, identity: Identity
) -> None:
    config = configuration(FOLDER, count=count, offer=offer, identity=identity)
    devices = devices_of(config)
    assert devices_of(config) == devices
    to_dra, to_plugin = split(config)
    assert not {device.name for device in to_dra} & {device.name for device in to_plugin}
    assert all(device.on_demand for device in devices if device not in (*to_dra, *to_plugin))
    for of_device in ("index", "name", "uuid", "container_path"):
        assert len({getattr(device, of_device) for device in devices}) == len(devices)
    physical = [{device.parent for device in offered} for offered in (to_dra, to_plugin)]
    # Only DRA offers what a node has beside its physical devices.
    beside = {count + number for number in range(len(identity.further))} if count else set()
    assert physical[0] | physical[1] == {*range(count), *(beside if offer is not Offer.DEVICE_PLUGIN else ())}
    assert not physical[1] & beside
    if offer is Offer.BOTH:
        assert len(physical[0] - beside) - len(physical[1]) in (0, 1)
    nodes = nodes_of(devices)
    for of_node in ("container_path", "host_path"):
        assert len({getattr(node, of_node) for node in nodes}) == len(nodes)
    assert len({(node.major, node.minor) for node in nodes}) == len(nodes)
    if offer is not Offer.DEVICE_PLUGIN:
        assert len(nodes) == numbers_needed(identity, count)
    own = [
        node.container_path
        for device in devices
        for node in device.nodes
        if node.role in (NodeRole.MAIN, NodeRole.COMPANION) and not device.on_demand
    ]
    assert len(set(own)) == len(own), "a node of one device is another's, too"


def test_a_node_can_have_64_accelerators() -> None:
    """More than there are consoles."""
    nodes = nodes_of(devices_of(configuration(FOLDER, count=64, identity=identities()["nvidia"])))
    assert len({(node.major, node.minor) for node in nodes}) == 68
    assert {node.major for node in nodes} == {4, 7}


@given(st.integers(device_numbers.FIRST, device_numbers.LAST))
def test_every_slot_has_a_number_of_its_own(slot: int) -> None:
    major, minor = device_numbers.number(slot)
    others = {device_numbers.number(each) for each in range(device_numbers.FIRST, device_numbers.LAST + 1)}
    assert len(others) == device_numbers.LAST - device_numbers.FIRST + 1
    opens = device_numbers.console(major, minor) or (major, minor)
    assert opens[0] == 4
    assert 10 <= opens[1] <= 63


def test_a_configuration_outlives_its_file(tmp_path: Path) -> None:
    config = configuration(tmp_path, identity=identities()["nvidia"], offer="both")
    write_config(tmp_path / "a.json", config)
    assert read_config(tmp_path / "a.json") == config


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{", "Invalid JSON"),
        ('{"node_name": "a"}', "kubeconfig: Field required"),
        ('{"colour": 1}', "colour: Extra inputs are not permitted"),
    ],
)
def test_a_bad_file_is_named_with_what_is_wrong(tmp_path: Path, text: str, expected: str) -> None:
    path = tmp_path / "bad.json"
    path.write_text(text)
    with pytest.raises(AcceleratorError, match=re.escape(expected)) as caught:
        read_config(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"first_minor": 170, "count": 3}, "10-171"),
        ({"first_minor": 9, "count": 1}, "10-171"),
        ({"device_dir": Path("/dev")}, "own /dev"),
        ({"identity": identities()["simulated"].model_dump() | {"memory": "lots"}}, "memory"),
    ],
)
def test_impossible_values_are_refused(change: dict[str, object], expected: str) -> None:
    with pytest.raises(ValueError, match=re.escape(expected)):
        configuration(FOLDER, **change)


def test_an_identity_can_be_a_file_and_outlives_it(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("driver: gpu.example.com\nproduct: Simulated X1\nattributes: {cores: 64, fast: true}\n")
    found = find_identity(str(file))
    assert (found.driver, found.product, found.attributes) == (
        "gpu.example.com",
        "Simulated X1",
        {"cores": 64, "fast": True},
    )
    kept = canonical_identity(str(file))
    file.unlink()
    assert find_identity(kept) == found
    assert canonical_identity("nvidia") == "nvidia"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, "give one of simulated, .*nvidia, .*neuron, .*or a file"),
        ("drivr: x", "drivr: Extra inputs are not permitted"),
        ("[1]", "file: Input should be"),
        ("{", "well-formed YAML"),
    ],
)
def test_a_bad_identity_is_refused_with_what_is_wrong(tmp_path: Path, content: str | None, expected: str) -> None:
    file = tmp_path / "mine.yaml"
    if content is not None:
        file.write_text(content)
    with pytest.raises(AcceleratorError, match=expected):
        find_identity(str(file))


def test_memory_is_kept_as_the_api_server_writes_it() -> None:
    assert find_identity('{"memory": "81920Mi"}').memory == "80Gi"


def test_a_simulated_device_says_so_under_any_name() -> None:
    for identity in identities().values():
        config = configuration(FOLDER, identity=identity)
        for device in describe(config, devices_of(config)):
            assert device["attributes"]["simulated"] == {"bool": True}
            assert "Simulated" in device["attributes"][identity.product_attribute]["string"]


def test_renumbering_changes_every_value_but_that_one() -> None:
    config = configuration(FOLDER, identity=identities()["nvidia"])
    before, after = (describe(config, devices_of(config), times) for times in (0, 1))
    for old, new in zip(before, after, strict=True):
        same = {name for name, value in old["attributes"].items() if new["attributes"][name] == value}
        assert same == {"simulated"}


@given(st.data())
def test_any_history_of_publishing_ends_in_one_whole_pool(data: st.DataObject) -> None:
    """Whatever was published or lost: one plan leads to a pool that a scheduler accepts, a second is empty."""
    version = data.draw(st.sampled_from(["v1", "v1beta2", "v1beta1"]))
    slices: list[dict] = []
    last = 0
    for _ in range(data.draw(st.integers(1, 4))):
        config = configuration(
            FOLDER, count=data.draw(st.integers(0, 12)), devices_per_slice=data.draw(st.integers(1, 5))
        )
        wanted = describe(config, devices_of(config), data.draw(st.integers(0, 2)))
        changes = plan(slices, wanted, config=config, version=version, node_uid="u", last_generation=last)
        assert not changes or changes.generation > max(last, 0)
        slices = _carried_out(slices, changes)
        last = max(last, changes.generation)
        count = -(-len(wanted) // config.devices_per_slice)
        assert len(slices) == count
        for slice_ in slices:
            pool = slice_["spec"]["pool"]
            assert pool == {"name": NODE, "generation": changes.generation, "resourceSliceCount": count}
            assert slice_["metadata"]["ownerReferences"][0]["kind"] == "Node"
        published = [device["name"] for slice_ in slices for device in slice_["spec"]["devices"]]
        assert sorted(published) == sorted(device["name"] for device in wanted)
        assert all(("basic" in d) == (version == "v1beta1") for s in slices for d in s["spec"]["devices"])
        assert not plan(slices, wanted, config=config, version=version, node_uid="u", last_generation=last)
        lost = data.draw(st.sets(st.integers(0, max(len(slices) - 1, 0))))
        slices = [slice_ for position, slice_ in enumerate(slices) if position not in lost]


def _carried_out(slices: list[dict], changes) -> list[dict]:
    gone = [old["metadata"]["name"] for old in changes.delete]
    patched = {old["metadata"]["name"]: {**old, "spec": old["spec"] | new["spec"]} for old, new in changes.change}
    kept = [patched.get(s["metadata"]["name"], s) for s in slices if s["metadata"]["name"] not in gone]
    fresh = [
        {**new, "metadata": {**new["metadata"], "name": f"s{changes.generation}-{position}"}}
        for position, new in enumerate(changes.create)
    ]
    return kept + fresh


@pytest.mark.parametrize(
    ("served", "best"),
    [(("v1beta1", "v1"), "v1"), (("v1beta1", "v1beta2"), "v1beta2"), (("v1alpha3",), None), ((), None)],
)
def test_the_best_served_version_is_used(served: tuple[str, ...], best: str | None) -> None:
    assert best_version(served) == best


def test_the_device_class_selects_the_driver() -> None:
    device_class = cluster_objects(identities()["nvidia"], resource_by_dra=True)[0]
    assert device_class["metadata"]["name"] == "gpu.nvidia.com"
    (selector,) = device_class["spec"]["selectors"]
    of_type = 'device.attributes["gpu.nvidia.com"].type == "gpu"'
    assert selector["cel"]["expression"] == f'device.driver == "gpu.nvidia.com" && {of_type}'
    assert device_class["spec"]["extendedResourceName"] == "nvidia.com/gpu"
    assert "extendedResourceName" not in cluster_objects(identities()["simulated"])[0]["spec"]


@pytest.mark.skipif(os.geteuid() != 0, reason="device nodes need root")
def test_device_nodes_are_character_devices_and_wrong_ones_are_replaced(tmp_path: Path) -> None:
    devices = devices_of(configuration(tmp_path, count=2))
    devices[0].host_path.parent.mkdir(parents=True)
    devices[0].host_path.write_text("not a device")
    make_device_nodes(nodes_of(devices))
    inodes = [device.host_path.stat().st_ino for device in devices]
    make_device_nodes(nodes_of(devices))
    for device, inode in zip(devices, inodes, strict=True):
        found = device.host_path.stat()
        assert stat.S_ISCHR(found.st_mode)
        assert found.st_rdev == os.makedev(4, device.minor)
        assert found.st_ino == inode
        assert stat.S_IMODE(found.st_mode) == 0o666


def test_a_folder_that_cannot_hold_device_nodes_is_named(tmp_path: Path) -> None:
    (tmp_path / "device").write_text("a file")
    with pytest.raises(AcceleratorError, match="device_dir needs root"):
        make_device_nodes(nodes_of(devices_of(configuration(tmp_path))))


def test_the_fake_cluster_merges_as_rfc_7386_says() -> None:
    """The tests beside this one lean on it."""
    from support.fake_kubelet import _merged

    assert _merged({"a": {"b": 1, "c": 2}, "d": [1]}, {"a": {"b": None}, "d": [2]}) == {"a": {"c": 2}, "d": [2]}
    assert FakeCluster().of("Node")[0]["metadata"]["name"] == NODE


@pytest.mark.parametrize(
    ("change", "expected"),
    [({"count": 99}, "count: Input should be less than or equal to 64"), ({}, "No kubeconfig at")],
)
def test_the_process_says_why_it_does_not_start(tmp_path: Path, change: dict[str, object], expected: str) -> None:
    path = tmp_path / "node.json"
    path.write_text(json.dumps(configuration(tmp_path).model_dump(mode="json") | change))
    words = [sys.executable, "-m", "aiconform.lab.accelerators", "--config", str(path)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert expected in done.stderr
    assert "Traceback" not in done.stderr
