"""Faults of Gateways: settings that Envoy Gateway cannot apply, and objects that are changed before it reads them.

A gateway that ignores part of an HTTPRoute behaves like one that is given another HTTPRoute. So an admission policy
changes routes as they are written, and the data plane applies the changed ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiconform.lab.addons.envoy_gateway import GATEWAY_CLASS, SETTINGS
from aiconform.lab.faults.fault import Fault, InCluster, assertions
from aiconform.lab.faults.policies import changing

if TYPE_CHECKING:
    from aiconform.cluster import Cluster, Object

GATEWAY_API = "gateway.networking.k8s.io/v1"
NOWHERE = "nowhere"
_SECONDS = 30.0

# CEL expressions. A rule with more than one backend splits traffic.
_SPLIT = "size(object.spec.rules[i].backendRefs) > 1"
_CHANGED = "request.operation == 'UPDATE'"
_MATCH = "object.spec.rules[i].matches[0]"


def _patches(condition: str, *patches: str) -> str:
    """CEL: a list of JSON patches for every rule that meets the condition; `i` is the rule's index."""
    rules = (
        "(has(object.spec.rules) ? [0, 1, 2, 3, 4, 5, 6, 7].filter(i, i < size(object.spec.rules) && "
        f"has(object.spec.rules[i].backendRefs) && has(object.spec.rules[i].matches) && {condition}) : [])"
    )
    return " + ".join(f"{rules}.map(i, JSONPatch{{{patch}}})" for patch in patches)


def _patch(place: str, value: str) -> str:
    return f"op: 'add', path: '/spec/rules/' + string(i) + '/{place}', value: {value}"


_OLD_WEIGHT = "oldObject.spec.rules[i].backendRefs[{}].weight"
_BACKENDS = "'/spec/rules/' + string(i) + '/backendRefs/"


async def _refuse_class(cluster: Cluster) -> None:
    await _set_parameters(cluster, NOWHERE, accepted=False)


async def _accept_class(cluster: Cluster) -> None:
    await _set_parameters(cluster, SETTINGS, accepted=True)


async def _set_parameters(cluster: Cluster, name: str, *, accepted: bool) -> None:
    """Have the GatewayClass refer to settings of this name, and wait for its controller's decision."""
    from aiconform.cluster import wait
    from aiconform.platform.gateways import condition

    found = await cluster.get(GATEWAY_API, "GatewayClass", GATEWAY_CLASS)
    patched = await cluster.patch(found, {"spec": {"parametersRef": {"name": name}}})
    generation = patched["metadata"]["generation"]

    def decided(seen: Object) -> bool | None:
        current = seen["metadata"]["generation"] >= generation
        return True if current and condition(seen, "Accepted")[0] is accepted else None

    await wait.until(cluster, patched, decided, seconds=_SECONDS, what=f"GatewayClass {GATEWAY_CLASS}")


def _fault(name: str, description: str, *breaks: str, how: InCluster) -> Fault:
    return Fault(name, description, assertions("ai_inference", *breaks), how, needs=("envoy-gateway",))


def _rewriting(name: str, description: str, *breaks: str, patch: str, resource: str = "httproutes") -> Fault:
    """`patch`: CEL expression for the JSON patches of each object that is created or updated."""
    how = changing(name, resource, patch, group="gateway.networking.k8s.io", operations=("CREATE", "UPDATE"))
    return _fault(name, description, *breaks, how=how)


FAULTS = (
    _fault(
        "gateway-class-refused",
        "The GatewayClass refers to settings that do not exist.",
        "class_accepted",
        how=InCluster(_refuse_class, _accept_class),
    ),
    _rewriting(
        "gateway-refused",
        "Gateways refer to settings that do not exist, so their controller refuses them.",
        "gateway_programmed",
        resource="gateways",
        patch="[JSONPatch{op: 'add', path: '/spec/infrastructure', value: {'parametersRef': "
        f"{{'group': 'gateway.envoyproxy.io', 'kind': 'EnvoyProxy', 'name': '{NOWHERE}'}}}}}}]",
    ),
    _rewriting(
        "routes-not-attached",
        "HTTPRoutes are not attached to any listener.",
        "route_accepted",
        patch="has(object.spec.parentRefs) && size(object.spec.parentRefs) > 0 ? "
        f"[JSONPatch{{op: 'add', path: '/spec/parentRefs/0/sectionName', value: '{NOWHERE}'}}] : []",
    ),
    _rewriting(
        "weights-ignored",
        "All backends of an HTTPRoute get equal shares of the requests.",
        *("traffic_split_by_weight", "changed_weights_take_effect"),
        patch=_patches(_SPLIT, _patch("backendRefs/0/weight", "1"), _patch("backendRefs/1/weight", "1")),
    ),
    _rewriting(
        "weights-never-change",
        "Backends of an HTTPRoute keep their initial weights.",
        "changed_weights_take_effect",
        patch=_patches(
            f"{_CHANGED} && {_SPLIT}",
            _patch("backendRefs/0/weight", _OLD_WEIGHT.format(0)),
            _patch("backendRefs/1/weight", _OLD_WEIGHT.format(1)),
        ),
    ),
    _rewriting(
        "header-rules-ignored",
        "Rules that match a header never match.",
        "routed_by_header",
        patch=_patches(f"has({_MATCH}.headers)", _patch("matches/0/headers/0/value", f"'{NOWHERE}'")),
    ),
    _rewriting(
        "path-rules-ignored",
        "Rules that match a model's path never match.",
        "routed_by_path",
        patch=_patches(
            f"{_MATCH}.path.value.startsWith('/v1/models/')", _patch("matches/0/path/value", f"'/{NOWHERE}'")
        ),
    ),
    _rewriting(
        "routes-match-all",
        "An HTTPRoute accepts requests that none of its rules match.",
        "unmatched_gets_404",
        patch=_patches(_SPLIT, _patch("matches/0/path/value", "'/'")),
    ),
    _rewriting(
        "changes-lose-requests",
        "After an HTTPRoute is changed, some of its requests fail.",
        "no_request_lost",
        # Some of the requests then go to a Service that does not exist.
        patch=_patches(
            f"{_CHANGED} && {_SPLIT}",
            f"op: 'copy', from: {_BACKENDS}0', path: {_BACKENDS}-'",
            f"op: 'replace', path: {_BACKENDS}2/name', value: '{NOWHERE}'",
        ),
    ),
)
