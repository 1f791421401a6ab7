"""A platform's Gateway API: its version, its GatewayClasses, and which of them to use."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from aiconform.cluster import ClusterError, NotFound, Object, conditions
from aiconform.platform.inventory import Platform

GROUP = "gateway.networking.k8s.io"
# The newest first; both have all fields that checks use.
VERSIONS = ("v1", "v1beta1")
# Controllers whose classes are not for ingress: their Gateways have no data plane for requests from outside the mesh.
NO_INGRESS = {
    "istio.io/mesh-controller": "waypoints of a mesh",
    "istio.io/eastwest-controller": "traffic between meshes",
    "istio.io/unmanaged-gateway": "gateways that someone else deploys",
}


@dataclass(frozen=True)
class GatewayClass:
    """A GatewayClass. `accepted` is None until its controller decides; `says` is the condition in words."""

    name: str
    controller: str
    accepted: bool | None
    says: str
    gateways: int = 0
    """How many programmed Gateways of the platform use it."""


# The best first: accepted, undecided, rejected.
_PREFERENCE: dict[bool | None, int] = {True: 0, None: 1, False: 2}


class NoGatewayClass(LookupError):
    """There is none to use; the text says which were examined."""


async def served(platform: Platform) -> str | None:
    """The newest known version of the Gateway API that is served, as an apiVersion, or None."""
    versions = (await platform.groups()).get(GROUP, ())
    return next((f"{GROUP}/{version}" for version in VERSIONS if version in versions), None)


async def release(platform: Platform) -> str:
    """The release and channel of the installed CRDs; empty if these credentials cannot read them."""
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
    """(whether the condition is True, the condition in words); None if undecided for this generation of the object."""
    return _decided(obj, obj.get("status"), kind)


def parent_condition(route: Object, kind: str) -> tuple[bool | None, str]:
    """The same for a route with one parent, whose entry has the conditions."""
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
    """(the class to use, why). `wanted` names one, or is empty; `option` is how a user names one.

    The only class is used even if it is not accepted. Raises NoGatewayClass.
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
    best = min(offered, key=lambda each: (_PREFERENCE[each.accepted], -each.gateways, each.name))
    if len(offered) == 1:
        return best, "the only one"
    if best.accepted is True and sum(each.accepted is True for each in offered) == 1:
        return best, f"the only accepted one of {names}"
    if best.gateways:
        return best, f"of {names} most Gateways here use it ({best.gateways}); {option}=NAME chooses another"
    return best, f"the first by name of {names}; {option}=NAME chooses another"
