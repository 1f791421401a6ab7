"""prometheus-adapter: serves metrics of Prometheus by the custom and external metrics APIs that autoscalers read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import yaml

from aiconform.lab.addons import manifests, prometheus
from aiconform.lab.addons.model import AddOn, Site
from aiconform.lab.build.assets import Assets
from aiconform.lab.build.components import Component, Render
from aiconform.lab.build.images import Image, controller

if TYPE_CHECKING:
    from aiconform.cluster import Object

COMPONENT = Component(
    "prometheus-adapter",
    "0.12.0",
    "prometheus-adapter",
    ("sigs.k8s.io/prometheus-adapter/cmd/adapter",),
    ("adapter",),
    renders=(Render("manifests.yaml", "copy", "deploy/manifests"),),
)
IMAGE = f"registry.k8s.io/prometheus-adapter/prometheus-adapter:v{COMPONENT.version}"
NAME = "prometheus-adapter"
CONFIG, CONFIG_FILE = "adapter-config", "config.yaml"
SERVED = (
    ("custom.metrics.k8s.io", "v1beta1"),
    ("custom.metrics.k8s.io", "v1beta2"),
    ("external.metrics.k8s.io", "v1beta1"),
)

_NAMESPACED = {"namespace": {"resource": "namespace"}}
# Every series with the label `pod` is a metric of that Pod with the same name; every series with the label `namespace`
# is an external metric.
RULES: Object = {
    "rules": [
        {
            "seriesQuery": '{__name__!="",namespace!="",pod!=""}',
            "resources": {"overrides": {**_NAMESPACED, "pod": {"resource": "pod"}}},
            "name": {"matches": "(.+)", "as": "$1"},
            "metricsQuery": "sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)",
        }
    ],
    "externalRules": [
        {
            "seriesQuery": '{__name__!="",namespace!=""}',
            "resources": {"overrides": _NAMESPACED},
            "name": {"matches": "(.+)", "as": "$1"},
            "metricsQuery": "sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)",
        }
    ],
}
"""The adapter's configuration in the lab."""
# They override earlier flags. New series are found in seconds, and forgotten half a minute after they end.
_FLAGS = (
    # The operator's own Service: faults change what the other one answers, and that must not scale Pods.
    f"--prometheus-url=http://prometheus-operated.{prometheus.NAMESPACE}.svc:{prometheus.PORT}/",
    "--metrics-relist-interval=5s",
    "--metrics-max-age=30s",
)


def _config_map() -> Object:
    """Its configuration, which it reads only when it starts."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": CONFIG, "namespace": prometheus.NAMESPACE},
        "data": {CONFIG_FILE: yaml.safe_dump(RULES)},
    }


def _images(assets: Assets) -> Sequence[Image]:
    return (controller(IMAGE, assets.of(COMPONENT, "adapter"), "/adapter"),)


def _objects(site: Site) -> Sequence[Object]:
    objects = manifests.settle(manifests.read(site.assets.of(COMPONENT, "manifests.yaml")))
    # The APIService of its manifests is for resource metrics, which the lab does not collect.
    objects = manifests.without(objects, "APIService", "ConfigMap")
    for container in manifests.containers(manifests.find(objects, "Deployment", NAME)):
        container["args"] += _FLAGS
    return [*objects, _config_map(), *(_api_service(*served) for served in SERVED), _readers()]


def _api_service(group: str, version: str) -> Object:
    return {
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": {"name": f"{version}.{group}"},
        "spec": {
            "group": group,
            "version": version,
            "groupPriorityMinimum": 100,
            "versionPriority": 100,
            "insecureSkipTLSVerify": True,
            "service": {"name": NAME, "namespace": prometheus.NAMESPACE},
        },
    }


def _readers() -> Object:
    """The role that its manifests bind to the HorizontalPodAutoscaler controller but do not define."""
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "custom-metrics-server-resources"},
        "rules": [
            {"apiGroups": sorted({group for group, _ in SERVED}), "resources": ["*"], "verbs": ["get", "list", "watch"]}
        ],
    }


ADD_ON = AddOn(
    name="prometheus-adapter",
    summary="prometheus-adapter: the custom and external metrics APIs, with the metrics of Prometheus.",
    components=(COMPONENT,),
    images=_images,
    objects=_objects,
    needs=("prometheus",),
    # With the default of 15 s, checks would wait three times as long.
    manager_flags=("--horizontal-pod-autoscaler-sync-period=5s",),
)
