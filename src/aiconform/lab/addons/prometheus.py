"""Prometheus as platforms run it: by its operator, with ServiceMonitors and PodMonitors as targets."""

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

OPERATOR = Component(
    "prometheus-operator",
    "0.88.0",
    "prometheus-operator",
    tuple(
        f"github.com/prometheus-operator/prometheus-operator/cmd/{command}"
        for command in ("operator", "prometheus-config-reloader")
    ),
    ("operator", "prometheus-config-reloader"),
    renders=(
        Render("bundle.yaml", "copy", "bundle.yaml"),
        Render("rbac.yaml", "copy", "example/rbac/prometheus"),
    ),
)
# Prometheus 3.9.0; its Go module has a different version number.
PROMETHEUS = Component(
    "prometheus", "0.309.0", "prometheus", ("github.com/prometheus/prometheus/cmd/prometheus",), ("prometheus",)
)
_RELEASE = "v3.9.0"
OPERATOR_IMAGE = f"quay.io/prometheus-operator/prometheus-operator:v{OPERATOR.version}"
RELOADER_IMAGE = f"quay.io/prometheus-operator/prometheus-config-reloader:v{OPERATOR.version}"
IMAGE = f"quay.io/prometheus/prometheus:{_RELEASE}"
NAMESPACE = "monitoring"
NAME = "k8s"
SERVICE = f"prometheus-{NAME}"
PORT = 9090

# The operator's arguments except for the interval: inotify does not report every change, and the default is to poll for
# changes every three minutes.
_RELOADER_ARGUMENTS = (
    "--watch-interval=1s",
    "--listen-address=:8080",
    f"--reload-url=http://localhost:{PORT}/-/reload",
    "--config-file=/etc/prometheus/config/prometheus.yaml.gz",
    "--config-envsubst-file=/etc/prometheus/config_out/prometheus.env.yaml",
)


def _images(assets: Assets) -> Sequence[Image]:
    return (
        controller(OPERATOR_IMAGE, assets.of(OPERATOR, "operator"), "/bin/operator"),
        controller(
            RELOADER_IMAGE, assets.of(OPERATOR, "prometheus-config-reloader"), "/bin/prometheus-config-reloader"
        ),
        controller(IMAGE, assets.of(PROMETHEUS, "prometheus"), "/bin/prometheus"),
    )


def _objects(site: Site) -> Sequence[Object]:
    read = manifests.read
    own = [
        *read(site.assets.of(OPERATOR, "bundle.yaml")),
        *manifests.without(read(site.assets.of(OPERATOR, "rbac.yaml")), "Prometheus"),
    ]
    for container in manifests.containers(manifests.find(own, "Deployment", "prometheus-operator")):
        # No Service for the kubelets: it would be in another Namespace and never be removed.
        container["args"] = [word for word in container["args"] if not word.startswith("--kubelet-")]
    return manifests.into(NAMESPACE, manifests.settle([*own, _prometheus(), _service()]))


def _prometheus() -> Object:
    """Scrapes all Namespaces every two seconds, so that checks wait less for a metric."""
    everything: Object = {}
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "Prometheus",
        "metadata": {"name": NAME, "namespace": NAMESPACE},
        "spec": {
            "replicas": 1,
            "version": _RELEASE,
            "image": IMAGE,
            "serviceAccountName": "prometheus",
            "scrapeInterval": "2s",
            "scrapeTimeout": "2s",
            "retention": "2h",
            "terminationGracePeriodSeconds": 1,
            "containers": [{"name": "config-reloader", "args": list(_RELOADER_ARGUMENTS)}],
            "securityContext": {"runAsUser": 65532, "runAsGroup": 65532, "fsGroup": 65532, "runAsNonRoot": True},
            **{
                f"{kind}{what}Selector": everything
                for kind in ("serviceMonitor", "podMonitor")
                for what in ("", "Namespace")
            },
        },
    }


def _service() -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": SERVICE, "namespace": NAMESPACE, "labels": {"app.kubernetes.io/name": "prometheus"}},
        "spec": {
            "selector": {"app.kubernetes.io/name": "prometheus", "prometheus": NAME},
            "ports": [{"name": "web", "port": PORT, "targetPort": "web"}],
        },
    }


ADD_ON = AddOn(
    name="prometheus",
    summary="Prometheus with its operator: ServiceMonitors and PodMonitors of all Namespaces, scraped every 2 s.",
    components=(OPERATOR, PROMETHEUS),
    images=_images,
    objects=_objects,
    makes=(("StatefulSet", NAMESPACE, f"prometheus-{NAME}"),),
)
