"""Traits of Namespaces: what they have to bring, and what they get as soon as they are made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from aiconform.lab.addons.install import LABEL as OF_ADD_ON
from aiconform.lab.faults.policies import changing, refusing
from aiconform.lab.traits.trait import LABEL, InNamespaces, Trait

if TYPE_CHECKING:
    from aiconform.cluster import Object

_PLATFORM = ("kube-system", "kube-public", "kube-node-lease")
COVERED: Object = {
    "matchExpressions": [
        {"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": list(_PLATFORM)},
        {"key": OF_ADD_ON, "operator": "DoesNotExist"},
    ]
}
"""Selects every Namespace but the platform's own, which traits leave alone."""
TEAM = "team"
"""The label that `namespace-labels` asks for."""
_LEVEL = "pod-security.kubernetes.io/enforce"
_AMPLE = {"requests.cpu": "64", "requests.memory": "64Gi", "limits.cpu": "64", "limits.memory": "64Gi"}
_DEFAULTS = {
    "type": "Container",
    "defaultRequest": {"cpu": "10m", "memory": "16Mi"},
    "default": {"cpu": "1", "memory": "256Mi"},
    "max": {"cpu": "4", "memory": "4Gi"},
}


def is_covered(namespace: Object) -> bool:
    """Whether `COVERED` selects the Namespace and it is not being deleted."""
    metadata = namespace["metadata"]
    own = metadata["name"] in _PLATFORM or OF_ADD_ON in (metadata.get("labels") or {})
    return not own and "deletionTimestamp" not in metadata


def in_namespaces(trait: str, *objects: Object) -> InNamespaces:
    """These objects in every Namespace, by the trait's name."""

    def of(namespace: str, _: str) -> Sequence[Object]:
        return [
            {**obj, "metadata": {"name": trait, "namespace": namespace, "labels": {LABEL: trait}}} for obj in objects
        ]

    return InNamespaces(of)


def _core(kind: str, **fields: object) -> Object:
    return {"apiVersion": "v1", "kind": kind, "spec": fields}


_LABELS = Trait(
    "namespace-labels",
    f"A Namespace without the label {TEAM} is refused.",
    "error with the policy's words and --namespace-labels; pass with that",
    refusing(
        "namespace-labels",
        "",
        "namespaces",
        f"has(object.metadata.labels) && '{TEAM}' in object.metadata.labels",
        operation="CREATE",
        message=f"'every Namespace needs the label {TEAM}'",
        namespaces=COVERED,
    ),
)
_RESTRICTED = Trait(
    "pod-security-restricted",
    "Every new Namespace enforces the level restricted of Pod Security, whatever it asks for.",
    "pass where that is enough; else error with what the level refuses and the level that is needed",
    changing(
        "pod-security-restricted",
        "namespaces",
        f"[JSONPatch{{op: 'add', path: '/metadata/labels/' + jsonpatch.escapeKey('{_LEVEL}'), value: 'restricted'}}]",
        # The name is always a label of a Namespace.
        condition="has(object.metadata.labels)",
        namespaces=COVERED,
    ),
)
_QUOTA = _core("ResourceQuota", hard=_AMPLE)
_DENY = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "NetworkPolicy",
    "spec": {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]},
}

TRAITS = (
    _LABELS,
    _RESTRICTED,
    Trait(
        "limit-ranges",
        "Every Namespace gets an ample ResourceQuota, and a LimitRange with defaults and a maximum.",
        "pass",
        in_namespaces("limit-ranges", _QUOTA, _core("LimitRange", limits=[_DEFAULTS])),
    ),
    Trait(
        "quotas",
        "Every Namespace gets an ample ResourceQuota: a Pod without requests and limits for cpu and memory is refused.",
        "pass; of Pods that lack them, error with the quota's words",
        in_namespaces("quotas", _QUOTA),
    ),
    Trait(
        "tight-quotas",
        "Every Namespace gets a ResourceQuota of a single Pod.",
        "error with the quota's words",
        in_namespaces("tight-quotas", _core("ResourceQuota", hard={"pods": "1"})),
    ),
    Trait(
        "default-deny",
        "Every Namespace gets a NetworkPolicy that allows nothing. The lab itself has nothing that enforces it.",
        "pass",
        in_namespaces("default-deny", _DENY),
    ),
    Trait(
        "enforced-default-deny",
        "The same NetworkPolicy, enforced on every node.",
        "pass, by NetworkPolicies for the run's own Pods; error that names the policy where it may make none",
        in_namespaces("enforced-default-deny", _DENY),
        needs=("kube-router",),
    ),
)
