"""The Pods that an autoscaler is to scale: each holds an accelerator and reports a metric that is set by the API alone.

The text of the metric is an annotation of the Pod. The kubelet writes it into a file, which a small web server shows.
"""

from __future__ import annotations

from aiconform.cluster import Object
from aiconform.cluster.scratch import RESTRICTED, Scratch
from aiconform.kit.devices import request_devices
from aiconform.kit.pods import pod
from aiconform.platform import NodeAccelerators, Platform
from aiconform.platform.monitoring.collection import Way

SERIES = "aiconform_load"
"""The metric that each Pod reports."""
SCALED = "aiconform.dev/scaled"
"""The label that all Pods of the Deployment carry; its value is the Deployment's name."""
LOAD = "aiconform.dev/load"
PORT = 8080
# Web servers say text/plain of a file of this name, which Prometheus insists on.
PATH = "/metrics.txt"
# The autoscaler's target for each Pod, and what is asked of it: three Pods.
TARGET = 10
WANTED = 3
# One more than is asked for: a number that is too large can be seen.
MOST = WANTED + 1


def load(name: str, value: int) -> Object:
    """The annotation by which a Pod reports this value."""
    return {LOAD: f'# TYPE {SERIES} gauge\n{SERIES}{{workload="{name}"}} {value}\n'}


async def deployment(platform: Platform, scratch: Scratch, target: NodeAccelerators, way: Way) -> Object:
    """A Deployment of one Pod, created; new Pods of it report 0, as servers do that have no requests yet."""
    name = scratch.name("scaled")
    request = await request_devices(platform, scratch, target, template=True)
    server = {
        "name": "server",
        "image": platform.images["shell"],
        "command": ["httpd", "-f", "-p", str(PORT), "-h", "/load"],
        "securityContext": RESTRICTED,
        "resources": request.resources,
        "ports": [{"name": "metrics", "containerPort": PORT}],
        "volumeMounts": [{"name": "load", "mountPath": "/load"}],
    }
    shown = {"path": PATH.removeprefix("/"), "fieldRef": {"fieldPath": f"metadata.annotations['{LOAD}']"}}
    volumes = [{"name": "load", "downwardAPI": {"items": [shown]}}]
    template = pod("", await platform.node(target.node), [server], volumes=volumes, **request.pod_spec)
    template["spec"]["restartPolicy"] = "Always"
    labels = {SCALED: name}
    return await scratch.create(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": name},
            "spec": {
                "replicas": 1,
                "selector": {"matchLabels": labels},
                "template": {
                    "metadata": {
                        "labels": {**scratch.labels, **labels},
                        "annotations": {**load(name, 0), **way.annotations(PORT, PATH)},
                    },
                    "spec": template["spec"],
                },
            },
        }
    )


def autoscaler(name: str, api: str, metric: str, window: int) -> Object:
    """A HorizontalPodAutoscaler of the Deployment `name`, which shrinks at once when the window is over."""
    if api == "custom":
        source: Object = {
            "type": "Pods",
            "pods": {
                "metric": {"name": metric},
                "target": {"type": "AverageValue", "averageValue": str(TARGET)},
            },
        }
    else:
        source = {
            "type": "External",
            "external": {
                "metric": {"name": metric, "selector": {"matchLabels": {"workload": name}}},
                "target": {"type": "AverageValue", "averageValue": str(TARGET)},
            },
        }
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": name},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
            "minReplicas": 1,
            "maxReplicas": MOST,
            "metrics": [source],
            "behavior": {
                "scaleUp": {"stabilizationWindowSeconds": 0},
                "scaleDown": {
                    "stabilizationWindowSeconds": window,
                    "policies": [{"type": "Percent", "value": 100, "periodSeconds": 15}],
                },
            },
        },
    }
