"""Which published devices are network interfaces, and what they say of themselves, by the shapes of real drivers."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiconform.cluster import Object
from aiconform.platform.accelerators.profiles import load_profiles
from aiconform.platform.accelerators.published import by_dra
from aiconform.platform.accelerators.resource_slices import published
from aiconform.platform.accelerators.selecting import DeviceClass
from aiconform.platform.networks.interfaces import (
    NetworkDevice,
    by_resource,
    carrying_others,
    network_devices,
    networks_of,
)
from aiconform.platform.networks.known import driver_of


def devices(driver: str, *attributes: dict[str, Any], node: str = "node-1") -> list[NetworkDevice]:
    entries = [
        {"name": f"device-{number}", "attributes": {name: _value(value) for name, value in each.items()}}
        for number, each in enumerate(attributes)
    ]
    pool = {"name": node, "generation": 1, "resourceSliceCount": 1}
    spec = {"driver": driver, "nodeName": node, "pool": pool, "devices": entries}
    return network_devices(published([{"spec": spec}])[0])


def _value(value: object) -> Object:
    kind = "bool" if isinstance(value, bool) else "int" if isinstance(value, int) else "string"
    return {kind: value}


MACVLAN = {
    "dra.net/ifName": "fast0",
    "dra.net/mac": "AA:00:00:00:00:01",
    "dra.net/type": "macvlan",
    "dra.net/mtu": 1500,
    "dra.net/state": "up",
    "dra.net/ipv4": "10.9.0.1/24,10.9.1.1/24",
    "dra.net/rdma": False,
    "dra.net/virtual": True,
}
SRIOV = {
    "sriovnetwork.k8snetworkplumbingwg.io/linkType": "ethernet",
    "sriovnetwork.k8snetworkplumbingwg.io/rdmaCapable": True,
    "sriovnetwork.k8snetworkplumbingwg.io/interfaceName": "ens1f0v2",
    "resource.kubernetes.io/pcieRoot": "pci0000:00",
    "dra.net/numaNode": 1,
}


def test_an_interface_of_dranet() -> None:
    (found,) = devices("dra.net", MACVLAN)
    assert (found.interface, found.mac, found.kind, found.rdma) == (
        "fast0",
        "aa:00:00:00:00:01",
        ("type", "macvlan"),
        False,
    )
    assert {*found.characteristics} == {"dra.net/mtu", "dra.net/rdma", "dra.net/virtual"}
    assert found.networks == {"10.9.0.0/24", "10.9.1.0/24"}
    assert found.known is not None
    assert found.known.title == "DRANET"


@pytest.mark.parametrize(
    ("ipv4", "ipv6", "families"),
    [
        ("10.0.0.5/32", "", {4}),
        ("", "fd00::5/128", {6}),
        ("10.0.0.5/32", "fd00::5/128, fd00::6/64", {4, 6}),
        ("x", "", set()),
    ],
)
def test_addresses_that_are_of_no_network_are_of_a_family(ipv4: str, ipv6: str, families: set[int]) -> None:
    (found,) = devices("dra.net", {**MACVLAN, "dra.net/ipv4": ipv4, "dra.net/ipv6": ipv6})
    assert found.families == families


def test_a_virtual_function_of_the_sriov_driver() -> None:
    (found,) = devices("sriovnetwork.k8snetworkplumbingwg.io", SRIOV)
    assert (found.interface, found.kind, found.rdma) == ("ens1f0v2", ("linkType", "ethernet"), True)
    assert "resource.kubernetes.io/pcieRoot" in found.characteristics
    assert "dra.net/numaNode" in found.characteristics
    assert found.known is not None
    assert found.known.asks


def test_a_virtual_function_of_ciliums_driver() -> None:
    (found,) = devices(
        "networkdriver.cilium.io",
        {
            "kernelIfName": "ens1f0v2",
            "ifName": "0000-16-00-2",
            "deviceManager": "sr-iov",
            "pfName": "ens1f0",
            "pciAddr": "0000:16:00.2",
            "vendor": "0x15b3",
            "pool": "fast",
        },
    )
    assert found.known is not None
    assert found.known.title == "Cilium Network Driver"
    assert (found.interface, found.kind) == ("ens1f0v2", ("deviceManager", "sr-iov"))
    assert {*found.characteristics} == {"vendor", "pool"}
    assert {"pfName", "pciAddr", "kernelIfName", "ifName"} <= {*found.selection}


@pytest.mark.parametrize("driver", ["dra.net", "efa.networking.k8s.aws", "cni.dra.networking", "sriovnetwork.example"])
def test_known_drivers_without_attributes(driver: str) -> None:
    (found,) = devices(driver, {})
    assert (found.interface, found.mac, found.kind, found.rdma, found.characteristics) == ("", "", ("", ""), None, {})
    assert found.known is driver_of(driver)


def test_an_unknown_driver_is_known_by_an_attribute() -> None:
    (found,) = devices("nics.example.com", {"ifName": "eth7"})
    assert (found.known, found.interface) == (None, "eth7")
    assert devices("nvme.example.com", {"interface": "nvme"}) == []


def test_rdma_without_an_interface_is_a_kind() -> None:
    assert devices("dra.net", {"dra.net/rdma": True})[0].kind == ("rdma", "true")


def test_a_selector_selects_its_device_before_and_after_a_pod_had_it() -> None:
    first, second = devices("dra.net", MACVLAN, {**MACVLAN, "dra.net/ifName": "fast1"})
    spec = {"selectors": [{"cel": {"expression": first.selector()}}]}
    chosen = DeviceClass({"metadata": {"name": "x"}, "spec": spec})
    (returned,) = devices("dra.net", {name: value for name, value in MACVLAN.items() if "ipv4" not in name})
    assert [chosen.selects(each.device) for each in (first, second, returned)] == [True, False, True]


def test_what_parameters_change_is_nothing_to_select_by() -> None:
    (first,) = devices("dra.net", MACVLAN)
    (changed,) = devices("dra.net", {**MACVLAN, "dra.net/mtu": 9000})
    spec = {"selectors": [{"cel": {"expression": first.selector()}}]}
    assert DeviceClass({"metadata": {"name": "x"}, "spec": spec}).selects(changed.device)
    assert "dra.net/mtu" in first.characteristics, "by which others can select"


@pytest.mark.parametrize("driver", ["dra.net", "sriovnetwork.k8snetworkplumbingwg.io", "nics.example.com"])
def test_no_network_device_is_an_accelerator(driver: str) -> None:
    attributes = {**MACVLAN, "type": "gpu"}
    found = by_dra([], [each.device for each in devices(driver, attributes)], (), (), ())
    assert found.offered == ()
    (told,) = found.passed_over
    assert driver in told
    assert "--accelerator" not in told, "nobody is asked about network interfaces"


def test_network_resources_are_no_accelerators_and_are_found() -> None:
    amounts = {
        "openshift.io/mlxnics": "4",
        "rdma/hca_shared": "8",
        "openshift.io/gpu_vf": "1",
        "vpc.amazonaws.com/efa": "0",
    }
    node = {"status": {"allocatable": {**amounts, "cpu": "4", "nvidia.com/gpu": "8"}}}
    assert by_resource([node, node], load_profiles().alike) == {"openshift.io/mlxnics": 2, "rdma/hca_shared": 2}
    assert load_profiles().is_other("rdma/hca_shared")


@pytest.mark.parametrize(
    ("kind", "name", "shared"),
    [
        ("bond", "bond1", True),
        ("vlan", "eth1.100", True),
        ("tuntap", "tap3", True),
        ("vxlan", "flannel.1", True),
        ("", "cni0", True),
        ("", "vxlan.calico", True),
        ("", "cilium_host", True),
        ("device", "eth1", False),
        ("ipoib", "ib0", False),
        ("macvlan", "fast0", False),
    ],
)
def test_links_that_nodes_have_for_themselves(kind: str, name: str, shared: bool) -> None:
    (found,) = devices("dra.net", {"dra.net/ifName": name, **({"dra.net/type": kind} if kind else {})})
    assert bool(found.shared) is shared
    assert bool(carrying_others([found])) is shared


def test_what_a_shared_link_is_on_carries_its_traffic() -> None:
    def links(node: str) -> list[NetworkDevice]:
        named = [("eth1", "device", 1), ("eth2", "device", 2), ("bond1", "bond", 1), ("tun0", "tun", 0)]
        macs = ["", "0a:01", "0a:02"]
        each = [{"dra.net/ifName": name, "dra.net/type": kind, "dra.net/mac": macs[n]} for name, kind, n in named]
        return devices("dra.net", *each, node=node)

    found = [*links("node-1"), links("node-2")[0]]
    why = carrying_others(found)
    assert [each.interface for each in found if each.device.id in why] == ["eth1", "bond1", "tun0"]
    assert why[found[0].device.id] == "carries others' traffic (that of bond1)"


@given(st.lists(st.text(alphabet="0123456789abcdef.:/ ", max_size=24)))
def test_any_text_is_of_a_network_or_none(texts: list[str]) -> None:
    assert all("/" in each for each in networks_of(texts))
