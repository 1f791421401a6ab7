"""The Gateway through which requests come: one that the check creates, or an existing one that the user names."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from types import MappingProxyType

from aiconform.check import NothingToLookAt
from aiconform.checks.ai_inference import listeners
from aiconform.checks.ai_inference.options import AiInferenceOptions
from aiconform.cluster import Forbidden, NotFound, Object, TimedOut, conditions, wait
from aiconform.platform import Platform, gateways
from aiconform.platform.gateways import HTTP_PORT

# Reasons of conditions that only say "not yet", or that there is no more of something at the moment:
# https://gateway-api.sigs.k8s.io/reference/spec/
_NOT_YET = ("Pending", "NotReconciled", "AddressNotAssigned", "Unknown", "Waiting", "NoResources")
_OF_PARAMETERS = "InvalidParameters"
# Reasons of conditions that another port, address or parameter of the Gateway mends: as its implementation is set up
# here, it cannot have this one.
_OF_THE_REQUEST = (
    "PortUnavailable",
    "UnsupportedProtocol",
    "UnsupportedAddress",
    "AddressNotUsable",
    _OF_PARAMETERS,
    "HostnameConflict",
    "ProtocolConflict",
)
# In the place of a Namespace of which nothing is known; no Namespace can have this name.
ANY_OTHER = "-"
WAYS_OUT = (
    "Name another class (--set ai_inference.gateway_class=NAME), what the class needs (port, annotations, parameters), "
    "or an existing Gateway (gateway=NAMESPACE/NAME); programmed_seconds allows more time"
)


@dataclass(frozen=True)
class Programming:
    """What became of a Gateway. programmed: it has an address, or its routes will have one.

    says: its conditions in words. refused: they say that it will not be programmed. port_unavailable: that another port
    would do.
    """

    programmed: bool
    says: str
    address: str = ""
    refused: bool = False
    port_unavailable: bool = False


def given_annotations(options: AiInferenceOptions) -> dict[str, str]:
    """The annotations that the user wants for a Gateway."""
    return dict(pair.split("=", 1) for pair in options.annotations.split(",") if pair)


def gateway(
    name: str,
    api_version: str,
    class_name: str,
    port: int,
    options: AiInferenceOptions,
    *,
    needed: Mapping[str, str] = MappingProxyType({}),
    host: str = "",
) -> Object:
    """A Gateway with one listener for HTTP.

    needed: annotations that Gateways of the class need. host: the only host name that it listens for.
    """
    given = given_annotations(options)
    infrastructure: Object = {"annotations": given} if given else {}
    noted = {**needed, **given}
    if options.parameters:
        what, _, named = options.parameters.partition("/")
        kind, _, group = what.partition(".")
        infrastructure["parametersRef"] = {"group": group, "kind": kind, "name": named}
    listener = {
        "name": "http",
        "protocol": "HTTP",
        "port": port,
        "allowedRoutes": {"namespaces": {"from": "Same"}},
        **({"hostname": host} if host else {}),
    }
    return {
        "apiVersion": api_version,
        "kind": "Gateway",
        "metadata": {"name": name, **({"annotations": noted} if noted else {})},
        "spec": {
            "gatewayClassName": class_name,
            **({"infrastructure": infrastructure} if infrastructure else {}),
            "listeners": [listener],
        },
    }


@dataclass(frozen=True)
class Entrance:
    """A Gateway and how requests come to it. parent: the reference of a route to it. host: the route's host name."""

    gateway: Object
    parent: Object
    host: str
    ports: tuple[int, ...] = field(default=(HTTP_PORT,))

    @property
    def name(self) -> str:
        return str(self.gateway["metadata"]["name"])

    @property
    def class_name(self) -> str:
        return str(self.gateway["spec"]["gatewayClassName"])


def ports_to_ask(listener: int) -> tuple[int, ...]:
    """A Service in front of the data plane can have another port than the listener: then it is the usual one."""
    return tuple(dict.fromkeys((listener, HTTP_PORT)))


def own_host(namespace: str) -> str:
    """A host name that nobody else has."""
    return f"models.{namespace}.example"


def of_own(made: Object) -> Entrance:
    """The entrance by a Gateway that the check created."""
    host = own_host(made["metadata"]["namespace"])
    (listener,) = made["spec"]["listeners"]
    return Entrance(made, {"name": made["metadata"]["name"]}, host, ports_to_ask(listener["port"]))


async def existing(platform: Platform, api_version: str, options: AiInferenceOptions, namespace: str) -> Entrance:
    """The entrance by the Gateway that the user names, for a route in `namespace`. Raises NothingToLookAt.

    namespace: empty if it is not known, as for `inspect`, which makes none.
    """
    where, _, name = options.gateway.partition("/")
    try:
        found = await platform.cluster.get(api_version, "Gateway", name, where)
    except NotFound:
        raise NothingToLookAt(f"nothing to look at: there is no Gateway {options.gateway}") from None
    labels = None
    if namespace:
        with suppress(NotFound, Forbidden):
            labels = (await platform.cluster.get("v1", "Namespace", namespace))["metadata"].get("labels") or {}
    return shared(found, options.port, namespace, labels)


def shared(found: Object, port: int, namespace: str, labels: Mapping[str, str] | None = None) -> Entrance:
    """The entrance by an existing Gateway. port: that of its listener, 0 for any. Raises NothingToLookAt.

    A listener of one host name only is left alone: rules of the check could take requests that are for others. So is
    one that takes no HTTPRoute from Namespace `namespace` with these labels (None: nobody knows them yet). If
    nobody knows the Namespace, one that takes routes from any goes first.
    """
    metadata = found["metadata"]
    refused = []
    every = found["spec"]["listeners"]
    if not namespace:
        every = sorted(every, key=lambda each: bool(listeners.refuses(each, metadata["namespace"], ANY_OTHER, {})))
    for listener in every:
        hostname = listener.get("hostname") or ""
        open_to_others = not hostname or hostname.startswith("*.")
        if listener["protocol"] == "HTTP" and port in (0, listener["port"]) and open_to_others:
            if why := listeners.refuses(listener, metadata["namespace"], namespace, labels):
                refused.append(f"listener {listener['name']} takes {why}")
                continue
            host = f"models-{namespace}{hostname[1:]}" if hostname else own_host(namespace)
            parent = {"name": metadata["name"], "namespace": metadata["namespace"], "sectionName": listener["name"]}
            return Entrance(found, parent, host, ports_to_ask(listener["port"]))
    about = f"nothing to look at: Gateway {metadata['namespace']}/{metadata['name']}"
    if refused:
        raise NothingToLookAt(f"{about} takes no HTTPRoute from Namespace {namespace}: {'; '.join(refused)}")
    raise NothingToLookAt(
        f"{about} has no listener for HTTP"
        + (f" on port {port}" if port else "")
        + " that is open to any host name, or to all below a domain"
    )


async def programmed(
    platform: Platform,
    made: Object,
    seconds: float,
    families: Collection[str] = (),
    *,
    addressless: bool = False,
    other_port: bool = False,
    draft: Object | None = None,
) -> Programming:
    """What became of a Gateway within `seconds`. addressless: its routes have addresses, not the Gateway itself.

    families: see `address_of`. other_port: there is another port to try, so that nobody waits for one that is not
    available. draft: the Gateway as the check wrote it; None for one of others.
    """
    last = made

    def condition(seen: Object) -> Object | None:
        nonlocal last
        last = seen
        ready = gateways.condition(seen, "Programmed")[0] and (addressless or address_of(seen, families))
        return seen if ready or (other_port and _port_unavailable(seen)) else None

    name = made["metadata"]["name"]
    try:
        seen = await wait.until(platform.cluster, made, condition, seconds=seconds, what=f"Gateway {name}")
        ended = other_port and _port_unavailable(seen)
    except TimedOut:
        ended = True
    if ended:
        words = [gateways.condition(last, kind)[1] for kind in ("Accepted", "Programmed")]
        if gateways.condition(last, "Programmed")[0]:
            words.append("it has no address")
        words += listeners.said(last)
        return Programming(
            False,
            "; ".join(filter(None, words)) or "no condition at all",
            refused=_refused(last, draft),
            port_unavailable=_port_unavailable(last),
        )
    return Programming(True, gateways.condition(seen, "Programmed")[1], address_of(seen, families))


def _port_unavailable(seen: Object) -> bool:
    """Whether a listener's conditions of this generation say that nothing serves its port."""
    generation = seen["metadata"].get("generation", 0)
    return any(
        entry.reason == "PortUnavailable" and entry.decided(generation) is not None
        for entry in listeners.problems(seen)
    )


def _refused(seen: Object, draft: Object | None) -> bool:
    """Whether a condition of this generation says that the Gateway will not be programmed, not only "not yet".

    What this platform does not do with a Gateway like that of the check, it may do with another one: but parameters
    that the platform itself wrote into it are not the check's.
    """
    ours = draft is None or _parameters(draft) == _parameters(seen)
    excused = [reason for reason in _OF_THE_REQUEST if ours or reason != _OF_PARAMETERS]
    if any(entry.reason in excused for entry in listeners.problems(seen)):
        return False
    return any(
        entry.type in ("Accepted", "Programmed")
        and entry.decided(seen["metadata"].get("generation", 0)) is False
        and entry.reason not in (*_NOT_YET, *excused)
        for entry in conditions.read(seen.get("status"))
    )


def _parameters(gateway: Object) -> Object | None:
    return (gateway["spec"].get("infrastructure") or {}).get("parametersRef") or None


def address_of(seen: Object, families: Collection[str] = ()) -> str:
    """The first address, preferably an IP address of one of these families, as it is written in a URL.

    A Gateway can have addresses of both families where Pods have those of one.
    """
    found = (seen.get("status") or {}).get("addresses") or []

    def rank(entry: Object) -> tuple[bool, bool]:
        return entry.get("type", "IPAddress") != "IPAddress", bool(families) and _family(entry["value"]) not in families

    return in_url(str(min(found, key=rank)["value"])) if found else ""


def families(pod: Object) -> set[str]:
    """The families of a Pod's addresses."""
    return {_family(entry["ip"]) for entry in pod["status"].get("podIPs") or []}


def _family(address: str) -> str:
    return "IPv6" if ":" in address else "IPv4"


def in_url(address: str) -> str:
    """A host name or an address of either family, as it is written in a URL."""
    return f"[{address}]" if ":" in address and not address.startswith("[") else address


async def address_of_route(platform: Platform, routed: Object, annotation: str, seconds: float) -> str:
    """The address that a route has by itself. Raises TimedOut."""

    def condition(seen: Object) -> str | None:
        return in_url((seen["metadata"].get("annotations") or {}).get(annotation) or "") or None

    return await wait.until(platform.cluster, routed, condition, seconds=seconds, what="the address of the route")
