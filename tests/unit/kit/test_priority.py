"""The PriorityClass of Pods that fill nodes or wait: what it says, and who has it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from aiconform.check.registry import load_check
from aiconform.cluster import Conflict, Object, Rejected, Stuck
from aiconform.engine.access import needed
from aiconform.kit.priority import VALUE, evicting_nobody, for_waiting


class FakeScratch:
    """Creates objects after a moment, or refuses them. Also the cluster, with `others` on each node."""

    def __init__(self, refusal: str = "", *others: Object) -> None:
        self.created: list[Object] = []
        self.cluster, self._others = self, others
        self.asked = 0
        self._refusal = refusal

    async def list(self, *_: str, **__: str) -> AsyncIterator[Object]:
        for each in self._others:
            yield each

    def cluster_name(self, part: str) -> str:
        return f"aiconform-1-probe-{part}"

    async def create(self, obj: Object) -> Object:
        self.asked += 1
        if self._refusal:
            raise Rejected(self._refusal)
        if self.asked > 1:
            raise Conflict("it exists")
        await asyncio.sleep(0)
        self.created.append(obj)
        return obj


async def name_of(scratch: Any) -> str:
    return await evicting_nobody(scratch)


async def test_a_probe_has_one_class_and_it_evicts_nobody() -> None:
    scratch = FakeScratch()
    names = await asyncio.gather(name_of(scratch), name_of(scratch))
    assert {*names, await name_of(scratch)} == {"aiconform-1-probe-priority"}
    (made,) = scratch.created
    assert (made["value"], made["preemptionPolicy"]) == (VALUE, "Never")
    # Below it, Cluster Autoscaler adds no node; above the default, ordinary Pods would have to wait.
    assert -10 <= VALUE <= 0
    assert "globalDefault" not in made


async def test_a_policy_that_forbids_it_is_told_with_the_way_out() -> None:
    with pytest.raises(Stuck, match=r"create priorityclasses: no new classes.*name that begins with aiconform-"):
        await name_of(FakeScratch("create priorityclasses: no new classes"))


def holding(priority: int, *resources: str, claims: int = 0, mapped: str = "") -> Object:
    spec = {
        "nodeName": "n1",
        "priority": priority,
        "containers": [{"resources": {"limits": {"cpu": "1", **dict.fromkeys(resources, "1")}}}],
        **({"resourceClaims": [{"name": f"c{number}"} for number in range(claims)]} if claims else {}),
    }
    given = {"extendedResourceClaimStatus": {"requestMappings": [{"resourceName": mapped}]}} if mapped else {}
    return {"spec": spec, "status": {"phase": "Running", **given}}


@pytest.mark.parametrize(
    ("beside", "other", "has_class"),
    [
        (holding(0, "a.example/gpu"), holding(-1, "a.example/gpu"), True),
        (holding(0, "a.example/gpu"), holding(-1, "a.example/gpu", "b.example/nic"), True),
        (holding(0, "a.example/gpu"), holding(-1, "b.example/nic"), False),
        (holding(0, "a.example/gpu"), holding(-1, claims=1), False),
        (holding(0, claims=1), holding(-1, claims=1), True),
        (holding(0, claims=1), holding(-1, "a.example/gpu"), False),
        (holding(0, claims=1), holding(-1), False),
        (holding(0, claims=1), holding(0, claims=1), False),
        # DRA can serve extended resources, too: the same devices are claimed.
        (holding(0, "a.example/gpu", mapped="a.example/gpu"), holding(-1, claims=1), True),
        (holding(0, claims=1), holding(-1, "a.example/gpu", mapped="a.example/gpu"), True),
    ],
)
async def test_only_beside_holders_of_such_devices_a_waiting_pod_needs_a_class(
    beside: Object, other: Object, has_class: bool
) -> None:
    scratch: Any = FakeScratch("", other)
    assert await for_waiting(scratch, beside) == ("aiconform-1-probe-priority" if has_class else "")
    # Where no class may be made, none is asked for in vain.
    forbidden: Any = FakeScratch("create priorityclasses: no", other)
    if has_class:
        with pytest.raises(Stuck):
            await for_waiting(forbidden, beside)
    else:
        assert await for_waiting(forbidden, beside) == ""


@pytest.mark.parametrize("check", ["gang_scheduling", "cluster_autoscaling", "pod_autoscaling"])
def test_checks_that_fill_or_wait_may_make_the_class(check: str) -> None:
    assert "create" in needed([load_check(check)])["scheduling.k8s.io", "priorityclasses", ()]
