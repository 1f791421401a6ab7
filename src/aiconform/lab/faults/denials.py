"""Faults by which the API server refuses a request that has to work, by a ValidatingAdmissionPolicy.

So a component meets a defect without being changed itself, and taking the policy away heals it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aiconform.lab.config import LabError
from aiconform.lab.faults.action import Action

if TYPE_CHECKING:
    from aiconform.cluster import Cluster, Object

_API = "admissionregistration.k8s.io/v1"
_IN_FORCE_SECONDS = 30.0
_LOOK_SECONDS = 0.2


@dataclass(frozen=True)
class Denial:
    """What is refused: an operation on a resource where `allowed` (CEL) is not true.

    `when` (CEL) says which requests are looked at at all. `param` is (apiVersion, kind) of objects in the request's
    Namespace, over each of which `allowed` speaks as `params`; without any the request is let through.
    """

    name: str
    group: str
    version: str
    resource: str
    operation: str
    allowed: str = "false"
    when: str = "true"
    namespace: str = ""
    param: tuple[str, str] | None = None

    def objects(self) -> list[Object]:
        rule = {
            "apiGroups": [self.group],
            "apiVersions": [self.version],
            "operations": [self.operation],
            "resources": [self.resource],
        }
        spec: dict[str, Any] = {
            "failurePolicy": "Fail",
            "matchConstraints": {
                "resourceRules": [rule],
                **(
                    {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": self.namespace}}}
                    if self.namespace
                    else {}
                ),
            },
            "matchConditions": [{"name": "when", "expression": self.when}],
            "validations": [{"expression": self.allowed, "message": f"the lab's fault {self.name}"}],
        }
        binding: dict[str, Any] = {"policyName": self._object_name, "validationActions": ["Deny"]}
        if self.param:
            spec["paramKind"] = {"apiVersion": self.param[0], "kind": self.param[1]}
            binding["paramRef"] = {"selector": {}, "parameterNotFoundAction": "Allow"}
        metadata = {"name": self._object_name}
        return [
            {"apiVersion": _API, "kind": "ValidatingAdmissionPolicy", "metadata": metadata, "spec": spec},
            {"apiVersion": _API, "kind": "ValidatingAdmissionPolicyBinding", "metadata": metadata, "spec": binding},
        ]

    @property
    def _object_name(self) -> str:
        return f"aiconform-fault-{self.name}"


def action(denial: Denial) -> Action:
    """The fault that refuses this."""
    canary = Denial(
        f"{denial.name}-canary", "", "v1", "configmaps", "CREATE", when=f"request.name == 'fault-{denial.name}'"
    )

    async def on(cluster: Cluster) -> None:
        # The API server takes policies up in the order in which they were made: once it minds the canary, it minds all.
        for obj in (*denial.objects(), *canary.objects()):
            await cluster.apply(obj)
        await _until(cluster, denial.name, denied=True)

    async def off(cluster: Cluster) -> None:
        for obj in reversed((*canary.objects(), *denial.objects())):
            await cluster.delete(obj)
        await _until(cluster, denial.name, denied=False)

    return Action(on, off)


async def _until(cluster: Cluster, name: str, *, denied: bool) -> None:
    """Try what the canary denies until it is denied, or not any more. Raises LabError."""
    from aiconform.cluster import Conflict, Rejected

    metadata = {"name": f"fault-{name}", "namespace": "default"}
    canary = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}
    deadline = asyncio.get_running_loop().time() + _IN_FORCE_SECONDS
    while True:
        try:
            await cluster.create(canary)
        except Rejected:
            refused = True
        except Conflict:
            refused = False
        else:
            refused = False
        if not refused:
            await cluster.delete(canary)
        if refused == denied:
            return
        if asyncio.get_running_loop().time() > deadline:
            raise LabError(f"the API server does not take up the policy of {name} within {_IN_FORCE_SECONDS:.0f} s")
        await asyncio.sleep(_LOOK_SECONDS)
