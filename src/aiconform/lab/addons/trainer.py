"""Kubeflow Trainer: training jobs from runtimes, run as JobSets; installed by its own kustomizations.

Its overlay fetches JobSet from the network. So its bases are rendered one by one, and JobSet is an add-on of its own.
"""

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

_PARTS = ("crds", "rbac", "manager", "webhook")
COMPONENT = Component(
    "trainer",
    "2.2.1",
    "trainer",
    ("github.com/kubeflow/trainer/v2/cmd/trainer-controller-manager",),
    ("trainer-controller-manager",),
    renders=tuple(Render(f"{part}.yaml", "kustomize", f"manifests/base/{part}") for part in _PARTS),
)
IMAGE = f"ghcr.io/kubeflow/trainer/trainer-controller-manager:v{COMPONENT.version}"
NAMESPACE = "kubeflow-system"


def _images(assets: Assets) -> Sequence[Image]:
    return (controller(IMAGE, assets.of(COMPONENT, "trainer-controller-manager"), "/manager"),)


def _objects(site: Site) -> Sequence[Object]:
    found = [obj for part in _PARTS for obj in manifests.read(site.assets.of(COMPONENT, f"{part}.yaml"))]
    # The controller fills it.
    found.append({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "kubeflow-trainer-webhook-cert"}})
    objects = manifests.into(NAMESPACE, manifests.settle(found))
    manifests.use_image(objects, "kubeflow-trainer-controller-manager", IMAGE)
    for obj in objects:
        for webhook in obj.get("webhooks", ()):
            webhook["clientConfig"]["service"]["namespace"] = NAMESPACE
    return objects


ADD_ON = AddOn(
    name="trainer",
    summary="Kubeflow Trainer: training jobs with runtimes for many frameworks, run as JobSets.",
    components=(COMPONENT,),
    images=_images,
    objects=_objects,
    needs=("jobset",),
)
