"""CRDs of gang scheduling solutions that the lab does not run. The objects that the suite creates for these solutions
are validated against them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from aiconform.lab.addons import manifests
from aiconform.lab.addons.model import AddOn, Site
from aiconform.lab.build.components import Component, Render

if TYPE_CHECKING:
    from aiconform.cluster import Object

# One component for each, because each has its own version.
VOLCANO = Component(
    "volcano",
    "1.10.0",
    "gang-definitions",
    packages=(),
    binaries=(),
    renders=(Render("definitions.yaml", "copy", "config/crd/volcano/bases", module="volcano.sh/volcano"),),
)
KAI = Component(
    "kai-scheduler",
    "0.12.0",
    "gang-definitions",
    packages=(),
    binaries=(),
    renders=(
        Render("definitions.yaml", "copy", "deployments/kai-scheduler/crds", module="github.com/NVIDIA/KAI-scheduler"),
    ),
)


def _objects(site: Site) -> Sequence[Object]:
    return [
        obj
        for component in (VOLCANO, KAI)
        for obj in manifests.read(site.assets.of(component, "definitions.yaml"))
        if obj["kind"] == "CustomResourceDefinition"
    ]


ADD_ON = AddOn(
    name="gang-definitions",
    summary="The CRDs of Volcano and KAI Scheduler, without their controllers.",
    components=(VOLCANO, KAI),
    objects=_objects,
)
