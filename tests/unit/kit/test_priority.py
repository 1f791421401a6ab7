"""The PriorityClass of Pods that fill nodes or wait: what it says, and who has it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from aiconform.check.registry import load_check
from aiconform.cluster import Conflict, Object, Rejected, Stuck
from aiconform.engine.access import needed
from aiconform.kit.priority import VALUE, evicting_nobody


class FakeScratch:
    """Creates objects after a moment, or refuses them."""

    def __init__(self, refusal: str = "") -> None:
        self.created: list[Object] = []
        self.asked = 0
        self._refusal = refusal

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


@pytest.mark.parametrize("check", ["gang_scheduling", "cluster_autoscaling", "pod_autoscaling"])
def test_checks_that_fill_or_wait_may_make_the_class(check: str) -> None:
    assert "create" in needed([load_check(check)])["scheduling.k8s.io", "priorityclasses", ()]
