"""LeaderWorkerSet: a leader and its workers as one replica, installed by its own kustomization."""

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
    "lws",
    "0.9.0",
    "lws",
    ("sigs.k8s.io/lws/cmd",),
    ("lws",),
    called_by=("lws",),
    renders=(Render("manifests.yaml", "kustomize", "config/default"),),
)
IMAGE = f"registry.k8s.io/lws/lws:v{COMPONENT.version}"


def _images(assets: Assets) -> Sequence[Image]:
    return (controller(IMAGE, assets.of(COMPONENT, "lws"), "/manager"),)


def _objects(site: Site) -> Sequence[Object]:
    objects = manifests.settle(manifests.read(site.assets.of(COMPONENT, "manifests.yaml")))
    manifests.use_image(objects, "lws-controller-manager", IMAGE)
    return objects


ADD_ON = AddOn(
    name="lws",
    summary="LeaderWorkerSet: a leader and its workers as one replica, for inference over several nodes.",
    components=(COMPONENT,),
    images=_images,
    objects=_objects,
)
