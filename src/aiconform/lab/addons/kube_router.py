"""The NetworkPolicy controller of kube-router: an agent on each node that enforces them, by iptables and ipset."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from aiconform.lab.addons import packet_filter
from aiconform.lab.addons.enforcement import enforces
from aiconform.lab.addons.model import AddOn, Site
from aiconform.lab.build.assets import Assets
from aiconform.lab.build.components import Component
from aiconform.lab.build.images import Image
from aiconform.lab.traits.trait import LABEL as MADE_UP

if TYPE_CHECKING:
    from aiconform.cluster import Object

NAME = "kube-router"
COMPONENT = Component(NAME, "2.1.0", NAME, (".",), (NAME,), main=f"{NAME}/main.go")
IMAGE = f"docker.io/cloudnativelabs/kube-router:v{COMPONENT.version}"
_PROGRAM = "/usr/local/bin/kube-router"
_BACKENDS = "/backends"
_NAMESPACE = "kube-system"


def _images(assets: Assets) -> Sequence[Image]:
    agent = Image(
        IMAGE,
        files=((_PROGRAM.lstrip("/"), assets.of(COMPONENT, NAME)), *packet_filter.files()),
        entrypoint=(_PROGRAM,),
        links=packet_filter.links(_BACKENDS.lstrip("/")),
        # iptables keeps its lock in /run.
        folders=(("run", 0o755), ("tmp", 0o1777)),
        user="0:0",
    )
    return (agent,)


def _objects(site: Site) -> Sequence[Object]:
    labels = {"app.kubernetes.io/name": NAME}
    about = {"name": NAME, "namespace": _NAMESPACE}
    reads: list[Object] = [
        {"apiGroups": [""], "resources": ["namespaces", "nodes", "pods"], "verbs": ["get", "list", "watch"]},
        {"apiGroups": ["networking.k8s.io"], "resources": ["networkpolicies"], "verbs": ["get", "list", "watch"]},
    ]
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": NAME}
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": about},
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "metadata": {"name": NAME},
            "rules": reads,
        },
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": NAME},
            "roleRef": role,
            "subjects": [{"kind": "ServiceAccount", **about}],
        },
        {
            "apiVersion": "apps/v1",
            "kind": "DaemonSet",
            "metadata": {**about, "labels": labels},
            "spec": {
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": _agent(site)},
            },
        },
    ]


def _agent(site: Site) -> Object:
    arguments = [f"--services={site.services}", *(["--ipv6"] if site.ip_family == "ipv6" else [])]
    on_machines = {"matchExpressions": [{"key": MADE_UP, "operator": "DoesNotExist"}]}
    container = {
        "name": NAME,
        "image": IMAGE,
        "imagePullPolicy": "IfNotPresent",
        "args": arguments,
        "env": [
            {"name": "NODE_NAME", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
            {"name": "PATH", "value": f"{_BACKENDS}/{packet_filter.backend(site.ip_family)}:/usr/sbin"},
        ],
        "securityContext": {"capabilities": {"drop": ["ALL"], "add": ["NET_ADMIN", "NET_RAW"]}},
    }
    return {
        "affinity": {
            "nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [on_machines]}}
        },
        "containers": [container],
        "hostNetwork": True,
        "priorityClassName": "system-node-critical",
        "serviceAccountName": NAME,
        # As long as it may take to remove its rules.
        "terminationGracePeriodSeconds": 30,
        "tolerations": [{"operator": "Exists"}],
    }


ADD_ON = AddOn(
    name=NAME,
    summary="kube-router: enforces NetworkPolicies, which the lab otherwise only stores.",
    components=(COMPONENT,),
    images=_images,
    objects=_objects,
    packages=packet_filter.PACKAGES,
    requires=packet_filter.backend,
    shown=enforces,
)
