"""The Gateway that requests go through: how it is made or found, and what it means that it is not programmed."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import IPv4Address, IPv6Address, ip_address
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiconform.check import NothingToLookAt, Settings
from aiconform.checks.ai_inference import entrance, model_servers, probes, routes
from aiconform.checks.ai_inference.offer import Offer, read_offer, require_accepted
from aiconform.checks.ai_inference.options import AiInferenceOptions
from aiconform.cluster import NotFound, Object, Stuck, TimedOut, WatchEvent
from aiconform.engine.options import parse
from aiconform.engine.plan import BadChoice

API = "gateway.networking.k8s.io/v1"
OPTIONS = AiInferenceOptions(programmed_seconds=1)


def condition(kind: str, status: str, reason: str) -> Object:
    return {"type": kind, "status": status, "reason": reason, "message": "So it is.", "observedGeneration": 1}


PROGRAMMED = {"conditions": [condition("Programmed", "True", "Programmed")], "addresses": [{"value": "192.0.2.1"}]}
REFUSED = {"conditions": [condition("Programmed", "False", "Invalid")]}
PENDING = {"conditions": [condition("Programmed", "False", "Pending")]}


class FakePlatform:
    """A platform with these GatewayClasses; `states` says what becomes of a Gateway of each class. Also the scratch."""

    def __init__(self, states: dict[str, Object], *, accepted: str = "True", gateways: tuple[Object, ...] = ()) -> None:
        self.states, self.there = states, gateways
        self.accepted, self.listed = accepted, False
        self.created: list[Object] = []
        self.deleted: list[str] = []
        self.told: list[str] = []
        self.tell = self.told.append
        self.cluster = self

    def name(self, part: str) -> str:
        return f"routing-{part}"

    async def create(self, obj: Object) -> Object:
        made = {**obj, "metadata": {**obj["metadata"], "namespace": "ns", "generation": 1, "uid": "1"}}
        self.created.append(made)
        return made

    async def delete(self, obj: Object) -> None:
        self.deleted.append(obj["metadata"]["name"])

    async def namespace(self) -> str:
        return "ns"

    async def get(self, api_version: str, kind: str, name: str, namespace: str = "") -> Object:
        for each in (*self.there, *self.created):
            if each["metadata"]["name"] == name and each["metadata"]["namespace"] == namespace:
                return each if each in self.there else self._seen(name)
        raise NotFound("not there")

    async def list(self, api_version: str, kind: str) -> AsyncIterator[Object]:
        for each in self.there if self.listed and kind == "Gateway" else ():
            yield each
        for name in self.states if kind == "GatewayClass" else ():
            status = {"conditions": [condition("Accepted", self.accepted, "Accepted")]}
            metadata = {"name": name, "generation": 1}
            yield {
                "apiVersion": api_version,
                "kind": kind,
                "metadata": metadata,
                "spec": {"controllerName": "example.com/c"},
                "status": status,
            }

    async def watch(self, api_version: str, kind: str, *rest: Any, fields: str, **_: Any) -> AsyncIterator[WatchEvent]:
        yield WatchEvent("ADDED", self._seen(fields.removeprefix("metadata.name=")))
        await asyncio.Event().wait()

    def _seen(self, name: str) -> Object:
        found = next(obj for obj in (*self.created, *self.there) if obj["metadata"]["name"] == name)
        return {**found, "status": self.states[found["spec"]["gatewayClassName"]]}


async def offer_of(platform: Any, options: AiInferenceOptions = OPTIONS) -> Offer:
    return await read_offer(platform, API, options, "ns", patient=False)


async def opened(platform: Any, options: AiInferenceOptions = OPTIONS) -> Any:
    services = {"alpha": "a", "beta": "b"}
    offer = await offer_of(platform, options)
    return await probes._open(platform, platform, options, API, offer, services, {"IPv4"})


async def test_the_next_class_is_tried_if_nobody_named_one() -> None:
    platform = FakePlatform({"first": REFUSED, "second": PROGRAMMED})
    found = await opened(platform)
    assert (found.place.class_name, found.came.address) == ("second", "192.0.2.1")
    assert "Gateway routing-gateway of class first was not programmed within 1 s" in found.why
    assert platform.deleted == ["routing-route", "routing-gateway"]
    assert "waiting up to 1 s for Gateway routing-gateway of class first to be programmed" in platform.told


async def test_classes_that_nobody_named_and_that_are_not_programmed_are_no_verdict() -> None:
    with pytest.raises(TimedOut, match=r"class one .* \| .* class two .*Name another class \(--set ai_inference"):
        await opened(FakePlatform({"one": REFUSED, "two": PENDING}))


async def test_a_class_that_is_named_is_a_verdict_only_if_its_conditions_say_so() -> None:
    named = OPTIONS.model_copy(update={"gateway_class": "c"})
    found = await opened(FakePlatform({"c": REFUSED, "other": PROGRAMMED}), named)
    assert (found.came.programmed, found.came.refused) == (False, True)
    assert "Programmed is False: Invalid" in found.came.says
    exhausted = {"conditions": [condition("Programmed", "False", "NoResources")]}
    for status in (PENDING, exhausted, {}, {"conditions": PROGRAMMED["conditions"]}):
        with pytest.raises(TimedOut, match="programmed_seconds allows more time"):
            await opened(FakePlatform({"c": status}), named)


async def test_a_class_that_is_not_accepted_is_a_verdict_only_if_it_is_named() -> None:
    with pytest.raises(NothingToLookAt, match=r"GatewayClass c \(the only one\) is not accepted"):
        require_accepted(await offer_of(FakePlatform({"c": {}}, accepted="False")))
    named = OPTIONS.model_copy(update={"gateway_class": "c"})
    require_accepted(await offer_of(FakePlatform({"c": {}}, accepted="False"), named))
    with pytest.raises(NothingToLookAt, match="is not accepted"):
        require_accepted(await offer_of(FakePlatform({"c": {}}, accepted="Unknown"), named))


@pytest.mark.parametrize("reason", ["PortUnavailable", "InvalidParameters", "UnsupportedAddress"])
async def test_what_another_port_or_parameter_mends_is_no_verdict(reason: str) -> None:
    listener = {"name": "http", "conditions": [condition("Accepted", "False", reason)]}
    invalid = {"conditions": [condition("Accepted", "False", "ListenersNotValid")], "listeners": [listener]}
    by_itself = {"conditions": [condition("Accepted", "False", reason)]}
    for status in (invalid, by_itself):
        with pytest.raises(TimedOut, match=rf"{reason}.*what the class needs \(port, annotations, parameters\)"):
            await opened(FakePlatform({"c": status}), AiInferenceOptions(gateway_class="c", programmed_seconds=1))


async def test_parameters_that_the_platform_wrote_into_the_gateway_are_its_own() -> None:
    refused = {"conditions": [condition("Accepted", "False", "InvalidParameters")]}

    class Platform(FakePlatform):
        async def create(self, obj: Object) -> Object:
            made = await super().create(obj)
            if obj["kind"] == "Gateway":
                made["spec"] = {**obj["spec"], "infrastructure": {"parametersRef": {"name": "of-the-platform"}}}
            return made

    named = AiInferenceOptions(gateway_class="c", programmed_seconds=1)
    found = await opened(Platform({"c": refused}), named)
    assert (found.came.programmed, found.came.refused) == (False, True)
    given = named.model_copy(update={"parameters": "EnvoyProxy.gateway.envoyproxy.io/settings"})
    with pytest.raises(TimedOut, match="InvalidParameters"):
        await opened(FakePlatform({"c": refused}), given)


async def test_another_port_is_tried_if_the_usual_one_of_the_implementation_is_not_served() -> None:
    unavailable = {"name": "http", "conditions": [condition("Accepted", "False", "PortUnavailable")]}

    class Traefik(FakePlatform):
        """It serves port `served` alone, and its class is of Traefik's controller."""

        served = 80

        async def list(self, api_version: str, kind: str) -> AsyncIterator[Object]:
            async for each in super().list(api_version, kind):
                yield each | {"spec": each["spec"] | {"controllerName": "traefik.io/gateway-controller"}}

        def _seen(self, name: str) -> Object:
            seen = super()._seen(name)
            served = seen["spec"]["listeners"][0]["port"] == self.served
            return seen if served else {**seen, "status": {**PENDING, "listeners": [unavailable]}}

    # It is not waited for a port that is not served.
    patient = AiInferenceOptions(programmed_seconds=50)
    platform = Traefik({"c": PROGRAMMED})
    found = await asyncio.wait_for(opened(platform, patient), 20)
    assert (found.came.programmed, found.place.ports) == (True, (80,))
    assert "has no port 8000: " in found.why
    assert platform.deleted == ["routing-route", "routing-gateway"]
    platform.served = 8000
    assert (await opened(platform, patient)).place.ports == (8000, 80)
    platform.served = 9000
    with pytest.raises(TimedOut, match=r"has no port 8000: .* \| .* was not programmed within 1 s: .*PortUnavailable"):
        await opened(platform)
    # What the user says is tried alone.
    with pytest.raises(TimedOut, match=r"^Gateway routing-gateway of class c was not programmed within 1 s"):
        await opened(platform, OPTIONS.model_copy(update={"port": 8000}))


async def test_a_port_that_others_have_for_any_host_is_shared_by_host_name() -> None:
    for hostname, own in (("", "models.ns.example"), ("a.example", None)):
        other = there({"name": "any", "port": 80, "protocol": "HTTP", "hostname": hostname})
        other["spec"]["gatewayClassName"] = "c"
        platform = FakePlatform({"c": PROGRAMMED}, gateways=(other | {"status": PROGRAMMED},))
        platform.listed = True
        await opened(platform)
        made = next(obj for obj in platform.created if obj["kind"] == "Gateway")
        assert made["spec"]["listeners"][0].get("hostname") == own


async def test_what_is_wrong_with_a_listener_is_told() -> None:
    wrong = {"name": "http", "conditions": [condition("Accepted", "False", "PortUnavailable")]}
    with pytest.raises(TimedOut, match=r"listener http: Accepted is False: PortUnavailable: So it is\."):
        await opened(FakePlatform({"c": {**PENDING, "listeners": [wrong]}}))


def test_a_gateway_has_what_the_user_says() -> None:
    (options,) = parse(
        [
            "ai_inference.annotations=alb.networking.azure.io/alb-name=a,alb.networking.azure.io/alb-namespace=b=c",
            "ai_inference.parameters=EnvoyProxy.gateway.envoyproxy.io/settings",
        ]
    )
    made = entrance.gateway("g", API, "c", 8000, options)  # type: ignore[arg-type]
    annotations = {"alb.networking.azure.io/alb-name": "a", "alb.networking.azure.io/alb-namespace": "b=c"}
    assert made["metadata"] == {"name": "g", "annotations": annotations}
    reference = {"group": "gateway.envoyproxy.io", "kind": "EnvoyProxy", "name": "settings"}
    assert made["spec"]["infrastructure"] == {"annotations": annotations, "parametersRef": reference}
    assert made["spec"]["listeners"][0]["port"] == 8000
    plain = entrance.gateway("g", API, "c", 80, AiInferenceOptions())
    assert plain["metadata"] == {"name": "g"}
    assert "infrastructure" not in plain["spec"]
    core = entrance.gateway("g", API, "c", 80, AiInferenceOptions(parameters="ConfigMap/settings"))
    assert core["spec"]["infrastructure"]["parametersRef"] == {"group": "", "kind": "ConfigMap", "name": "settings"}


@pytest.mark.parametrize("word", ["gateway=shared", "port=70000", "annotations=a", "parameters=settings"])
def test_values_that_cannot_be_used_are_refused(word: str) -> None:
    with pytest.raises(BadChoice, match="ai_inference"):
        parse([f"ai_inference.{word}"])


# A Gateway that is there already


def there(*listeners: Object) -> Object:
    metadata = {"name": "shared", "namespace": "infra", "generation": 1}
    spec = {"gatewayClassName": "c", "listeners": list(listeners)}
    return {"apiVersion": API, "kind": "Gateway", "metadata": metadata, "spec": spec}


def listener(name: str, port: int = 80, protocol: str = "HTTP", hostname: str = "") -> Object:
    return {"name": name, "port": port, "protocol": protocol, **({"hostname": hostname} if hostname else {})}


def test_an_existing_gateway_takes_the_route_by_a_listener_that_is_open_to_others() -> None:
    shop, tls = listener("shop", hostname="shop.example"), listener("tls", 443, "HTTPS")
    found = entrance.shared(there(tls, shop, listener("any", 8000)), 0, "ns")
    assert found.parent == {"name": "shared", "namespace": "infra", "sectionName": "any"}
    assert (found.host, found.ports) == ("models.ns.example", (8000, 80))
    wild = entrance.shared(there(listener("wild", hostname="*.ai.example")), 80, "ns")
    assert (wild.host, wild.ports) == ("models-ns.ai.example", (80,))
    with pytest.raises(NothingToLookAt, match="infra/shared has no listener for HTTP that is open to any host"):
        entrance.shared(there(tls, shop), 0, "ns")
    with pytest.raises(NothingToLookAt, match="no listener for HTTP on port 81"):
        entrance.shared(there(listener("any")), 81, "ns")


def allowing(name: str, port: int, namespaces: Object, kind: str = "") -> Object:
    allowed = {"namespaces": namespaces} | ({"kinds": [{"kind": kind}]} if kind else {})
    return {"name": name, "port": port, "protocol": "HTTP", "allowedRoutes": allowed}


def test_an_existing_gateway_takes_the_route_by_a_listener_that_allows_it() -> None:
    everybody = {"from": "All"}
    labelled = {"from": "Selector", "selector": {"matchLabels": {"expose": "true"}}}
    inner, grpc = allowing("inner", 8080, {"from": "Same"}), allowing("grpc", 8081, everybody, "GRPCRoute")
    some, public = allowing("some", 8082, labelled), allowing("public", 80, everybody, "HTTPRoute")

    def taken(*listeners: Object, namespace: str = "ns", labels: dict[str, str] | None = None) -> str:
        return str(entrance.shared(there(*listeners), 0, namespace, labels).parent["sectionName"])

    assert taken(inner, grpc, some, public, labels={}) == "public"
    assert taken(inner, grpc, some, public, labels={"expose": "true"}) == "some"
    # Nobody knows the labels of a Namespace that is not there yet.
    assert taken(grpc, some) == "some"
    assert taken(inner, namespace="infra") == "inner"
    said = (
        "takes no HTTPRoute from Namespace ns: listener inner takes only routes of its own Namespace infra "
        r"\(--namespace infra\); listener grpc takes only GRPCRoute; listener some takes only routes of Namespaces "
        r"with other labels \(--namespace-labels\): expose=true"
    )
    with pytest.raises(NothingToLookAt, match=said):
        taken(inner, grpc, some, labels={})


async def test_inspect_holds_no_unknown_namespace_against_a_listener() -> None:
    settings = Settings(options=(AiInferenceOptions(gateway="infra/shared"),))
    inner = allowing("inner", 8080, {"from": "Same"})
    some = allowing("some", 8082, {"from": "Selector", "selector": {"matchLabels": {"expose": "true"}}})

    async def looked(*listeners: Object) -> Any:
        platform: Any = FakePlatform({"c": PROGRAMMED}, gateways=(there(*listeners) | {"status": PROGRAMMED},))
        platform.groups = groups
        return await probes.look(platform, settings)

    async def groups() -> dict[str, tuple[str, ...]]:
        return {"gateway.networking.k8s.io": ("v1",)}

    for listener_, said in ((inner, "--namespace infra"), (some, "--namespace-labels")):
        found = await looked(listener_)
        assert not found.missing
        (problem,) = found.problems
        assert said in problem
    assert not (await looked(inner, allowing("public", 80, {"from": "All"}))).problems
    assert "takes only GRPCRoute" in (await looked(allowing("grpc", 80, {"from": "All"}, "GRPCRoute"))).missing[0]


async def test_an_existing_gateway_is_used_and_never_deleted() -> None:
    options = OPTIONS.model_copy(update={"gateway": "infra/shared"})
    platform = FakePlatform({"c": PROGRAMMED, "other": {}}, gateways=(there(listener("any")),))
    found = await opened(platform, options)
    assert (found.place.name, found.why) == ("shared", "the class of Gateway infra/shared")
    assert [obj["kind"] for obj in platform.created] == ["HTTPRoute"]
    platform = FakePlatform({"c": PENDING}, gateways=(there(listener("any")),))
    with pytest.raises(TimedOut, match="Gateway shared of class c was not programmed"):
        await opened(platform, options)
    assert platform.deleted == ["routing-route"]
    with pytest.raises(NothingToLookAt, match="there is no Gateway infra/shared"):
        await offer_of(FakePlatform({"c": {}}), options)


async def test_a_gateway_whose_routes_have_the_addresses_needs_none() -> None:
    platform: Any = FakePlatform({"c": {"conditions": PROGRAMMED["conditions"]}}, gateways=(there(),))
    came = await entrance.programmed(platform, there(), 5, addressless=True)
    assert (came.programmed, came.address) == (True, "")


def test_a_probe_has_time_for_all_classes_that_it_may_try() -> None:
    declared = probes.routing.__probe__  # type: ignore[attr-defined]

    def seconds(**options: Any) -> float:
        return float(declared.seconds(Settings(options=(AiInferenceOptions(programmed_seconds=100, **options),))))

    assert seconds() - seconds(gateway_class="c") == seconds() - seconds(gateway="a/b") == 200


# Who answers, and who ended what


@pytest.mark.parametrize(
    ("failure", "answered"),
    [
        ("failed 1 wget: server returned error: HTTP/1.1 503 Service Unavailable", True),
        ("failed 1 wget: can't connect to remote host (192.0.2.1): Connection refused", True),
        ("<html> somebody else", True),
        ("failed 1 wget: bad address 'lb.example'", False),
        ("failed 1 wget: can't connect to remote host (192.0.2.1): No route to host", False),
        ("failed 143", False),
    ],
)
def test_only_what_was_answered_says_something_of_the_gateway(failure: str, answered: bool) -> None:
    assert model_servers.was_answered(failure) == answered


def test_the_client_says_which_port_answers() -> None:
    assert model_servers.settled_port("settled 8000") == 8000
    assert model_servers.settled_port("weights - backend alpha") is None
    made = model_servers.client("i", "192.0.2.1", (8000, 80), "h", requests=1, settle=1)
    assert {"name": "PORTS", "value": "8000 80"} in made["env"]


class Pods:
    """A platform in which the Pod `alpha` is as given, or not there."""

    def __init__(self, seen: Object | None, *policies: Object) -> None:
        self.seen, self.policies = seen, policies
        self.cluster = self

    async def list(self, *_: str) -> AsyncIterator[Object]:
        for each in self.policies:
            yield each

    async def get(self, *_: str) -> Object:
        if self.seen is None:
            raise NotFound("gone")
        return self.seen


def pod(phase: str = "Running", *containers: str, **status: Any) -> Object:
    named = [{"name": name} for name in ("server", *containers)]
    metadata = {"name": "alpha", "namespace": "ns"}
    return {"kind": "Pod", "metadata": metadata, "spec": {"containers": named}, "status": {"phase": phase, **status}}


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        (None, "Pod alpha was deleted by others"),
        (pod("Failed", reason="Evicted", message="low on memory"), "ended while requests were sent: Evicted"),
        (pod(conditions=[condition("DisruptionTarget", "True", "PreemptionByScheduler")]), "PreemptionByScheduler"),
        (pod("Failed"), "ended while requests were sent: Failed"),
        (pod("Running", "istio-proxy"), "requests failed, and container istio-proxy is not the check's"),
    ],
)
async def test_requests_to_a_server_that_others_ended_say_nothing(seen: Object | None, said: str) -> None:
    platform: Any = Pods(seen)
    with pytest.raises(Stuck, match=said):
        await routes.undisturbed(platform, [pod()], failed=True)


async def test_a_server_that_runs_is_no_excuse() -> None:
    for seen in (pod(), pod("Running", "istio-proxy")):
        platform: Any = Pods(seen)
        await routes.undisturbed(platform, [pod()], failed=False)
    plain: Any = Pods(pod())
    await routes.undisturbed(plain, [pod()], failed=True)


@pytest.mark.parametrize(
    ("role", "direction", "other"), [("server", "Ingress", "Egress"), ("client", "Egress", "Ingress")]
)
async def test_requests_that_a_networkpolicy_may_have_denied_say_nothing(role: str, direction: str, other: str) -> None:
    seen = pod()
    seen["metadata"]["labels"] = {"aiconform.dev/model-server": "alpha"} if role == "server" else {}

    def deny(direction: str) -> Object:
        return {"metadata": {"name": "default-deny"}, "spec": {"podSelector": {}, "policyTypes": [direction]}}

    platform: Any = Pods(seen, deny(direction))
    with pytest.raises(
        Stuck, match="requests failed, and NetworkPolicy default-deny in Namespace ns may deny Pod alpha"
    ):
        await routes.undisturbed(platform, [seen], failed=True)
    await routes.undisturbed(platform, [seen], failed=False)
    unconcerned: Any = Pods(seen, deny(other))
    await routes.undisturbed(unconcerned, [seen], failed=True)


def addresses(*values: str) -> Object:
    kinds = {value: "Hostname" if value.endswith("example") else "IPAddress" for value in values}
    return {"status": {"addresses": [{"type": kind, "value": value} for value, kind in kinds.items()]}}


@pytest.mark.parametrize(
    ("found", "families", "taken"),
    [
        (("lb.example", "192.0.2.1", "2001:db8::1"), {"IPv4"}, "192.0.2.1"),
        (("192.0.2.1", "2001:db8::1"), {"IPv6"}, "[2001:db8::1]"),
        (("2001:db8::1", "192.0.2.1"), {"IPv4"}, "192.0.2.1"),
        (("2001:db8::1", "192.0.2.1"), {"IPv4", "IPv6"}, "[2001:db8::1]"),
        (("2001:db8::1", "192.0.2.1"), set(), "[2001:db8::1]"),
        # Translated on the way, or reached by nobody: what there is decides.
        (("192.0.2.1",), {"IPv6"}, "192.0.2.1"),
        (("lb.example",), {"IPv6"}, "lb.example"),
        ((), {"IPv6"}, ""),
    ],
)
def test_of_a_gateway_s_addresses_one_that_pods_can_ask_is_taken(
    found: tuple[str, ...], families: set[str], taken: str
) -> None:
    assert entrance.address_of(addresses(*found), families) == taken


def test_the_families_of_a_pod_are_those_of_its_addresses() -> None:
    assert entrance.families({"status": {"podIPs": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}]}}) == {"IPv4", "IPv6"}
    assert entrance.families({"status": {"podIPs": [{"ip": "fd00::1"}]}}) == {"IPv6"}
    assert entrance.families({"status": {}}) == set()


@given(st.ip_addresses())
def test_an_address_of_either_family_can_stand_in_a_url(address: IPv4Address | IPv6Address) -> None:
    written = entrance.in_url(str(address))
    parts = urlsplit(f"http://{written}:8080/v1")
    assert (ip_address(parts.hostname or ""), parts.port) == (address, 8080)
    assert entrance.in_url(written) == written
    assert entrance.in_url("gateway.example") == "gateway.example"


def test_a_gateway_at_an_address_of_ipv6_is_asked_from_here() -> None:
    class Server(ThreadingHTTPServer):
        address_family = socket.AF_INET6

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"backend a\n")

        def log_message(self, *_: object) -> None:
            pass

    try:
        server = Server(("::1", 0), Handler)
    except OSError:
        pytest.skip("this machine has no IPv6")
    with server:
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        answers, problem = model_servers.ask_from_here("[::1]", "h", requests=2, port=server.server_port)
        server.shutdown()
    assert problem == ""
    assert {each.backend for each in answers} == {"a"}
