"""The cluster objects that belong to the simulated accelerators; the lab applies them when it starts."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from aiconform.lab.accelerators.config import AcceleratorConfig, DriverFault, devices_of, split
from aiconform.lab.accelerators.devices import Device, resources
from aiconform.lab.accelerators.driver import driver_labels
from aiconform.lab.accelerators.identity import Identity
from aiconform.lab.accelerators.sharing import counted, devices_counted
from aiconform.lab.accelerators.slices import GROUP
from aiconform.lab.accelerators.templates import fill

if TYPE_CHECKING:
    from aiconform.cluster import Object

GROUP_OF_DRIVERS = "aiconform:accelerators"
"""The group (organization) in a driver's client certificate that has the permissions below."""


def cluster_objects(identity: Identity, version: str = "v1", *, resource_by_dra: bool = False) -> list[Object]:
    """The DeviceClasses and the driver's permissions.

    `version` is the served version of resource.k8s.io. `resource_by_dra` lets DRA satisfy requests for the extended
    resource as well (DeviceClass.spec.extendedResourceName, Kubernetes 1.36 on by default).
    """
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "name": GROUP_OF_DRIVERS}
    every = ["get", "list", "watch", "create", "update", "patch", "delete"]
    return [
        *(
            {
                "apiVersion": f"{GROUP}/{version}",
                "kind": "DeviceClass",
                "metadata": {"name": name},
                "spec": _selecting(identity, name, resource_by_dra),
            }
            for name in dict.fromkeys((identity.device_class, *identity.device_classes))
        ),
        {
            "apiVersion": role["apiVersion"],
            "kind": role["kind"],
            "metadata": {"name": role["name"]},
            "rules": [
                {"apiGroups": [GROUP], "resources": ["resourceslices"], "verbs": every},
                {"apiGroups": [GROUP], "resources": ["resourceclaims"], "verbs": ["get", "list", "watch"]},
                # Only the fault allocator-overcommits watches Pods, and writes these.
                {"apiGroups": [""], "resources": ["pods"], "verbs": ["list", "watch"]},
                {
                    "apiGroups": [GROUP],
                    "resources": ["resourceclaims/status", "resourceclaims/binding"],
                    "verbs": ["update", "patch"],
                },
                {"apiGroups": [""], "resources": ["nodes"], "verbs": ["get", "watch", "patch"]},
            ],
        },
        {
            "apiVersion": role["apiVersion"],
            "kind": "ClusterRoleBinding",
            "metadata": {"name": role["name"]},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role["name"]},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": GROUP_OF_DRIVERS}],
        },
    ]


def _selecting(identity: Identity, device_class: str, resource_by_dra: bool) -> Object:
    expression = f'device.driver == "{identity.driver}"'
    if kind := identity.device_classes.get(device_class):
        expression += f' && device.attributes["{identity.driver}"].type == "{kind}"'
    spec: Object = {"selectors": [{"cel": {"expression": expression}}]}
    if resource_by_dra and device_class == identity.device_class:
        spec["extendedResourceName"] = identity.extended_resource
    return spec


def node_labels(config: AcceleratorConfig) -> dict[str, str]:
    """The Node's labels, by which vendors usually describe the devices of an extended resource."""
    if not config.count:
        return {}
    identity, labels = config.identity, dict[str, str]()
    labelled = _by_extended_resource(config).keys()
    for resource, devices in _by_extended_resource(config).items():
        labels |= {
            f"{resource}.product": str(devices[0].words["product"]),
            f"{resource}.count": str(counted(config, resource, len(devices))),
        }
    labels |= {
        f"{resource}.simulated": str(not config.real).lower()
        for resource in resources(identity)
        if resource in labelled or resource not in _resources_of_further(identity)
    }
    if labelled & _resources_of_further(identity):
        labels |= identity.virtual_labels
    if not config.real:
        words = {**devices_of(config)[0].words, "count": devices_counted(config)}
        labels |= {name: fill(value, words) for name, value in identity.node_labels.items()}
        labels |= driver_labels(config)
    return {name: re.sub(r"[^A-Za-z0-9._-]+", "-", value).strip("._-") for name, value in labels.items()}


def _resources_of_further(identity: Identity) -> frozenset[str]:
    """The extended resources of devices that only DRA offers."""
    parts = [part for model in identity.further for part in model.partitions]
    return frozenset(part.extended_resource for part in parts if part.extended_resource)


def changed_labels(config: AcceleratorConfig, labels: Mapping[str, str]) -> dict[str, str | None]:
    """What has to change of a Node's labels; None removes one that a fault withholds, or has added."""
    wanted = node_labels(config)
    others = [(), (DriverFault.VIRTUAL_ELSEWHERE,)]
    withheld = {name for faults in others for name in node_labels(config.model_copy(update={"faults": faults}))}
    withheld -= wanted.keys()
    return {
        **{name: value for name, value in wanted.items() if labels.get(name) != value},
        **dict.fromkeys(withheld & labels.keys()),
    }


def _by_extended_resource(config: AcceleratorConfig) -> Mapping[str, Sequence[Device]]:
    found: dict[str, list[Device]] = {}
    plugged = split(config)[1]
    for device in devices_of(config):
        if not device.on_demand and (device.parent < config.count or device in plugged):
            found.setdefault(device.extended_resource, []).append(device)
    return found
