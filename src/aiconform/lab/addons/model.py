"""What an add-on of the lab is: a real component of platforms, built from its own modules and manifests."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from aiconform.lab.build.assets import Assets
from aiconform.lab.build.components import Component
from aiconform.lab.build.images import Image
from aiconform.lab.config import IP_FAMILIES, Network
from aiconform.lab.machines.processes import ProcessSpec

if TYPE_CHECKING:
    from aiconform.cluster import Cluster, Object


@dataclass(frozen=True)
class Site:
    """The lab that an add-on is installed into."""

    identity: str
    """The identity of its accelerators: whose names they have."""
    identities: Mapping[str, str]
    """Node name -> the identity of its accelerators, of nodes that have another."""
    node_addresses: tuple[str, ...]
    assets: Assets
    ip_family: str = IP_FAMILIES[0]
    services: str = ""
    """The range of the Services' addresses."""
    equipped: tuple[str, ...] = ()
    """Names of the nodes with accelerators, without those that an autoscaler orders."""


@dataclass(frozen=True)
class RuntimeHandler:
    """A runtime of every node's containerd beside runc; a RuntimeClass refers to it by its name (`handler`)."""

    name: str
    runtime_type: str = "io.containerd.runc.v2"
    shim: Path | None = None
    """The shim's binary; without it, containerd looks in PATH for the name that follows from `runtime_type`."""
    options: Mapping[str, str | bool] = field(default_factory=dict)
    """The shim's options, such as `BinaryName` of an OCI runtime for runc's shim."""


@dataclass(frozen=True)
class OnNode:
    """A node that an add-on runs processes on."""

    number: int
    """From 1; addresses are derived from it."""
    folder: Path
    """Its state folder, which its machine and the host share."""
    network: Network
    accelerators: int


def _no_images(assets: Assets) -> Sequence[Image]:
    return ()


def _no_objects(site: Site) -> Sequence[Object]:
    return ()


def _anywhere(ip_family: str) -> None:
    pass


async def _nothing_to_show(cluster: Cluster, site: Site, seconds: float) -> None:
    pass


def _no_handlers(assets: Assets, folder: Path) -> Sequence[RuntimeHandler]:
    return ()


def _no_processes(node: OnNode) -> Sequence[ProcessSpec]:
    return ()


@dataclass(frozen=True)
class AddOn:
    """An add-on: `objects` are installed, with `images` for their Pods, and can be removed again."""

    name: str
    summary: str
    """What it adds to the platform, in one line."""
    components: tuple[Component, ...] = ()
    """What has to be built for it."""
    images: Callable[[Assets], Sequence[Image]] = _no_images
    objects: Callable[[Site], Sequence[Object]] = _no_objects
    """All its objects, in any order. Objects of its own CRDs are applied when its Deployments are available."""
    makes: tuple[tuple[str, str, str], ...] = ()
    """(kind, Namespace, name) of workloads that its controllers create and that have to be available as well."""
    packages: Mapping[str, str] = field(default_factory=dict)
    """Commands that it needs on this machine -> the Debian package that contains each."""
    requires: Callable[[str], object] = _anywhere
    """Raises Unsupported if this machine cannot have it in a lab of this IP family. Called before anything is built."""
    shown: Callable[[Cluster, Site, float], Awaitable[None]] = _nothing_to_show
    """Returns when it has been seen to do what it is there for, after its workloads are available. Raises LabError."""
    needs: tuple[str, ...] = ()
    """Add-ons that have to be installed before it."""
    feature_gates: Mapping[str, bool] = field(default_factory=dict)
    """Feature gates of every Kubernetes component."""
    runtime_config: Mapping[str, bool] = field(default_factory=dict)
    """API groups and versions that the API server has to serve."""
    manager_flags: tuple[str, ...] = ()
    """Further flags of the controller-manager."""
    runtime_handlers: Callable[[Assets, Path], Sequence[RuntimeHandler]] = _no_handlers
    """Runtimes to configure in containerd on every node, from its state folder; containerd restarts when they
    change."""
    node_processes: Callable[[OnNode], Sequence[ProcessSpec]] = _no_processes
    """What runs on each node, in its namespaces, while it is installed."""
    helper: str = ""
    """A module of the lab that runs beside the control plane while it is installed: `python -m MODULE STATE`."""
    since: str = ""
    """The first Kubernetes minor version that it supports; empty for all."""
