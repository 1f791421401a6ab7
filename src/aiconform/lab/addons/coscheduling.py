"""The coscheduling plugin of scheduler-plugins: a second scheduler for Pods of a PodGroup, installed by its chart."""

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

NAMESPACE = "scheduler-plugins"
SCHEDULER = "scheduler-plugins-scheduler"
COMPONENT = Component(
    "scheduler-plugins",
    "0.33.5",
    "scheduler-plugins",
    ("sigs.k8s.io/scheduler-plugins/cmd/scheduler", "sigs.k8s.io/scheduler-plugins/cmd/controller"),
    ("scheduler", "controller"),
    # The scheduler requires the version of Kubernetes that it is built from.
    ldflags="-s -w -X k8s.io/component-base/version.gitVersion=v1.33.5",
    renders=(
        Render(
            "manifests.yaml",
            "helm",
            "manifests/install/charts/as-a-second-scheduler",
            ("--namespace", NAMESPACE, "--set", "plugins.enabled={Coscheduling}"),
        ),
        Render("definitions.yaml", "copy", "config/crd/bases"),
    ),
)
REGISTRY = "registry.k8s.io/scheduler-plugins"
IMAGES = {
    SCHEDULER: f"{REGISTRY}/kube-scheduler:v{COMPONENT.version}",
    "scheduler-plugins-controller": f"{REGISTRY}/controller:v{COMPONENT.version}",
}

# The plugin loses wake-ups: a gang that it rejects while the last of its Pods is on the way waits until another Pod is
# created, or until the scheduler tries again. That takes up to 5 min 30 s by default, and here 40 s.
_RETRIES = "--pod-max-in-unschedulable-pods-duration=10s"


def _images(assets: Assets) -> Sequence[Image]:
    scheduler, its_controller = IMAGES.values()
    return (
        controller(scheduler, assets.of(COMPONENT, "scheduler"), "/bin/kube-scheduler"),
        controller(its_controller, assets.of(COMPONENT, "controller"), "/bin/controller"),
    )


def _objects(site: Site) -> Sequence[Object]:
    objects = manifests.settle(manifests.read(site.assets.of(COMPONENT, "manifests.yaml")), NAMESPACE)
    for name, image in IMAGES.items():
        manifests.use_image(objects, name, image)
    for obj in objects:
        if obj["kind"] == "Deployment" and obj["metadata"]["name"] == SCHEDULER:
            (container,) = obj["spec"]["template"]["spec"]["containers"]
            container["args"].append(_RETRIES)
    return [manifests.namespace_of(NAMESPACE), *manifests.read(site.assets.of(COMPONENT, "definitions.yaml")), *objects]


ADD_ON = AddOn(
    name="coscheduling",
    summary="The coscheduling plugin of scheduler-plugins: gang scheduling by a second scheduler.",
    components=(COMPONENT,),
    images=_images,
    objects=_objects,
)
