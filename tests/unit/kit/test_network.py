"""NetworkPolicies of a run's own: what they allow, to whom, and what is said where there can be none."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from aiconform.check.registry import load_check
from aiconform.cluster import Forbidden, NotFound, Object, Rejected
from aiconform.engine.access import Permissions, cluster_role, needed
from aiconform.kit.network import allow, denied

RUN, PROBE = "aiconform.dev/run", "aiconform.dev/probe"
LABELS = {RUN: "1a2b", PROBE: "p"}
NETWORKED = ("ai_inference", "ai_service_metrics", "pod_autoscaling")


class FakeScratch:
    """Creates objects, or refuses them."""

    labels = LABELS

    def __init__(self, refusal: Exception | None = None) -> None:
        self.refusal = refusal
        self.created: list[Object] = []
        self.told: list[str] = []
        self.tell = self.told.append

    def name(self, part: str) -> str:
        return f"p-{part}"

    async def create(self, obj: Object) -> Object:
        if self.refusal:
            raise self.refusal
        self.created.append(obj)
        return obj


async def made(*directions: Any, **what: Any) -> Object:
    scratch: Any = FakeScratch()
    await allow(scratch, "x", *directions, **what)
    (policy,) = scratch.created
    spec: Object = policy["spec"]
    return spec


@pytest.mark.parametrize("directions", [("Ingress",), ("Egress",), ("Ingress", "Egress")])
async def test_a_policy_selects_the_probe_s_own_pods_and_denies_them_nothing(directions: tuple[str, ...]) -> None:
    # In each direction that a policy names, it denies what no rule of it allows: one that is empty allows all.
    assert await made(*directions) == {
        "podSelector": {"matchLabels": LABELS},
        "policyTypes": list(directions),
        **{direction.lower(): [{}] for direction in directions},
    }


async def test_what_serves_only_the_probe_is_known_by_other_labels() -> None:
    gateway = {"gateway.networking.k8s.io/gateway-name": "p-gateway"}
    spec = await made("Ingress", "Egress", pods=gateway)
    assert spec["podSelector"] == {"matchLabels": gateway}


@pytest.mark.parametrize(
    "refusal",
    [
        Forbidden("no permission", verb="create", resource="networkpolicies"),
        Rejected("no policies of guests"),
        NotFound("the API server does not serve NetworkPolicy"),
    ],
)
async def test_a_run_that_may_make_none_goes_on_and_tells(refusal: Exception) -> None:
    scratch: Any = FakeScratch(refusal)
    await allow(scratch, "x", "Ingress")
    assert scratch.told == [f"no NetworkPolicy is made for the probe's Pods: {refusal}"]


class FakeCluster:
    def __init__(self, *policies: Object, forbidden: bool = False) -> None:
        self.policies, self.forbidden = policies, forbidden

    async def list(self, api_version: str, kind: str, namespace: str) -> AsyncIterator[Object]:
        assert (kind, namespace) == ("NetworkPolicy", "ns")
        if self.forbidden:
            raise Forbidden("no", verb="list", resource="networkpolicies")
        for each in self.policies:
            yield each


def policy(name: str, *directions: str, labels: dict[str, str] | None = None, **selector: Any) -> Object:
    metadata = {"name": name, **({"labels": labels} if labels else {})}
    return {"metadata": metadata, "spec": {"podSelector": selector, "policyTypes": list(directions)}}


POD: Object = {"metadata": {"name": "p-server", "namespace": "ns", "labels": {**LABELS, "app": "x"}}}
OWN = policy("p-x", "Ingress", labels={RUN: "1a2b"}, matchLabels=LABELS)
DENY = policy("default-deny", "Ingress", "Egress")


@pytest.mark.parametrize(
    ("policies", "ingress", "egress"),
    [
        ((), "", ""),
        ((DENY,), "default-deny", "default-deny"),
        ((policy("b", "Ingress"), policy("a", "Ingress")), "a, b", ""),
        ((policy("others", "Ingress", matchLabels={"app": "y"}),), "", ""),
        ((policy("chosen", "Egress", matchExpressions=[{"key": "app", "operator": "Exists"}]),), "", "chosen"),
        # The run's own allows what its Pods need, in its direction: policies add up.
        ((DENY, OWN), "", "default-deny"),
        # That of another run allows nothing here.
        ((DENY, policy("q", "Ingress", labels={RUN: "9z"})), "default-deny, q", "default-deny"),
    ],
)
async def test_policies_that_may_deny_a_pod_its_traffic_are_named(
    policies: tuple[Object, ...], ingress: str, egress: str
) -> None:
    cluster: Any = FakeCluster(*policies)
    for direction, named in (("Ingress", ingress), ("Egress", egress)):
        said = await denied(cluster, POD, direction)  # type: ignore[arg-type]
        assert said.startswith(f"NetworkPolicy {named} in Namespace ns may deny Pod p-server") if named else not said
        assert not said or ("aiconform rbac" in said and direction in said)


async def test_policies_that_may_not_be_read_are_no_excuse() -> None:
    cluster: Any = FakeCluster(DENY, forbidden=True)
    assert await denied(cluster, POD, "Ingress") == ""


# Permissions


@pytest.mark.parametrize("id", NETWORKED)
async def test_rbac_prints_what_is_only_needed_where_traffic_is_denied_and_inspect_does_not_miss_it(id: str) -> None:
    check = load_check(id)
    policies = ("networking.k8s.io", "networkpolicies", ())
    assert needed([check])[policies] == {"create", "delete", "list", "watch"}
    assert policies not in needed([check], optional=False)
    assert any("networkpolicies" in rule["resources"] for rule in cluster_role("a", [check])["rules"])

    class Limited:
        async def may(self, verb: str, group: str, resource: str, **_: str) -> bool:
            return verb != "*" and resource != "networkpolicies"

    assert await Permissions(Limited()).missing([check]) == []  # type: ignore[arg-type]


def test_checks_whose_pods_ask_nobody_make_no_policies() -> None:
    for name in ("dra_support", "secure_accelerator_access", "gang_scheduling", "cluster_autoscaling"):
        assert ("networking.k8s.io", "networkpolicies", ()) not in needed([load_check(name)])
