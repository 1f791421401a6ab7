"""Faults by admission policies: whom they can refuse, and how they show that they are in force."""

from __future__ import annotations

from typing import Any

from aiconform.cluster import Rejected
from aiconform.lab.faults.policies import refusing

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
