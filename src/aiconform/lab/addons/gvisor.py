"""gVisor: a sandboxed runtime with a kernel of its own in user space, as a containerd handler and its RuntimeClass."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from aiconform.lab.addons.model import AddOn, RuntimeHandler, Site
from aiconform.lab.build.assets import Assets
from aiconform.lab.build.components import Component

if TYPE_CHECKING:
    from aiconform.cluster import Object

VERSION = "0.0.0-20260905035102-160fafc42237"
SHIM = "containerd-shim-runsc-v1"
COMPONENT = Component(
    "gvisor",
    VERSION,
    "gvisor",
    ("gvisor.dev/gvisor/runsc", "."),
    ("runsc", SHIM),
    ldflags=f"-s -w -X gvisor.dev/gvisor/runsc/version.version={VERSION}",
    main="gvisor/main.go",
)
HANDLER = "runsc"
RUNTIME_CLASS = "gvisor"


def _handlers(assets: Assets, folder: Path) -> Sequence[RuntimeHandler]:
    # The script of aiconform.lab.faults.sandbox_runtime. It has no options: runc's shim, which takes the place of
    # gVisor's in some faults, would refuse them.
    return (RuntimeHandler(HANDLER, "io.containerd.runsc.v1", shim=folder / HANDLER / SHIM),)


def _objects(site: Site) -> Sequence[Object]:
    return (
        {
            "apiVersion": "node.k8s.io/v1",
            "kind": "RuntimeClass",
            "metadata": {"name": RUNTIME_CLASS},
            "handler": HANDLER,
        },
    )


ADD_ON = AddOn(
    name="gvisor",
    summary="gVisor: the RuntimeClass gvisor, whose Pods have a kernel of their own.",
    components=(COMPONENT,),
    objects=_objects,
    runtime_handlers=_handlers,
)
