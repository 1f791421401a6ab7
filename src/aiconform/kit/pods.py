"""The Pods and claims that probes make, and what the Pods say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aiconform.check import Access
from aiconform.cluster import Cluster, Object, Stuck, TimedOut, wait
from aiconform.cluster.scratch import RESTRICTED, Scratch
from aiconform.platform import NodeAccelerators, Platform
from aiconform.platform.accelerators.offered import tolerations, usable_node

# A container's first process gets no default action for SIGTERM: without the trap a deletion takes the whole grace.
STAY = "trap 'exit 0' TERM INT; while :; do sleep 3600 & wait $!; done"


POD_ACCESS = (
    Access("", "pods", ("create", "get", "list", "watch", "delete")),
    Access("", "pods/log", ("get",)),
    Access("", "nodes", ("list",)),
    Access("", "events", ("list",)),
)
CLAIM_ACCESS = (
    Access("resource.k8s.io", "resourceclaims", ("create", "get", "list", "watch", "delete")),
    Access("resource.k8s.io", "resourceslices", ("list",)),
    Access("resource.k8s.io", "deviceclasses", ("create", "list", "delete", "watch")),
)


def container(name: str, image: str, script: str, **fields: Any) -> Object:
    """A container that runs a shell script, restricted unless `securityContext` is given."""
    return {
        "name": name,
        "image": image,
        "command": ["sh", "-c", script],
        "securityContext": RESTRICTED,
        "resources": {},
        **fields,
    }


def pod(name: str, node: Object, containers: Sequence[Object], **spec: Any) -> Object:
    """A Pod that the scheduler can place on `node` only, in spite of its taints, and that ends when asked to."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {
            "affinity": {
                "nodeAffinity": {
                    "requiredDuringSchedulingIgnoredDuringExecution": {
                        "nodeSelectorTerms": [
                            {
                                "matchFields": [
                                    {"key": "metadata.name", "operator": "In", "values": [node["metadata"]["name"]]}
                                ]
                            }
                        ]
                    }
                }
            },
            "tolerations": tolerations(node),
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 1,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "containers": list(containers),
            **spec,
        },
    }


def device_request(api_version: str, name: str, device_class: str, *, count: int = 1, selector: str = "") -> Object:
    """One entry of a ResourceClaim's `spec.devices.requests`; `exactly` came with v1beta2."""
    fields: Object = {"deviceClassName": device_class, "allocationMode": "ExactCount", "count": count}
    if selector:
        fields["selectors"] = [{"cel": {"expression": selector}}]
    return {"name": name, **fields} if api_version.endswith("/v1beta1") else {"name": name, "exactly": fields}


def claim(api_version: str, name: str, requests: Sequence[Object]) -> Object:
    return {
        "apiVersion": api_version,
        "kind": "ResourceClaim",
        "metadata": {"name": name},
        "spec": {"devices": {"requests": list(requests)}},
    }


async def claiming(platform: Platform, scratch: Scratch, device_class: str) -> tuple[Object, Object]:
    """(entry of `spec.resourceClaims`, resources of a container) by which each Pod of a workload claims one device."""
    api_version = await platform.resource_api() or ""
    made = await scratch.create(
        {
            "apiVersion": api_version,
            "kind": "ResourceClaimTemplate",
            "metadata": {"name": scratch.name("claim")},
            "spec": {
                "metadata": {"labels": scratch.labels},
                "spec": {"devices": {"requests": [device_request(api_version, "device", device_class)]}},
            },
        }
    )
    entry = {"name": "device", "resourceClaimTemplateName": made["metadata"]["name"]}
    return entry, {"claims": [{"name": "device"}]}


async def class_for(platform: Platform, scratch: Scratch, target: NodeAccelerators) -> str:
    """The platform's DeviceClass for the target's driver, or one of our own that selects the driver."""
    if target.device_class:
        return target.device_class
    created = await scratch.create(
        {
            "apiVersion": await platform.resource_api(),
            "kind": "DeviceClass",
            "metadata": {"name": scratch.cluster_name("class")},
            "spec": {"selectors": [{"cel": {"expression": f'device.driver == "{target.name}"'}}]},
        }
    )
    return str(created["metadata"]["name"])


def holding(claim_name: str) -> tuple[Object, Object]:
    """(the Pod's `resourceClaims` entry, the container's `resources`) for a claim that one container holds."""
    return (
        {"name": "device", "resourceClaimName": claim_name},
        {"claims": [{"name": "device"}]},
    )


async def said(cluster: Cluster, running: Object, container_name: str, end: str, *, seconds: float) -> list[str]:
    """The lines a container prints up to the line `end`. Raises TimedOut with what came until then."""
    metadata = running["metadata"]
    lines: list[str] = []
    async for line in cluster.follow(metadata["namespace"], metadata["name"], container_name, seconds=seconds):
        if line == end:
            return lines
        lines.append(line)
    tail = " / ".join(lines[-3:]) or "nothing"
    raise TimedOut(f"container {container_name} of Pod {metadata['name']} did not finish its work; it said: {tail}")


def refused_by_kubelet(seen: Object) -> str | None:
    """Why the node refused a Pod that the scheduler had placed there (a device plugin's failed Allocate, for one)."""
    status = seen.get("status") or {}
    if status.get("phase") == "Failed" and status.get("reason"):
        return f"{status['reason']}: {status.get('message', '')}"
    return None


async def started(cluster: Cluster, created: Object, *, seconds: float) -> tuple[Object | None, str]:
    """(the running Pod, "") or (None, what kept a placed Pod from starting).

    Raises TimedOut if the scheduler did not place it and Stuck for reasons that are not the device's: an image that
    cannot be pulled, a Pod that someone deleted, a node that is not Ready any more.
    """
    what = f"Pod {created['metadata']['name']} to start"
    last: Object = created

    def condition(seen: Object) -> Object | None:
        nonlocal last
        last = seen
        return wait.running(seen)

    try:
        found = await wait.until(cluster, created, condition, seconds=seconds, what=what)
    except TimedOut as error:
        node = last["spec"].get("nodeName")
        if not node:
            raise
        async for found in cluster.list("v1", "Node", fields=f"metadata.name={node}"):
            if lost := usable_node(found):
                raise Stuck(f"{what}: {lost}") from error
        return None, f"{error}; {await events(cluster, last)}"
    if problem := refused_by_kubelet(found):
        return None, problem
    if found["status"]["phase"] == "Failed":
        raise Stuck(f"Pod {found['metadata']['name']} failed: {wait.describe(found)}")
    return found, ""


async def events(cluster: Cluster, obj: Object) -> str:
    """The newest warnings about an object."""
    metadata = obj["metadata"]
    found = [
        event["message"]
        async for event in cluster.list(
            "v1", "Event", metadata.get("namespace"), fields=f"involvedObject.uid={metadata['uid']},type=Warning"
        )
    ]
    return "; ".join(dict.fromkeys(found[-3:])) or "no warning events"
