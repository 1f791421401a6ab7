"""About how long each component takes to build where nothing is cached, for people who wait for it."""

from __future__ import annotations

from collections.abc import Iterable

from aiconform.lab.build.components import Component

MACHINE = "2 cores"
# Measured one after another; estimated for prometheus, prometheus-operator, lws, helm, scheduler-plugins, kustomize,
# kube-router.
_SECONDS = {
    "kubernetes": 400,
    "kueue": 375,
    "envoy-gateway": 200,
    "prometheus-operator": 120,
    "prometheus": 200,
    "trainer": 166,
    "jobset": 173,
    "lws": 120,
    "helm": 120,
    "coredns": 120,
    "prometheus-adapter": 107,
    "scheduler-plugins": 150,
    "karpenter": 93,
    "containerd": 75,
    "kwok": 73,
    "gvisor": 60,
    "agent-sandbox": 50,
    "kube-router": 90,
    "dranet": 43,
    "kustomize": 30,
    "etcd": 19,
    "cni": 10,
}
_OTHERS = 5


def seconds(component: Component) -> int:
    """On MACHINE; a few seconds for what is only downloaded or tiny."""
    return _SECONDS.get(component.name, _OTHERS)


def minutes(components: Iterable[Component]) -> str:
    """The time of all of them, in words."""
    total = sum(map(seconds, components))
    return f"{total} s" if total < 90 else f"{round(total / 60)} min"
