"""The DRA check's assertions and the claims that it makes, without a cluster."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.served import Object, Served, device, resource_slice

from aiconform.check import Settings
from aiconform.checks.dra_support import CHECK
from aiconform.checks.dra_support import assertions as check
from aiconform.checks.dra_support.assertions import KINDS, VERBS
from aiconform.checks.dra_support.observations import Allocation, Excess, Published, ServedApi
from aiconform.checks.dra_support.probes import published_now
from aiconform.platform import Device, NodeAccelerators
from aiconform.platform.accelerators.selecting import selector_for
from aiconform.recorded import kinds, selectors


def served(*versions: str, kubernetes: str = "v1.37.2", **change: list[str]) -> ServedApi:
    kinds = {kind: list(VERBS) for kind in KINDS} | change
    return ServedApi(kubernetes=kubernetes, versions=dict.fromkeys(versions, kinds))


def test_the_api_is_whole_with_four_kinds_and_their_verbs() -> None:
    assert check.api_is_served(served("v1", "v1beta2")).holds is True


@pytest.mark.parametrize("kubernetes", ["v1.34.4", "v1.37.2-gke.1", "v1.38.0"])
def test_beta_versions_alone_are_not_enough_from_1_34(kubernetes: str) -> None:
    finding = check.api_is_served(served("v1beta2", "v1beta1", kubernetes=kubernetes))
    assert finding.holds is False
    assert "v1beta2" in finding.reason


def test_beta_versions_are_what_1_33_has() -> None:
    assert check.api_is_served(served("v1beta1", kubernetes="v1.33.9")).holds is True


@given(st.sampled_from(KINDS), st.sampled_from(VERBS))
def test_any_missing_verb_is_found(kind: str, verb: str) -> None:
    finding = check.api_is_served(served("v1", **{kind: [each for each in VERBS if each != verb]}))
    assert finding.holds is False
    assert f"{verb} {kind}" in finding.reason


def test_no_api_at_all() -> None:
    assert check.api_is_served(ServedApi(kubernetes="v1.37.2", versions={})).holds is False


def test_publishing() -> None:
    assert check.devices_are_published(Published(devices={"d": 4}, incomplete=[], classes=[])).subjects == 4
    finding = check.devices_are_published(Published(devices={}, incomplete=["d/p: 1 of 2"], classes=["gpu"]))
    assert finding.holds is False
    assert "1 of 2" in finding.reason
    assert "gpu" in finding.reason


def allocation(**change: object) -> Allocation:
    fields: dict[str, object] = {
        "node": "n",
        "driver": "d",
        "simulated": False,
        "selector": "...",
        "wanted": {"uuid": "U1", "ok": True},
        "allocated": ["d/p/a"],
        "given": {"uuid": "U1", "ok": True},
        "started": True,
        "problem": "",
    }
    return Allocation.model_validate(fields | change)


@pytest.mark.parametrize(
    ("change", "holds"),
    [
        ({}, True),
        ({"allocated": []}, False),
        ({"allocated": ["d/p/a", "d/p/b"]}, False),
        ({"given": {"uuid": "U2", "ok": True}}, False),
        ({"given": {"uuid": None, "ok": None}}, False),
        ({"given": {}}, False),
    ],
)
def test_an_allocation_satisfies_its_selector(change: dict[str, object], holds: bool) -> None:
    assert check.selector_is_satisfied(allocation(**change)).holds is holds


def test_a_pod_that_does_not_start() -> None:
    finding = check.pod_starts(allocation(started=False, problem="FailedPrepareDynamicResources"))
    assert finding.holds is False
    assert "FailedPrepareDynamicResources" in finding.reason


def test_an_excess_that_is_allocated() -> None:
    excess = Excess(node="n", driver="d", published=4, asked=5, window=2, scheduler="Unschedulable", allocated=[])
    assert check.excess_claim_stays_unallocated(excess).holds is True
    assert check.excess_claim_stays_unallocated(excess.model_copy(update={"allocated": ["d/p/a"]})).holds is False


texts = st.text(min_size=1, max_size=20)
attributes = st.dictionaries(
    st.from_regex(r"([a-z]{1,5}\.com/)?[a-zA-Z_]{1,8}", fullmatch=True),
    st.one_of(texts, st.integers(), st.booleans()),
    max_size=5,
)


@given(st.lists(attributes, min_size=1, max_size=4))
def test_a_selector_names_values_that_its_device_has(all_attributes: list[dict[str, str | int | bool]]) -> None:
    devices = [Device("d.com", "p", f"x{index}", "n", each) for index, each in enumerate(all_attributes)]
    expression, wanted = selector_for(devices[:1], devices)
    assert wanted.items() <= devices[0].attributes.items()
    assert expression.startswith('device.driver == "d.com"')
    for name, value in wanted.items():
        short = name.rpartition("/")[2]
        assert f'["{short}"] == {json.dumps(value, ensure_ascii=False)}' in expression


def test_a_selector_prefers_what_tells_devices_apart() -> None:
    devices = [Device("d", "p", f"x{i}", "n", {"model": "M", "uuid": f"U{i}", "index": i}) for i in range(3)]
    expression, wanted = selector_for(devices[2:], devices)
    assert wanted == {"uuid": "U2", "index": 2}
    assert 'device.attributes["d"]["uuid"] == "U2"' in expression


@pytest.mark.parametrize(
    ("published", "shareable", "told"),
    [(32, False, "32 devices at most"), (64, False, "64"), (2, True, "several claims can hold a device")],
)
async def test_an_excess_that_cannot_be_asked_for_is_left_out(published: int, shareable: bool, told: str) -> None:
    devices = tuple(Device("d", "p", f"x{i}", "n", {}, shareable=shareable) for i in range(published))
    target = NodeAccelerators("dra", "n", "d", "P", published, published, devices=devices, published=published)
    probe = next(each for each in CHECK.probes if each.name == "excess")
    seen = await probe.function(None, None, Settings(), target)
    finding = check.excess_claim_stays_unallocated(seen)
    assert (finding.holds, finding.applies) == (None, False)
    assert told in finding.reason


async def test_an_excess_that_devices_of_several_nodes_can_satisfy_is_left_out() -> None:
    class There:
        async def devices(self) -> tuple[list[Device], list[object]]:
            return [Device("d", "p", "x0", "n", {}), Device("d", "fabric", "x1", None, {})], []

    target = NodeAccelerators("dra", "n", "d", "P", 1, 1, published=1)
    probe = next(each for each in CHECK.probes if each.name == "excess")
    seen = await probe.function(There(), None, Settings(), target)
    assert "several nodes can use devices of d" in seen.not_possible


@pytest.mark.parametrize(
    ("said", "holds"),
    [
        ("Unschedulable: 0/2 nodes are available: 1 cannot allocate all claims", True),
        ("Unschedulable: 0/2 nodes are available: 1 Insufficient cpu, 1 cannot allocate all claims", True),
        ("Unschedulable: 0/2 nodes are available: 1 Too many pods", None),
        ("Unschedulable: 0/2 nodes are available: 1 Insufficient cpu", None),
        ("Scheduled", None),
    ],
)
def test_an_excess_that_the_scheduler_did_not_come_to_shows_nothing(said: str, holds: bool | None) -> None:
    seen = Excess(node="n", driver="d.example", published=2, asked=3, window=2.0, scheduler=said, allocated=[])
    assert check.excess_claim_stays_unallocated(seen).holds is holds


class Selecting(Served):
    """Reads field selectors, and keeps what it sent."""

    def __init__(self, *objects: Object) -> None:
        super().__init__(objects)
        self.sent: list[str] = []

    async def list(self, api_version: str, kind: str, *, fields: str = "") -> AsyncIterator[Object]:  # type: ignore[override]
        selects = selectors.fields(fields, kinds.fields(api_version, kind))
        async for item in super().list(api_version, kind):
            if selects(item):
                self.sent.append(item["spec"]["pool"]["name"])
                yield item


async def test_what_was_allocated_is_read_from_the_slices_of_its_node_and_else_from_all_of_its_driver() -> None:
    everywhere = resource_slice("d.example", device("x", index=7), on="fabric", allNodes=True)
    del everywhere["spec"]["nodeName"]
    cluster = Selecting(
        resource_slice("d.example", device("a", index=1)),
        resource_slice("d.example", device("a", index=2), on="n2"),
        resource_slice("other.example", device("a", index=3)),
        everywhere,
    )

    async def index(pool: str, name: str) -> object:
        cluster.sent.clear()
        (found,) = await published_now(
            cluster,  # type: ignore[arg-type]
            "resource.k8s.io/v1",
            "n1",
            [{"driver": "d.example", "pool": pool, "device": name}],
        )
        return found and found.attributes["index"]

    assert (await index("n1", "a"), cluster.sent) == (1, ["n1"])
    assert (await index("fabric", "x"), cluster.sent) == (7, ["n1", "n1", "n2", "fabric"])
    assert await index("n1", "gone") is None
