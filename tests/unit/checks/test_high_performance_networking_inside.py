"""What containers print of their interfaces and transfers is read whatever it is, and their scripts run as written."""

from __future__ import annotations

import base64
import itertools
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiconform.checks.high_performance_networking import inside
from aiconform.checks.high_performance_networking.claimed import claimed
from aiconform.checks.high_performance_networking.observations import Counted, Interface, NetworkPod, PublishedDevice
from aiconform.checks.high_performance_networking.ways import way_to

WORDS = st.text(alphabet="0123456789abcdefx:-. %", max_size=24)
LINES = st.lists(
    st.tuples(
        st.sampled_from(
            ["interface", "addresses", "digest", "route", "counters", "transfer", "network", "rdma", "device", "looked"]
        ),
        st.lists(WORDS, max_size=6).map(" ".join),
    ).map(" ".join)
)


@given(LINES)
def test_any_output_is_read(lines: list[str]) -> None:
    found, (interfaces, rdma) = inside.read(lines), inside.hardware(lines)
    assert len(interfaces) + len(rdma) <= len(lines)
    for each in (*found.interfaces, *found.transfers.values()):
        assert type(each).model_validate_json(each.model_dump_json()) == each
    for each in found.interfaces:
        way_to(each)


def test_counters_of_the_kernel() -> None:
    text = (
        "Inter-|   Receive                |  Transmit\n face |bytes    packets errs |bytes    packets errs\n"
        "    lo:       0       0    0    0    0     0          0         0        0       0    0    0    0  0  0\n"
        " fast0:16876044     391    0    0    0     0          0         0    19792     260    0    0    0  0  0\n"
    )
    assert inside.counted(text) == (
        Counted(interface="lo", received=0, sent=0),
        Counted(interface="fast0", received=16876044, sent=19792),
    )


@pytest.mark.parametrize(
    ("addresses", "written", "link"),
    [
        (("fe80::1/64", "10.0.0.5/24"), "10.0.0.5", ""),
        (("2001:db8::5/64", "fe80::1/64"), "[2001:db8::5]", ""),
        (("169.254.3.4/16", "fe80::1/64"), "", "fe80::1"),
    ],
)
def test_the_address_that_data_is_sent_to(addresses: tuple[str, ...], written: str, link: str) -> None:
    way = way_to(Interface(name="fast0", addresses=addresses))
    assert way is not None
    assert (way.written, way.link) == (written, link)


def test_no_address_at_all() -> None:
    assert way_to(Interface(name="fast0", addresses=("169.254.3.4/16", "999.1.1.1/8", "::1/128"))) is None


@pytest.mark.parametrize(
    ("mine", "route", "way"),
    [
        (("10.0.0.6/24",), "", "network"),
        (("10.0.1.6/24",), "10.0.0.5 via 10.0.1.1 dev net1 src 10.0.1.6", "route"),
        (("10.0.1.6/24",), "10.0.0.5 via 10.1.0.1 dev eth0 src 10.1.0.7", ""),
        (("10.0.1.6/24",), "10.0.0.5 via 10.1.0.1 dev net10 src 10.1.0.7", ""),
        (("10.0.0.5/24",), "local 10.0.0.5 dev lo", ""),
        (("2001:db8::6/64",), "", ""),
    ],
)
def test_what_says_that_an_interface_reaches_an_address(mine: tuple[str, ...], route: str, way: str) -> None:
    found = way_to(Interface(name="net1", addresses=("10.0.0.5/24",)))
    assert found is not None
    assert found.reached_over(Interface(name="net1", addresses=mine), route) == way


DEVICE = PublishedDevice(driver="dra.net", pool="n1", name="fast0", interface="fast0", mac="aa:01")
BARE = PublishedDevice(driver="dra.net", pool="n1", name="fast0")
LO, ETH0 = Interface(name="lo"), Interface(name="eth0", mac="02:01")


@pytest.mark.parametrize(
    ("told", "devices", "there", "found"),
    [
        ((("net1", ""),), (), (Interface(name="net1"), Interface(name="tunl0")), ["net1"]),
        ((("fast0", "AA"),), (DEVICE,), (Interface(name="net7", mac="aa:01"), Interface(name="x")), ["net7"]),
        ((), (DEVICE,), (Interface(name="fast0"), Interface(name="x")), ["fast0"]),
        ((), (BARE,), (Interface(name="x"),), ["x"]),
        # A claim that was given nothing explains no interface.
        ((), (), (Interface(name="x"),), []),
        ((("fast0", "aa:01"),), (DEVICE,), (), []),
        # Its name is the Pod network's, and its hardware address is not.
        ((("eth0", ""),), (DEVICE,), (), []),
    ],
)
def test_a_claimed_interface_is_known_by_what_tells_most(
    told: tuple[tuple[str, str], ...],
    devices: tuple[PublishedDevice, ...],
    there: tuple[Interface, ...],
    found: list[str],
) -> None:
    pod = NetworkPod(pod="p", told=told, devices=devices, interfaces=(LO, ETH0, *there))
    assert [each.name for each in claimed(pod, ["eth0"])] == found


@pytest.mark.skipif(shutil.which("busybox") is None, reason="busybox is not installed")
def test_the_scripts_say_what_is_there(tmp_path: Path) -> None:
    """The first part of each script, on this machine; the rest needs a network of its own."""
    applets = subprocess.run(["busybox", "--list"], capture_output=True, text=True, check=True).stdout.split()
    for each in applets:
        (tmp_path / each).symlink_to(str(shutil.which("busybox")))
    on_node = subprocess.Popen(
        ["busybox", "sh", "-c", inside.ON_NODE],
        env={"PATH": str(tmp_path)},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with on_node:
        assert on_node.stdout is not None
        lines = list(itertools.takewhile(lambda line: line != f"{inside.LOOKED}\n", on_node.stdout))
        # In a container, the others end with the first process.
        os.killpg(on_node.pid, signal.SIGKILL)
    assert "lo" in [each.name for each in inside.links(line.strip() for line in lines)[1]]
    script = inside.CONTROL.partition(f"echo {inside.LOOKED}")[0]
    done = subprocess.run(
        ["busybox", "sh", "-c", script], env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=True
    )
    lo = next(each for each in inside.read(done.stdout.splitlines()).interfaces if each.name == "lo")
    assert lo.up
    assert lo.works
    assert base64.b64decode(done.stdout.splitlines()[-1].partition(" ")[2])
    script = inside.ALIGNED.partition(f"echo {inside.LOOKED}")[0]
    done = subprocess.run(
        ["busybox", "sh", "-c", script], env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=False
    )
    for each in inside.read(done.stdout.splitlines()).interfaces:
        hardware = Path("/sys/class/net", each.name, "device")
        assert each.device == (str(hardware.resolve()) if hardware.exists() else "")


def test_hostile_output_of_any_length_is_read_in_one_pass() -> None:
    """What took time by the square of its length would not come to an end here."""
    assert inside.counted("\n" * 500_000) == ()
    assert inside.counted("x" * 500_000) == ()
    long = base64.b64encode(f"1: {'a' * 500_000}".encode()).decode()
    assert inside.read([f"addresses {long}"]).interfaces == ()


def test_what_a_node_had_first_and_last() -> None:
    lines = [
        "link eth0 02:01",
        "link fast0 AA:01",
        "",
        "looked",
        "unlink fast0 AA:01",
        "link kept AA:01",
        "looked",
        "x",
    ]
    before, now = inside.links(lines)
    assert [(each.name, each.mac) for each in before] == [("eth0", "02:01"), ("fast0", "aa:01")]
    assert [(each.name, each.mac) for each in now] == [("eth0", "02:01"), ("kept", "aa:01")]
    assert inside.links([]) == ((), ())


@pytest.mark.parametrize("script", [inside.CONTROL, inside.ALIGNED, inside.ON_NODE, inside.SERVER, inside.CLIENT])
def test_the_scripts_are_scripts(script: str) -> None:
    assert subprocess.run(["sh", "-n", "-c", script], capture_output=True, text=True, check=False).stderr == ""
