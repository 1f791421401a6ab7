"""Kueue: queues, quota and topology-aware gang admission, installed by its own kustomization."""

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
    "kueue",
    "0.19.2",
    "kueue",
    ("sigs.k8s.io/kueue/cmd/kueue",),
    ("kueue",),
    renders=(Render("manifests.yaml", "kustomize", "config/default"),),
)
IMAGE = f"registry.k8s.io/kueue/kueue:v{COMPONENT.version}"


def _images(assets: Assets) -> Sequence[Image]:
    return (controller(IMAGE, assets.of(COMPONENT, "kueue"), "/manager"),)


def _objects(site: Site) -> Sequence[Object]:
    objects = manifests.settle(manifests.read(site.assets.of(COMPONENT, "manifests.yaml")))
    manifests.use_image(objects, "kueue-controller-manager", IMAGE)
    return objects


ADD_ON = AddOn(
    name="kueue",
    summary="Kueue: queues with quota, and gangs that are admitted when the nodes have capacity for them.",
    components=(COMPONENT,),
    images=_images,
    objects=_objects,
)
