"""kube-network-policies: NetworkPolicies that are enforced, by an agent on each node (nftables and nfqueue)."""

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

NAME = "kube-network-policies"
COMPONENT = Component(
    NAME,
    "0.8.0",
    NAME,
    ("sigs.k8s.io/kube-network-policies/cmd",),
    (NAME,),
    called_by=(NAME,),
    renders=(Render("manifests.yaml", "copy", "install.yaml"),),
)
IMAGE = f"registry.k8s.io/networking/kube-network-policies:v{COMPONENT.version}"
_PROGRAM = "/bin/netpol"
# Its rules stay in the kernel when it is removed: packets pass then, instead of waiting for nobody.
_FAIL_OPEN = "--fail-open"


def _images(assets: Assets) -> Sequence[Image]:
    return (controller(IMAGE, assets.of(COMPONENT, NAME), _PROGRAM, user="0:0"),)


def _objects(site: Site) -> Sequence[Object]:
    objects = manifests.settle(manifests.read(site.assets.of(COMPONENT, "manifests.yaml")))
    agent = manifests.find(objects, "DaemonSet", NAME)
    for container in manifests.containers(agent):
        container["image"] = IMAGE
        # The image's entry point is the program.
        container["args"] = [*(word for word in container["args"] if word != _PROGRAM), _FAIL_OPEN]
        # The runtime's socket, which tells it of a Pod's address a moment before the API does: then every Pod that
        # starts would wait for it.
        container.pop("volumeMounts", None)
    agent["spec"]["template"]["spec"].pop("volumes", None)
    return objects


ADD_ON = AddOn(
    name=NAME,
    summary="kube-network-policies: enforces NetworkPolicies, which the lab otherwise only stores.",
    components=(COMPONENT,),
    images=_images,
    objects=_objects,
)
