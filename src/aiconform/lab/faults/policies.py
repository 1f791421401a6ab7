"""Admission policies of the API server: they refuse the requests of a component, or change objects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from aiconform.lab.faults.fault import InCluster
from aiconform.lab.faults.workloads import until

if TYPE_CHECKING:
    from aiconform.cluster import Cluster, Object

_GROUP = "admissionregistration.k8s.io/v1"
_SECONDS = 30.0


def refusing(
    name: str,
    group: str,
    resource: str,
    allowed: str,
    *,
    operation: str = "UPDATE",
    condition: str = "true",
    params: tuple[str, str] | None = None,
    message: str = "",
    namespaces: Object | None = None,
) -> InCluster:
    """Refuse requests for a `resource` (plural, or plural/subresource) for which the CEL expression `condition` holds
    and `allowed` does not.

    `message` is a CEL expression for what the API server says then. `namespaces` selects some by their labels, of which
    default has to be one. `params` is the (apiVersion, kind) of objects in the request's Namespace: `allowed` has to
    hold with each of them as `params`.
    """
    validation = f"{_IS_CANARY} ? false : ({allowed})"
    spec: dict[str, Any] = {
        "failurePolicy": "Fail",
        "matchConstraints": _matching(namespaces, _rule(group, resource, operation)),
        "matchConditions": [_condition(name, condition)],
        "validations": [
            {
                "expression": validation,
                "message": f"the fault {name} is on",
                **({"messageExpression": f"{_IS_CANARY} ? '{name} is on' : {message}"} if message else {}),
            }
        ],
    }
    bound: dict[str, Any] = {"policyName": name, "validationActions": ["Deny"]}
    metadata = {"name": name}
    policy: Object = {"apiVersion": _GROUP, "kind": "ValidatingAdmissionPolicy", "metadata": metadata, "spec": spec}
    bindings = [_binding(name, bound)]
    if params:
        spec["paramKind"] = {"apiVersion": params[0], "kind": params[1]}
        # To deny where there is none would refuse every ConfigMap, too, so these have a binding without params.
        bindings = [
            _binding(
                name,
                {
                    **bound,
                    "paramRef": {"selector": {}, "parameterNotFoundAction": "Allow"},
                    "matchResources": {"resourceRules": [_rule(group, resource, operation)]},
                },
            ),
            _binding(f"{name}-shows", {**bound, "matchResources": {"resourceRules": [_CANARY_RULE]}}),
        ]

    async def in_force(cluster: Cluster) -> bool:
        return await _marked(cluster, name) is None

    return _action(policy, bindings, in_force)


def changing(
    name: str,
    resource: str,
    patch: str,
    *,
    condition: str = "true",
    group: str = "",
    operations: Sequence[str] = ("CREATE",),
    namespaces: Object | None = None,
) -> InCluster:
    """Change objects of a `resource` as they are written, by the CEL expression `patch` (a list of JSONPatch), where
    `condition` holds. `namespaces` is as above."""
    policy: Object = {
        "apiVersion": _GROUP,
        "kind": "MutatingAdmissionPolicy",
        "metadata": {"name": name},
        "spec": {
            "failurePolicy": "Fail",
            "reinvocationPolicy": "Never",
            "matchConstraints": _matching(namespaces, _rule(group, resource, *operations)),
            "matchConditions": [_condition(name, condition)],
            "mutations": [
                {
                    "patchType": "JSONPatch",
                    "jsonPatch": {
                        "expression": f"{_IS_CANARY} ? "
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

    return _action(policy, [binding], in_force)


# A policy does not report when it takes effect. So it also covers one ConfigMap, and dry runs with that show it.
_CANARY_RULE: dict[str, Any] = {
    "apiGroups": [""],
    "apiVersions": ["v1"],
    "operations": ["CREATE"],
    "resources": ["configmaps"],
}


_IS_CANARY = "request.resource.resource == 'configmaps'"


def _matching(namespaces: Object | None, rule: Object) -> Object:
    selector = {"namespaceSelector": namespaces} if namespaces else {}
    return {"resourceRules": [rule, _CANARY_RULE], **selector}


def _binding(name: str, spec: Object) -> Object:
    kind = "ValidatingAdmissionPolicyBinding"
    return {"apiVersion": _GROUP, "kind": kind, "metadata": {"name": name}, "spec": spec}


def _condition(name: str, condition: str) -> dict[str, Any]:
    return {"name": "condition", "expression": f"{_IS_CANARY} ? object.metadata.name == '{name}' : ({condition})"}


def _rule(group: str, resource: str, *operations: str) -> dict[str, Any]:
    return {"apiGroups": [group], "apiVersions": ["*"], "operations": [*operations], "resources": [resource]}


async def _marked(cluster: Cluster, name: str) -> Object | None:
    """The ConfigMap as the API server would create it in a dry run; None if it is refused."""
    from aiconform.cluster import Rejected

    metadata = {"name": name, "namespace": "default"}
    try:
        return await cluster.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}, dry_run=True)
    except Rejected:
        return None


def _action(policy: Object, bindings: Sequence[Object], in_force: Any) -> InCluster:
    async def settle(cluster: Cluster, on: bool) -> None:
        async def settled() -> bool:
            return await in_force(cluster) is on

        state = "in force" if on else "gone"
        await until(settled, f"{policy['kind']} {policy['metadata']['name']} to be {state}", seconds=_SECONDS)

    async def on(cluster: Cluster) -> None:
        await cluster.apply(policy)
        for binding in bindings:
            await cluster.apply(binding)
        await settle(cluster, True)

    async def off(cluster: Cluster) -> None:
        for binding in bindings:
            await cluster.delete(binding)
        await cluster.delete(policy)
        await settle(cluster, False)

    return InCluster(on, off)
