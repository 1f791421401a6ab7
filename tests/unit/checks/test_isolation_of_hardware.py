"""Isolation on the shapes of real hardware: healthy ones are right, and each leak that they can have is caught.

What a holder of each hardware sees is public; platform/accelerators/device_nodes.yaml cites it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiconform.check import Finding
from aiconform.check.registry import load_check
from aiconform.check.testing import findings
from aiconform.checks.secure_accelerator_access.observations import Isolation
from aiconform.kit.container_view import DeviceNode, OpenAttempt, View
from aiconform.platform.accelerators.device_nodes import known_nodes

CHECK = load_check("secure_accelerator_access")
EVERY_CONTAINER = ("/dev/null", "/dev/urandom", "/dev/pts/0", "/dev/ptmx", "/dev/console")
EPERM, EACCES, ENXIO = "Operation not permitted", "Permission denied", "No such device or address"
OPENED = "opened"
HARMLESS = OpenAttempt(device="c:1:3", made=True, outcome=OPENED)


def number(path: str) -> str:
    """A device number for each path, the same on the whole node."""
    return f"c:{len(path)}:{sum(position * ord(letter) for position, letter in enumerate(path, 1))}"


def view(*paths: str, **fields: Any) -> View:
    nodes = [DeviceNode(path=path, number=number(path)) for path in (*EVERY_CONTAINER, *paths)]
    return View(nodes=nodes, environment=fields.pop("environment", {}), mounts=fields.pop("mounts", ["/"]), **fields)


@dataclass(frozen=True)
class Hardware:
    """first, second: the nodes of two holders beside `common`, which both have; the first may hold all."""

    name: str
    first: tuple[str, ...]
    second: tuple[str, ...] = ()
    common: tuple[str, ...] = ()
    asked: int = 1
    total: int = 8
    shared: str = ""

    def seen(self, **fields: Any) -> Isolation:
        """What a healthy platform shows, with changes."""
        holders = {"holder": view(*self.first, *self.common)}
        if self.second:
            holders["second"] = view(*self.second, *self.common)
        paths = dict.fromkeys((*self.first, *self.second, *self.common))
        about = {
            "node": "node-1",
            "way": "device-plugin",
            "served_by": "device-plugin",
            "name": self.name,
            "product": "",
            "simulated": False,
            "sibling": view(),
            "stranger": view(),
            "asker": view(),
            "own": tuple(OpenAttempt(device=path, made=True, outcome=OPENED) for path in (*self.first, *self.common)),
            "forged": tuple(OpenAttempt(device=number(path), made=True, outcome=EPERM) for path in paths),
            "control": HARMLESS,
            "asked": self.asked,
            "total": self.total,
            "shared": self.shared,
            "second_waited": not self.second,
            **holders,
            **fields,
        }
        return Isolation.model_validate(about)


NVIDIA = ("/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia-uvm-tools", "/dev/nvidia-modeset")


def caps(*minors: int) -> tuple[str, ...]:
    return tuple(f"/dev/nvidia-caps/nvidia-cap{minor}" for minor in minors)


def dri(card: int) -> tuple[str, ...]:
    return (f"/dev/dri/card{card}", f"/dev/dri/renderD{128 + card}")


def accel(index: int) -> tuple[str, ...]:
    return (f"/dev/accel/accel{index}", f"/dev/accel/accel_controlD{index}")


def rngd(card: int, *cores: str) -> tuple[str, ...]:
    return tuple(f"/dev/rngd/npu{card}pe{core}" for core in cores)


def rngd_controls(card: int) -> tuple[str, ...]:
    return tuple(f"/dev/rngd/npu{card}{name}" for name in ("mgmt", "dmar", "bar0", "bar2", "ch0", "ch1", "ch0r"))


JETSON = ("/dev/nvmap", "/dev/nvhost-ctrl-pva0", "/dev/nvhost-ctrl-pva1", "/dev/nvhost-nvdla0", "/dev/nvhost-nvdla1")
ASCEND = ("/dev/davinci_manager", "/dev/devmm_svm", "/dev/hisi_hdc")
IMEX = "/dev/nvidia-caps-imex-channels/channel"
HARDWARE = [
    Hardware("nvidia", ("/dev/nvidia0",), ("/dev/nvidia1",), NVIDIA),
    Hardware("nvidia, one GPU", ("/dev/nvidia0",), (), NVIDIA, total=1),
    Hardware("nvidia with graphics", ("/dev/nvidia0", *dri(0)), ("/dev/nvidia1", *dri(1)), NVIDIA),
    Hardware("nvidia mig mixed", caps(12, 13), caps(21, 22), ("/dev/nvidia0", *NVIDIA)),
    Hardware("nvidia mig single", ("/dev/nvidia0", *caps(3, 4)), ("/dev/nvidia1", *caps(138, 139)), NVIDIA),
    Hardware("nvidia compute instances", caps(4), caps(5), ("/dev/nvidia0", *caps(3), *NVIDIA)),
    Hardware("nvidia time slices", ("/dev/nvidia0",), ("/dev/nvidia0",), NVIDIA, shared="gpu.replicas=4"),
    Hardware("nvidia mps", ("/dev/nvidia0",), ("/dev/nvidia0",), NVIDIA, shared="sharing-strategy=mps"),
    Hardware("nvidia dra imex", ("/dev/nvidia0", f"{IMEX}0"), ("/dev/nvidia1", f"{IMEX}1"), NVIDIA),
    Hardware("nvidia dra imex shared", ("/dev/nvidia0",), ("/dev/nvidia1",), (*NVIDIA, f"{IMEX}0")),
    Hardware("amd", dri(0), dri(1), ("/dev/kfd",)),
    Hardware("amd partitioned", dri(9), dri(10), ("/dev/kfd",), total=64),
    Hardware("gaudi", accel(0), accel(1), ("/dev/infiniband/uverbs0", "/dev/infiniband/uverbs1")),
    Hardware("gaudi, older", ("/dev/hl0", "/dev/hl_controlD0"), ("/dev/hl1", "/dev/hl_controlD1")),
    Hardware("tpu accel", tuple(f"/dev/accel{n}" for n in range(4)), asked=4, total=4),
    Hardware("tpu vfio", tuple(f"/dev/vfio/{n}" for n in range(4)), (), ("/dev/vfio/vfio",), asked=4, total=4),
    Hardware("tpu vfio, more nodes than chips", tuple(f"/dev/vfio/{n}" for n in range(8)), asked=4, total=4),
    Hardware("neuron device", ("/dev/neuron0",), ("/dev/neuron1",)),
    Hardware("neuron cores", ("/dev/neuron0",), ("/dev/neuron0",), shared="aws.amazon.com/neuroncore is a share"),
    Hardware("intel", dri(0), dri(1)),
    Hardware("intel shared", dri(0), dri(0), shared="so the user says"),
    Hardware("ascend", ("/dev/davinci0",), ("/dev/davinci1",), ASCEND),
    Hardware("jetson", JETSON, total=1),
    Hardware(
        "furiosa",
        (*rngd(0, "0"), *rngd_controls(0), *rngd(0, "1", "0-1")),
        (*rngd(1, "0"), *rngd_controls(1), *rngd(1, "1", "0-1")),
    ),
    Hardware("furiosa partitions", rngd(0, "0", "1", "0-1"), rngd(0, "2", "3", "2-3"), rngd_controls(0)),
    Hardware("unlisted", ("/dev/novel0",), ("/dev/novel1",), ("/dev/novel_ctl",)),
]
NAMED = pytest.mark.parametrize("hardware", HARDWARE, ids=lambda hardware: hardware.name)


CONTROL = ("companion", "control")


def found(seen: Isolation) -> dict[str, Finding]:
    every = findings(CHECK, seen)
    assert all(finding.reason for finding in every.values())
    return every


def broken(seen: Isolation) -> set[str]:
    return {id_ for id_, finding in found(seen).items() if finding.holds is False}


def opened(seen: Isolation, *paths: str) -> tuple[OpenAttempt, ...]:
    """The forged attempts, of which those at these paths opened their device."""
    numbers = {number(path) for path in paths}
    return tuple(
        each.model_copy(update={"outcome": OPENED}) if each.device in numbers else each for each in seen.forged
    )


@NAMED
def test_a_healthy_platform_is_found_healthy(hardware: Hardware) -> None:
    every = found(hardware.seen())
    assert {id_ for id_, finding in every.items() if not finding.applies} == (
        {"holders_are_disjoint"} if hardware.shared else set()
    )
    assert {id_: finding.reason for id_, finding in every.items() if finding.applies and not finding.holds} == {}


@NAMED
def test_any_node_of_an_accelerator_that_others_see_is_caught_alone(hardware: Hardware) -> None:
    """The one that leaks may be a compute node, a companion, or a partition's capability."""
    for path in dict.fromkeys((*hardware.first, *hardware.second, *hardware.common)):
        assert "sibling_sees_none" in broken(hardware.seen(sibling=view(path)))
        assert "stranger_sees_none" in broken(hardware.seen(stranger=view(path), asker=view(path)))


@NAMED
def test_a_leak_does_not_hide_behind_nodes_that_are_isolated(hardware: Hardware) -> None:
    paths = list(dict.fromkeys((*hardware.first, *hardware.second, *hardware.common)))
    for isolated in paths:
        if leaked := [path for path in paths if path != isolated]:
            every = view(*leaked)
            seen = hardware.seen(stranger=every, sibling=every, asker=every)
            seen = seen.model_copy(update={"forged": opened(seen, *leaked)})
            assert {"sibling_sees_none", "stranger_sees_none", "forged_is_refused"} <= broken(seen)


@NAMED
def test_any_forged_node_that_opens_is_caught_alone(hardware: Hardware) -> None:
    """Of devices and control nodes, also those that drivers give to every holder."""
    for path in dict.fromkeys((*hardware.first, *hardware.second, *hardware.common)):
        seen = hardware.seen()
        assert broken(seen.model_copy(update={"forged": opened(seen, path)})) == {"forged_is_refused"}


@NAMED
def test_an_environment_that_the_runtime_obeys_is_caught_alone(hardware: Hardware) -> None:
    for paths in ((*hardware.first, *hardware.common), hardware.first[:1], hardware.common[:1]):
        if paths:
            assert broken(hardware.seen(asker=view(*paths))) == {"environment_gives_nothing"}


@NAMED
def test_a_runtime_that_does_not_start_what_asks_by_environment_gives_nothing(hardware: Hardware) -> None:
    assert found(hardware.seen(asker=None, asker_refused="not allowed"))["environment_gives_nothing"].holds is True


@NAMED
def test_a_holder_that_sees_what_the_other_holds_is_caught(hardware: Hardware) -> None:
    if not hardware.second or hardware.shared:
        return
    seen = hardware.seen(holder=view(*hardware.first, *hardware.second, *hardware.common))
    assert {"holder_sees_exactly_one", "holders_are_disjoint"} & broken(seen)
    same = hardware.seen(second=view(*hardware.first, *hardware.common))
    assert "holders_are_disjoint" in broken(same)


@NAMED
def test_a_holder_of_control_nodes_alone_has_no_device(hardware: Hardware) -> None:
    companions = [path for path in (*hardware.first, *hardware.common) if known_nodes().role(path) in CONTROL]
    if companions:
        assert "holder_sees_device" in broken(hardware.seen(holder=view(*companions)))


def named(name: str) -> Hardware:
    return next(each for each in HARDWARE if each.name == name)


@pytest.mark.parametrize("name", ["gaudi", "gaudi, older", "nvidia dra imex", "furiosa"])
def test_control_nodes_of_each_device_that_all_holders_see_are_caught(name: str) -> None:
    hardware = named(name)
    mixed = (hardware.first[1], hardware.second[1])
    every = view(*mixed)
    seen = hardware.seen(
        holder=view(hardware.first[0], *mixed, *hardware.common),
        second=view(hardware.second[0], *mixed, *hardware.common),
    )
    assert broken(seen) == {"holder_sees_exactly_one", "holders_are_disjoint"}
    leaked = seen.model_copy(update={"stranger": every, "sibling": every, "asker": every})
    assert broken(leaked) == {"stranger_sees_none", "sibling_sees_none", "holders_are_disjoint"}


def test_a_device_that_leaks_beside_its_control_node_is_still_one_that_its_holder_has() -> None:
    gaudi = named("gaudi")
    every = view(gaudi.first[0], gaudi.second[0])
    assert broken(gaudi.seen(stranger=every, asker=every)) == {"stranger_sees_none"}


def test_a_second_partition_that_a_holder_sees_is_caught() -> None:
    mig = named("nvidia mig mixed")
    for more in (caps(21, 22), caps(21)):
        seen = mig.seen(holder=view(*mig.first, *more, *mig.common))
        assert "holder_sees_exactly_one" in broken(seen)


def test_a_partition_overlaps_with_a_holder_of_the_whole_device() -> None:
    seen = named("nvidia mig mixed").seen(second=view("/dev/nvidia0", *NVIDIA))
    assert "holders_are_disjoint" in broken(seen)


def test_fewer_devices_than_asked_for_are_caught() -> None:
    tpu = named("tpu accel")
    assert "holder_sees_exactly_one" in broken(tpu.seen(holder=view("/dev/accel0", "/dev/accel1")))
    assert "holder_sees_exactly_one" in broken(replace(tpu, total=8).seen(holder=view(*tpu.first, "/dev/accel4")))


def test_a_plugin_that_can_share_without_a_word_leaves_open_whether_it_does() -> None:
    intel = replace(named("intel shared"), shared="")
    finding = found(intel.seen(perhaps_shared=True))["holders_are_disjoint"]
    assert finding.holds is None
    assert "--set secure_accelerator_access.shared=intel shared" in finding.reason
    assert "holders_are_disjoint" in broken(intel.seen())


def test_an_indexed_node_of_an_unlisted_driver_that_holders_share_is_asked_about() -> None:
    novel = Hardware("unlisted", ("/dev/novel0",), ("/dev/novel1",), ("/dev/novel_mgmt0",))
    assert found(novel.seen())["holders_are_disjoint"].holds is None
    hidden = Hardware("unlisted", ("/dev/novel_mgmt0",), ("/dev/novel_mgmt1",), ("/dev/novel0",))
    assert found(hidden.seen())["holders_are_disjoint"].holds is None


# What containers have without accelerators


@NAMED
def test_what_a_machine_without_accelerators_has_does_not_count(hardware: Hardware) -> None:
    odd = "/dev/platform-clock"
    every = view(odd)
    seen = hardware.seen(stranger=every, sibling=every, asker=every)
    assert {"stranger_sees_none", "sibling_sees_none"} <= broken(seen)
    assert not broken(seen.model_copy(update={"baseline": every}))
    fuse = view("/dev/fuse", "/dev/net/tun")
    assert not broken(hardware.seen(stranger=fuse, sibling=fuse, asker=fuse))


def test_a_control_node_that_is_open_on_every_machine_does_not_count() -> None:
    rdma = view("/dev/infiniband/uverbs0", "/dev/infiniband/uverbs1")
    seen = named("gaudi").seen(stranger=rdma, sibling=rdma, asker=rdma)
    seen = seen.model_copy(update={"forged": opened(seen, "/dev/infiniband/uverbs0", "/dev/infiniband/uverbs1")})
    assert broken(seen) == {"stranger_sees_none", "sibling_sees_none", "forged_is_refused"}
    assert not broken(seen.model_copy(update={"baseline": rdma}))


def test_a_machine_that_has_an_accelerator_is_no_baseline() -> None:
    leak = view("/dev/nvidia0")
    seen = named("nvidia").seen(stranger=leak, asker=leak, baseline=leak)
    assert "stranger_sees_none" in broken(seen)


# Kernels of their own, and Pods that may not make nodes


def boxed(hardware: Hardware, outcome: str, **fields: Any) -> Isolation:
    """Each Pod on a kernel of its own, as under Kata; the node tells of another one."""
    holder = view(*hardware.first, *hardware.common, boot="guest-1", release="6.1.62")
    second = view(*hardware.second, *hardware.common, boot="guest-2", release="6.1.62")
    stranger = view(boot="guest-3", release="6.1.62")
    seen = hardware.seen(holder=holder, second=second, stranger=stranger, boot="node", release="6.8.0", **fields)
    return seen.model_copy(
        update={"forged": tuple(each.model_copy(update={"outcome": outcome}) for each in seen.forged)}
    )


def test_a_sandbox_with_a_kernel_of_its_own_has_no_such_device() -> None:
    hardware = named("nvidia")
    assert found(boxed(hardware, ENXIO))["forged_is_refused"].holds is True
    assert found(boxed(hardware, EPERM))["forged_is_refused"].holds is True
    assert found(boxed(hardware, OPENED))["forged_is_refused"].holds is None
    # The same answers under the node's kernel came from its driver.
    assert "forged_is_refused" in broken(boxed(hardware, ENXIO).model_copy(update={"boot": "guest-3"}))


def test_kernels_are_told_apart_by_their_release_where_they_tell_no_boot() -> None:
    hardware = named("nvidia")
    gvisor = view(release="4.4.0")
    seen = hardware.seen(stranger=gvisor, release="6.8.0", boot="node")
    absent = tuple(each.model_copy(update={"outcome": ENXIO}) for each in seen.forged)
    assert found(seen.model_copy(update={"forged": absent}))["forged_is_refused"].holds is True
    same = seen.model_copy(update={"forged": absent, "stranger": view(release="6.8.0")})
    assert "forged_is_refused" in broken(same)


def test_the_same_number_under_two_kernels_does_not_say_that_holders_share_a_device() -> None:
    seen = boxed(Hardware("nvidia", ("/dev/nvidia0",), ("/dev/nvidia0",), NVIDIA), ENXIO)
    finding = found(seen)["holders_are_disjoint"]
    assert finding.holds is None
    assert "runtime class" in finding.reason
    assert not broken(seen)


def attempt(made: bool, outcome: str) -> OpenAttempt:
    return OpenAttempt(device="c:1:3", made=made, outcome=outcome)


@pytest.mark.parametrize(
    ("control", "made", "outcome", "holds"),
    [
        (attempt(True, OPENED), True, EPERM, True),
        (attempt(True, OPENED), False, EPERM, True),
        (attempt(True, OPENED), True, EACCES, False),
        (attempt(True, OPENED), True, ENXIO, False),
        (attempt(True, OPENED), True, "Device or resource busy", False),
        (attempt(True, OPENED), True, "blocked", False),
        (attempt(True, OPENED), False, "No space left on device", None),
        (attempt(False, EPERM), False, EPERM, None),
        (attempt(False, "Read-only file system"), False, "Read-only file system", None),
        (attempt(True, EACCES), True, EACCES, None),
        (attempt(True, EPERM), True, EPERM, None),
        (None, True, EPERM, True),
        (None, True, EACCES, None),
        (None, False, EPERM, None),
    ],
)
def test_what_the_kernels_answer_says(
    control: OpenAttempt | None, made: bool, outcome: str, holds: bool | None
) -> None:
    forged = (OpenAttempt(device=number("/dev/nvidia0"), made=made, outcome=outcome),)
    finding = found(named("nvidia").seen(control=control, forged=forged))["forged_is_refused"]
    assert finding.holds is holds
    if holds is None:
        assert "MKNOD" in finding.reason


@pytest.mark.parametrize(
    ("outcome", "unprivileged", "holds"),
    [
        (OPENED, "", True),
        ("Device or resource busy", "", True),
        ("blocked", "", True),
        (EPERM, "", False),
        (EACCES, "", False),
        (ENXIO, "", False),
        (EACCES, "policy: runAsNonRoot", None),
    ],
)
def test_what_opening_its_own_device_says(outcome: str, unprivileged: str, holds: bool | None) -> None:
    own = (OpenAttempt(device="/dev/nvidia0", made=True, outcome=outcome),)
    finding = found(named("nvidia").seen(own=own, unprivileged=unprivileged))["holder_opens_device"]
    assert finding.holds is holds
    assert holds is not None or unprivileged in finding.reason


@given(st.sampled_from([each for each in HARDWARE if each.second]), st.data())
def test_whatever_leaks_something_fails(hardware: Hardware, data: st.DataObject) -> None:
    paths = list(dict.fromkeys((*hardware.first, *hardware.second, *hardware.common)))
    some = st.lists(st.sampled_from(paths), max_size=len(paths), unique=True)
    stranger, sibling, asker, forged = (data.draw(some) for _ in range(4))
    seen = hardware.seen(stranger=view(*stranger), sibling=view(*sibling), asker=view(*stranger, *asker))
    found_broken = broken(seen.model_copy(update={"forged": opened(seen, *forged)}))
    assert ("stranger_sees_none" in found_broken) == bool(stranger)
    assert ("sibling_sees_none" in found_broken) == bool(sibling)
    assert ("environment_gives_nothing" in found_broken) == bool({*asker} - {*stranger})
    assert ("forged_is_refused" in found_broken) == bool(forged)


def test_devices_without_nodes_are_no_overlap_of_two_holders() -> None:
    remote = Hardware("remote.example/gpu", (), ()).seen(
        holder=view(environment={"REMOTE_GPU": "a"}),
        second=view(environment={"REMOTE_GPU": "b"}),
        second_waited=False,
    )
    assert found(remote)["holder_sees_device"].holds
    assert found(remote)["holders_are_disjoint"].holds is None
    nothing = Hardware("remote.example/gpu", (), ()).seen(holder=view(), second=view(), second_waited=False)
    assert {"holder_sees_device", "holders_are_disjoint"} <= broken(nothing)


def test_a_machine_that_has_the_same_hardware_hides_no_leak_of_it() -> None:
    """Its driver reports nothing, so that it looks like one without accelerators."""
    hardware = Hardware("unlisted", ("/dev/novel0",), ("/dev/novel1",))
    seen = hardware.seen(baseline=view("/dev/novel1"), stranger=view("/dev/novel1"))
    assert "stranger_sees_none" in broken(seen)
    assert broken(hardware.seen(baseline=view("/dev/odd1"), stranger=view("/dev/odd1"))) == set()


def test_a_partition_is_never_shared_without_a_word() -> None:
    hardware = Hardware("nvidia.com/mig-1g.10gb", caps(12, 13), caps(12, 13), ("/dev/nvidia0", *NVIDIA))
    assert "holders_are_disjoint" in broken(hardware.seen(perhaps_shared=True))
