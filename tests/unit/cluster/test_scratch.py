"""Deleting what a run created: a Pod whose node is lost does not keep the rest, any other Pod is waited for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest

from aiconform.cluster import (
    BeyondNamespace,
    Conflict,
    Object,
    Rejected,
    Stuck,
    TimedOut,
    WatchEvent,
    WebhookBehind,
    removal,
    scratch,
)
from aiconform.cluster.guest import Guest
from aiconform.cluster.patience import patient
from aiconform.cluster.pull_secrets import PullSecret
from aiconform.cluster.space import PodSecurity, Space
from aiconform.kit.priority import evicting_nobody


class FakeCluster:
    """Pods of one Namespace on a node; only its kubelet, or a deletion without grace, ends them."""

    def __init__(self, *, ready: bool, kubelet: bool) -> None:
        self.ready, self.kubelet = ready, kubelet
        self.pods: dict[str, Object] = {}
        self.forced: list[str] = []
        self.ranges: list[Object] = []
        self._changed = asyncio.Event()

    async def resource(self, api_version: str, kind: str) -> Any:
        return SimpleNamespace(namespaced=kind == "Pod")

    async def create(self, obj: Object) -> Object:
        created = {**obj, "metadata": {**obj["metadata"], "uid": obj["metadata"]["name"]}}
        if obj["kind"] == "Pod":
            created["spec"] = {"nodeName": "node-1"}
            self.pods[obj["metadata"]["name"]] = created
        return created

    async def delete(self, obj: Object, *, grace: int | None = None) -> None:
        name = obj["metadata"]["name"]
        self.forced += [name] if grace == 0 else []
        if grace == 0 or self.kubelet:
            self.pods.pop(name, None)
            self._changed.set()
        elif name in self.pods:
            self.pods[name]["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"

    async def list(self, api_version: str, kind: str, *_: Any, labels: str = "", fields: str = "") -> Any:
        if kind in ("Pod", "LimitRange"):
            for each in list(self.pods.values()) if kind == "Pod" else self.ranges:
                yield each
            return
        assert (kind, fields) == ("Node", "metadata.name=node-1")
        yield {"kind": "Node", "status": {"conditions": [{"type": "Ready", "status": str(self.ready)}]}}

    async def snapshot(self, *kind: Any, labels: str, fields: str) -> tuple[tuple[Object, ...], str]:
        return tuple(self.pods.values()), "1"

    async def watch(self, *_: Any, **__: Any) -> AsyncIterator[WatchEvent]:
        await self._changed.wait()
        for name in self.forced:
            yield WatchEvent("DELETED", {"metadata": {"name": name, "uid": name}})


async def closing(cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch, *, seconds: float) -> None:
    monkeypatch.setattr(removal, "_LOST_SECONDS", 0.01)
    monkeypatch.setattr(scratch, "CLEANUP_SECONDS", seconds)
    space = Space(cluster, "r1")  # type: ignore[arg-type]
    probe = scratch.Scratch(space, "probe", "restricted")
    await probe.create({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "held"}})
    await probe.close()


@pytest.mark.parametrize("chosen", [True, False])
async def test_a_restricted_pod_names_no_user_where_the_cluster_chooses_it(chosen: bool) -> None:
    class Listing(FakeCluster):
        made: Object

        async def resources(self, api_version: str) -> Any:
            assert api_version == "security.openshift.io/v1"
            return {"SecurityContextConstraints": ...} if chosen else {}

        async def create(self, obj: Object) -> Object:
            self.made = obj
            return await super().create(obj)

    cluster = Listing(ready=True, kubelet=True)
    space = Space(cluster, "r1")  # type: ignore[arg-type]
    await space.look()
    root = {"name": "root", "securityContext": {"runAsUser": 0}}
    spec = {"containers": [{"name": "own", "securityContext": scratch.RESTRICTED}, root]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "held"}, "spec": spec}
    await scratch.Scratch(space, "probe", "restricted").create(pod)
    own, other = cluster.made["spec"]["containers"]
    assert ("runAsUser" in own["securityContext"]) is not chosen
    assert own["securityContext"]["runAsNonRoot"]
    assert other["securityContext"] == root["securityContext"]


async def test_a_pod_fits_a_limit_range_that_comes_after_the_namespace() -> None:
    small = {"spec": {"limits": [{"type": "Container", "max": {"cpu": "100m"}}]}}
    made: list[Object] = []

    class Late(FakeCluster):
        async def create(self, obj: Object) -> Object:
            if obj["kind"] == "Pod":
                made.append(obj)
                if obj["spec"]["containers"][0]["resources"]["limits"]["cpu"] == "1":
                    self.ranges = [small]
                    raise Rejected("pods is forbidden: maximum cpu usage per Container is 100m, but limit is 1")
            return await super().create(obj)

    cluster = Late(ready=True, kubelet=True)
    probe = scratch.Scratch(Space(cluster, "r1"), "probe", "restricted")  # type: ignore[arg-type]
    for name in ("first", "second"):
        spec = {"containers": [{"name": "own"}]}
        await probe.create({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec})
    limits = [(obj["metadata"]["name"], obj["spec"]["containers"][0]["resources"]["limits"]["cpu"]) for obj in made]
    assert limits == [("first", "1"), ("first", "100m"), ("second", "100m")]


async def test_a_namespace_that_is_refused_is_asked_for_again_and_refused_in_the_same_words() -> None:
    class Strict(FakeCluster):
        async def create(self, obj: Object) -> Object:
            raise Rejected("create namespaces: label team is required")

    space = Space(Strict(ready=True, kubelet=True), "r1")  # type: ignore[arg-type]
    levels: tuple[PodSecurity, ...] = ("restricted", "restricted", "baseline")
    for level in levels:
        with pytest.raises(Rejected, match="label team is required"):
            await space.namespace(level)


@pytest.mark.parametrize("namespace", ["", "team"])
async def test_what_a_cancelled_request_made_is_used(namespace: str) -> None:
    made: dict[str, Object] = {}

    class Slow(FakeCluster):
        async def create(self, obj: Object) -> Object:
            name = obj["metadata"]["name"]
            if name in made:
                raise Conflict("it exists")
            made[name] = await super().create(obj)
            await asyncio.sleep(60)
            return made[name]

        async def get(self, api_version: str, kind: str, name: str, within: str | None) -> Object:
            assert (kind, within) == (("Lease", "team") if namespace else ("Namespace", None))
            return made[name]

    space = Space(Slow(ready=True, kubelet=True), "r1", Guest(namespace=namespace))  # type: ignore[arg-type]
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(space.namespace("restricted"), 0.05)
    assert await space.namespace("restricted") == (namespace or "aiconform-r1")
    owner = space.owners[0] if namespace else space.owner["metadata"]
    assert owner["uid"] == "aiconform-r1"


async def test_a_pull_secret_is_copied_again_where_a_webhook_does_not_know_the_new_namespace() -> None:
    refused = [WebhookBehind('namespace "aiconform-r1" not found', webhook="w")]
    secrets: list[Object] = []

    class Behind(FakeCluster):
        async def create(self, obj: Object) -> Object:
            if obj["kind"] == "Secret":
                if refused:
                    raise refused.pop()
                secrets.append(obj)
            return await super().create(obj)

    cluster = Behind(ready=True, kubelet=True)
    secret = PullSecret("team/own", "kubernetes.io/dockerconfigjson", {".dockerconfigjson": "e30="})
    with patient(30):
        await Space(cluster, "r1", secrets=[secret]).namespace("restricted")  # type: ignore[arg-type]
    (copy,) = secrets
    assert (copy["metadata"]["namespace"], copy["data"]) == ("aiconform-r1", secret.data)


async def test_a_pod_that_its_kubelet_ends_is_not_forced(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = FakeCluster(ready=True, kubelet=True)
    await closing(cluster, monkeypatch, seconds=60)
    assert not cluster.forced


async def test_a_pod_of_a_node_that_is_not_ready_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = FakeCluster(ready=False, kubelet=False)
    await closing(cluster, monkeypatch, seconds=60)
    assert cluster.forced == ["held"]


async def test_a_pod_that_stays_on_a_ready_node_is_reported_and_not_forced(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = FakeCluster(ready=True, kubelet=False)
    with pytest.raises(TimedOut, match="held"):
        await closing(cluster, monkeypatch, seconds=0.2)
    assert not cluster.forced


class Given(FakeCluster):
    """A cluster with a Namespace `team`; `PriorityClass` and the like are of the cluster."""

    def __init__(self) -> None:
        super().__init__(ready=True, kubelet=True)
        self.made: list[Object] = []
        self.deleted: list[str] = []

    async def resource(self, api_version: str, kind: str) -> Any:
        return SimpleNamespace(namespaced=kind in ("Pod", "Lease"), plural="priorityclasses")

    async def create(self, obj: Object) -> Object:
        self.made.append(obj)
        return await super().create(obj)

    async def delete(self, obj: Object, *, grace: int | None = None) -> None:
        self.deleted.append(f"{obj['kind']} {obj['metadata']['name']}")
        await super().delete(obj, grace=grace)

    async def get(self, api_version: str, kind: str, name: str) -> Object:
        return {"metadata": {"name": name}, "preemptionPolicy": "Never" if name == "spare" else "PreemptLowerPriority"}


def given(cluster: Given, **spec: str) -> tuple[Space, scratch.Scratch]:
    space = Space(cluster, "r1", Guest({"spec": spec}, namespace="team"))  # type: ignore[arg-type]
    return space, scratch.Scratch(space, "probe", "baseline")


async def test_in_a_given_namespace_a_lease_owns_what_is_made_and_the_namespace_stays() -> None:
    cluster = Given()
    space, probe = given(cluster)
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "own"}, "spec": {"containers": [{"name": "c"}]}}
    await probe.create(pod)
    lease, made = cluster.made
    assert (lease["kind"], lease["metadata"]["namespace"], made["metadata"]["namespace"]) == ("Lease", "team", "team")
    assert lease["metadata"]["labels"][removal.RUN_LABEL] == "r1"
    (owner,) = made["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"]) == ("Lease", lease["metadata"]["name"])
    await space.end()
    assert not cluster.deleted
    await probe.close()
    await space.close()
    assert cluster.deleted == ["Pod own", "Lease aiconform-r1"]


async def test_what_stays_of_one_run_keeps_nothing_of_another(monkeypatch: pytest.MonkeyPatch) -> None:
    class OneStays(Given):
        async def snapshot(self, *kind: Any, labels: str, fields: str) -> tuple[tuple[Object, ...], str]:
            return ({"metadata": {"name": "held", "uid": "held"}},) if labels.endswith("=r0") else (), "1"

    monkeypatch.setattr(removal, "CLEANUP_SECONDS", 0.1)
    cluster = OneStays()
    about = [
        {"name": f"aiconform-{run}", "namespace": "team", "labels": {removal.RUN_LABEL: run}} for run in ("r0", "r1")
    ]
    with pytest.raises(TimedOut, match=r"aiconform-r0 \(.*held\)$"):
        await removal.clear_each(cluster, [{"kind": "Lease", "metadata": each} for each in about])  # type: ignore[arg-type]
    assert cluster.deleted == ["Lease aiconform-r0", "Lease aiconform-r1"]


async def test_in_a_given_namespace_nothing_is_made_beyond_it() -> None:
    cluster = Given()
    _, probe = given(cluster)
    kind = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": "p"}}
    with pytest.raises(BeyondNamespace, match=r"needs a PriorityClass.*spec\.priorityClassName of --pod-template"):
        await probe.create(kind)
    assert not cluster.made
    assert not probe.created


@pytest.mark.parametrize(("name", "problem"), [("spare", ""), ("high", "could be evicted"), ("", "needs a Priority")])
async def test_in_a_given_namespace_the_user_s_priority_class_is_taken_if_nobody_is_evicted_for_it(
    name: str, problem: str
) -> None:
    _, probe = given(Given(), **({"priorityClassName": name} if name else {}))
    if problem:
        with pytest.raises(Stuck, match=problem):
            await evicting_nobody(probe)
    else:
        assert await evicting_nobody(probe) == name


async def test_a_template_is_told_as_its_pods_will_be() -> None:
    cluster = FakeCluster(ready=True, kubelet=True)
    cluster.ranges = [{"kind": "LimitRange", "spec": {"limits": [{"type": "Container", "min": {"cpu": "500m"}}]}}]
    probe = scratch.Scratch(Space(cluster, "r1"), "probe", "restricted")  # type: ignore[arg-type]
    template = await probe.fitted({"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c"}]}})
    assert template["metadata"] == {"labels": {"a": "b"}}
    assert template["spec"]["containers"][0]["resources"]["requests"]["cpu"] == "500m"
    assert await probe.fitted(template) == template
