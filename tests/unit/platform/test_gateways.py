"""Which GatewayClasses serve requests from outside, in which order they are tried, and on which port they listen."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiconform.platform.gateways import candidates, choose, port_of, read_class

Object = dict[str, Any]


def class_object(name: str, controller: str, *, accepted: str = "True", **status: Any) -> Object:
    said = {"type": "Accepted", "status": accepted, "reason": "Accepted", "message": "", "observedGeneration": 1}
    metadata = {"name": name, "generation": 1, "annotations": status.pop("annotations", {})}
    return {"metadata": metadata, "spec": {"controllerName": controller}, "status": {"conditions": [said], **status}}


def gateway(class_name: str, *ports: int, protocol: str = "HTTP", **annotations: str) -> Object:
    listeners = [{"name": f"l{port}", "port": port, "protocol": protocol} for port in ports]
    return {
        "metadata": {"name": "g", "annotations": annotations},
        "spec": {"gatewayClassName": class_name, "listeners": listeners},
    }


def tried(*objects: Object, gateways: tuple[Object, ...] = ()) -> list[str]:
    return [each.name for each in candidates([read_class(obj, gateways) for obj in objects], "", "x")]


def test_a_class_for_layer_4_is_never_tried_and_the_reason_is_told() -> None:
    found = [class_object("internal-nlb", "gateway.k8s.aws/nlb"), class_object("public-alb", "gateway.k8s.aws/alb")]
    assert tried(*found) == ["public-alb"]
    best, why = choose([read_class(obj, []) for obj in found], "", "x")
    assert (best.name, best.facts.service) == ("public-alb", "NodePort")
    assert why == "the only one (internal-nlb is for layer 4 only)"


def test_a_class_for_tcp_routes_is_never_tried() -> None:
    found = [class_object("haproxy", "haproxy.org/gateway-controller"), class_object("hug", "gate.haproxy.org/hug")]
    assert tried(*found) == ["hug"]


def test_a_class_whose_gateways_need_annotations_goes_first_if_some_are_known() -> None:
    found = [class_object("a", "alb.networking.azure.io/alb-controller"), class_object("istio", "istio.io/controller")]
    assert tried(*found) == ["istio", "a"]
    _, why = choose([read_class(obj, []) for obj in found], "", "x")
    assert why == "of a, istio the one that needs nothing more; x=NAME chooses another"
    annotations = {"alb.networking.azure.io/alb-name": "alb", "team": "one"}
    used = (gateway("a", 80), gateway("a", 80, **annotations))
    assert tried(*found, gateways=used) == ["a", "istio"]
    shown = {"alb.networking.azure.io/alb-name": "alb"}
    assert read_class(found[0], used).annotations == shown
    given = {"alb.networking.azure.io/alb-id": "id"}
    assert read_class(found[0], used, given).annotations == given
    assert read_class(found[0], []).lacks == "annotations alb.networking.azure.io/alb-*"
    assert not read_class(found[1], []).lacks


def test_regional_load_balancers_that_need_a_subnet_go_last() -> None:
    names = ("gke-l7-regional-external-managed", "gke-l7-rilb", "gke-l7-gxlb", "gke-l7-global-external-managed")
    order = tried(*(class_object(name, "networking.gke.io/gateway") for name in names))
    assert order[:2] == ["gke-l7-global-external-managed", "gke-l7-gxlb"]


def test_a_class_whose_name_says_so_is_the_default() -> None:
    others = [
        class_object(name, "example.com/c")
        for name in ("data-science-gateway-class", "istio", "default-no-more", "another-default", "a-non-default")
    ]
    for name in ("default", "openshift-default"):
        assert tried(*others, class_object(name, "openshift.io/gateway-controller/v1"))[0] == name
        _, why = choose([read_class(obj, []) for obj in [*others, class_object(name, "example.com/c")]], "", "x")
        assert "the platform's default" in why
        marked = class_object("z", "example.com/c", annotations={"x.example/is-default-class": "true"})
        assert tried(*others, class_object(name, "example.com/c"), marked)[:2] == ["z", name]
    # Whoever ends a name so says nothing of the platform.
    _, why = choose([read_class(obj, []) for obj in others], "", "x")
    assert "the platform's default" not in why
    used = (gateway("istio", 80),)
    assert tried(*others, gateways=used)[0] == "istio"


def test_load_balancers_of_layer_4_are_never_tried() -> None:
    http = class_object("gke-l7-global-external-managed", "networking.gke.io/gateway")
    names = ("gke-passthrough-lb-external-managed", "gke-persistent-regional-external-managed")
    others = [class_object(name, "networking.gke.io/persistent-ip-controller") for name in names]
    assert tried(http, *others) == ["gke-l7-global-external-managed"]


def test_a_gateway_that_works_shows_what_its_class_needs_of_the_platform() -> None:
    gke, regional = "networking.gke.io/gateway", "gke-l7-regional-external-managed"
    found = [class_object(name, gke) for name in ("gke-l7-global-external-managed", regional)]
    assert tried(*found, gateways=(gateway(regional, 80),)) == [regional, "gke-l7-global-external-managed"]
    _, why = choose([read_class(obj, [gateway(regional, 80)]) for obj in found], "", "x")
    assert why == f"of gke-l7-global-external-managed, {regional} most Gateways here use it (1); x=NAME chooses another"
    # A fleet's Gateways take other backends, whoever uses them.
    fleet = "gke-l7-global-external-managed-mc"
    assert tried(found[0], class_object(fleet, gke), gateways=(gateway(fleet, 80),))[-1] == fleet


def test_waypoints_of_any_implementation_are_never_tried() -> None:
    found = [class_object(name, "kgateway.dev/kgateway") for name in ("kgateway", "kgateway-waypoint")]
    used = tuple(gateway("kgateway-waypoint", 15088) for _ in range(3))
    assert tried(*found, gateways=used) == ["kgateway"]


@pytest.mark.parametrize(
    ("features", "serves"),
    [
        ([], True),
        (["Gateway", "HTTPRoute"], True),
        ([{"name": "HTTPRoute"}, {"name": "HTTPRouteMethodMatching"}], True),
        ([{"name": "Gateway"}, {"name": "TCPRoute"}], False),
        (["TLSRoute"], False),
    ],
)
def test_a_class_says_by_its_features_whether_it_serves_http_routes(features: list[Any], serves: bool) -> None:
    found = read_class(class_object("c", "example.com/c", supportedFeatures=features), [])
    assert bool(found.facts.left_out) != serves


def test_classes_are_tried_in_an_order_that_makes_sense() -> None:
    gke = "networking.gke.io/gateway"
    found = [
        class_object("gke-l7-global-external-managed-mc", gke),
        class_object("gke-l7-rilb", gke),
        class_object("gke-l7-global-external-managed", gke),
        class_object("broken", "example.com/c", accepted="False"),
        class_object("istio-waypoint", "istio.io/mesh-controller"),
        class_object("marked", "example.com/c", annotations={"x.example/is-default-class": "true"}),
        class_object("used", "example.com/c"),
        class_object("amazon-vpc-lattice", "application-networking.k8s.aws/gateway-api-controller"),
    ]
    assert tried(*found, gateways=(gateway("used", 80), gateway("gke-l7-rilb", 80))) == [
        "marked",
        "gke-l7-rilb",
        "used",
        "gke-l7-global-external-managed",
        "amazon-vpc-lattice",
        "gke-l7-global-external-managed-mc",
        "broken",
    ]


@given(st.lists(st.tuples(st.sampled_from(["True", "False", "Unknown"]), st.booleans(), st.booleans()), max_size=6))
def test_what_is_accepted_goes_first_and_what_is_left_out_never_comes(classes: list[tuple[str, bool, bool]]) -> None:
    found = [
        read_class(
            class_object(f"c{number}", "gateway.k8s.aws/nlb" if out else "example.com/c", accepted=accepted),
            [gateway(f"c{number}", 80)] if used else [],
        )
        for number, (accepted, out, used) in enumerate(classes)
    ]
    offered = [each for each in found if not each.facts.left_out]
    if not offered:
        return
    order = candidates(found, "", "x")
    assert sorted(each.name for each in order) == sorted(each.name for each in offered)
    states = [(True, None, False).index(each.accepted) for each in order]
    assert states == sorted(states)


def test_the_port_is_that_of_other_gateways_of_the_class() -> None:
    traefik = [gateway("traefik", 8000), gateway("traefik", 8000, 8443), gateway("other", 9000)]
    assert port_of("traefik", traefik) == 8000
    assert port_of("nobody", traefik) == 80
    assert port_of("nobody", traefik, 8000) == 8000
    assert read_class(class_object("t", "traefik.io/gateway-controller"), []).facts.port == 8000
    assert port_of("c", [gateway("c", 8080), gateway("c", 80)]) == 80
    assert port_of("c", [gateway("c", 443, protocol="HTTPS")]) == 80
