"""The Deployment that is scaled, and its autoscaler: each Pod holds an accelerator and reports a metric.

The check sets the metric through the API: its value is an annotation of the Pod, which the kubelet writes to a file,
and a small web server reports it. What is reported changes a little all the time: an autoscaler's status is written
only when it changes, and so each reading of a newer value is seen.
"""

from __future__ import annotations

from aiconform.cluster import Object
from aiconform.cluster.scratch import Scratch
from aiconform.kit.devices import request_devices
from aiconform.kit.pods import container, pod_on_one_of
from aiconform.kit.priority import evicting_nobody
from aiconform.platform import AcceleratorPlace, Platform
from aiconform.platform.monitoring.collection import CollectionMethod

SERIES = "aiconform_load"
"""The metric that each Pod reports."""
SCALED = "aiconform.dev/scaled"
"""The label of all Pods of the Deployment; its value is the Deployment's name."""
LOAD = "aiconform.dev/load"
PORT = 8080
PATH = "/cgi-bin/metrics"
TARGET = 10
"""The autoscaler's target for each Pod."""
REPLICAS = 3
"""The number of Pods to which the check makes the autoscaler scale."""
# One more than is required, so that a number that is too large can be seen.
MAX_REPLICAS = REPLICAS + 1


# A value is reported up to 6 * 0.005 below what was set, by the seconds since the node started. 7 divides no usual
# scrape interval. 0.005 is still seen in the average over four Pods of an adapter that cuts off after three decimals.
# More than what was set would be one Pod too many: an autoscaler rounds up. 0 stays 0.
_RIPPLE, _RIPPLES = 5, 7
_SERVE = f"""
mkdir -p /tmp/www/cgi-bin
cat > /tmp/www{PATH} <<'END'
#!/bin/sh
read -r value < /load/value
read -r up rest < /proc/uptime
[ "$value" -gt 0 ] && below=$(( ${{up%.*}} % {_RIPPLES} * {_RIPPLE} )) || below=0
thousandths=$(( value * 1000 - below ))
printf 'Content-Type: text/plain; version=0.0.4\\r\\n\\r\\n# TYPE {SERIES} gauge\\n'
printf '{SERIES}{{workload="%s"}} %d.%03d\\n' "$WORKLOAD" $(( thousandths / 1000 )) $(( thousandths % 1000 ))
END
chmod +x /tmp/www{PATH}
exec httpd -f -p {PORT} -h /tmp/www
"""


def load(value: int) -> Object:
    """The annotation that makes a Pod report this value."""
    return {LOAD: f"{value}\n"}


async def deployment(platform: Platform, scratch: Scratch, target: AcceleratorPlace, way: CollectionMethod) -> Object:
    """Create a Deployment with one Pod. New Pods report 0, like servers that have no requests yet."""
    name = scratch.name("scaled")
    request = await request_devices(platform, scratch, target.members[0], template=True)
    server = container(
        "server",
        platform.images["shell"],
        _SERVE,
        env=[{"name": "WORKLOAD", "value": name}],
        resources=request.resources,
        ports=[{"name": "metrics", "containerPort": PORT}],
        volumeMounts=[{"name": "load", "mountPath": "/load"}],
    )
    shown = {"path": "value", "fieldRef": {"fieldPath": f"metadata.annotations['{LOAD}']"}}
    volumes = [{"name": "load", "downwardAPI": {"items": [shown]}}]
    nodes = [await platform.node(member.node) for member in target.members]
    template = pod_on_one_of("", nodes, [server], volumes=volumes, **request.pod_spec)
    template["spec"] |= {"restartPolicy": "Always", "priorityClassName": await evicting_nobody(scratch)}
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
                        "annotations": {**load(0), **way.annotations(PORT, PATH)},
                    },
                    "spec": template["spec"],
                },
            },
        }
    )


def autoscaler(name: str, api: str, metric: str, window: int) -> Object:
    """A HorizontalPodAutoscaler for the Deployment `name`; it scales down in one step when the window ends."""
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
            "maxReplicas": MAX_REPLICAS,
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


def shortest_delay(window: int, interval: float) -> float:
    """The shortest time (seconds) from reading a lower value until an autoscaler with this window scales down.

    The last recommendation of more Pods can be one period older than the reading, and the window is measured from
    there; another period covers the first evaluation after the window. One more second allows for clocks and rounding.
    """
    return window - 2 * interval - 1


def longest_gap(window: int, interval: float) -> float:
    """From this time (seconds) since the last high reading on, an autoscaler with this window may scale down at once.

    The reading is older than its status, by as long as the API server took to store that: up to half a period.
    """
    return window - interval / 2
