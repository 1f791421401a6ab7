"""Faults of the lab: their names, the command, and how they are put in force on a node."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from support.fake_kubelet import configuration

from aiconform import lab as lab_package
from aiconform.cli.lab_fault import command
from aiconform.lab import LabError
from aiconform.lab.accelerators import (
    AcceleratorConfig,
    DriverFault,
    Offer,
    devices_of,
    identities,
    read_config,
    write_config,
)
from aiconform.lab.accelerators.sharing import WAYS, plugged
from aiconform.lab.accelerators.status import digest
from aiconform.lab.addons.registry import ADD_ONS
from aiconform.lab.faults.fault import InCluster
from aiconform.lab.faults.registry import FAULTS, UnknownFault, find
from aiconform.lab.faults.runtime import write_wrapper
from aiconform.lab.faults.state import driver_faults, names_on, names_on_node, record
from aiconform.lab.faults.switch import reapply
from aiconform.lab.machines.files import write_json


class FakeNode:
    """A node whose accelerator process takes up its configuration at once, if it listens."""

    def __init__(self, folder: Path, name: str, *, accelerators: bool = True) -> None:
        self.name = name
        self.accelerators = folder / name / "accelerators.json" if accelerators else None
        self.runtime_switch = folder / name / "runtime-faults.json"
        self.runtime_switch.parent.mkdir(parents=True)
        self.renewals = 0
        self.listens = True
        self.signals = 0
        if self.accelerators:
            write_config(self.accelerators, configuration(folder / name, node_name=name, count=2))
            self.reload_accelerators()

    @property
    def config(self) -> AcceleratorConfig:
        assert self.accelerators
        return read_config(self.accelerators)

    def reload_accelerators(self) -> None:
        self.signals += 1
        if self.listens:
            runs = DriverFault.NO_DRIVER not in self.config.faults
            counts = {resource: len(ids) if runs else 0 for resource, ids in plugged(self.config).items()}
            held = {"published": True, "dra_registered": True, "plugins_registered": [*counts], "allocatable": counts}
            write_json(self.config.state_dir / "status.json", {"config": digest(self.config), "problem": "", **held})

    def renew_links(self) -> Callable[[], bool]:
        self.renewals += 1
        return lambda: self.listens

    def become(self, identity: str, offer: Offer) -> None:
        """Have accelerators of another identity, which Pods request in this way."""
        assert self.accelerators
        changed = self.config.model_copy(update={"identity": identities()[identity], "offer": offer})
        write_config(self.accelerators, changed)
        self.reload_accelerators()


class FakeLab:
    def __init__(self, folder: Path) -> None:
        self.state = folder / "state"
        self.running = True
        self.nodes = [
            FakeNode(folder, "node-1"),
            FakeNode(folder, "node-2"),
            FakeNode(folder, "bare", accelerators=False),
        ]
        self.add_ons = tuple(ADD_ONS)
        self.kubeconfig = folder / "kubeconfig"
        self.overrides: list[Mapping[str, bool]] = []

    def override_runtime_config(self, served: Mapping[str, bool]) -> None:
        self.overrides.append(served)


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeLab:
    fake = FakeLab(tmp_path)
    monkeypatch.setattr(lab_package, "load", lambda name: fake if name == "lab" else None)
    return fake


def run(*arguments: str) -> Any:
    return CliRunner().invoke(command, arguments)


# The command


def test_the_list_names_every_fault_and_says_which_are_on(lab: FakeLab) -> None:
    assert run("driver-prepares-all").exit_code == 0
    listed = run("--list", "--output", "json")
    assert listed.exit_code == 0
    assert listed.stdout == run("--list", "-o", "json").stdout
    rows = {row["name"]: row for row in json.loads(listed.stdout)}
    assert set(rows) == set(FAULTS)
    assert {name for name, row in rows.items() if row["on"]} == {"driver-prepares-all"}
    assert all(row["description"].endswith(".") and "\n" not in row["description"] for row in rows.values())
    assert rows["driver-prepares-all"]["scope"] == "node"
    assert "secure_accelerator_access/holders_are_disjoint" in rows["driver-prepares-all"]["breaks"]
    disturbed = ["accelerator_metrics", "gpu_sharing", "virtualized_accelerator"]
    assert rows["driver-prepares-all"]["disturbs"] == disturbed
    assert "on   driver-prepares-all" in run("--list").stdout
    for told in (f"; disturbs {', '.join(disturbed)}\n", "; disturbs every other check\n"):
        assert told in run("--list").stdout


def test_the_list_needs_no_lab(lab: FakeLab) -> None:
    listed = run("--list", "--name", "none", "-o", "json")
    assert listed.exit_code == 0
    assert not any(row["on"] for row in json.loads(listed.stdout))


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("driver-prepare-all",), "did you mean driver-prepares-all?"),
        (("qqqqqqqq",), "aiconform lab fault --list"),
        ((), "give names of faults, --off --all, or --list"),
        (("no-driver", "--list"), "give names of faults, --off --all, or --list"),
        (("--list", "--off"), "give names of faults, --off --all, or --list"),
        (("no-driver", "--name", "other"), "aiconform lab up --name other"),
    ],
)
def test_wrong_use_is_told_with_the_way_out(lab: FakeLab, arguments: tuple[str, ...], expected: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert expected in result.stderr
    assert names_on(lab.state) == ()


def test_a_fault_that_does_not_come_in_force_is_an_error(lab: FakeLab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aiconform.lab.faults.switch.IN_FORCE_SECONDS", 0.1)
    lab.nodes[1].listens = False
    result = run("no-driver")
    assert result.exit_code == 2
    assert "node-2: the configuration is not taken up yet" in result.stderr


def test_a_fault_of_an_add_on_that_is_not_installed_says_which(lab: FakeLab) -> None:
    lab.add_ons = ()
    result = run("kueue-counts-quota-only")
    assert result.exit_code == 2
    assert "needs add-on kueue, which is not installed: `aiconform lab up --with kueue`" in result.stderr


def test_a_lab_that_is_down_takes_no_fault(lab: FakeLab) -> None:
    lab.running = False
    result = run("no-driver")
    assert result.exit_code == 2
    assert "lab lab is not up" in result.stderr
    assert names_on(lab.state) == ()


# Drivers


def test_a_process_that_is_only_starting_gets_no_signal(lab: FakeLab) -> None:
    """It reads the new configuration by itself, and before it can handle signals one would end it."""
    node = lab.nodes[0]
    (node.config.state_dir / "status.json").unlink()
    before = node.signals
    later = threading.Timer(0.3, node.reload_accelerators)
    later.start()
    assert run("driver-prepares-all").exit_code == 0
    later.join()
    assert node.signals == before + 1


@pytest.mark.parametrize("name", [fault.value for fault in DriverFault])
def test_a_driver_fault_reaches_every_driver_and_leaves_it(lab: FakeLab, name: str) -> None:
    if name in WAYS:
        for node in lab.nodes[:2]:
            node.become("nvidia-mig-mixed", Offer.BOTH)
    if name == DriverFault.MORE_SHARES:
        lab.nodes[0].become("nvidia-time-slicing", Offer.DEVICE_PLUGIN)
    assert run(name).stdout == f"{name} is on\n"
    assert [node.config.faults for node in lab.nodes[:2]] == [(name,), (name,)]
    assert run(name, "--off").stdout == f"{name} is off\n"
    assert [node.config.faults for node in lab.nodes[:2]] == [(), ()]
    assert lab.overrides == []


def test_faults_add_up_and_outlive_the_lab(lab: FakeLab) -> None:
    run("no-driver")
    run("runtime-leaks-devices")
    assert lab.nodes[0].accelerators
    write_config(lab.nodes[0].accelerators, lab.nodes[0].config.model_copy(update={"faults": ()}))
    lab.nodes[0].runtime_switch.unlink()
    reapply(lab)
    assert set(names_on(lab.state)) == {"runtime-leaks-devices", "no-driver"}
    assert driver_faults(lab.state, "node-1") == (DriverFault.NO_DRIVER,)
    assert lab.nodes[0].config.faults == (DriverFault.NO_DRIVER,)
    assert lab.nodes[0].runtime_switch.exists()


def test_a_fault_of_a_node_is_on_where_it_is_turned_on(lab: FakeLab) -> None:
    one, two = lab.nodes[:2]
    assert run("driver-prepares-all", "no-driver", "--node", "node-2").stdout == (
        "driver-prepares-all is on at node-2\nno-driver is on at node-2\n"
    )
    run("runtime-opens-devices", "--node", "node-1")
    assert (one.config.faults, two.config.faults) == ((), (DriverFault.PREPARES_ALL, DriverFault.NO_DRIVER))
    assert (one.runtime_switch.exists(), two.runtime_switch.exists()) == (True, False)
    rows = {row["name"]: row for row in json.loads(run("--list", "-o", "json").stdout)}
    assert rows["no-driver"]["nodes"] == ["node-2"]
    assert "on   no-driver" in run("--list").stdout
    run("no-driver", "--off", "--node", "node-2")
    assert two.config.faults == (DriverFault.PREPARES_ALL,)
    assert run("--off", "--all").exit_code == 0
    assert names_on(lab.state) == ()
    assert two.config.faults == ()


def test_one_command_turns_on_other_faults_at_each_node(lab: FakeLab) -> None:
    one, two = lab.nodes[:2]
    before = [node.signals for node in lab.nodes]
    words = ("driver-prepares-all@node-2", "no-driver@node-1", "runtime-opens-devices@bare", "no-driver@node-2")
    assert run(*words, "no-driver@node-1").stdout == (
        "driver-prepares-all is on at node-2\nno-driver is on at node-1, node-2\nruntime-opens-devices is on at bare\n"
    )
    assert one.config.faults == (DriverFault.NO_DRIVER,)
    assert set(two.config.faults) == {DriverFault.PREPARES_ALL, DriverFault.NO_DRIVER}
    assert [node.runtime_switch.exists() for node in lab.nodes] == [False, False, True]
    # Each node is told once, however many faults it has.
    assert [node.signals - signals for node, signals in zip(lab.nodes, before, strict=True)] == [1, 1, 0]
    assert json.loads(run(*words[:3], "--off", "-o", "json").stdout) == [
        {"name": "driver-prepares-all", "on": False, "nodes": ["node-2"]},
        {"name": "no-driver", "on": False, "nodes": ["node-1"]},
        {"name": "runtime-opens-devices", "on": False, "nodes": ["bare"]},
    ]
    assert (one.config.faults, two.config.faults) == ((), (DriverFault.NO_DRIVER,))
    assert [node.runtime_switch.exists() for node in lab.nodes] == [False, False, False]
    assert [node.signals - signals for node, signals in zip(lab.nodes, before, strict=True)] == [2, 2, 0]


def test_a_fault_given_without_a_node_is_everywhere_beside_those_of_nodes(lab: FakeLab) -> None:
    assert run("no-dra-api", "no-driver@node-1").stdout == "no-dra-api is on\nno-driver is on at node-1\n"
    assert [node.config.faults for node in lab.nodes[:2]] == [(DriverFault.NO_DRIVER,), ()]
    assert run("no-driver@node-1", "no-driver").stdout == "no-driver is on\n"
    assert driver_faults(lab.state, "new") == (DriverFault.NO_DRIVER,)


def test_a_fault_that_is_on_everywhere_can_be_turned_off_at_a_node(lab: FakeLab) -> None:
    run("no-driver")
    run("no-driver", "--off", "--node", "node-1")
    assert [node.config.faults for node in lab.nodes[:2]] == [(), (DriverFault.NO_DRIVER,)]
    # New nodes still have it: they did before.
    assert driver_faults(lab.state, "ordered", autoscaled=True) == (DriverFault.NO_DRIVER,)


def test_a_fault_can_be_on_at_ordered_nodes_only(lab: FakeLab) -> None:
    assert run("no-driver", "--autoscaled").stdout == "no-driver is on at autoscaled nodes\n"
    assert [node.config.faults for node in lab.nodes[:2]] == [(), ()]
    assert driver_faults(lab.state, "ordered", autoscaled=True) == (DriverFault.NO_DRIVER,)
    assert driver_faults(lab.state, "node-1") == ()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("no-driver", "--node", "node-9"), "no node node-9; it has node-1, node-2, bare"),
        (("no-dra-api", "--node", "node-1"), "no-dra-api is a fault of the whole lab"),
        (("runtime-leaks-devices@node-1", "no-driver@node-9"), "no node node-9; it has node-1, node-2, bare"),
        (("no-driver@node-1", "no-dra-api@node-1"), "no-dra-api is a fault of the whole lab"),
        (("no-driver@node-1", "no-drivr@node-2"), "did you mean no-driver?"),
        (("no-driver@",), "no-driver@ names no node: give FAULT@NODE"),
        (("no-driver@node-1", "--node", "node-2"), "no-driver@node-1 says where the fault is: give it without --node"),
        (("no-driver@node-1", "--autoscaled"), "no-driver@node-1 says where the fault is: give it without --node"),
        (("no-driver", "--all"), "give names of faults, --off --all, or --list"),
        (("--all",), "give names of faults, --off --all, or --list"),
    ],
)
def test_a_place_where_a_fault_cannot_be_is_refused(lab: FakeLab, arguments: tuple[str, ...], told: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert told in result.stderr
    assert names_on(lab.state) == ()


def test_the_state_of_earlier_releases_is_understood(lab: FakeLab) -> None:
    lab.state.mkdir(parents=True, exist_ok=True)
    write_json(lab.state / "faults.json", ["no-driver"])
    assert driver_faults(lab.state, "node-1") == (DriverFault.NO_DRIVER,)
    run("no-driver", "--off")
    assert names_on(lab.state) == ()


@given(st.lists(st.tuples(st.booleans(), st.frozensets(st.sampled_from(["a", "b", "c"])))))
def test_where_a_fault_is_on_follows_what_was_asked(tmp_path_factory: Any, changes: list[Any]) -> None:
    state = tmp_path_factory.mktemp("state")
    expected: set[str] = set()
    for on, nodes in changes:
        record(state, {"no-driver": nodes}, on, ["a", "b", "c"])
        where = nodes or {"a", "b", "c"}
        expected = expected | where if on else expected - where
    assert {node for node in "abc" if names_on_node(state, node)} == expected


def test_changes_in_the_cluster_are_side_by_side_and_one_that_fails_is_named(
    lab: FakeLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = asyncio.Event()

    async def first(cluster: object) -> None:
        await begun.wait()

    async def second(cluster: object) -> None:
        begun.set()
        raise LabError("the webhook stays")

    changed = {
        name: replace(FAULTS[name], how=InCluster(how, how))
        for name, how in (("kueue-says-nothing", first), ("routes-match-all", second))
    }
    monkeypatch.setattr("aiconform.lab.faults.registry.FAULTS", {**FAULTS, **changed})
    monkeypatch.setattr("aiconform.lab.faults.switch.FAULTS", {**FAULTS, **changed})
    monkeypatch.setattr("aiconform.cluster.connect", contextlib.asynccontextmanager(_no_cluster))
    result = run("kueue-says-nothing", "routes-match-all")
    assert result.exit_code == 2
    assert "routes-match-all: the webhook stays" in result.stderr
    assert "kueue-says-nothing" not in result.stderr
    assert set(names_on(lab.state)) == {"kueue-says-nothing", "routes-match-all"}
    run("kueue-says-nothing", "routes-match-all", "--off")
    # What could not be turned off is still on.
    assert names_on(lab.state) == ("routes-match-all",)


def test_changes_of_one_check_take_turns(lab: FakeLab, monkeypatch: pytest.MonkeyPatch) -> None:
    """They can change the same objects, such as the Deployment of Kueue."""
    told: list[str] = []

    def telling(name: str) -> InCluster:
        async def change(cluster: object) -> None:
            told.append(f"{name} begins")
            await asyncio.sleep(0)
            told.append(f"{name} ends")

        return InCluster(change, change)

    names = ("kueue-webhooks-down", "kueue-counts-quota-only")
    changed = {name: replace(FAULTS[name], how=telling(name)) for name in names}
    monkeypatch.setattr("aiconform.lab.faults.registry.FAULTS", {**FAULTS, **changed})
    monkeypatch.setattr("aiconform.cluster.connect", contextlib.asynccontextmanager(_no_cluster))
    assert run(*names).exit_code == 0
    assert told == [f"{name} {what}" for name in names for what in ("begins", "ends")]


def test_a_node_that_does_not_follow_keeps_no_change_in_the_cluster_back(
    lab: FakeLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes: list[str] = []

    async def change(cluster: object) -> None:
        changes.append("made")

    changed = {"routes-match-all": replace(FAULTS["routes-match-all"], how=InCluster(change, change))}
    monkeypatch.setattr("aiconform.lab.faults.registry.FAULTS", {**FAULTS, **changed})
    monkeypatch.setattr("aiconform.cluster.connect", contextlib.asynccontextmanager(_no_cluster))
    monkeypatch.setattr("aiconform.lab.faults.switch.IN_FORCE_SECONDS", 0.1)
    lab.nodes[1].listens = False
    result = run("no-driver", "routes-match-all")
    assert result.exit_code == 2
    assert "no-driver: no effect after" in result.stderr
    assert "routes-match-all" not in result.stderr
    assert changes == ["made"]
    assert set(names_on(lab.state)) == {"no-driver", "routes-match-all"}


def test_what_faults_left_of_a_node_s_links_is_undone_before_and_after_one_of_networks(
    lab: FakeLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    def renewals() -> list[int]:
        return [node.renewals for node in lab.nodes]

    assert run("interface-not-returned").exit_code == 0
    assert run("interface-not-returned", "--off").exit_code == 0
    # Nodes without accelerators have no links.
    assert renewals() == [2, 2, 0]
    assert run("runtime-leaks-devices").exit_code == 0
    assert renewals() == [2, 2, 0]
    monkeypatch.setattr("aiconform.lab.faults.switch.IN_FORCE_SECONDS", 0.1)
    lab.nodes[1].listens = False
    result = run("interface-down")
    assert result.exit_code == 2
    assert "interface-down: no effect after 0 s: node-2: its links are not restored" in result.stderr
    lab.add_ons = ()
    assert run("interface-down", "--off").exit_code == 0
    assert renewals() == [3, 3, 0]


async def _no_cluster(kubeconfig: str) -> AsyncIterator[None]:
    yield None


def test_without_the_dra_api_nothing_published_is_waited_for(lab: FakeLab) -> None:
    for node in lab.nodes[:2]:
        status = json.loads((node.config.state_dir / "status.json").read_text())
        write_json(node.config.state_dir / "status.json", {**status, "published": False})
    assert run("no-dra-api").exit_code == 0
    assert lab.overrides[-1]["resource.k8s.io/v1"] is False
    for node in lab.nodes[:2]:
        node.reload_accelerators()
    assert run("no-dra-api", "--off").exit_code == 0
    assert lab.overrides[-1] == {}


# The runtime


def configured(tmp_path: Path) -> Path:
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    own = {"path": "/dev/aiconform-accel0", "type": "c", "major": 4, "minor": 10}
    config = {"linux": {"devices": [own], "resources": {"devices": [{"allow": False, "access": "rwm"}]}}}
    (bundle / "config.json").write_text(json.dumps(config))
    return bundle


def runc(wrapper: Path, bundle: Path, command: str = "create") -> dict[str, Any]:
    """What runc would see: the wrapper is made to hand over to a program that prints its arguments."""
    words = [str(wrapper), "--root", "/r", command, "--bundle", str(bundle), "id"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert done.stdout.split() == words[1:]
    found: dict[str, Any] = json.loads((bundle / "config.json").read_text())["linux"]
    return found


def test_the_wrapper_changes_a_container_only_while_the_fault_is_on(tmp_path: Path, lab: FakeLab) -> None:
    node, wrapper, bundle = lab.nodes[0], tmp_path / "runc", configured(tmp_path)
    write_wrapper(wrapper, runc=Path("/bin/echo"), switch=node.runtime_switch)
    sound = runc(wrapper, bundle)

    assert run("runtime-leaks-devices").exit_code == 0
    assert runc(wrapper, bundle, "start") == sound
    leaking = runc(wrapper, bundle)
    assert [device["path"] for device in leaking["devices"]] == [
        device.container_path for device in devices_of(node.config)
    ]
    opened = [(rule["major"], rule["minor"]) for rule in leaking["resources"]["devices"] if rule["allow"]]
    assert opened == [(device.major, device.minor) for device in devices_of(node.config)]

    assert run("runtime-leaks-devices", "--off").exit_code == 0
    assert run("runtime-opens-devices").exit_code == 0
    (bundle / "config.json").write_text(json.dumps({"linux": sound}))
    opening = runc(wrapper, bundle)
    assert opening["devices"] == sound["devices"]
    assert opening["resources"]["devices"][-1] == {"allow": True, "type": "c", "access": "rwm"}

    assert run("runtime-opens-devices", "--off").exit_code == 0
    (bundle / "config.json").write_text(json.dumps({"linux": sound}))
    assert runc(wrapper, bundle) == sound


def test_a_container_without_any_device_leaks_too(tmp_path: Path, lab: FakeLab) -> None:
    wrapper, bundle = tmp_path / "runc", configured(tmp_path)
    (bundle / "config.json").write_text("{}")
    write_wrapper(wrapper, runc=Path("/bin/echo"), switch=lab.nodes[0].runtime_switch)
    assert run("runtime-leaks-devices").exit_code == 0
    assert len(runc(wrapper, bundle)["devices"]) == len(devices_of(lab.nodes[0].config)) == 2 + 2


@pytest.mark.parametrize(
    ("identity", "fault", "leaked"),
    [
        ("amd", "runtime-leaks-compute-nodes", ["dri/renderD128", "dri/renderD129"]),
        ("amd", "runtime-leaks-companion-nodes", ["dri/card0", "dri/card1"]),
        ("amd", "runtime-leaks-shared-nodes", ["kfd"]),
        ("gaudi", "runtime-leaks-companion-nodes", ["accel/accel_controlD0", "accel/accel_controlD1"]),
        (
            "nvidia-dra",
            "runtime-leaks-companion-nodes",
            ["nvidia-caps-imex-channels/channel0", "nvidia-caps-imex-channels/channel1"],
        ),
    ],
)
def test_a_runtime_may_leak_only_some_kinds_of_nodes(
    lab: FakeLab, identity: str, fault: str, leaked: list[str]
) -> None:
    node = lab.nodes[0]
    write_config(node.accelerators, node.config.model_copy(update={"identity": identities()[identity]}))
    node.reload_accelerators()
    assert run(fault).exit_code == 0
    shown = json.loads(node.runtime_switch.read_text())["show"]
    assert [device["path"] for device in shown] == [f"/dev/{name}" for name in leaked]


def test_a_fault_of_nodes_that_the_accelerators_do_not_have_is_refused(lab: FakeLab) -> None:
    done = run("runtime-leaks-companion-nodes")
    assert done.exit_code == 2
    assert "needs accelerators with companion nodes: start a lab with another --identity" in done.output


def test_a_fault_of_shares_is_refused_where_devices_are_not_shared_so(lab: FakeLab) -> None:
    every = run("more-shares-than-advertised")
    assert every.exit_code == 2
    assert (
        "more-shares-than-advertised needs accelerators with shares: consumable capacity or partitions by DRA or "
        "replicas that node labels count: start a lab with another --identity, such as simulated-shared"
    ) in every.output
    lab.nodes[0].become("nvidia-mps", Offer.DEVICE_PLUGIN)
    lab.nodes[1].become("intel-gpu-shared", Offer.DEVICE_PLUGIN)
    one = run("more-shares-than-advertised", "--node", "node-1", "--node", "node-2")
    assert one.exit_code == 2
    assert "which those of node-2 have not" in one.output
    assert names_on(lab.state) == ()
    assert run("more-shares-than-advertised@node-1", "no-driver@node-2").exit_code == 0
    # At a node that does not share its devices so, it does nothing.
    assert run("more-shares-than-advertised").exit_code == 0
    assert [len(ids) for node in lab.nodes[:2] for ids in plugged(node.config).values()] == [9, 20]


def test_a_fault_of_virtual_devices_is_refused_at_a_node_without_any(lab: FakeLab) -> None:
    lab.nodes[1].become("nvidia", Offer.DRA)
    one = run("virtual-devices-leak", "--node", "node-2")
    assert one.exit_code == 2
    assert (
        "virtual-devices-leak needs accelerators with virtual devices by DRA or virtual devices of a device plugin, "
        "which those of node-2 have not: start a lab with another --identity, such as simulated"
    ) in one.output
    assert run("virtual-devices-leak", "--node", "node-1").exit_code == 0


def test_the_list_says_in_which_ways_devices_have_to_be_shared(lab: FakeLab) -> None:
    rows = {row["name"]: row for row in json.loads(run("--list", "-o", "json").stdout)}
    assert rows["partition-shows-whole-memory"]["ways"] == ["partitions as extended resources", "partitions by DRA"]
    assert rows["driver-prepares-all"]["ways"] == []
    assert "(needs partitions as extended resources or partitions by DRA)" in run("--list").stdout


@pytest.mark.parametrize(
    ("environment", "given"),
    [
        (["NVIDIA_VISIBLE_DEVICES=all"], [0, 1, 2, 3]),
        (["PATH=/bin", "HABANA_VISIBLE_DEVICES=1"], [1]),
        (["NVIDIA_VISIBLE_DEVICES=UUID"], [0]),
        (["NVIDIA_VISIBLE_DEVICES=void"], []),
        (["NVIDIA_VISIBLE_DEVICES="], []),
        (["ROCR_VISIBLE_DEVICES=all", "CUDA_VISIBLE_DEVICES=0"], []),
        ([], []),
    ],
)
def test_a_runtime_may_give_what_the_environment_asks_for(
    tmp_path: Path, lab: FakeLab, environment: list[str], given: list[int]
) -> None:
    node, wrapper, bundle = lab.nodes[0], tmp_path / "runc", configured(tmp_path)
    devices = devices_of(node.config)
    words = [word.replace("UUID", devices[0].uuid) for word in environment]
    (bundle / "config.json").write_text(json.dumps({"process": {"env": words}}))
    write_wrapper(wrapper, runc=Path("/bin/echo"), switch=node.runtime_switch)
    assert run("runtime-honours-environment").exit_code == 0
    found = runc(wrapper, bundle)
    assert [each["path"] for each in found["devices"]] == [devices[index].container_path for index in given]
    assert len(found["resources"]["devices"]) == len(given)


def test_nodes_leak_only_their_own_accelerators(lab: FakeLab) -> None:
    assert lab.nodes[1].accelerators
    write_config(lab.nodes[1].accelerators, lab.nodes[1].config.model_copy(update={"first_minor": 30}))
    lab.nodes[1].reload_accelerators()
    assert run("runtime-leaks-devices").exit_code == 0
    shown = [json.loads(node.runtime_switch.read_text())["show"] for node in lab.nodes]
    assert [[device["minor"] for device in devices] for devices in shown] == [[10, 11, 12, 13], [30, 31, 32, 33], []]


def test_help_and_list_import_no_kubernetes_client() -> None:
    code = (
        "import sys; from aiconform.cli.lab_fault import command; "
        "command.main(['--list', '--name', 'no-such-lab'], standalone_mode=False); "
        "print([name for name in ('kubernetes', 'aiohttp', 'grpc') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=dict(os.environ)
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_an_unknown_fault_is_an_error_of_its_own() -> None:
    with pytest.raises(UnknownFault) as caught:
        find("no-drivr")
    assert caught.value.nearest == "no-driver"
    assert not isinstance(caught.value, LabError)
