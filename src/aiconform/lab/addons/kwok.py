"""kwok: Nodes without machines, to measure the suite and the API server on a large platform."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from aiconform.lab.addons import manifests
from aiconform.lab.addons.model import AddOn, Site
from aiconform.lab.build.assets import Assets
from aiconform.lab.build.components import Component, Render
from aiconform.lab.build.images import Image, controller

if TYPE_CHECKING:
    from aiconform.cluster import Object

COMPONENT = Component(
    "kwok",
    "0.8.0",
    "kwok",
    ("sigs.k8s.io/kwok/cmd/kwok",),
    ("kwok",),
    ldflags="-s -w -X sigs.k8s.io/kwok/pkg/consts.Version=v0.8.0",
    renders=(
        Render("manifests.yaml", "kustomize", "kustomize/kwok"),
        # How its Nodes and Pods become Ready, and how Leases are renewed.
        Render("stages.yaml", "kustomize", "kustomize/stage/fast", ("--load-restrictor", "LoadRestrictionsNone")),
    ),
)
# It renews each Node's Lease four times in this time. With its default of 40 s, 5,000 Nodes need 500 requests a second,
# too many for a small machine to keep all Nodes Ready.
_SILENT_SECONDS = 1200
IMAGE = f"registry.k8s.io/kwok/kwok:v{COMPONENT.version}"


def _images(assets: Assets) -> Sequence[Image]:
    return (controller(IMAGE, assets.of(COMPONENT, "kwok"), "/usr/local/bin/kwok", user="0:0"),)


def _objects(site: Site) -> Sequence[Object]:
    read = manifests.read
    objects = [
        *read(site.assets.of(COMPONENT, "manifests.yaml")),
        *read(site.assets.of(COMPONENT, "stages.yaml")),
    ]
    for container in manifests.containers(manifests.find(objects, "Deployment", "kwok-controller")):
        container["image"] = IMAGE
        container["args"].append(f"--node-lease-duration-seconds={_SILENT_SECONDS}")
    settings = manifests.find(objects, "ConfigMap", "kwok")["data"]
    # Karpenter's provider marks its Nodes as kwok's, but in the lab they have kubelets.
    theirs = "manageNodesWithLabelSelector: '!karpenter.sh/nodepool'"
    settings["kwok.yaml"] = settings["kwok.yaml"].replace("manageNodesWithLabelSelector: ''", theirs)
    return manifests.settle(objects)


ADD_ON = AddOn(
    name="kwok",
    summary="kwok: Nodes without machines (those annotated kwok.x-k8s.io/node=fake), for measuring at scale.",
    components=(COMPONENT,),
    images=_images,
    objects=_objects,
    manager_flags=(f"--node-monitor-grace-period={_SILENT_SECONDS}s",),
)
