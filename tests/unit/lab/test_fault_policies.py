"""Faults by admission policies: whom they can refuse, and how they show that they are in force."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from aiconform.cluster import Rejected
from aiconform.lab.accelerators.identity import find_identity
from aiconform.lab.addons import karpenter
from aiconform.lab.faults.autoscaling import FAULTS
from aiconform.lab.faults.fault import InCluster
from aiconform.lab.faults.policies import refusing
from aiconform.lab.traits.catalog import TRAITS
from aiconform.platform.autoscaling.karpenter import node_pool

Object = dict[str, Any]


class FakeCluster:
    """Refuses the canary as the API server does: by a binding of the policy that covers ConfigMaps."""

    def __init__(self) -> None:
        self.applied: dict[tuple[str, str], Object] = {}

    async def apply(self, obj: Object) -> None:
        self.applied[obj["kind"], obj["metadata"]["name"]] = obj

    async def delete(self, obj: Object) -> None:
        del self.applied[obj["kind"], obj["metadata"]["name"]]

    @property
    def bindings(self) -> list[Object]:
        return [obj["spec"] for (kind, _), obj in self.applied.items() if kind == "ValidatingAdmissionPolicyBinding"]

    async def create(self, obj: Object, *, dry_run: bool) -> Object:
        assert dry_run
        if any(covers(binding, "configmaps") for binding in self.bindings):
            raise Rejected("the fault is on", status=422)
        return obj


def covers(binding: Object, resource: str) -> bool:
    rules = binding.get("matchResources", {}).get("resourceRules")
    return rules is None or any(resource in rule["resources"] for rule in rules)


async def test_a_policy_that_asks_other_objects_refuses_nobody_where_there_are_none() -> None:
    """Missing params come before the conditions: to deny then would refuse every ConfigMap and Job of other checks."""
    cluster = FakeCluster()
    fault = refusing("stays", "batch", "jobs", "params.status.ready", params=("jobset.x-k8s.io/v1alpha2", "JobSet"))
    await fault.on(cluster)  # type: ignore[arg-type]
    asking = [binding for binding in cluster.bindings if "paramRef" in binding]
    assert [binding["paramRef"]["parameterNotFoundAction"] for binding in asking] == ["Allow"]
    assert not covers(asking[0], "configmaps")
    assert covers(asking[0], "jobs")
    assert len([binding for binding in cluster.bindings if covers(binding, "configmaps")]) == 1
    await fault.off(cluster)  # type: ignore[arg-type]
    assert cluster.applied == {}


async def test_a_policy_is_on_when_it_refuses_its_canary() -> None:
    cluster = FakeCluster()
    fault = refusing("refuses", "batch", "jobs", "false")
    await fault.on(cluster)  # type: ignore[arg-type]
    assert len(cluster.bindings) == 1
    await fault.off(cluster)  # type: ignore[arg-type]
    assert cluster.applied == {}


async def test_a_pool_that_meets_a_lower_limit_still_declares_room() -> None:
    """At its declared limit it would be no defect: the fault touches the orders, and not the NodePool."""

    class WithoutNodes(FakeCluster):
        async def list(self, *of: str) -> AsyncIterator[Object]:
            assert of == ("karpenter.sh/v1", "NodeClaim")
            for claim in ():
                yield claim

    fault = next(fault for fault in FAULTS if fault.name == "autoscaler-at-limit")
    assert fault.breaks == {"cluster_autoscaling/node_is_added"}
    assert isinstance(fault.how, InCluster)
    cluster = WithoutNodes()
    await fault.how.on(cluster)  # type: ignore[arg-type]
    (policy,) = (obj["spec"] for (kind, _), obj in cluster.applied.items() if kind == "ValidatingAdmissionPolicy")
    rules = policy["matchConstraints"]["resourceRules"]
    assert [(rule["operations"], rule["resources"]) for rule in rules] == [
        (["CREATE"], ["nodeclaims"]),
        (["CREATE"], ["configmaps"]),
    ]
    await fault.how.off(cluster)  # type: ignore[arg-type]
    assert cluster.applied == {}


async def test_a_full_pool_is_full_by_a_limit_that_says_nothing_of_accelerators() -> None:
    asked: list[Object] = []

    class OfNodePool(FakeCluster):
        async def get(self, *of: str) -> Object:
            return {"kind": of[1], "spec": {"limits": {"example.com/gpu": "8"}}}

        async def patch(self, pool: Object, change: Object) -> None:
            asked.append(change)

    how = TRAITS["full-pool"].how
    assert isinstance(how, InCluster)
    await how.on(OfNodePool())  # type: ignore[arg-type]
    await how.off(OfNodePool())  # type: ignore[arg-type]
    assert asked == [{"spec": {"limits": {"cpu": "0"}}}, {"spec": {"limits": {"cpu": None}}}]


@pytest.mark.parametrize(("limits", "full"), [({}, ""), ({"cpu": "0"}, "its limit of 0 cpu is reached")])
def test_the_lab_s_pool_has_accelerators_and_room_unless_it_is_full(limits: dict[str, str], full: str) -> None:
    made = karpenter.node_pool(find_identity("simulated").extended_resource)
    made["spec"]["limits"] |= limits
    pool = node_pool(made, [])
    assert (pool.resource, pool.full) == ("aiconform.dev/simulated-accelerator", full)
