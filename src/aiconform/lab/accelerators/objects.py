"""The cluster objects that belong to the simulated accelerators; the lab applies them when it starts."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from aiconform.lab.accelerators.config import AcceleratorConfig
from aiconform.lab.accelerators.identity import Identity
from aiconform.lab.accelerators.slices import GROUP

if TYPE_CHECKING:
    from aiconform.cluster import Object

GROUP_OF_DRIVERS = "aiconform:accelerators"
"""The group (organization) in a driver's client certificate that has the permissions below."""


def cluster_objects(identity: Identity, version: str = "v1", *, resource_by_dra: bool = False) -> list[Object]:
    """The DeviceClass and the driver's permissions.

    `version` is the served version of resource.k8s.io. `resource_by_dra` lets DRA satisfy requests for the extended
    resource as well (DeviceClass.spec.extendedResourceName, Kubernetes 1.36 on by default).
    """
    spec: Object = {"selectors": [{"cel": {"expression": f'device.driver == "{identity.driver}"'}}]}
    if resource_by_dra:
        spec["extendedResourceName"] = identity.extended_resource
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "name": GROUP_OF_DRIVERS}
    every = ["get", "list", "watch", "create", "update", "patch", "delete"]
    return [
        {
            "apiVersion": f"{GROUP}/{version}",
            "kind": "DeviceClass",
            "metadata": {"name": identity.device_class},
            "spec": spec,
        },
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


def node_labels(config: AcceleratorConfig) -> dict[str, str]:
    """The Node's labels, by which vendors usually describe the devices of an extended resource."""
    if not config.count:
        return {}
    identity = config.identity
    resource = identity.extended_resource
    return {
        f"{resource}.product": re.sub(r"[^A-Za-z0-9._-]+", "-", identity.product).strip("._-"),
        f"{resource}.count": str(config.count),
        f"{resource}.driver-version": identity.driver_version,
        f"{resource}.runtime-version": identity.runtime_version,
        f"{resource}.simulated": "true",
    }
