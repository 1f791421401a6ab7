"""What virtualized_accelerator makes on a node and records: a cluster that gives devices as the scheduler does."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from support.shared_devices import FakeCluster, FakeScratch, platform

from aiconform.check import NotApplicable, NothingToLookAt, Settings
from aiconform.check.registry import load_check
from aiconform.check.testing import findings
from aiconform.checks.virtualized_accelerator.observations import Virtual
from aiconform.checks.virtualized_accelerator.options import VirtualizedAccelerator
from aiconform.checks.virtualized_accelerator.places import VirtualPlace, places
from aiconform.checks.virtualized_accelerator.probes import offered_virtual_devices, virtual_devices
from aiconform.cluster import Object, Stuck
from aiconform.platform.accelerators.drivers import simulated_kernel
from aiconform.platform.accelerators.offered import extended_resources
from aiconform.platform.accelerators.resource_slices import published
from aiconform.platform.accelerators.selecting import DeviceClass

CHECK = load_check("virtualized_accelerator")
DRIVER = "simulated-accelerator.aiconform.dev"
MIB = 2**20


@pytest.fixture(autouse=True)
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """What Pods do here, they do at once."""
    monkeypatch.setattr("aiconform.kit.starting.LATE_SECONDS", 0.1)


def node(labels: dict[str, str] | None = None, name: str = "n1", **resources: int) -> Object:
    amounts = {f"nvidia.com/{key}": str(value) for key, value in resources.items()}
    return {
        "kind": "Node",
        "metadata": {"name": name, "labels": labels or {}},
        "spec": {},
        "status": {
            "conditions": [{"type": "Ready", "status": "True"}],
            "nodeInfo": {"kernelVersion": "6.8.0", "bootID": "boot-1"},
            "capacity": amounts,
            "allocatable": amounts,
        },
    }


VGPU = {
    "nvidia.com/vgpu.present": "true",
    "nvidia.com/gpu.product": "GRID-A100-10C",
    "nvidia.com/gpu.memory": "10240",
    "nvidia.com/gpu.count": "2",
}


def device(name: str, memory: str, **attributes: Any) -> Object:
    kinds = {bool: "bool", str: "string", int: "int"}
    told = {"model": "A1", "uuid": name, "simulated": True, **attributes}
    return {
        "name": name,
        "attributes": {key: {kinds[type(value)]: value} for key, value in told.items()},
        "capacity": {"memory": {"value": memory}},
    }


def functions(**attributes: Any) -> list[Object]:
    told = {"virtual": True, "parentUUID": "PF", **attributes}
    return [device(f"vf-{number}", "8Gi", **told) for number in range(2)]


def slice_(*devices: Object, driver: str = DRIVER) -> Object:
    pool = {"name": "n1", "generation": 1, "resourceSliceCount": 1}
    spec = {"driver": driver, "nodeName": "n1", "pool": pool, "devices": list(devices)}
    return {"kind": "ResourceSlice", "metadata": {"name": driver}, "spec": spec}


def device_class(name: str, expression: str) -> Object:
    return {
        "kind": "DeviceClass",
        "metadata": {"name": name},
        "spec": {"selectors": [{"cel": {"expression": expression}}]},
    }


class Node(FakeCluster):
    """Devices of DRA are given by selector, those of a plugin while they last; what a Pod had is free when it is gone.

    twice: whether a claim is given a device that another one has. released: whether devices come back. virtual: whether
    containers say that their device is virtual. leaks: whether each sees the devices of all. memory: in MiB, what every
    container sees, if not what is published.
    """

    def __init__(self, *objects: Object) -> None:
        super().__init__(*objects)
        self.known = {each.name: each for each in published(self.of("ResourceSlice"))[0]}
        self.has: dict[str, str] = {}
        self.twice = self.leaks = False
        self.released = True
        self.virtual = False
        self.memory = 0

    def schedule(self, made: Object) -> str:
        name = made["metadata"]["name"]
        for resource, count in extended_resources(made).items():
            there = int(self.of("Node")[0]["status"]["allocatable"][resource])
            running = [each for each in self.of("Pod") if each is not made and each["spec"].get("nodeName")]
            used = sum(extended_resources(each)[resource] for each in running)
            if used + count > there:
                return f"0/1 nodes are available: 1 Insufficient {resource}."
            self.has[name] = f"gpu-{next(n for n in range(there) if f'gpu-{n}' not in self.has.values())}"
        for claim in self.claims_of(made):
            (asked,) = claim["spec"]["devices"]["requests"]
            wanted = DeviceClass({"metadata": {"name": ""}, "spec": asked["exactly"]})
            fitting = [each.name for each in self.known.values() if wanted.selects(each)]
            free = [each for each in fitting if self.twice or each not in self.has.values()]
            if not free:
                return "0/1 nodes are available: 1 cannot allocate all claims."
            self.has[name] = free[0]
            found = self.known[free[0]]
            result = {"request": "device", "driver": found.driver, "pool": found.pool, "device": found.name}
            claim["status"] = {"allocation": {"devices": {"results": [result]}}}
        return ""

    async def delete(self, obj: Object) -> None:
        await super().delete(obj)
        if obj["kind"] != "Pod" or not self.released:
            return
        self.has.pop(obj["metadata"]["name"], None)
        for claim in self.claims_of(obj):
            claim["status"] = {}
        for each in self.created:
            if each["kind"] == "Pod" and not each["spec"].get("nodeName"):
                self.place(each)

    def shows(self, name: str) -> list[str]:
        own = self.has[name]
        seen = sorted({*self.has.values()}) if self.leaks else [own]
        names = [*self.known, *(f"gpu-{number}" for number in range(4))]
        folder = f"{simulated_kernel()}/sys/module/simulated_accelerator/devices/{own}"
        size = self.memory * MIB or (int(self.known[own].memory) if own in self.known else 10240 * MIB)
        files = {"memory": f"{size}\n", "parent": "PF\n", "virtual": f"{int(self.virtual)}\n"}
        return [
            *(f"node /dev/accel{names.index(each)} f0 {names.index(each):x} character special file" for each in seen),
            f"own /dev/accel{names.index(own)} opened",
            *(f"file {folder}/{key} {base64.b64encode(text.encode()).decode()}" for key, text in files.items()),
        ]


def settings(**options: Any) -> Settings:
    known = {"observe_seconds": 0.2, "release_seconds": 1.0, "start_seconds": 1.0, **options}
    made = VirtualizedAccelerator.model_construct(**{**VirtualizedAccelerator().model_dump(), **known})
    return Settings(patience=1.0, options=(made,))


async def places_of(cluster: Node, **options: Any) -> list[VirtualPlace]:
    return [*await places(platform(cluster), settings(**options))]


async def seen(cluster: Node, **options: Any) -> Virtual:
    (place,) = await places_of(cluster, **options)
    return await virtual_devices(platform(cluster), FakeScratch(cluster), settings(**options), place)  # type: ignore[arg-type]


def outcomes(found: Virtual) -> dict[str, bool | None]:
    return {name: each.holds for name, each in findings(CHECK, found).items() if each.applies}


def broken(found: Virtual) -> set[str]:
    return {name for name, held in outcomes(found).items() if held is False}


def lab(*more: Object, devices: list[Object] | None = None) -> Node:
    whole = [device("whole-0", "16Gi", virtual=False), device("whole-1", "16Gi", virtual=False)]
    return Node(node(), slice_(*whole, *(functions() if devices is None else devices)), *more)


async def test_functions_of_one_device_are_held_and_come_back() -> None:
    cluster = lab()
    found = await seen(cluster)
    assert outcomes(found) == dict.fromkeys([each.id for each in CHECK.assertions], True)
    assert (found.parent, found.total, found.whole) == ("PF", 2, 16 * 2.0**30)
    assert {found.first.allocated, found.second and found.second.allocated} == {
        (f"{DRIVER}/n1/vf-0",),
        (f"{DRIVER}/n1/vf-1",),
    }
    assert found.beside is not None
    assert found.beside.allocated == (f"{DRIVER}/n1/whole-1",)
    assert found.interface.facts.keys() >= {"attribute uuid", "capacity memory"}


async def test_the_manifests_differ_by_their_selectors_alone() -> None:
    cluster = lab(device_class("all", f'device.driver == "{DRIVER}"'))
    await seen(cluster)
    claims = [each for each in cluster.created if each["kind"] == "ResourceClaim"]
    (asked,) = {repr({**each["spec"]["devices"]["requests"][0]["exactly"], "selectors": ""}) for each in claims}
    assert "'deviceClassName': 'all'" in asked


async def test_functions_that_no_class_selects_beside_whole_devices_need_another_manifest() -> None:
    whole = f'device.driver == "{DRIVER}" && !device.attributes["{DRIVER}"].virtual'
    found = await seen(lab(device_class("whole", whole), device_class("vf", whole.replace("!", ""))))
    assert broken(found) == {"only_selector_differs"}
    assert (found.interface.classes, found.other and found.other.classes) == (("vf",), ("whole",))
    assert found.beside is None


async def test_a_class_that_cannot_be_read_may_select_both() -> None:
    whole = f'device.driver == "{DRIVER}" && !device.attributes["{DRIVER}"].virtual'
    two = [device_class("whole", whole), device_class("vf", whole.replace("!", ""))]
    for more in ('device.attributes["x"].v.isLessThan(semver("9.0.0"))', 'device.capacity["x"].memory.value > 0'):
        every = device_class("every", f'device.driver == "{DRIVER}" && {more}')
        found = await seen(lab(*two, every))
        assert found.interface.unclear == ("every",)
        assert outcomes(found)["only_selector_differs"] is None
        assert broken(found) == set()


async def test_single_functions_of_two_devices_are_held_apart_from_each_other() -> None:
    single = [device(f"vf-{each}", "8Gi", virtual=True, parentUUID=f"PF-{each}") for each in range(2)]
    cluster = lab(devices=single)
    found = await seen(cluster)
    assert (found.total, found.second is not None) == (1, True)
    assert outcomes(found)["virtual_devices_are_isolated"] is True
    assert "two_run_on_one_device" not in outcomes(found)
    cluster = lab(devices=single)
    cluster.leaks = True
    assert broken(await seen(cluster)) == {"virtual_devices_are_isolated"}


async def test_vgpus_of_a_machine_are_all_held() -> None:
    cluster = Node(node(VGPU, gpu=2))
    cluster.memory = 10240
    found = await seen(cluster)
    assert found.said == "label nvidia.com/vgpu.present=true"
    assert outcomes(found)["unshared_device_is_exclusive"] is True
    assert outcomes(found)["device_is_released"] is True
    assert {"one_interface_for_both", "two_run_on_one_device"}.isdisjoint(outcomes(found))
    assert found.first.memory == 10240 * MIB


async def test_more_of_a_plugin_than_the_labels_count_are_given_twice() -> None:
    found = await seen(Node(node(VGPU, gpu=3)))
    assert "unshared_device_is_exclusive" in broken(found)


async def test_the_rest_is_held_by_one_pod() -> None:
    cluster = Node(node({**VGPU, "nvidia.com/gpu.count": "4"}, gpu=4))
    found = await seen(cluster)
    rest = next(each for each in cluster.created if each["metadata"]["name"].endswith("rest"))
    assert extended_resources(rest) == {"nvidia.com/gpu": 2}
    assert outcomes(found)["unshared_device_is_exclusive"] is True


async def test_a_claim_that_is_given_a_held_device_is_caught() -> None:
    cluster = lab()
    cluster.twice = True
    assert broken(await seen(cluster)) == {"unshared_device_is_exclusive"}


async def test_a_device_that_is_not_released_is_caught() -> None:
    cluster = lab()
    cluster.released = False
    found = await seen(cluster)
    assert broken(found) == {"device_is_released"}
    assert "vf-" in found.released.held


async def test_a_device_that_others_gave_back_meanwhile_is_not_given_twice() -> None:
    class Leaving(Node):
        """Another Pod ends as soon as the first one is made."""

        def place(self, made: Object) -> None:
            self.objects = [each for each in self.objects if each["kind"] != "Pod"]
            super().place(made)

    labels = {**VGPU, "nvidia.com/gpu.count": "3"}
    other = {
        "kind": "Pod",
        "metadata": {"name": "other", "namespace": "x"},
        "spec": {"nodeName": "n1", "containers": [{"name": "c", "resources": {"limits": {"nvidia.com/gpu": "1"}}}]},
        "status": {"phase": "Running"},
    }
    found = await seen(Leaving(node(labels, gpu=3), other))
    assert (found.excess.others_before, found.excess.others_after) == (1, 0)
    assert outcomes(found)["unshared_device_is_exclusive"] is None
    assert outcomes(found)["device_is_released"] is None


async def test_a_node_that_takes_no_more_pods_decides_nothing_of_who_waits() -> None:
    class Cordoned(Node):
        def place(self, made: Object) -> None:
            if made["metadata"]["name"].endswith("waiting"):
                self.of("Node")[0]["spec"]["unschedulable"] = True
            super().place(made)

    found = await seen(Cordoned(node(), slice_(*functions())))
    assert "node n1 is cordoned" in found.excess.not_tried
    assert [outcomes(found)[each] for each in ("unshared_device_is_exclusive", "device_is_released")] == [None, None]


@pytest.mark.parametrize("short", ["0/1 nodes are available: 1 Insufficient cpu.", ""])
async def test_a_second_pod_that_waits_for_something_else_says_nothing_of_the_release(short: str) -> None:
    class Full(Node):
        async def delete(self, obj: Object) -> None:
            await super().delete(obj)
            self.of("Node")[0]["spec"]["unschedulable"] = not short
            for each in self.of("Pod"):
                for condition in each["status"].get("conditions", []) if short else []:
                    condition["message"] = short

    cluster = Full(node(), slice_(*functions()))
    cluster.released = False
    found = await seen(cluster)
    assert (short or "node n1 is cordoned") in found.released.not_tried
    assert outcomes(found)["device_is_released"] is None


async def test_functions_that_no_selector_tells_apart_can_be_of_two_devices() -> None:
    """Their physical device is told by counters alone."""

    def alike(number: int) -> Object:
        made = device(f"vf-{number}", "8Gi", virtual=True)
        made["attributes"].pop("uuid")
        counter = {"counterSet": f"pf-{number // 2}", "counters": {"functions": {"value": "1"}}}
        return {**made, "consumesCounters": [counter]}

    published_ = slice_(*map(alike, (2, 0, 1)))
    published_["spec"]["sharedCounters"] = [
        {"name": f"pf-{number}", "counters": {"functions": {"value": "2"}}} for number in (0, 1)
    ]

    class Apart(Node):
        def shows(self, name: str) -> list[str]:
            parent = "PF-1" if self.has[name] == "vf-2" else "PF-0"
            coded = base64.b64encode(parent.encode()).decode()
            return [
                f"{line.rpartition(' ')[0]} {coded}" if "/parent " in line else line for line in super().shows(name)
            ]

    found = await seen(Apart(node(), published_))
    assert found.elsewhere == (f"{DRIVER}/n1/vf-2",)
    assert outcomes(found)["two_run_on_one_device"] is None


async def test_holders_that_see_each_others_devices_are_caught() -> None:
    cluster = lab()
    cluster.leaks = True
    assert broken(await seen(cluster)) == {"virtual_devices_are_isolated"}


async def test_the_memory_of_the_physical_device_is_caught() -> None:
    cluster = lab()
    cluster.memory = 16384
    assert broken(await seen(cluster)) == {"profile_size_is_its_own"}


async def test_a_second_device_that_is_refused_decides_nothing_else() -> None:
    cluster = lab()
    cluster.states["second"] = {"phase": "Failed", "reason": "UnexpectedAdmissionError", "message": "prepare failed"}
    found = await seen(cluster)
    assert broken(found) == {"two_run_on_one_device"}
    assert outcomes(found)["virtual_devices_are_isolated"] is None


async def test_a_first_device_that_is_refused_decides_nothing_else() -> None:
    cluster = lab()
    cluster.states["-virtual"] = {"phase": "Failed", "reason": "UnexpectedAdmissionError", "message": "prepare failed"}
    found = await seen(cluster)
    assert broken(found) == {"pod_opens_virtual_device"}
    assert outcomes(found)["unshared_device_is_exclusive"] is None


async def test_other_names_of_attributes_are_caught() -> None:
    renamed = functions()
    for each in renamed:
        each["attributes"]["virtual_model"] = each["attributes"].pop("model")
    assert broken(await seen(lab(devices=renamed))) == {"names_are_the_same"}


async def test_virtual_devices_of_a_plugin_beside_whole_ones_of_dra_have_another_interface() -> None:
    labels = {"aiconform.dev/simulated-accelerator-vf.virtual": "true"}
    there = node(labels)
    for key in ("allocatable", "capacity"):
        there["status"][key] = {"aiconform.dev/simulated-accelerator-vf": "2"}
    found = await seen(Node(there, slice_(device("whole-0", "16Gi", virtual=False))))
    assert found.way == "device-plugin"
    assert broken(found) == {"one_interface_for_both", "only_selector_differs"}
    assert "names_are_the_same" not in outcomes(found)


async def test_what_nothing_calls_virtual_is_looked_into() -> None:
    cluster = Node(node(), slice_(device("whole-0", "16Gi"), device("whole-1", "16Gi")))
    with pytest.raises(NotApplicable, match=r"no virtual device.* at attributes virtual, .*with n1.* shows 0 in /run"):
        await seen(cluster)
    assert [each["metadata"]["name"] for each in cluster.created if each["kind"] == "Pod"] == ["probe-virtual"]


async def test_a_virtual_device_that_only_its_container_tells_is_tried() -> None:
    cluster = Node(node(), slice_(device("vf-0", "8Gi"), device("vf-1", "8Gi")))
    cluster.virtual = True
    found = await seen(cluster)
    assert found.said.endswith("devices/vf-0/virtual of a container")
    assert outcomes(found)["device_is_released"] is True


async def test_a_driver_that_does_not_say_leaves_it_open() -> None:
    class Silent(Node):
        def shows(self, name: str) -> list[str]:
            return [line for line in super().shows(name) if "/virtual" not in line]

    with pytest.raises(NothingToLookAt, match=r"not told: nothing published .*virtual could be read; .*image=IMAGE"):
        await seen(Silent(node(), slice_(device("whole-0", "16Gi"))))


class Bare(Node):
    """Its containers show device nodes alone; in a virtual machine, the processor tells that."""

    lines: tuple[str, ...] = ()

    def shows(self, name: str) -> list[str]:
        seen = ["node /dev/dri/renderD128 e2 80 character special file", "own /dev/dri/renderD128 opened"]
        return [*seen, "bus c:226:128 /sys/devices/pci0000:00/0000:06:00.0", *self.lines]


def vendors(resource: str, *lines: str) -> Bare:
    there = node()
    for key in ("allocatable", "capacity"):
        there["status"][key] = {resource: "1"}
    cluster = Bare(there)
    cluster.lines = lines
    return cluster


def shown(number: str) -> str:
    return f"file /sys/dev/char/226:128/device/device {base64.b64encode(number.encode()).decode()}"


async def test_a_function_that_a_machine_was_given_may_be_virtual() -> None:
    with pytest.raises(NotApplicable, match="no link of a virtual function"):
        await seen(vendors("gpu.intel.com/xe"))
    with pytest.raises(NothingToLookAt, match=r"not told: .* in a container nothing tells; .*virtual=NAME"):
        await seen(vendors("gpu.intel.com/xe", "hypervisor"))
    with pytest.raises(NotApplicable, match="shows 74a1 in /sys/dev/char/226:128/device/device"):
        await seen(vendors("amd.com/gpu", "hypervisor", shown("0x74a1")))
    with pytest.raises(NothingToLookAt, match="not told"):
        await seen(vendors("amd.com/gpu", "hypervisor", shown("0x9999")))
    with pytest.raises(NotApplicable, match="no link of a virtual function"):
        await seen(vendors("amd.com/gpu", shown("0x9999")))
    found = await seen(vendors("amd.com/gpu", "hypervisor", shown("0x74b5")))
    assert found.said == "74b5 in /sys/dev/char/226:128/device/device of a container"


async def test_a_whole_device_beside_functions_of_its_node_is_not_all_that_there_is() -> None:
    with pytest.raises(
        NothingToLookAt, match=r"the node has virtual functions \(0000:17:00.1\), and the Pod was given another"
    ):
        await seen(vendors("gpu.intel.com/xe", "function 0000:17:00.1"))
    found = await seen(vendors("gpu.intel.com/xe", "function 0000:17:00.1", "physfn c:226:128"))
    assert found.said == "device node c:226:128 is of a virtual function of a container"


async def test_virtual_devices_that_no_pod_can_have_are_not_inapplicable() -> None:
    lost = node({"nvidia.com/vgpu.present": "true"}, name="n2")
    cluster = Node(node(), slice_(device("whole-0", "16Gi")), lost)
    with pytest.raises(NothingToLookAt, match=r"no Pod can have .*label nvidia.com/vgpu.present=true of n2"):
        await seen(cluster)


async def test_what_cannot_be_looked_into_is_not_inapplicable() -> None:
    cluster = Node(node(), slice_(device("whole-0", "16Gi")))
    cluster.states["-virtual"] = {"phase": "Failed", "reason": "UnexpectedAdmissionError", "message": "prepare failed"}
    with pytest.raises(Stuck, match="only a container with one can tell"):
        await seen(cluster)
    with pytest.raises(NothingToLookAt, match="no usable accelerator"):
        await seen(Node(node()))


async def test_a_user_can_name_what_is_virtual() -> None:
    cluster = Node(node(), slice_(device("whole-0", "16Gi")))
    found = await seen(cluster, virtual=DRIVER)
    assert found.said == "so the user says"


async def test_inspect_says_what_was_found_and_what_is_compared() -> None:
    found = await offered_virtual_devices(platform(lab()), settings())
    assert "2 of 2 virtual devices are free; attribute virtual=true; compared with a complete device" in found.found[0]
    unmarked = await offered_virtual_devices(platform(Node(node(), slice_(device("whole-0", "16Gi")))), settings())
    assert "a run looks into a container with one (looked at attributes virtual" in unmarked.found[0]
