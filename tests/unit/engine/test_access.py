"""What credentials are asked about before a run."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from aiconform.check import Access
from aiconform.check.registry import extended_standard, has_check, load_check
from aiconform.engine.access import Permissions, beyond, cluster_role, needed, roles_within


class Authorizer:
    """Allows everything, or everything but these (verb, resource)."""

    def __init__(self, *refused: tuple[str, str]) -> None:
        self.refused, self.questions = refused, 0
        self.named: set[tuple[str, str, str]] = set()

    async def may(self, verb: str, group: str, resource: str, *, name: str = "", namespace: str = "") -> bool:
        self.questions += 1
        self.named |= {(verb, resource, name)} if name else set()
        return (verb, resource) not in self.refused and not (verb == "*" and self.refused)


@pytest.mark.parametrize("names", [("dra_support",), ("dra_support", "ai_inference", "gang_scheduling")])
async def test_an_administrator_is_asked_about_once(names: tuple[str, ...]) -> None:
    authorizer = Authorizer()
    permissions = Permissions(authorizer)  # type: ignore[arg-type]
    for name in names:
        assert await permissions.missing([load_check(name)]) == []
    assert authorizer.questions == 1


async def test_others_are_asked_about_each_thing_once() -> None:
    authorizer = Authorizer(("create", "pods"))
    permissions = Permissions(authorizer)  # type: ignore[arg-type]
    assert await permissions.missing([load_check("dra_support")]) == ["create pods"]
    asked = authorizer.questions
    assert asked > 10
    await permissions.missing([load_check("dra_support")])
    assert authorizer.questions == asked


async def test_config_maps_are_read_by_name_and_never_all_of_them() -> None:
    autoscaling = load_check("cluster_autoscaling")
    authorizer = Authorizer(("list", "configmaps"))
    missing = await Permissions(authorizer).missing([autoscaling])  # type: ignore[arg-type]
    assert missing == ["list configmaps cluster-autoscaler-status"]
    assert authorizer.named == {(verb, "configmaps", "cluster-autoscaler-status") for verb in ("get", "list")}
    rules = [rule for rule in cluster_role("a", [autoscaling])["rules"] if rule["resources"] == ["configmaps"]]
    assert [rule["resourceNames"] for rule in rules] == [["cluster-autoscaler-status"], ["kube-root-ca.crt"]]


def test_roles_allow_what_identifies_a_cluster() -> None:
    rule = {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["kube-root-ca.crt"], "verbs": ["get"]}
    assert rule in cluster_role("a", [load_check("dra_support")])["rules"]
    assert rule in roles_within("a", "team", [load_check("dra_support")])[1]["rules"]


@pytest.mark.parametrize("id", [name for name in extended_standard().ids if has_check(name)])
def test_no_check_reads_all_config_maps_or_any_secret(id: str) -> None:
    for access in load_check(id).access:
        assert access.names or access.resource != "configmaps"
        assert access.resource != "secrets"


def test_what_is_allowed_for_all_names_is_not_asked_for_some() -> None:
    some, all_ = Access("", "configmaps", ("get", "list"), names=("a",)), Access("", "configmaps", ("list",))
    check: Any = SimpleNamespace(access=(some, all_))
    asked = needed([check])
    assert asked["", "configmaps", ("a",)] == {"get"}
    assert asked["", "configmaps", ()] == {"list"}


SUITE = [load_check(name) for name in extended_standard().ids if has_check(name)]


def test_a_run_in_a_given_namespace_only_reads_beyond_it() -> None:
    role, cluster = roles_within("a", "team", SUITE)
    assert (role["kind"], role["metadata"]["namespace"]) == ("Role", "team")
    assert (cluster["kind"], "namespace" in cluster["metadata"]) == ("ClusterRole", False)
    assert {verb for rule in cluster["rules"] for verb in rule["verbs"]} == {"get", "list", "watch"}
    here = {rule["resources"][0]: rule["verbs"] for rule in role["rules"]}
    assert {"create", "delete", "get", "list", "watch"} <= {*here["pods"]}
    assert "create" in here["leases"]
    scoped = {"nodes", "namespaces", "priorityclasses", "deviceclasses", "devicetaintrules", "resourceslices"}
    scoped |= {"clusterqueues", "queues"}
    assert not scoped & {*here}


def test_what_a_check_makes_beyond_a_namespace_is_named_with_what_helps() -> None:
    said = {check.id: beyond(check) for check in SUITE}
    assert "name a queue" in said["gang_scheduling"]["create, delete clusterqueues"]
    assert "robust_controller.restart=false" in said["robust_controller"]["delete pods"]
    assert not said["ai_inference"]
    assert not said["ai_service_metrics"]


async def test_permissions_are_asked_for_in_the_given_namespace() -> None:
    asked: list[tuple[str, str, str]] = []

    class Asked(Authorizer):
        async def may(self, verb: str, group: str, resource: str, *, name: str = "", namespace: str = "") -> bool:
            asked.append((verb, resource, namespace))
            return verb != "*"

    assert await Permissions(Asked(), "team").missing(SUITE) == []  # type: ignore[arg-type]
    assert ("create", "pods", "team") in asked
    assert ("list", "nodes", "") in asked
    assert not [verb for verb, _, namespace in asked if not namespace and verb not in ("*", "get", "list", "watch")]
