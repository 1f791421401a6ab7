"""What is built for a lab: its own components, and what any component is.

Each is one small Go module under go/ that pins a version and its sums, or a pinned package of the Python index. What is
built is kept under a name that covers all of a component's fields: see `aiconform.lab.build.assets.key`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from aiconform.lab.build.wheels import Wheel
from aiconform.lab.config import KUBERNETES

KUBERNETES_BINARIES = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "kubelet")


@dataclass(frozen=True)
class Render:
    """A file that the build takes out of the component's own source: the objects its users install it with."""

    file: str
    """Its name in the component's folder of the cache."""
    by: Literal["copy", "kustomize", "helm"]
    path: str
    """A file, or a folder to kustomize or a chart, below the root of `module`."""
    arguments: tuple[str, ...] = ()
    """Further arguments of `kustomize build` or `helm template`."""
    module: str = ""
    """The Go module that has it; that of the component's first package if empty."""


@dataclass(frozen=True)
class Component:
    """Binaries that are built together from one module, or come out of one package of the Python index."""

    name: str
    version: str
    module: str
    """Folder of go.mod and go.sum under go/."""
    packages: tuple[str, ...]
    """None for one of which only files are rendered; each Render says then of which module."""
    binaries: tuple[str, ...]
    ldflags: str = "-s -w"
    main: str = ""
    """A source file under go/, where the module has a main of ours."""
    called_by: tuple[str, ...] = ()
    """Names under which its one binary serves as several."""
    tags: tuple[str, ...] = ()
    """Go build tags."""
    renders: tuple[Render, ...] = ()
    wheel: Wheel | None = None
    """What has the binaries already: then there is no module, and nothing is built."""


def kubernetes(minor: str) -> Component:
    """All Kubernetes binaries of a minor version, in one that goes by the name it is called with."""
    release = KUBERNETES[minor]
    major, number = minor.split(".")
    versions = {"gitVersion": f"v{release}", "gitMajor": major, "gitMinor": number, "gitTreeState": "clean"}
    set_versions = "".join(f" -X k8s.io/component-base/version.{key}={value}" for key, value in versions.items())
    return Component(
        name="kubernetes",
        version=release,
        module=f"kubernetes/{minor}",
        packages=(".",),
        binaries=("kubernetes",),
        ldflags="-s -w" + set_versions,
        main="kubernetes/main.go",
        called_by=KUBERNETES_BINARIES,
    )


ETCD = Component("etcd", "3.7.3", "etcd", ("go.etcd.io/etcd/server/v3",), ("etcd",), called_by=("etcd",))
CONTAINERD = Component(
    "containerd",
    "2.4.2",
    "containerd",
    tuple(
        f"github.com/containerd/containerd/v2/cmd/{command}"
        for command in ("containerd", "containerd-shim-runc-v2", "ctr")
    ),
    ("containerd", "containerd-shim-runc-v2", "ctr"),
    ldflags="-s -w -X github.com/containerd/containerd/v2/version.Version=v2.4.2",
)
CNI = Component(
    "cni",
    "1.9.0",
    "cni",
    tuple(
        f"github.com/containernetworking/plugins/plugins/{plugin}"
        for plugin in ("ipam/host-local", "main/loopback", "main/ptp", "meta/portmap")
    ),
    ("host-local", "loopback", "ptp", "portmap"),
)
PAUSE = Component("pause", "1.0.0", "pause", (".",), ("pause",), main="pause/main.go")
COREDNS = Component("coredns", "1.15.0", "coredns", (".",), ("coredns",), main="coredns/main.go")

KUSTOMIZE = Component(
    "kustomize", "5.7.1", "kustomize", ("sigs.k8s.io/kustomize/kustomize/v5",), ("kustomize",), called_by=("kustomize",)
)
HELM = Component("helm", "3.19.0", "helm", ("helm.sh/helm/v3/cmd/helm",), ("helm",))
RENDERERS = {"kustomize": KUSTOMIZE, "helm": HELM}
"""The commands that a Render may name, and what has them."""


def components(minor: str) -> tuple[Component, ...]:
    """What a lab of this Kubernetes minor is made of, the quickest to build first: an early failure shows early."""
    return (PAUSE, CNI, ETCD, CONTAINERD, COREDNS, kubernetes(minor))
