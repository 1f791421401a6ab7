"""Traits of clusters: whom their policies refuse, what they change, and what they make."""

from __future__ import annotations

import datetime
import json
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from support.admission import Admission

from aiconform.cluster import Rejected
from aiconform.cluster.scratch import RESTRICTED
from aiconform.lab.addons.install import LABEL as OF_ADD_ON
from aiconform.lab.config import LabConfig, LabError, Network, Paths
from aiconform.lab.faults.fault import InCluster
from aiconform.lab.kubernetes import containerd, nodes
from aiconform.lab.lab import Lab
from aiconform.lab.planning import make
from aiconform.lab.traits import keeper, state, switch
from aiconform.lab.traits.admission import POD_LABELS, RANGE
from aiconform.lab.traits.catalog import TRAITS, find, helpers, traits_on
from aiconform.lab.traits.namespaces import COVERED, is_covered
from aiconform.lab.traits.nodes import NO_ADDRESSES, OFFERED
from aiconform.lab.traits.switch import describe
from aiconform.lab.traits.trait import MadeUpNode, is_made_up
from aiconform.platform.accelerators.nodes import usable_node

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the lab is for Linux")

Object = dict[str, Any]
AMOUNTS = {"cpu": "10m", "memory": "16Mi"}
ENOUGH = {"requests": AMOUNTS, "limits": AMOUNTS}
IMAGE = "registry.example/shell:1"


def pod(*containers: Object, namespace: str = "runs", metadata: Object | None = None, **spec: Any) -> Object:
    made = [{"name": f"c{i}", "image": IMAGE, **each} for i, each in enumerate(containers or ({},))]
    about = {"name": "pod", "namespace": namespace, **(metadata or {})}
    # The API server's defaults give every Pod a security context.
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": about,
        "spec": {"securityContext": {}, "containers": made, **spec},
    }


def namespace(name: str = "runs", **metadata: Any) -> Object:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, **metadata}}


async def with_trait(name: str) -> Admission:
    """A cluster that has this trait and, made after it, the Namespace of the Pods."""
    cluster = Admission()
    how = TRAITS[name].how
    assert isinstance(how, InCluster)
    await how.on(cluster)  # type: ignore[arg-type]
    await cluster.create(namespace(labels={"team": "ml"}))
    return cluster


@pytest.mark.parametrize(
    ("name", "allowed", "refused", "said"),
    [
        ("requests", pod({"resources": ENOUGH}), pod({"resources": {}}), "requests and limits"),
        ("requests", pod({"resources": ENOUGH}), pod({"resources": ENOUGH}, {"resources": {"limits": AMOUNTS}}), "cpu"),
        (
            "requests",
            pod({"resources": ENOUGH}),
            pod({"resources": ENOUGH}, initContainers=[{"name": "first", "image": IMAGE}]),
            "every container",
        ),
        ("pod-labels", pod(metadata={"labels": dict.fromkeys(POD_LABELS, "x")}), pod(), "team and cost-center"),
        (
            "pod-labels",
            pod(metadata={"labels": dict.fromkeys(POD_LABELS, "x")}),
            pod(metadata={"labels": {"a": "b"}}),
            "labels",
        ),
        ("digests", pod({"image": f"{IMAGE}@sha256:{'0' * 64}"}), pod(), "digest"),
        ("namespace-labels", namespace("other", labels={"team": "ml"}), namespace("other"), "label team"),
    ],
)
async def test_a_policy_refuses_what_lacks_something(name: str, allowed: Object, refused: Object, said: str) -> None:
    cluster = await with_trait(name)
    await cluster.create(allowed)
    with pytest.raises(Rejected, match=said):
        await cluster.create(refused)
    if refused["kind"] == "Pod":
        await cluster.create({**refused, "metadata": {**refused["metadata"], "namespace": "kube-system"}})


async def test_namespaces_of_add_ons_are_left_alone() -> None:
    cluster = await with_trait("requests")
    await cluster.create(namespace("kueue-system", labels={OF_ADD_ON: "kueue"}))
    await cluster.create(pod(namespace="kueue-system"))


async def test_every_trait_by_policies_leaves_nothing_when_it_is_off() -> None:
    for trait in TRAITS.values():
        if isinstance(trait.how, InCluster) and not trait.needs:
            cluster = Admission()
            await trait.how.on(cluster)  # type: ignore[arg-type]
            assert cluster.applied
            await trait.how.off(cluster)  # type: ignore[arg-type]
            assert cluster.applied == {}, trait.name


async def test_namespaces_are_made_restricted() -> None:
    cluster = await with_trait("pod-security-restricted")
    asked = {"pod-security.kubernetes.io/enforce": "baseline"}
    made = await cluster.create(namespace("other", labels=asked))
    assert made["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


# Users


async def test_a_namespace_has_a_range_of_users_of_which_a_pod_gets_the_first() -> None:
    cluster = await with_trait("uid-ranges")
    await cluster.create(namespace("runs-baseline"))
    ranges = [cluster.namespaces[name]["metadata"]["annotations"][RANGE] for name in ("runs", "runs-baseline")]
    assert ranges == ["1000040000/10000", "1000130000/10000"]
    assert "annotations" not in cluster.namespaces["default"]["metadata"]
    without_user = {key: value for key, value in RESTRICTED.items() if key != "runAsUser"}
    made = await cluster.create(pod({"securityContext": without_user}))
    assert made["spec"]["securityContext"]["runAsUser"] == 1000040000
    elsewhere = await cluster.create(pod(namespace="default"))
    assert "runAsUser" not in elsewhere["spec"]["securityContext"]


async def test_a_pod_that_names_a_user_outside_of_the_range_is_refused_as_openshift_does() -> None:
    cluster = await with_trait("uid-ranges")
    await cluster.create(pod(securityContext={"runAsUser": 1000049999}))
    for refused in (
        pod({"securityContext": RESTRICTED}),
        pod({}, {"securityContext": {"runAsUser": 0}}),
        pod(securityContext={"runAsUser": 1000050000}),
        pod({}, initContainers=[{"name": "first", "image": IMAGE, "securityContext": {"runAsUser": 1}}]),
    ):
        with pytest.raises(Rejected, match=r"restricted-v2: .*ranges: \[1000040000, 1000049999\]"):
            await cluster.create(refused)
    await cluster.create(pod({"securityContext": {"runAsUser": 0}}, namespace="default"))


async def test_a_run_sees_by_an_api_of_openshift_that_users_are_chosen() -> None:
    assert await (await with_trait("uid-ranges")).resources("security.openshift.io/v1")


# Sidecars


async def test_a_sidecar_is_put_into_pods_that_do_not_decline_it() -> None:
    declining = pod(metadata={"labels": {"sidecar.istio.io/inject": "false"}})
    for name, into_declining in (("sidecars", False), ("sidecars-everywhere", True)):
        cluster = await with_trait(name)
        for asked, expected in ((pod(), True), (declining, into_declining)):
            found = (await cluster.create(asked))["spec"]["containers"]
            assert ("mesh-proxy" in [each["name"] for each in found]) is expected
    # Pod Security must not be what refuses it.
    (sidecar,) = [each for each in found if each["name"] == "mesh-proxy"]
    assert sidecar["securityContext"] == {**RESTRICTED, "runAsUser": 65535}


# What every Namespace gets


def test_what_the_keeper_covers_is_what_the_policies_select() -> None:
    assert COVERED["matchExpressions"][1]["key"] == OF_ADD_ON
    for name in COVERED["matchExpressions"][0]["values"]:
        assert not is_covered(namespace(name))
    assert not is_covered(namespace("kueue-system", labels={OF_ADD_ON: "kueue"}))
    assert not is_covered(namespace(deletionTimestamp="2026-01-01T00:00:00Z"))
    assert is_covered(namespace())


def test_what_every_namespace_gets_is_named_and_labelled_after_its_trait() -> None:
    kinds = {}
    for trait in TRAITS.values():
        if trait.kept:
            made = list(trait.kept.objects("runs", "198.18.0.2:5000"))
            kinds[trait.name] = [obj["kind"] for obj in made]
            for obj in made:
                about = {"name": trait.name, "namespace": "runs", "labels": {"aiconform.dev/trait": trait.name}}
                assert obj["metadata"] == about
    assert kinds == {
        "limit-ranges": ["ResourceQuota", "LimitRange"],
        "quotas": ["ResourceQuota"],
        "tight-quotas": ["ResourceQuota"],
        "default-deny": ["NetworkPolicy"],
        "enforced-default-deny": ["NetworkPolicy"],
        "registry-private": ["Secret"],
    }


def test_the_pull_secret_is_for_the_lab_s_registry() -> None:
    promised = TRAITS["registry-private"].kept
    assert promised
    (secret,) = promised.objects("runs", "198.18.0.2:5000")
    assert list(json.loads(secret["stringData"][".dockerconfigjson"])["auths"]) == ["198.18.0.2:5000"]


# Nodes


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("cordoned-node", "is cordoned"),
        ("ending-node", "not Ready: .*node is shutting down"),
        ("virtual-node", "is a virtual kubelet"),
        ("windows-node", "runs windows"),
        ("full-node", None),
    ],
)
def test_a_made_up_node_offers_accelerators_and_is_left_alone(name: str, why: str | None) -> None:
    how = TRAITS[name].how
    assert isinstance(how, MadeUpNode)
    node = how.node("nvidia.com/gpu")
    assert is_made_up(node)
    assert node["status"]["allocatable"]["nvidia.com/gpu"] == str(OFFERED)
    assert node["metadata"]["labels"]["nvidia.com/gpu.simulated"] == "true"
    found = usable_node(node)
    assert (found is None) if why is None else re.search(why, found or "")
    assert (node["status"]["allocatable"]["pods"] == "0") is (name == "full-node")


def test_the_lease_of_a_made_up_node_goes_with_it() -> None:
    node = {"metadata": {"name": "windows-node", "uid": "u"}}
    made = keeper.lease(node, datetime.datetime(2026, 11, 29, 8, 30, 15, 250000, tzinfo=datetime.UTC))
    assert made["metadata"]["ownerReferences"][0]["uid"] == "u"
    assert made["spec"]["renewTime"] == "2026-11-29T08:30:15.250000Z"


def test_the_last_node_alone_has_no_addresses_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths, network = Paths("lab", tmp_path), Network(0)
    plan = make(LabConfig(), None, tmp_path)

    lab = Lab(plan, paths)

    def ranges() -> list[dict[str, str]]:
        found = []
        for node in plan.nodes:
            written = json.loads((paths.machine(node.name) / "cni.d" / "10-lab.conflist").read_bytes())
            found.append(written["plugins"][0]["ipam"]["ranges"][0][0])
        return found

    lab.write_networks()
    usual = ranges()
    assert [set(each) for each in usual] == [{"subnet"}, {"subnet"}]
    state.record(paths.state, [NO_ADDRESSES], on=True)
    lab.write_networks()
    full = ranges()
    assert full[0] == usual[0]
    # The first address is the node's own end of each Pod's link.
    gateway = str(network.pods(plan.nodes[1].number)[1])
    assert full[1] == {**usual[1], "rangeStart": gateway, "rangeEnd": gateway}
    # `lab up` again: the lab's own Pods start first.
    for node in plan.nodes:
        nodes.write_network(plan, node, paths, network)
    assert ranges() == usual

    @asynccontextmanager
    async def connected(_: Path) -> AsyncIterator[None]:
        yield

    monkeypatch.setattr(switch, "administrator", connected)
    switch.reapply(lab)
    assert ranges() == full


def test_of_what_is_not_installed_nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = make(LabConfig(), None, tmp_path)
    lab: Any = SimpleNamespace(plan=plan, state=tmp_path, kubeconfig=tmp_path, follow_traits=lambda: None)

    @asynccontextmanager
    async def connected(_: Path) -> AsyncIterator[None]:
        # There is no cluster to ask.
        yield

    monkeypatch.setattr(switch, "administrator", connected)
    in_add_ons = [name for name, trait in TRAITS.items() if trait.needs]
    assert {"full-pool", "monitored-namespaces"} <= {*in_add_ons}
    switch.turn(lab, in_add_ons, on=False)
    with pytest.raises(LabError, match="full-pool needs add-on karpenter"):
        switch.turn(lab, ["full-pool"], on=True)


# Which are on


def test_traits_are_recorded_in_order_and_say_what_has_to_run(tmp_path: Path) -> None:
    assert traits_on(tmp_path) == ()
    state.record(tmp_path, ["windows-node", "of-another-release", "registry-private"], on=True)
    state.record(tmp_path, ["requests", "windows-node"], on=True)
    assert [trait.name for trait in traits_on(tmp_path)] == ["windows-node", "registry-private", "requests"]
    assert helpers(tmp_path) == ["aiconform.lab.traits.keeper", "aiconform.lab.traits.registry"]
    state.record(tmp_path, ["windows-node", "registry-private"], on=False)
    assert helpers(tmp_path) == []


def test_an_unknown_trait_is_refused_with_a_guess() -> None:
    with pytest.raises(LabError, match="did you mean requests"):
        find("request")


def test_every_trait_says_what_a_run_says_of_it() -> None:
    rows = {row["name"]: row for row in describe(None)}
    assert rows.keys() == TRAITS.keys()
    for row in rows.values():
        assert re.match("pass|error", str(row["says"]))
        assert str(row["description"]).endswith(".")
        assert row["on"] is False
    # Nobody must take it for a proof.
    assert "nothing that enforces it" in str(rows["default-deny"]["description"])


def test_nodes_ask_the_lab_s_registry_without_tls() -> None:
    assert containerd.plain("198.18.0.2:5000").startswith('server = "http://198.18.0.2:5000"\n')
