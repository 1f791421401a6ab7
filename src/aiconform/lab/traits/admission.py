"""Traits of Pods: what policies ask of them, and what is put into them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiconform.lab.addons.working import apply_definition
from aiconform.lab.build.images import PAUSE
from aiconform.lab.faults.fault import InCluster
from aiconform.lab.faults.policies import changing, refusing
from aiconform.lab.faults.workloads import until
from aiconform.lab.traits.namespaces import COVERED
from aiconform.lab.traits.trait import Trait

if TYPE_CHECKING:
    from aiconform.cluster import Cluster, Object

POD_LABELS = ("team", "cost-center")
"""The labels that `pod-labels` asks for."""
_SECONDS = 30.0
_CONTAINERS = "(object.spec.containers + (has(object.spec.initContainers) ? object.spec.initContainers : []))"


def _refused(name: str, allowed: str, message: str) -> InCluster:
    return refusing(name, "", "pods", allowed, operation="CREATE", message=message, namespaces=COVERED)


def _policy(name: str, description: str, says: str, allowed: str, message: str) -> Trait:
    return Trait(name, description, says, _refused(name, allowed, f"'{message}'"))


# Requests, labels, digests

_HAS_RESOURCES = " && ".join(
    f"has(c.resources.{kind}) && 'cpu' in c.resources.{kind} && 'memory' in c.resources.{kind}"
    for kind in ("requests", "limits")
)
_HAS_LABELS = " && ".join(f"'{label}' in object.metadata.labels" for label in POD_LABELS)

_POLICIES = (
    _policy(
        "requests",
        "A Pod whose containers lack requests or limits for cpu and memory is refused.",
        "pass; of Pods that lack them, error with the policy's words",
        f"{_CONTAINERS}.all(c, has(c.resources) && {_HAS_RESOURCES})",
        "every container needs requests and limits for cpu and memory",
    ),
    _policy(
        "pod-labels",
        f"A Pod without the labels {' and '.join(POD_LABELS)} is refused.",
        "error with the policy's words and --pod-template; pass with that",
        f"has(object.metadata.labels) && {_HAS_LABELS}",
        f"every Pod needs the labels {' and '.join(POD_LABELS)}",
    ),
    _policy(
        "digests",
        "A Pod whose images have no digest is refused.",
        "error with the policy's words and --image-digests; pass with that",
        f"{_CONTAINERS}.all(c, c.image.contains('@sha256:'))",
        "every image needs a digest",
    ),
)

# Users, as OpenShift's SCC restricted-v2 chooses and limits them:
# https://docs.openshift.com/container-platform/latest/authentication/managing-security-context-constraints.html

_GROUP, _PLURAL = "security.openshift.io", "securitycontextconstraints"
RANGE = "openshift.io/sa.scc.uid-range"
"""Annotation of a Namespace: its first user, a slash, and how many there are."""
_OF_NAMESPACE = f"namespaceObject.metadata.annotations['{RANGE}'].split('/')"
_FIRST, _COUNT = f"int({_OF_NAMESPACE}[0])", f"int({_OF_NAMESPACE}[1])"
_HAS_RANGE = f"has(namespaceObject.metadata.annotations) && '{RANGE}' in namespaceObject.metadata.annotations"
# Of the Pod and of its containers.
_USERS = (
    "((has(object.spec.securityContext) && has(object.spec.securityContext.runAsUser)"
    " ? [object.spec.securityContext.runAsUser] : [])"
    f" + {_CONTAINERS}.filter(c, has(c.securityContext) && has(c.securityContext.runAsUser))"
    ".map(c, c.securityContext.runAsUser))"
)
_GIVES_RANGE = (
    "(has(object.metadata.annotations) ? [] : [JSONPatch{op: 'add', path: '/metadata/annotations', value: {}}])"
    f" + [JSONPatch{{op: 'add', path: '/metadata/annotations/' + jsonpatch.escapeKey('{RANGE}'),"
    # Names of different length have ranges of their own.
    " value: string(1000000000 + 10000 * size(object.metadata.name)) + '/10000'}]"
)
_GIVES_USER = (
    f"{_HAS_RANGE} && size({_USERS}) == 0"
    " ? (has(object.spec.securityContext) ? [] : [JSONPatch{op: 'add', path: '/spec/securityContext', value: {}}])"
    f" + [JSONPatch{{op: 'add', path: '/spec/securityContext/runAsUser', value: {_FIRST}}}] : []"
)
_OUTSIDE = f"{_USERS}.filter(u, u < {_FIRST} || u >= {_FIRST} + {_COUNT})"
_IN_RANGE = f"!({_HAS_RANGE}) || size({_OUTSIDE}) == 0"
_OUT_OF_RANGE = (
    "'unable to validate against any security context constraint: provider restricted-v2: runAsUser: Invalid value: '"
    f" + string({_OUTSIDE}[0]) + ': must be in the ranges: [' + string({_FIRST}) + ', '"
    f" + string({_FIRST} + {_COUNT} - 1) + ']'"
)
DEFINITION: Object = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": f"{_PLURAL}.{_GROUP}"},
    "spec": {
        "group": _GROUP,
        "scope": "Cluster",
        "names": {"kind": "SecurityContextConstraints", "plural": _PLURAL, "singular": _PLURAL, "shortNames": ["scc"]},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
            }
        ],
    },
}
"""By whose API a run sees that the cluster chooses users."""
USER_POLICIES = (
    changing("uid-ranges-of-namespaces", "namespaces", _GIVES_RANGE, namespaces=COVERED),
    changing("uid-ranges-of-pods", "pods", _GIVES_USER, namespaces=COVERED),
    _refused("uid-ranges", _IN_RANGE, _OUT_OF_RANGE),
)


async def _choose_users(cluster: Cluster) -> None:
    await apply_definition(cluster, DEFINITION, _SECONDS)

    async def served() -> bool:
        return bool(await cluster.resources(f"{_GROUP}/v1"))

    await until(served, f"{_GROUP}/v1 to be served", seconds=_SECONDS)
    for policy in USER_POLICIES:
        await policy.on(cluster)


async def _let_users_be_chosen(cluster: Cluster) -> None:
    for policy in reversed(USER_POLICIES):
        await policy.off(cluster)
    await cluster.delete(DEFINITION)


_USERS_TRAIT = Trait(
    "uid-ranges",
    "Every new Namespace has a range of users; a Pod gets its first one, and is refused if it names one outside of it.",
    "pass where Pods need no user of their own; else error with the refusal and what is needed",
    InCluster(_choose_users, _let_users_be_chosen),
)

# Sidecars

_RESTRICTED = (
    "Object.spec.containers.securityContext{allowPrivilegeEscalation: false, runAsNonRoot: true, runAsUser: 65535,"
    " capabilities: Object.spec.containers.securityContext.capabilities{drop: ['ALL']},"
    " seccompProfile: Object.spec.containers.securityContext.seccompProfile{type: 'RuntimeDefault'}}"
)
_INJECTS = (
    "[JSONPatch{op: 'add', path: '/spec/containers/-', value: Object.spec.containers{"
    f"name: 'mesh-proxy', image: '{PAUSE}', securityContext: {_RESTRICTED}}}}}]"
)
# https://istio.io/latest/docs/reference/config/labels/
_DECLINES = (
    "has(object.metadata.labels) && 'sidecar.istio.io/inject' in object.metadata.labels"
    " && object.metadata.labels['sidecar.istio.io/inject'] == 'false'"
)


def _sidecars(name: str, whom: str, says: str, condition: str) -> Trait:
    description = f"A container that never ends is put into {whom}, as meshes do."
    return Trait(name, description, says, changing(name, "pods", _INJECTS, condition=condition, namespaces=COVERED))


TRAITS = (
    _USERS_TRAIT,
    *_POLICIES,
    _sidecars("sidecars", "every Pod that does not decline it", "pass", f"!({_DECLINES})"),
    _sidecars(
        "sidecars-everywhere",
        "every Pod, also one that declines it",
        "pass; of Pods that have to end with their work, error with the container's name and how to exempt a run",
        "true",
    ),
)
