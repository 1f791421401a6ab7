"""Sidecars that service meshes put into Pods: how a Pod declines one, and whether it got one all the same."""

from __future__ import annotations

from collections.abc import Collection

from aiconform.cluster import Object

# https://istio.io/latest/docs/reference/config/labels/, https://linkerd.io/2/reference/proxy-configuration/,
# https://kuma.io/docs/latest/reference/kubernetes-annotations/,
# https://developer.hashicorp.com/consul/docs/reference/k8s/annotation-label
NO_SIDECAR_LABELS = {"sidecar.istio.io/inject": "false", "kuma.io/sidecar-injection": "disabled"}
NO_SIDECAR_ANNOTATIONS = {
    "sidecar.istio.io/inject": "false",
    "linkerd.io/inject": "disabled",
    "consul.hashicorp.com/connect-inject": "false",
}


def without_sidecar(pod: Object) -> Object:
    """The same Pod, or Pod template, which asks every mesh for no sidecar."""
    metadata = pod["metadata"]
    labels = {**NO_SIDECAR_LABELS, **metadata.get("labels", {})}
    annotations = {**NO_SIDECAR_ANNOTATIONS, **metadata.get("annotations", {})}
    return {**pod, "metadata": {**metadata, "labels": labels, "annotations": annotations}}


def injected(pod: Object, own: Collection[str]) -> list[str]:
    """The names of its containers that are not its `own`: something put them into the Pod when it was created."""
    spec = pod["spec"]
    containers = [*(spec.get("initContainers") or ()), *spec["containers"]]
    return [entry["name"] for entry in containers if entry["name"] not in own]


def advice(names: Collection[str]) -> str:
    """What is wrong with injected containers, and the way out, for messages."""
    return (
        f"container {', '.join(sorted(names))} is not the check's: something puts it into Pods, although these decline "
        "sidecars. Exempt Namespaces with the label app.kubernetes.io/managed-by=aiconform from injection"
    )
