"""Reading the objects of a component's own manifests, and adapting them to the lab."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiconform.lab.build.assets import cache_folder
from aiconform.lab.machines.files import write_text
from aiconform.spec import yamlfile

if TYPE_CHECKING:
    from aiconform.cluster import Object


def read(file: Path) -> list[Object]:
    """The objects of a YAML file; Lists are replaced by their items, and CRDs have no descriptions.

    Descriptions are most of a CRD, and the API server and controllers decode it again and again.
    """
    content = file.read_bytes()
    # As JSON they are read in a tenth of the time, which is seconds for all add-ons.
    kept = cache_folder() / "manifests" / f"{hashlib.sha256(content).hexdigest()[:32]}.json"
    with contextlib.suppress(OSError, ValueError):
        known: list[Object] = json.loads(kept.read_bytes())
        return known
    found: list[Object] = []
    for document in yamlfile.documents(content):
        if document:
            found += document["items"] if document.get("kind") == "List" else [document]
    for obj in found:
        if obj["kind"] == "CustomResourceDefinition":
            _drop_descriptions(obj["spec"]["versions"])
    write_text(kept, json.dumps(found))
    return found


def _drop_descriptions(value: Any) -> None:
    """A property of that name stays: it is a schema and no text."""
    if isinstance(value, list):
        for item in value:
            _drop_descriptions(item)
    if isinstance(value, dict):
        if isinstance(value.get("description"), str):
            del value["description"]
        for item in value.values():
            _drop_descriptions(item)


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
    """Set the image of all containers of a Deployment. Raises LookupError if there is no such Deployment."""
    for container in containers(find(objects, "Deployment", deployment)):
        container["image"] = image


def settle(objects: Sequence[Object], namespace: str = "") -> list[Object]:
    """Adapt the objects, in place, to a lab on a small machine, and return them.

    One replica of each Deployment, no resource requests or limits, images only from the node, a short grace period, and
    readiness that is seen within a second instead of ten; it is lost as late as before.
    `namespace` is set on namespaced objects that have none, because some charts leave it out.
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
                if "readinessProbe" in container:
                    container["readinessProbe"] |= _READINESS
        if namespace and obj["kind"] not in _CLUSTER_SCOPED:
            obj["metadata"].setdefault("namespace", namespace)
    return kept


def into(namespace: str, objects: Sequence[Object]) -> list[Object]:
    """Move the objects, in place, to this Namespace, and return them with the Namespace itself.

    For manifests that users are expected to change with a kustomization.
    """
    for obj in objects:
        if obj["kind"] not in _CLUSTER_SCOPED:
            obj["metadata"]["namespace"] = namespace
        for subject in obj.get("subjects", ()):
            if subject["kind"] == "ServiceAccount":
                subject["namespace"] = namespace
    return [namespace_of(namespace), *objects]


def namespace_of(name: str) -> Object:
    """A Namespace object, for manifests that have none."""
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


_READINESS = {"initialDelaySeconds": 0, "periodSeconds": 1, "failureThreshold": 30}
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
