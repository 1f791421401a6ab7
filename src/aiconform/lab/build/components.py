"""What is built for a lab: its own components, and the model of a component.

A component is a small Go module under go/ that pins a version and its sums, or a pinned package of the Python index.
Changing a field of a component means building it again: see `aiconform.lab.build.assets.key`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from aiconform.lab.build.wheels import Wheel
from aiconform.lab.config import KUBERNETES

KUBERNETES_BINARIES = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "kubelet")


@dataclass(frozen=True)
class Render:
    """A file that the build takes from the component's own source: the manifests that its users install it with."""

    file: str
    """Its name in the component's folder of the cache."""
    by: Literal["copy", "kustomize", "helm"]
    path: str
    """A file, or a folder to kustomize or a chart, below the root of `module`."""
    arguments: tuple[str, ...] = ()
    """Further arguments of `kustomize build` or `helm template`."""
    module: str = ""
    """The Go module that contains it; that of the component's first package if empty."""


@dataclass(frozen=True)
class Component:
    """Binaries that are built together from one module, or come from one package of the Python index."""

    name: str
    version: str
    module: str
    """Folder of go.mod and go.sum under go/."""
    packages: tuple[str, ...]
    """Empty if only files are rendered; then each Render names its module."""
    binaries: tuple[str, ...]
    ldflags: str = "-s -w"
    main: str = ""
    """A source file under go/, if the module's main package is part of this project."""
    called_by: tuple[str, ...] = ()
    """Names of the commands that its single binary implements."""
    tags: tuple[str, ...] = ()
    """Go build tags."""
    renders: tuple[Render, ...] = ()
    wheel: Wheel | None = None
    """A package that contains the binaries: then there is no module, and nothing is built."""


def kubernetes(minor: str) -> Component:
    """All Kubernetes commands of a minor version, in one binary that acts by the name it is called with."""
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
"""The commands that a Render can use -> their components."""


def components(minor: str) -> tuple[Component, ...]:
    """The components of a lab of this Kubernetes minor. The fastest to build comes first, to fail early."""
    return (PAUSE, CNI, ETCD, CONTAINERD, COREDNS, kubernetes(minor))
