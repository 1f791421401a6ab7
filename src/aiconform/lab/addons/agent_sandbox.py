"""agent-sandbox: Pods for agents as Sandboxes, from templates and by claims, installed by its own manifests."""

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

_OBJECTS = ("controller", "rbac.generated", "extensions", "extensions-rbac.generated")
COMPONENT = Component(
    "agent-sandbox",
    "0.1.1",
    "agent-sandbox",
    ("sigs.k8s.io/agent-sandbox/cmd/agent-sandbox-controller",),
    ("agent-sandbox-controller",),
    renders=(
        Render("definitions.yaml", "copy", "k8s/crds"),
        *(Render(f"{name}.yaml", "copy", f"k8s/{name}.yaml") for name in _OBJECTS),
    ),
)
CONTROLLER = "agent-sandbox-controller"
IMAGE = f"registry.k8s.io/agent-sandbox/{CONTROLLER}:v{COMPONENT.version}"


def _images(assets: Assets) -> Sequence[Image]:
    return (controller(IMAGE, assets.of(COMPONENT, CONTROLLER), f"/{CONTROLLER}"),)


def _objects(site: Site) -> Sequence[Object]:
    files = (site.assets.of(COMPONENT, render.file) for render in COMPONENT.renders)
    objects = manifests.settle([obj for file in files for obj in manifests.read(file)])
    (container,) = manifests.containers(manifests.find(objects, "StatefulSet", CONTROLLER))
    container["image"] = IMAGE
    container["args"] = ["--extensions"]
    # Its manifests have none: it would be taken for ready before it watches anything.
    container["readinessProbe"] = {"httpGet": {"path": "/readyz", "port": 8081}, "periodSeconds": 1}
    return objects


ADD_ON = AddOn(
    name="agent-sandbox",
    summary="agent-sandbox: Sandboxes for agents, with templates, claims and pools.",
    components=(COMPONENT,),
    images=_images,
    objects=_objects,
)
