"""Objects out of a component's own manifests, with what has to differ in the lab."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from aiconform.spec import yamlfile

Object = dict[str, Any]


def read(file: Path) -> list[Object]:
    """The objects of a YAML file, those of Lists on their own."""
    found: list[Object] = []
    for document in yamlfile.documents(file.read_bytes()):
        if document:
            found += document["items"] if document.get("kind") == "List" else [document]
    return found


def without(objects: Sequence[Object], *kinds: str) -> list[Object]:
    """The objects that are not of these kinds."""
    return [obj for obj in objects if obj["kind"] not in kinds]


def find(objects: Sequence[Object], kind: str, name: str) -> Object:
    """The one object of this kind and name. Raises LookupError if there is none."""
    for obj in objects:
        if obj["kind"] == kind and obj["metadata"]["name"] == name:
            return obj
    raise LookupError(f"no {kind} {name} in these manifests")


def containers(workload: Object) -> Iterator[Object]:
    """The containers of a Deployment, StatefulSet, DaemonSet or Job."""
    spec = workload["spec"]["template"]["spec"]
    yield from spec.get("initContainers") or []
    yield from spec["containers"]


def use_image(objects: Sequence[Object], deployment: str, image: str) -> None:
    """Have every container of a Deployment run this image. Raises LookupError if there is no such Deployment."""
    for container in containers(find(objects, "Deployment", deployment)):
        container["image"] = image


def settle(objects: Sequence[Object], namespace: str = "") -> list[Object]:
    """Changed in place for a lab on a small machine, and returned.

    One replica of each Deployment; no requests or limits that the machine could not meet; images that were made here
    and are nowhere else; a short grace period. `namespace` is given to namespaced objects of charts that leave it out.
    """
    kept = list(objects)
    for obj in kept:
        if obj["kind"] in ("Deployment", "StatefulSet", "DaemonSet", "Job"):
            if "replicas" in obj["spec"]:
                obj["spec"]["replicas"] = 1
            obj["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = 1
            for container in containers(obj):
                container["imagePullPolicy"] = "IfNotPresent"
                container.pop("resources", None)
        if namespace and obj["kind"] not in _CLUSTER_SCOPED:
            obj["metadata"].setdefault("namespace", namespace)
    return kept


def into(namespace: str, objects: Sequence[Object]) -> list[Object]:
    """Changed in place so that they are in this Namespace, and returned with the Namespace itself.

    For manifests that their users rewrite by a kustomization.
    """
    for obj in objects:
        if obj["kind"] not in _CLUSTER_SCOPED:
            obj["metadata"]["namespace"] = namespace
        for subject in obj.get("subjects", ()):
            if subject["kind"] == "ServiceAccount":
                subject["namespace"] = namespace
    return [namespace_of(namespace), *objects]


def namespace_of(name: str) -> Object:
    """A Namespace, for manifests that leave it to their users."""
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


_CLUSTER_SCOPED = {
    "APIService",
    "ClusterRole",
    "ClusterRoleBinding",
    "CustomResourceDefinition",
    "MutatingWebhookConfiguration",
    "Namespace",
    "PriorityClass",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
    "ValidatingWebhookConfiguration",
}
