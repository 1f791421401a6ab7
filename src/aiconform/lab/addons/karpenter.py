"""Karpenter: nodes on demand, which the lab's own cloud delivers.

It is Karpenter with its KWOK provider, which only creates Node objects; `aiconform.lab.cloud.delivery` starts a machine
for each. So Karpenter makes all decisions, and every node that it orders has a kubelet and accelerators.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from aiconform.lab.accelerators.identity import find_identity
from aiconform.lab.addons import manifests
from aiconform.lab.addons.model import AddOn, Site
from aiconform.lab.build.assets import Assets
from aiconform.lab.build.components import Component, Render
from aiconform.lab.build.images import Image, architecture, controller
from aiconform.lab.cloud.orders import ACCELERATORS_LABEL, STARTING_TAINT

if TYPE_CHECKING:
    from aiconform.cluster import Object

NAMESPACE = "karpenter"
COMPONENT = Component(
    "karpenter",
    "1.12.0",
    "karpenter",
    ("sigs.k8s.io/karpenter/kwok",),
    ("karpenter",),
    called_by=("karpenter",),
    renders=(
        Render(
            "manifests.yaml",
            "helm",
            "kwok/charts",
            (
                *("--namespace", NAMESPACE),
                # The chart has no default for this value, and Karpenter refuses an empty one.
                *("--set", "settings.featureGates.staticCapacity=false"),
                *("--api-versions", "policy/v1", "--kube-version", "1.34.0"),
                *("--set", "fullnameOverride=karpenter"),
                *("--set", "controller.image.repository=karpenter"),
                # Karpenter does not consider a new node for consolidation during twice this time.
                *("--set", "settings.batchMaxDuration=2s"),
            ),
        ),
        Render("crds.yaml", "copy", "kwok/charts/crds"),
        Render("kwok-crds.yaml", "copy", "kwok/apis/crds"),
    ),
)
IMAGE = f"registry.k8s.io/karpenter/kwok:v{COMPONENT.version}"
NODE_POOL = "accelerators"
INSTANCE_TYPE = "accelerator.2x"
ACCELERATORS = 2
"""Simulated accelerators of each node that it orders."""
LIMIT = 4 * ACCELERATORS
"""The pool's limit of accelerators: four nodes."""
_TYPES = "/etc/karpenter/instance-types.json"


def _images(assets: Assets) -> Sequence[Image]:
    return (controller(IMAGE, assets.of(COMPONENT, "karpenter"), "/karpenter"),)


def _objects(site: Site) -> Sequence[Object]:
    resource = find_identity(site.identity).extended_resource
    read = manifests.read
    # They are removed in this order: first the kind that creates nodes.
    definitions = sorted(
        (*read(site.assets.of(COMPONENT, "crds.yaml")), *read(site.assets.of(COMPONENT, "kwok-crds.yaml"))),
        key=lambda obj: obj["spec"]["names"]["kind"] != "NodePool",
    )
    objects = manifests.settle(read(site.assets.of(COMPONENT, "manifests.yaml")), NAMESPACE)
    deployment = manifests.find(objects, "Deployment", "karpenter")
    pod = deployment["spec"]["template"]["spec"]
    pod["volumes"] = [{"name": "instance-types", "configMap": {"name": "instance-types"}}]
    (container,) = pod["containers"]
    container["image"] = IMAGE
    container["volumeMounts"] = [{"name": "instance-types", "mountPath": _TYPES.rpartition("/")[0]}]
    container["env"] += [
        {"name": "INSTANCE_TYPES_FILE_PATH", "value": _TYPES},
        # With a single replica, a new Pod would wait for the Lease of the previous one to expire.
        {"name": "DISABLE_LEADER_ELECTION", "value": "true"},
    ]
    return [
        manifests.namespace_of(NAMESPACE),
        *definitions,
        *objects,
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "instance-types", "namespace": NAMESPACE},
            "data": {_TYPES.rpartition("/")[2]: json.dumps(_instance_types(resource), indent=1)},
        },
        {"apiVersion": "karpenter.kwok.sh/v1alpha1", "kind": "KWOKNodeClass", "metadata": {"name": "lab"}},
        node_pool(resource),
    ]


def _instance_types(resource: str) -> list[Object]:
    """The instance types, in the format of the provider's built-in file."""
    return [
        {
            "name": INSTANCE_TYPE,
            "architecture": architecture(),
            "operatingSystems": ["linux"],
            "resources": {
                "cpu": "2",
                "memory": "2Gi",
                "ephemeral-storage": "2Gi",
                "pods": "110",
                resource: str(ACCELERATORS),
            },
            "offerings": [
                {
                    "Price": 1.0,
                    "Available": True,
                    "Requirements": [
                        {"key": "karpenter.sh/capacity-type", "operator": "In", "values": ["on-demand"]},
                        {"key": "topology.kubernetes.io/zone", "operator": "In", "values": ["lab"]},
                    ],
                }
            ],
        }
    ]


def node_pool(resource: str) -> Object:
    """A pool of zero to four nodes, each removed a few seconds after its last Pod."""
    return {
        "apiVersion": "karpenter.sh/v1",
        "kind": "NodePool",
        "metadata": {"name": NODE_POOL},
        "spec": {
            "limits": {resource: str(LIMIT)},
            "disruption": {
                "consolidationPolicy": "WhenEmpty",
                "consolidateAfter": "3s",
                "budgets": [{"nodes": "100%"}],
            },
            "template": {
                "metadata": {"labels": {ACCELERATORS_LABEL: str(ACCELERATORS)}},
                "spec": {
                    "nodeClassRef": {"group": "karpenter.kwok.sh", "kind": "KWOKNodeClass", "name": "lab"},
                    "requirements": [
                        {"key": "node.kubernetes.io/instance-type", "operator": "In", "values": [INSTANCE_TYPE]}
                    ],
                    # Platforms reserve nodes with accelerators this way.
                    "taints": [{"key": resource, "value": "present", "effect": "NoSchedule"}],
                    "startupTaints": [{"key": STARTING_TAINT, "effect": "NoSchedule"}],
                    "expireAfter": "Never",
                    "terminationGracePeriod": "10s",
                },
            },
        },
    }


ADD_ON = AddOn(
    name="karpenter",
    summary="Karpenter: adds nodes with accelerators for pending Pods and removes them when they are empty.",
    components=(COMPONENT,),
    images=_images,
    objects=_objects,
    helper="aiconform.lab.cloud.delivery",
)
