"""Faults that admission policies of the API server act out: a component is refused a write, or an object is changed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from aiconform.lab.config import LabError
from aiconform.lab.faults.action import Action

if TYPE_CHECKING:
    from aiconform.cluster import Cluster, Object

_GROUP = "admissionregistration.k8s.io/v1"
_SECONDS = 30.0
_LOOK_SECONDS = 0.2


def refusing(name: str, group: str, resource: str, allowed: str) -> Action:
    """Updates of `resource` (plural, or plural/subresource) are refused unless the CEL expression `allowed` holds."""
    canary = f"request.resource.resource == 'configmaps' ? object.metadata.name != '{name}' : ({allowed})"
    policy: Object = {
        "apiVersion": _GROUP,
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": name},
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": {"resourceRules": [_rule(group, resource, "UPDATE"), _CANARY_RULE]},
            "validations": [{"expression": canary, "message": f"the fault {name} is on"}],
        },
    }
    binding: Object = {
        "apiVersion": _GROUP,
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": name},
        "spec": {"policyName": name, "validationActions": ["Deny"]},
    }

    async def in_force(cluster: Cluster) -> bool:
        return await _marked(cluster, name) is None

    return _action(policy, binding, in_force)


def changing(
    name: str,
    resource: str,
    patch: str,
    *,
    condition: str = "true",
    group: str = "",
    operations: Sequence[str] = ("CREATE",),
) -> Action:
    """Objects of a `resource` are changed as they are written, by the CEL expression `patch` (a list of JSONPatch)
    where `condition` holds."""
    policy: Object = {
        "apiVersion": _GROUP,
        "kind": "MutatingAdmissionPolicy",
        "metadata": {"name": name},
        "spec": {
            "failurePolicy": "Fail",
            "reinvocationPolicy": "Never",
            "matchConstraints": {"resourceRules": [_rule(group, resource, *operations), _CANARY_RULE]},
            "matchConditions": [
                {
                    "name": "condition",
                    "expression": f"request.resource.resource == 'configmaps' ? object.metadata.name == '{name}'"
                    f" : ({condition})",
                }
            ],
            "mutations": [
                {
                    "patchType": "JSONPatch",
                    "jsonPatch": {
                        "expression": "request.resource.resource == 'configmaps' ? "
                        "[JSONPatch{op: 'add', path: '/metadata/labels', value: {'fault': 'on'}}]"
                        f" : ({patch})"
                    },
                }
            ],
        },
    }
    binding: Object = {
        "apiVersion": _GROUP,
        "kind": "MutatingAdmissionPolicyBinding",
        "metadata": {"name": name},
        "spec": {"policyName": name},
    }

    async def in_force(cluster: Cluster) -> bool:
        marked = await _marked(cluster, name)
        return bool(marked and marked["metadata"].get("labels"))

    return _action(policy, binding, in_force)


# A policy says nowhere that it is in force: so it also covers one ConfigMap that is made to see whether it is.
_CANARY_RULE: dict[str, Any] = {
    "apiGroups": [""],
    "apiVersions": ["v1"],
    "operations": ["CREATE"],
    "resources": ["configmaps"],
}


def _rule(group: str, resource: str, *operations: str) -> dict[str, Any]:
    return {"apiGroups": [group], "apiVersions": ["*"], "operations": [*operations], "resources": [resource]}


async def _marked(cluster: Cluster, name: str) -> Object | None:
    """The ConfigMap as the API server would have it (it is deleted at once), None if it is refused."""
    from aiconform.cluster import Rejected

    obj = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "default"}}
    try:
        made = await cluster.create(obj)
    except Rejected:
        return None
    await cluster.delete({**obj, "metadata": made["metadata"]})
    return made


def _action(policy: Object, binding: Object, in_force: Any) -> Action:
    async def settle(cluster: Cluster, on: bool) -> None:
        deadline = asyncio.get_running_loop().time() + _SECONDS
        while await in_force(cluster) is not on:
            if asyncio.get_running_loop().time() > deadline:
                state = "in force" if on else "gone"
                raise LabError(f"{policy['kind']} {policy['metadata']['name']} is not {state} after {_SECONDS:.0f} s")
            await asyncio.sleep(_LOOK_SECONDS)

    async def on(cluster: Cluster) -> None:
        await cluster.apply(policy)
        await cluster.apply(binding)
        await settle(cluster, True)

    async def off(cluster: Cluster) -> None:
        await cluster.delete(binding)
        await cluster.delete(policy)
        await settle(cluster, False)

    return Action(on, off)
