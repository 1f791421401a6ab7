"""What the objects of an add-on refer to, and who brings it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from aiconform.cluster import Object
from aiconform.lab import Lab
from aiconform.lab.addons.model import Site
from aiconform.lab.addons.registry import ADD_ONS, ALL, chosen
from aiconform.lab.build import assets as assets_of
from aiconform.lab.build.images import lab_images
from aiconform.lab.config import DEFAULT_KUBERNETES
from aiconform.lab.machines.host import quiet

Reference = tuple[str, str, str]
"""(kind, Namespace, name)."""

_NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")
_ROLES = ("cluster-admin", "admin", "edit", "view")


@dataclass(frozen=True)
class Brought:
    """What an add-on brings to a lab."""

    objects: list[Object]
    images: set[str]


def every(lab: Lab) -> dict[str, Brought]:
    """All add-ons of this lab's Kubernetes version."""
    names = chosen([ALL], lab.plan.kubernetes, lab.plan.ip_family)
    components = list(dict.fromkeys(component for name in names for component in ADD_ONS[name].components))
    binaries = assets_of.assets(lab.plan.kubernetes, quiet, extra=components)
    site = Site(lab.plan.identity, {}, (lab.network.node(1),), binaries)
    of_lab = {image.name for image in lab_images(binaries)}
    return {
        name: Brought(
            list(ADD_ONS[name].objects(site)), of_lab | {image.name for image in ADD_ONS[name].images(binaries)}
        )
        for name in names
    }


def missing(name: str, add_ons: Mapping[str, Brought], groups: set[str]) -> set[Reference]:
    """What an add-on refers to and nobody brings: neither itself, nor what it needs, nor Kubernetes (API `groups`)."""
    there = [add_ons[each] for each in chosen([name], DEFAULT_KUBERNETES)]
    objects = [obj for brought in there for obj in brought.objects]
    found = {_reference(obj) for obj in objects}
    found |= {("Image", "", image) for brought in there for image in brought.images}
    found |= {("API group", "", group) for group in groups}
    found |= {("API group", "", obj["spec"]["group"]) for obj in objects if obj["kind"] == "CustomResourceDefinition"}
    # Jobs make Secrets, such as those of certificates.
    jobs = {obj["metadata"]["namespace"] for obj in objects if obj["kind"] == "Job"}
    return {
        (kind, namespace, referred)
        for obj in add_ons[name].objects
        for kind, namespace, referred in _references(obj)
        if (kind, namespace, referred) not in found
        and not _of_kubernetes(kind, namespace, referred)
        and not (kind == "Secret" and namespace in jobs)
    }


def _of_kubernetes(kind: str, namespace: str, name: str) -> bool:
    if kind == "Namespace":
        return name in _NAMESPACES
    if kind in ("Role", "ClusterRole"):
        return name in _ROLES or name.startswith("system:") or namespace == "kube-system"
    if kind == "PriorityClass":
        return name.startswith("system-")
    if kind == "ServiceAccount":
        return namespace == "kube-system" or name == "default"
    return kind == "ConfigMap" and name == "kube-root-ca.crt"


def _reference(obj: Object) -> Reference:
    return obj["kind"], obj["metadata"].get("namespace", ""), obj["metadata"]["name"]


def _references(obj: Object) -> Iterator[Reference]:
    namespace = obj["metadata"].get("namespace", "")
    yield "API group", "", obj["apiVersion"].rpartition("/")[0]
    if namespace:
        yield "Namespace", "", namespace
    if role := obj.get("roleRef"):
        yield role["kind"], namespace if role["kind"] == "Role" else "", role["name"]
        for subject in obj.get("subjects") or ():
            if subject["kind"] == "ServiceAccount":
                yield "ServiceAccount", subject["namespace"], subject["name"]
    for service in _services(obj):
        yield "Service", service["namespace"], service["name"]
    if "template" in (obj.get("spec") or {}):
        yield from _of_pods(obj["spec"]["template"]["spec"], namespace)


def _services(obj: Object) -> Iterator[Object]:
    for webhook in obj.get("webhooks") or ():
        yield webhook["clientConfig"]["service"]
    if obj["kind"] == "APIService" and "service" in obj["spec"]:
        yield obj["spec"]["service"]


def _of_pods(spec: Object, namespace: str) -> Iterator[Reference]:
    if "containers" not in spec:
        return  # a template of something else than Pods
    if account := spec.get("serviceAccountName"):
        yield "ServiceAccount", namespace, account
    if priority := spec.get("priorityClassName"):
        yield "PriorityClass", "", priority
    for volume in spec.get("volumes") or ():
        for source in (volume, *(volume.get("projected") or {}).get("sources", ())):
            yield from _data(source.get("configMap"), source.get("secret"), namespace)
    for container in (*(spec.get("initContainers") or ()), *spec["containers"]):
        yield "Image", "", container["image"]
        for source in container.get("envFrom") or ():
            yield from _data(source.get("configMapRef"), source.get("secretRef"), namespace)
        for variable in container.get("env") or ():
            source = variable.get("valueFrom") or {}
            yield from _data(source.get("configMapKeyRef"), source.get("secretKeyRef"), namespace)


def _data(config_map: Object | None, secret: Object | None, namespace: str) -> Iterator[Reference]:
    for kind, source in (("ConfigMap", config_map), ("Secret", secret)):
        if source and not source.get("optional"):
            yield kind, namespace, source.get("secretName") or source["name"]
