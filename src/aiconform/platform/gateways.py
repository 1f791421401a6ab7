"""The Gateway API as a platform offers it: its version, its GatewayClasses, and which of them to take."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from aiconform.cluster import ClusterError, NotFound, Object, conditions
from aiconform.platform.inventory import Platform

GROUP = "gateway.networking.k8s.io"
# The newest first; what checks use is the same in both.
VERSIONS = ("v1", "v1beta1")
# Controllers whose classes are no way in: a Gateway of them gets no data plane for requests from outside the mesh.
NO_INGRESS = {
    "istio.io/mesh-controller": "waypoints of a mesh",
    "istio.io/eastwest-controller": "traffic between meshes",
    "istio.io/unmanaged-gateway": "gateways that somebody else runs",
}


@dataclass(frozen=True)
class GatewayClass:
    """A GatewayClass. `accepted` is None while its controller has not said; `says` is what it said."""

    name: str
    controller: str
    accepted: bool | None
    says: str
    gateways: int = 0
    """How many programmed Gateways of the platform use it."""


# The better ones first: accepted, not decided, refused.
_standing: dict[bool | None, int] = {True: 0, None: 1, False: 2}


class NoGatewayClass(LookupError):
    """There is none that could be taken; the text says what was looked at."""


async def served(platform: Platform) -> str | None:
    """The newest served version of the Gateway API that we know, as an apiVersion, or None."""
    versions = (await platform.groups()).get(GROUP, ())
    return next((f"{GROUP}/{version}" for version in VERSIONS if version in versions), None)


async def release(platform: Platform) -> str:
    """Release and channel of the installed definitions; empty where these credentials may not see them."""
    try:
        name = f"httproutes.{GROUP}"
        found = await platform.cluster.get("apiextensions.k8s.io/v1", "CustomResourceDefinition", name)
    except ClusterError:
        return ""
    annotations = found["metadata"].get("annotations") or {}
    words = (annotations.get(f"{GROUP}/bundle-version", ""), annotations.get(f"{GROUP}/channel", ""))
    return " ".join(word for word in words if word)


async def classes(platform: Platform, api_version: str) -> list[Object]:
    """The GatewayClass objects; empty if the kind is not served."""
    try:
        return [entry async for entry in platform.cluster.list(api_version, "GatewayClass")]
    except NotFound:
        return []


async def in_use(platform: Platform, api_version: str) -> Counter[str]:
    """Class -> how many programmed Gateways use it."""
    counted: Counter[str] = Counter()
    async for gateway in platform.cluster.list(api_version, "Gateway"):
        if condition(gateway, "Programmed")[0]:
            counted[gateway["spec"]["gatewayClassName"]] += 1
    return counted


def condition(obj: Object, kind: str) -> tuple[bool | None, str]:
    """(whether the condition holds, in what words); None if its controller has not decided about this generation."""
    return _decided(obj, obj.get("status"), kind)


def parent_condition(route: Object, kind: str) -> tuple[bool | None, str]:
    """The same for a route with one parent: its conditions stand in the parent's entry."""
    for parent in (route.get("status") or {}).get("parents") or []:
        decided, words = _decided(route, parent, kind)
        if words:
            return decided, words
    return None, ""


def _decided(obj: Object, status: Object | None, kind: str) -> tuple[bool | None, str]:
    for entry in conditions.read(status):
        if entry.type == kind:
            words = f"{kind} is {entry.status}: {entry.words}".strip(": ")
            return entry.decided(obj["metadata"].get("generation", 0)), words
    return None, ""


def read_class(obj: Object, gateways: Counter[str]) -> GatewayClass:
    name = obj["metadata"]["name"]
    accepted, says = condition(obj, "Accepted")
    return GatewayClass(name, obj["spec"]["controllerName"], accepted, says or "no condition Accepted", gateways[name])


def choose(found: Sequence[GatewayClass], wanted: str, option: str) -> tuple[GatewayClass, str]:
    """(the class to take, why). `wanted` names one, or is empty; `option` is how a user names one.

    A class is taken whether or not it is accepted if there is no other. Raises NoGatewayClass.
    """
    names = ", ".join(each.name for each in found)
    if wanted:
        for each in found:
            if each.name == wanted:
                return each, f"named by {option}"
        raise NoGatewayClass(f"there is no GatewayClass {wanted} ({option}); there is {names or 'none'}")
    offered = [each for each in found if each.controller not in NO_INGRESS]
    if not offered:
        aside = "; ".join(f"{each.name} is for {NO_INGRESS[each.controller]}" for each in found)
        raise NoGatewayClass(f"no GatewayClass for requests from outside ({aside or 'there is none at all'})")
    best = min(offered, key=lambda each: (_standing[each.accepted], -each.gateways, each.name))
    if len(offered) == 1:
        return best, "the only one"
    if best.accepted is True and sum(each.accepted is True for each in offered) == 1:
        return best, f"the only accepted one of {names}"
    if best.gateways:
        return best, f"of {names} most Gateways here use it ({best.gateways}); {option}=NAME takes another"
    return best, f"the first by name of {names}; {option}=NAME takes another"
