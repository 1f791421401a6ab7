"""The exporter for metrics of the simulated accelerators, deployed as their vendor does: one Pod on each node."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from aiconform.lab.accelerators.config import TELEMETRY_FOLDER
from aiconform.lab.accelerators.exporters import Exporter, exporters
from aiconform.lab.accelerators.identity import find_identity
from aiconform.lab.addons.model import AddOn, Site
from aiconform.lab.build.assets import Assets
from aiconform.lab.build.components import Component
from aiconform.lab.build.images import Image, controller
from aiconform.lab.machines import cgroups

if TYPE_CHECKING:
    from aiconform.cluster import Object

COMPONENT = Component(
    "accelerator-exporter",
    "1.1.0",
    "accelerator-exporter",
    (".",),
    ("accelerator-exporter",),
    main="accelerator-exporter/main.go",
)
# A container has its own cgroups where the node has all of them.
_MOUNTED = "/run/cgroups"
# No exporter's name is part of it: whose it is, the Pod's name says.
IMAGE = f"aiconform.dev/lab/telemetry:{COMPONENT.version}"


def _images(assets: Assets) -> Sequence[Image]:
    binary = assets.of(COMPONENT, "accelerator-exporter")
    return (controller(IMAGE, binary, "/accelerator-exporter", user="0:0"),)


def _objects(site: Site) -> Sequence[Object]:
    own = {node: find_identity(identity).metrics for node, identity in site.identities.items()}
    usual = find_identity(site.identity).metrics
    others = {name: [node for node in own if own[node] == name] for name in own.values() if name != usual}
    # The usual one also runs on nodes that come later.
    deployed = _deployed(exporters()[usual], "NotIn", [node for nodes in others.values() for node in nodes])
    for name, nodes in others.items():
        deployed += _deployed(exporters()[name], "In", nodes)
    # They may share a Namespace.
    return [obj for position, obj in enumerate(deployed) if obj not in deployed[:position]]


def _deployed(exporter: Exporter, operator: str, nodes: Sequence[str]) -> list[Object]:
    """An exporter, on these nodes or on all others."""
    labels = {"app.kubernetes.io/name": exporter.name}
    # It reads which processes of the node's Pods have a device open; for that it needs these capabilities.
    container = {
        "name": "exporter",
        "image": IMAGE,
        "imagePullPolicy": "IfNotPresent",
        "env": [
            {"name": "TELEMETRY", "value": f"{TELEMETRY_FOLDER}/telemetry.json"},
            {"name": "CGROUPS", "value": _MOUNTED},
            {"name": "PORT", "value": str(exporter.port)},
        ],
        "ports": [{"name": "metrics", "containerPort": exporter.port}],
        # It serves once it has started: asking on and on would cost each node a request a second.
        "startupProbe": {
            "httpGet": {"path": "/metrics", "port": "metrics"},
            "periodSeconds": 1,
            "failureThreshold": 600,
        },
        "securityContext": {"capabilities": {"drop": ["ALL"], "add": ["SYS_PTRACE", "DAC_READ_SEARCH"]}},
        "volumeMounts": [
            {"name": "telemetry", "mountPath": TELEMETRY_FOLDER, "readOnly": True},
            {"name": "cgroups", "mountPath": _MOUNTED, "readOnly": True},
        ],
    }
    expression = {"key": "kubernetes.io/hostname", "operator": operator, "values": list(nodes)}
    terms = {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}
    chosen = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}}
    template: Object = {
        "metadata": {
            "labels": labels,
            "annotations": {"prometheus.io/scrape": "true", "prometheus.io/port": str(exporter.port)},
        },
        "spec": {
            **({"affinity": chosen} if nodes else {}),
            "hostPID": True,
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 1,
            "tolerations": [{"operator": "Exists"}],
            "containers": [container],
            "volumes": [
                {"name": "telemetry", "hostPath": {"path": TELEMETRY_FOLDER, "type": "DirectoryOrCreate"}},
                {"name": "cgroups", "hostPath": {"path": str(cgroups.ROOT), "type": "Directory"}},
            ],
        },
    }
    about = {"name": exporter.name, "namespace": exporter.namespace, "labels": labels}
    objects: list[Object] = [
        {
            "apiVersion": "apps/v1",
            "kind": "DaemonSet",
            "metadata": about,
            "spec": {"selector": {"matchLabels": labels}, "template": template},
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": about,
            "spec": {
                "clusterIP": "None",
                "selector": labels,
                "ports": [{"name": "metrics", "port": exporter.port, "targetPort": "metrics"}],
            },
        },
    ]
    if exporter.namespace != "kube-system":
        enforced = {"pod-security.kubernetes.io/enforce": "privileged"}
        metadata = {"name": exporter.namespace, "labels": enforced}
        objects.insert(0, {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    return objects


ADD_ON = AddOn(
    name="accelerator-exporter",
    summary="Metrics of the simulated accelerators, measured from the processes that use them, under a vendor's names.",
    components=(COMPONENT,),
    images=_images,
    objects=_objects,
)
