"""driver_runtime_management on what the lab's nodes publish and give: right when healthy, and each fault is caught.

Made-up observations of the lab's own data; tests/lab shows the same on real kubelets.
"""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
from support.fake_kubelet import configuration

from aiconform.check.registry import load_check
from aiconform.check.testing import findings
from aiconform.checks.driver_runtime_management.advertising import observed
from aiconform.checks.driver_runtime_management.container import find, kernel_root
from aiconform.checks.driver_runtime_management.observations import Advertisements, Installed, NodeAdvertisement
from aiconform.kit.container_view import DeviceNode, View
from aiconform.lab.accelerators import AcceleratorConfig, DriverFault, devices_of, identities
from aiconform.lab.accelerators.driver import driver_files
from aiconform.lab.accelerators.objects import node_labels
from aiconform.lab.accelerators.prepared import environment
from aiconform.lab.accelerators.slices import describe, plan
from aiconform.lab.faults.drivers import FAULTS
from aiconform.platform.accelerators.drivers import family_of
from aiconform.platform.accelerators.profiles import load_profiles
from aiconform.platform.accelerators.resource_slices import published

CHECK = load_check("driver_runtime_management")
KERNEL = "6.8.0-41-generic"
PERSONAS = [name for name in identities() if name != "machine"]
WAYS = ["dra", "device-plugin"]
# Nothing public says that these platforms advertise the version of their driver.
SILENT = ("neuron", "ascend")


def cases() -> list[Any]:
    return [(persona, way) for persona in PERSONAS for way in WAYS if identities()[persona].allocation in ("", way)]


def advertised(config: AcceleratorConfig) -> NodeAdvertisement:
    identity, way = config.identity, config.offer.value
    name = identity.driver if way == "dra" else devices_of(config)[0].extended_resource
    profiles = load_profiles()
    profile = profiles.by_driver(name) if way == "dra" else profiles.by_resource(name)
    family = family_of(profile.name if profile else "")
    made = plan([], describe(config, devices_of(config)), config=config, version="v1", node_uid="u").create
    devices = published(made)[0] if way == "dra" else []
    node = {"metadata": {"labels": node_labels(config)}, "status": {"nodeInfo": {"kernelVersion": KERNEL}}}
    return NodeAdvertisement(
        node=config.node_name,
        way=way,
        name=name,
        product=identity.product,
        simulated=True,
        profile=family.profile,
        published=family.published,
        driver=observed(family.driver(devices, node)),
        integration=observed(family.integrations(devices, node)),
    )


def installed(config: AcceleratorConfig) -> Installed:
    """What the probe records of the first device's holder."""
    identity, by_dra = config.identity, config.offer.value == "dra"
    whole = devices_of(config) if identity.whole_host else devices_of(config)[:1]
    files = driver_files(config)
    paths = {node.container_path: f"c:{node.major}:{node.minor}" for each in whole for node in each.nodes}
    holder = View(
        nodes=[DeviceNode(path=path, number=number) for path, number in paths.items()],
        environment=environment(config, whole, by="cdi" if by_dra else "device-plugin"),
        mounts=["/", *(file.container_path for file in files)],
        release=KERNEL,
    )
    control = View(nodes=[], environment={}, mounts=["/"], release=KERNEL)
    about = advertised(config)
    lines = []
    for file in files:
        lines.append(f"file {file.container_path} {base64.b64encode(file.content.encode()).decode()}")
        lines.append(f"folder {file.container_path.rpartition('/')[0]}")
        lines.append(f"library {file.container_path} {file.container_path}")
    found = find(family_of(about.profile), kernel_root(simulated=True), lines, holder, control)
    return Installed(
        advertised=about, served_by=about.way, asked=len(whole), holder=holder, control=control, found=found
    )


def broken(*configs: AcceleratorConfig) -> tuple[set[str], set[str]]:
    """(the assertions that do not hold on the first of these nodes beside the others, those that are undecided)."""
    every = Advertisements(nodes=[advertised(each) for each in configs])
    found = {**findings(CHECK, every), **findings(CHECK, *map(installed, configs))}
    decided = {id_: finding.holds for id_, finding in found.items() if finding.applies}
    return {id_ for id_, held in decided.items() if held is False}, {
        id_ for id_, held in decided.items() if held is None
    }


@pytest.mark.parametrize(("persona", "way"), cases())
def test_a_healthy_persona_breaks_nothing(tmp_path: Path, persona: str, way: str) -> None:
    config = configuration(tmp_path, offer=way, count=2, identity=identities()[persona])
    other = config.model_copy(update={"node_name": "node-2"})
    wrong, undecided = broken(config, other)
    silent = {"driver_version_is_advertised", "driver_version_matches"} if persona in SILENT else set()
    assert (wrong, undecided) == (set(), silent)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: str(fault.name))
@pytest.mark.parametrize("persona", ["simulated", "nvidia"])
def test_a_fault_breaks_its_assertions_and_no_others(tmp_path: Path, persona: str, way: str, fault: Any) -> None:
    healthy = configuration(tmp_path, offer=way, count=2, identity=identities()[persona])
    faulty = healthy.model_copy(update={"node_name": "node-2", "faults": (DriverFault(fault.name),)})
    expected = set(fault.broken("driver_runtime_management"))
    may_break = {name.rpartition("/")[2] for name in fault.may_break}
    if way == "device-plugin" and expected == {"versions_come_from_dra"}:
        expected = set()
    if persona == "nvidia" and expected == {"runtime_integration_matches"}:
        expected = set()  # nothing declares it there
    wrong, _ = broken(faulty, healthy)
    assert wrong - may_break == expected
    assert broken(healthy, healthy.model_copy(update={"node_name": "node-3"}))[0] == set()


def test_several_versions_in_one_pool_are_told_apart(tmp_path: Path) -> None:
    one = configuration(tmp_path, count=1)
    later = one.identity.model_copy(update={"driver_version": "1.5.0"})
    other = one.model_copy(update={"node_name": "node-2", "identity": later})
    assert broken(one, other) == (set(), set())
    found = findings(CHECK, installed(one), installed(other))["differences_in_pool_are_advertised"]
    assert found.reason == "2 node(s) differ from others of their kind and say so"
