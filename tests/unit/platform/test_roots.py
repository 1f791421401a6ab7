"""The PCIe roots that devices publish, and that the kernel tells."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiconform.platform import Device
from aiconform.platform.accelerators.devices import Version
from aiconform.platform.networks.roots import STANDARD, common_root, is_kernels, root_of_path, roots


def of(driver: str, attributes: dict[str, object]) -> Device:
    return Device(driver, "n1", "d", "n1", attributes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("path", "root"),
    [
        ("/sys/devices/pci0000:16/0000:16:02.0/net/eth1", "pci0000:16"),
        ("/sys/devices/pci0000:00/0000:00:02.0/virtio1", "pci0000:00"),
        ("/sys/devices/pci0000:00/0000:00:0e.0/pci10000:e0/10000:e0:02.0", "pci0000:00"),
        ("/sys/devices/platform/axi/pci0002:00/0002:00:00.0/0002:01:00.0", "pci0002:00"),
        ("/sys/devices/LNXSYSTM:00/LNXSYBUS:00/ACPI0004:00/VMBUS:00/0000", ""),
        ("/sys/devices/virtual/net/fast0", ""),
        ("/sys/class/net/pci0000:16/device", ""),
        ("/sys/devices/pci0000:16", ""),
        ("", ""),
    ],
)
def test_the_root_in_the_kernels_path(path: str, root: str) -> None:
    assert root_of_path(path) == root


@given(st.text(max_size=80) | st.from_regex(r"(/sys/devices)?(/[a-z0-9:.]{1,12}){0,5}", fullmatch=True))
def test_whatever_a_path_is_its_root_is_written_as_the_kernel_writes_it(path: str) -> None:
    root = root_of_path(path)
    assert not root or (is_kernels(root) and f"/{root}/" in path)


@given(
    st.integers(0, 0xFFFFF), st.integers(0, 0xFF), st.lists(st.from_regex(r"[a-z]{1,9}", fullmatch=True), max_size=3)
)
def test_a_root_is_found_below_any_bus(domain: int, bus: int, above: list[str]) -> None:
    root = f"pci{domain:04x}:{bus:02x}"
    path = "/".join(["/sys/devices", *above, root, f"{domain:04x}:{bus:02x}:00.0"])
    assert root_of_path(path) == root
    assert is_kernels(root)


def test_which_attributes_are_roots() -> None:
    attributes: dict[str, object] = {
        STANDARD: "pci0000:16",
        "pcieRoot": "a",
        "other.example/pcieRoot": "b",
        "x/pcieRoot": Version("1.0.0"),
        "y/pcieRoot": 3,
        "z/pcieRoot": "",
        "pcieRootPort": "c",
    }
    assert roots(of("a.example", attributes)) == {
        STANDARD: "pci0000:16",
        "a.example/pcieRoot": "a",
        "other.example/pcieRoot": "b",
    }


def test_the_root_that_two_devices_have_in_common() -> None:
    own = of("a.example", {"pcieRoot": "r1", STANDARD: "pci0000:16"})
    assert common_root(own, of("b.example", {STANDARD: "pci0000:16", "a.example/pcieRoot": "r1"})) == STANDARD
    assert (
        common_root(own, of("b.example", {STANDARD: "pci0000:17", "a.example/pcieRoot": "r1"})) == "a.example/pcieRoot"
    )
    assert common_root(own, of("b.example", {"pcieRoot": "r1"})) == "", "names of other domains are others"
    assert common_root(own, of("b.example", {})) == ""
