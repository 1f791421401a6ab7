"""What an add-on of the lab is: a real component that platforms install, built from its own modules and manifests."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from aiconform.lab.build.assets import Assets
from aiconform.lab.build.components import Component
from aiconform.lab.build.images import Image

if TYPE_CHECKING:
    from aiconform.cluster import Object


@dataclass(frozen=True)
class Site:
    """The lab that an add-on is installed into."""

    identity: str
    """Whose names its accelerators carry."""
    node_addresses: tuple[str, ...]
    assets: Assets


@dataclass(frozen=True)
class RuntimeHandler:
    """A runtime of every node's containerd beside runc; a RuntimeClass refers to it by its name (`handler`)."""

    name: str
    runtime_type: str = "io.containerd.runc.v2"
    shim: Path | None = None
    """The shim's binary; without it, containerd looks in PATH for the name that follows from `runtime_type`."""
    options: Mapping[str, str | bool] = field(default_factory=dict)
    """The shim's options, such as `BinaryName` of an OCI runtime for runc's shim."""


def _no_images(assets: Assets) -> Sequence[Image]:
    return ()


def _no_objects(site: Site) -> Sequence[Object]:
    return ()


def _no_handlers(assets: Assets) -> Sequence[RuntimeHandler]:
    return ()


@dataclass(frozen=True)
class AddOn:
    """An add-on. What is installed are `objects`, with `images` for their Pods; all of it is removable."""

    name: str
    summary: str
    """What it gives the platform, in one line."""
    components: tuple[Component, ...] = ()
    """What has to be built for it."""
    images: Callable[[Assets], Sequence[Image]] = _no_images
    objects: Callable[[Site], Sequence[Object]] = _no_objects
    """Everything of it, in any order. Resources of its own CRDs are applied once its Deployments are available."""
    makes: tuple[tuple[str, str, str], ...] = ()
    """(kind, Namespace, name) of the workloads that its controllers make of its objects, and that it works by."""
    needs: tuple[str, ...] = ()
    """Other add-ons that have to be there first."""
    feature_gates: Mapping[str, bool] = field(default_factory=dict)
    """Of every Kubernetes component."""
    runtime_config: Mapping[str, bool] = field(default_factory=dict)
    """API groups and versions that the API server has to serve."""
    manager_flags: tuple[str, ...] = ()
    """Further flags of the controller-manager."""
    runtime_handlers: Callable[[Assets], Sequence[RuntimeHandler]] = _no_handlers
    """Runtimes to configure in containerd on every node; containerd restarts when they change."""
    helper: str = ""
    """A module of the lab that has to run, too, while it is installed: `python -m MODULE STATE` beside the control
    plane."""
    since: str = ""
    """The first Kubernetes minor that it works on; any if empty."""
