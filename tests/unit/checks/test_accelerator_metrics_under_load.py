"""How accelerator_metrics follows a load: a device that is known in several ways, and other people's Pods beside it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from aiconform.check.registry import load_check
from aiconform.check.testing import findings
from aiconform.checks.accelerator_metrics import device_load
from aiconform.checks.accelerator_metrics.device_metrics import Advertised, describe
from aiconform.checks.accelerator_metrics.holders import Holder, Holders, watched
from aiconform.checks.accelerator_metrics.observations import Coverage, Load
from aiconform.checks.accelerator_metrics.options import AcceleratorMetrics
from aiconform.checks.accelerator_metrics.page import Page
from aiconform.cluster import Forbidden
from aiconform.platform import Accelerators, Device, NodeAccelerators
from aiconform.platform.accelerators.offered import AllocationWay
from aiconform.platform.monitoring.conventions import conventions_of, load_conventions
from aiconform.platform.monitoring.matching import Counted
from aiconform.platform.monitoring.metrics import parse
from aiconform.platform.monitoring.readings import by_device
from aiconform.platform.monitoring.scrape import Endpoint, Scrape
from aiconform.platform.monitoring.sources import NodeSources, Source

CHECK = load_check("accelerator_metrics")
ENDPOINT = Endpoint("ns", "exporter", "n1", "9400", "/metrics", "", "known")
NODE = {"metadata": {"name": "n1"}, "spec": {}, "status": {}}
OWN = 'pod="user",namespace="run"'
OTHER = 'pod="theirs",namespace="team"'
ALL = {"utilization_rises": True, "idle_devices_stay": True, "utilization_falls": True}
Object = dict[str, Any]


class World:
    """A cluster and a scratch in one: the exporter's pages change when the Pod is there and when it is gone."""

    def __init__(self, before: str, during: str, after: str) -> None:
        self.pages = {"before": before, "during": during, "after": after}
        self.now = "before"
        self.status: Object = {"phase": "Running"}
        self.made: list[Object] = []
        self.cluster = self
        self.images = {"shell": "shell"}

    async def resource_api(self) -> str:
        return "resource.k8s.io/v1"

    async def node(self, _: str) -> Object:
        return NODE

    def name(self, suffix: str) -> str:
        return suffix

    def tell(self, _: str) -> None: ...

    async def create(self, obj: Object) -> Object:
        self.made.append(obj)
        if obj["kind"] != "Pod":
            return {**obj, "metadata": {**obj["metadata"], "namespace": "run", "uid": "claim"}}
        self.now = "during"
        return {**obj, "metadata": {"name": "user", "namespace": "run", "uid": "own"}}

    async def get(self, *_: str) -> Object:
        return {**self.made[-1], "status": self.status}

    async def delete(self, _: Object) -> None:
        self.now = "after"

    async def read(self) -> Scrape:
        return Scrape(ENDPOINT, tuple(parse(self.pages[self.now])))


def page(metric: str, values: Mapping[str, float]) -> str:
    return "".join(f"{metric}{{{labels}}} {value}\n" for labels, value in values.items())


def dcgm(*values: float, pods: Sequence[str] = ()) -> str:
    labels = [f'UUID="GPU-00{n}"' for n in range(len(values))]
    named = [f"{label},{pod}" if pod else label for label, pod in zip(labels, (*pods, *[""] * 9), strict=False)]
    return page("DCGM_FI_DEV_GPU_UTIL", dict(zip(named, values, strict=True)))


def followed(
    monkeypatch: pytest.MonkeyPatch,
    world: World,
    *,
    total: int,
    resource: str = "nvidia.com/gpu",
    others: Mapping[str, Holder] | None = None,
    unit: int = 1,
    physical: int = 0,
    simulated: bool = False,
    devices: tuple[Device, ...] = (),
    **options: Any,
) -> Load:
    """The observation of a load with an image of the user's. devices: those of a DRA driver."""
    way: AllocationWay = "dra" if devices else "device-plugin"
    target = NodeAccelerators(
        way,
        "n1",
        resource,
        "",
        total,
        total,
        unit=unit,
        physical=physical,
        simulated=simulated,
        devices=devices,
        device_class="any",
    )
    about = Advertised(target, devices, devices, Counted(resource, total, physical=physical))

    @asynccontextmanager
    async def watched(*_: Any) -> AsyncIterator[Holders]:
        holders = Holders(about)
        holders._found.update(others or {})
        yield holders

    async def started(*args: Any, **_: Any) -> tuple[Object, str]:
        return args[2], ""

    async def gone(*_: Any, **__: Any) -> None: ...

    for name, value in {
        "watched": watched,
        "holder_started": started,
        "_POLL_SECONDS": 0.0,
        "_QUIET_SECONDS": 0.0,
    }.items():
        monkeypatch.setattr(device_load, name, value)
    monkeypatch.setattr(device_load.wait, "gone", gone)
    first = Scrape(ENDPOINT, tuple(parse(world.pages["during"])))
    convention = conventions_of(first.samples, load_conventions())[0]
    source = Source("ns/exporter", "known", convention, first, world.read)
    chosen = AcceleratorMetrics(**{"load_image": "burn", "load_seconds": 1, **options})
    anything: Any = world
    return asyncio.run(device_load.under_load(anything, anything, about, source, chosen, 1.0))


def verdicts(seen: Load) -> dict[str, bool | None]:
    return {name: finding.holds for name, finding in findings(CHECK, seen).items()}


def test_a_device_that_the_exporter_names_our_pod_at(monkeypatch: pytest.MonkeyPatch) -> None:
    # Somebody else's device is busy, and becomes busier.
    world = World(
        dcgm(0, 20, 0, pods=("", OTHER)), dcgm(99, 99, 0, pods=(OWN, OTHER)), dcgm(0, 99, 0, pods=("", OTHER))
    )
    seen = followed(monkeypatch, world, total=3, others={"x": Holder("team/theirs", count=1)})
    assert (seen.label, seen.joined) == ("UUID=GPU-000", "the exporter's labels of the Pod")
    assert (seen.idle, seen.foreign, seen.sharing) == (("UUID=GPU-002",), 0, ())
    assert verdicts(seen) == ALL
    assert seen.samples["during"][0] == f'DCGM_FI_DEV_GPU_UTIL{{UUID="GPU-000",{OWN}}} 99'


def test_a_device_that_is_the_only_one_left(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(dcgm(0, 90, pods=("", OTHER)), dcgm(99, 90, pods=("", OTHER)), dcgm(0, 90, pods=("", OTHER)))
    seen = followed(monkeypatch, world, total=2, others={"x": Holder("team/theirs", count=1)})
    assert (seen.label, seen.joined) == ("UUID=GPU-000", "no other device is left")
    assert verdicts(seen) == {**ALL, "idle_devices_stay": None}


def test_a_device_that_nothing_tells_from_somebody_elses(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(dcgm(0, 0), dcgm(99, 99), dcgm(0, 0))
    seen = followed(monkeypatch, world, total=2, others={"x": Holder("team/theirs", count=1)})
    assert (seen.label, seen.foreign) == ("", 1)
    assert set(verdicts(seen).values()) == {None}
    # Without anybody else, two that rise are one too many.
    assert (
        verdicts(followed(monkeypatch, World(dcgm(0, 0), dcgm(99, 99), dcgm(0, 0)), total=2))["idle_devices_stay"]
        is False
    )


@pytest.mark.parametrize(
    ("during", "alone", "label", "joined"),
    [
        ((0, 99, 0), True, "UUID=GPU-001", "its rise, as one of 3 that can be it"),
        ((0, 99, 0), False, "UUID=GPU-001", "its rise, as one of 3 that can be it"),
        # That others rise as well is for the assertions to say.
        ((0, 99, 99), True, "UUID=GPU-001", "its rise, as one of 3 that can be it"),
        ((0, 99, 99), False, "", ""),
        ((5, 0, 0), True, "UUID=GPU-001", "one of 3, none of which rose"),
    ],
)
def test_a_device_of_dra_that_no_label_names(during: tuple[int, ...], alone: bool, label: str, joined: str) -> None:
    target = NodeAccelerators("dra", "n1", "gpu.amd.com", "", 3, 3)
    devices = tuple(Device("gpu.amd.com", "n1", f"gpu-{n}-128", "n1", {}) for n in range(3))
    about = Advertised(target, devices, devices, Counted("gpu.amd.com", 3))
    convention = conventions_of(parse(dcgm(0)), load_conventions())[0]
    pages = [Page(tuple(by_device(parse(dcgm(*values)), convention))) for values in ((5, 0, 0), during)]
    assert device_load._by_its_rise("gpu-1-128", about, *pages, alone=alone) == (label, joined)


@pytest.mark.parametrize(
    ("there", "untold", "holds"), [(2, "", True), (2, "told", True), (1, "", False), (1, "told", None)]
)
def test_a_missing_device_may_be_one_that_a_rule_taints_which_nobody_may_read(
    there: int, untold: str, holds: bool | None
) -> None:
    target = NodeAccelerators("dra", "n1", "gpu.nvidia.com", "", 2, 2)
    devices = tuple(Device("gpu.nvidia.com", "n1", f"gpu-{n}", "n1", {"uuid": f"GPU-00{n}"}) for n in range(2))
    about = Advertised(target, devices, devices, Counted("gpu.nvidia.com", 2), untold)
    scrape = Scrape(ENDPOINT, tuple(parse(dcgm(*[0] * there))))
    source = Source("ns/exporter", "known", conventions_of(scrape.samples, load_conventions())[0], scrape, None)
    found = describe(about, NodeSources((source,)))
    finding = findings(CHECK, Coverage(nodes=[found]))["every_device"]
    assert finding.holds is holds
    assert found.undecided == (untold if there < 2 else "")
    # Without an exporter on the node all are missing.
    assert describe(about, NodeSources()).undecided == untold


def test_a_time_slice_that_others_hold_slices_of(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(dcgm(0), dcgm(99), dcgm(0))
    seen = followed(monkeypatch, world, total=4, physical=1, others={"x": Holder("team/theirs", count=1)})
    assert seen.sharing == ("team/theirs",)
    assert set(verdicts(seen).values()) == {None}
    alone = followed(monkeypatch, World(dcgm(0), dcgm(99), dcgm(0)), total=4, physical=1)
    # There is no other device that could stay idle.
    assert verdicts(alone) == {**ALL, "idle_devices_stay": None}


NOTHING = "system_memory_total_bytes 1\n"
ONE_DEVICE = {**ALL, "idle_devices_stay": None}


class Changing(World):
    """After the load the exporter answers with one thing after another; None if it does not answer."""

    def __init__(self, during: str, *afterwards: str | None, before: str = NOTHING) -> None:
        super().__init__(before, during, "")
        self.afterwards = list(afterwards)

    async def read(self) -> Scrape:
        if self.now != "after":
            return await super().read()
        text = self.afterwards.pop(0) if len(self.afterwards) > 1 else self.afterwards[0]
        if text is None:
            return Scrape(ENDPOINT, problem="unreachable", message="connection refused")
        return Scrape(ENDPOINT, tuple(parse(text)))


def test_a_device_that_is_reported_only_while_it_is_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    def follow(*afterwards: str | None) -> dict[str, bool | None]:
        world = Changing(neuron(0.9, 0.9), *afterwards)
        return verdicts(followed(monkeypatch, world, total=2, resource="aws.amazon.com/neuron"))

    assert follow(NOTHING) == ONE_DEVICE
    assert follow(neuron(0.9, 0.9), NOTHING) == ONE_DEVICE
    assert follow(None, NOTHING) == ONE_DEVICE
    assert follow(None) == {**ONE_DEVICE, "utilization_falls": None}
    assert follow(neuron(0.9, 0.9)) == {**ONE_DEVICE, "utilization_falls": False}


def test_an_exporter_that_cannot_be_read_for_a_while_fails_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    def follow(*afterwards: str | None) -> dict[str, bool | None]:
        return verdicts(followed(monkeypatch, Changing(dcgm(99, 0), *afterwards, before=dcgm(0, 0)), total=2))

    assert follow(None, dcgm(0, 0)) == follow(dcgm(99, 0), None, dcgm(0, 0)) == ALL
    # A restarted exporter may report nothing yet.
    assert follow(NOTHING, dcgm(0, 0)) == ALL
    assert follow(dcgm(99, 0)) == {**ALL, "utilization_falls": False}
    assert follow(dcgm(99, 0), None) == {**ALL, "utilization_falls": None}
    # The device is gone from the metrics.
    assert follow(page("DCGM_FI_DEV_GPU_UTIL", {'UUID="GPU-001"': 0})) == {**ALL, "utilization_falls": None}


@pytest.mark.parametrize("when", ["before", "during"])
def test_metrics_that_cannot_be_read_decide_nothing(monkeypatch: pytest.MonkeyPatch, when: str) -> None:
    class Silent(World):
        async def read(self) -> Scrape:
            if self.now == when:
                return Scrape(ENDPOINT, problem="slow", message="no complete answer within 10 s")
            return await super().read()

    seen = followed(monkeypatch, Silent(dcgm(0, 0), dcgm(99, 0), dcgm(0, 0)), total=2)
    assert set(verdicts(seen).values()) == {None}
    assert f"{when} the load: no complete answer" in findings(CHECK, seen)["utilization_rises"].reason


def test_all_chips_of_a_host_under_numbers_of_their_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    host = page("tensorcore_utilization_node", {f'accelerator_id="host-{n}"': 0 for n in range(4)})
    busy = page("tensorcore_utilization_node", {f'accelerator_id="host-{n}"': 80 for n in range(4)})
    used = page("duty_cycle", {f'accelerator_id="run-{n}"': 90 for n in range(4)})
    used += page("memory_used", {f'accelerator_id="run-{n}"': 1 for n in range(4)})
    world = World(host, busy + used, host)
    seen = followed(monkeypatch, world, total=4, unit=4, physical=4, resource="google.com/tpu")
    assert verdicts(seen) == {**ALL, "idle_devices_stay": None}


@pytest.mark.parametrize("busy", [(90, 90, 90, 90), (0, 0, 90, 0)])
def test_all_chips_of_a_host_by_one_claim(monkeypatch: pytest.MonkeyPatch, busy: tuple[int, ...]) -> None:
    chips = tuple(Device("tpu.google.com", "n1", f"accel{n}", "n1", {"index": n, "tpuGen": "v6e"}) for n in range(4))

    def said(*values: int) -> str:
        return page("duty_cycle", {f'accelerator_id="{n}",index="{n}"': value for n, value in enumerate(values)})

    world = World(said(0, 0, 0, 0), said(*busy), said(0, 0, 0, 0))
    seen = followed(monkeypatch, world, total=4, unit=4, resource="tpu.google.com", devices=chips)
    (asked,) = world.made[0]["spec"]["devices"]["requests"]
    assert asked["exactly"]["count"] == seen.held == 4
    # The load may use any of them.
    assert (seen.device, seen.label) == ("", "")
    assert verdicts(seen) == {**ALL, "idle_devices_stay": None}
    stays = World(said(0, 0, 0, 0), said(*busy), said(*busy))
    seen = followed(monkeypatch, stays, total=4, unit=4, resource="tpu.google.com", devices=chips)
    assert verdicts(seen)["utilization_falls"] is False
    # Who comes later may use the device that was busy.
    other = Holder("team/theirs", devices=frozenset({"accel1"}))
    assert device_load._may_have(other, device_load._User())
    assert not device_load._may_have(other, device_load._User(device="accel0"))


def test_a_load_that_ends_by_itself_says_nothing_of_the_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(dcgm(0), dcgm(0), dcgm(0))
    assert verdicts(followed(monkeypatch, world, total=1))["utilization_rises"] is False
    ended = {"name": "user", "state": {"terminated": {"exitCode": 1, "reason": "Error"}}}
    world = World(dcgm(0), dcgm(0), dcgm(0))
    world.status = {"phase": "Failed", "containerStatuses": [ended]}
    seen = followed(monkeypatch, world, total=1)
    assert "exit code 1" in seen.ended
    assert set(verdicts(seen).values()) == {None}


def test_a_load_gets_the_user_and_the_groups_that_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(dcgm(0), dcgm(99), dcgm(0))
    followed(monkeypatch, world, total=1, load_user=1000, load_groups="44,109")
    spec = world.made[0]["spec"]
    assert spec["securityContext"] == {"supplementalGroups": [44, 109]}
    assert spec["containers"][0]["securityContext"]["runAsUser"] == 1000
    assert spec["containers"][0]["securityContext"]["runAsNonRoot"]


def test_holders_are_kept_after_they_end() -> None:
    target = NodeAccelerators("device-plugin", "n1", "nvidia.com/gpu", "", 2, 2)
    holders = Holders(Advertised(target, (), (), Counted("nvidia.com/gpu", 2)))

    def holding(name: str, count: int, phase: str) -> Object:
        limits = {"nvidia.com/gpu": str(count)} if count else {}
        containers = [{"name": "c", "resources": {"limits": limits}}]
        about = {"name": name, "namespace": "team", "uid": name}
        return {"kind": "Pod", "metadata": about, "spec": {"containers": containers}, "status": {"phase": phase}}

    for pod in (holding("a", 1, "Running"), holding("a", 1, "Succeeded"), holding("b", 0, "Running")):
        holders.note(pod)
    assert [each.name for each in holders.besides(None).values()] == ["team/a"]
    assert not holders.besides(holding("a", 1, "Running"))


async def test_holders_that_may_not_be_followed_are_an_error_and_not_absent() -> None:
    class Refusing:
        """Lists, and refuses to watch."""

        async def snapshot(self, *_: Any, **__: Any) -> tuple[list[Object], str]:
            return [], "1"

        async def watch(self, *_: Any, **__: Any) -> AsyncIterator[Any]:
            for event in ():
                yield event
            raise Forbidden("cannot watch pods", verb="watch", resource="pods")

        async def accelerators(self) -> Accelerators:
            return Accelerators((), ())

        cluster = property(lambda self: self)

    about = Advertised(NodeAccelerators("device-plugin", "n1", "nvidia.com/gpu", "", 2, 2), (), (), Counted("g", 2))
    with pytest.raises(Forbidden, match="cannot watch pods"):
        async with watched(Refusing(), about):  # type: ignore[arg-type]
            await asyncio.sleep(10)


def test_who_holds_the_hardware_by_another_name_holds_it() -> None:
    target = NodeAccelerators(
        "device-plugin", "n1", "aws.amazon.com/neuron", "", 2, 2, aliases=("aws.amazon.com/neuroncore",)
    )
    limits = {"aws.amazon.com/neuroncore": "2", "nvidia.com/gpu": "1"}
    pod = {
        "kind": "Pod",
        "metadata": {"name": "a", "namespace": "team", "uid": "a"},
        "spec": {"containers": [{"name": "c", "resources": {"limits": limits}}]},
        "status": {"phase": "Running"},
    }
    by_alias = Holders(Advertised(target, (), (), Counted("aws.amazon.com/neuron", 2)))
    by_alias.note(pod)
    assert [each.count for each in by_alias.besides().values()] == [2]
    by_dra = NodeAccelerators("dra", "n1", "gpu.nvidia.com", "", 2, 2)
    both = Holders(Advertised(by_dra, (), (), Counted("gpu.nvidia.com", 2)), ["nvidia.com/gpu"])
    both.note(pod)
    assert [each.count for each in both.besides().values()] == [1]


def neuron(*values: float) -> str:
    rows = {f'neuron_device_index="{n // 2}",neuroncore="{n}"': value for n, value in enumerate(values)}
    return page("neuroncore_utilization_ratio", rows)


@pytest.mark.parametrize(
    ("nodes", "during", "rises"),
    [
        (["neuron1"], (0, 0, 0.9, 0.9), True),
        (["neuron1"], (0.9, 0.9, 0, 0), False),
        # Which of two that it holds is busy is not known.
        (["neuron0", "neuron1"], (0.9, 0.9, 0, 0), True),
        (["other1"], (0.9, 0.9, 0, 0), True),
    ],
)
def test_a_device_that_its_device_node_names(
    monkeypatch: pytest.MonkeyPatch, nodes: list[str], during: tuple[float, ...], rises: bool
) -> None:
    lines = [f"node /dev/{name} f5 {number} character special file" for number, name in enumerate(nodes)]

    async def printed(*_: Any, **__: Any) -> list[str]:
        return lines

    monkeypatch.setattr(device_load, "read_until", printed)
    world = World(neuron(0, 0, 0, 0), neuron(*during), neuron(0, 0, 0, 0))
    seen = followed(monkeypatch, world, total=2, resource="aws.amazon.com/neuron", simulated=True, load_image="")
    known = nodes == ["neuron1"]
    assert (seen.label, seen.joined) == (("neuron_device_index=1", "its device node") if known else ("", ""))
    assert verdicts(seen)["utilization_rises"] is rises
