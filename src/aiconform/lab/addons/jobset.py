"""JobSet: groups of Jobs that start, fail and restart as one, installed by its own kustomization."""

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
    "jobset",
    "0.12.0",
    "jobset",
    ("sigs.k8s.io/jobset",),
    ("jobset",),
    renders=(Render("manifests.yaml", "kustomize", "config/default"),),
)
IMAGE = f"registry.k8s.io/jobset/jobset:v{COMPONENT.version}"


def _images(assets: Assets) -> Sequence[Image]:
    return (controller(IMAGE, assets.of(COMPONENT, "jobset"), "/manager"),)


def _objects(site: Site) -> Sequence[Object]:
    objects = manifests.settle(manifests.read(site.assets.of(COMPONENT, "manifests.yaml")))
    manifests.use_image(objects, "jobset-controller-manager", IMAGE)
    return objects


ADD_ON = AddOn(
    name="jobset",
    summary="JobSet: groups of Jobs that start, fail and restart as one, for distributed training.",
    components=(COMPONENT,),
    images=_images,
    objects=_objects,
)
