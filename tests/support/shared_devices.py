"""A node whose accelerators Pods share: a cluster that places Pods and claims, and whose containers print."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from aiconform.check import Settings
from aiconform.check.registry import load_check
from aiconform.check.testing import findings
from aiconform.checks.gpu_sharing.observations import Sharing
from aiconform.checks.gpu_sharing.options import GpuSharing
from aiconform.checks.gpu_sharing.places import SharedPlace, places
from aiconform.checks.gpu_sharing.probes import sharing
from aiconform.cluster import Object, OverQuota, WatchEvent
from aiconform.kit.container_view import LOOKED
from aiconform.platform import Platform
from aiconform.platform.images import Images

RUN = {"aiconform.dev/run": "r1"}
NOBODY = ["kernel 6.8.0 boot-1", "node /dev/null 1 3 character special file", "mount /"]


class FakeCluster:
    """Objects, of which `created` are a probe's until it ends, and then `made`, and `deleted` what it deleted.

    Who inherits says what becomes of Pods, and what they show.

    states: by the end of a Pod's name, what it becomes in place of running. injected: more of the status of each Pod
    that runs, as of containers that admission adds. quota: how many Pods can be made; None if there is no quota.
    """

    def __init__(self, *objects: Object) -> None:
        self.objects = [*objects]
        self.states: dict[str, Object] = {}
        self.injected: dict[str, list[Object]] = {}
        self.created: list[Object] = []
        self.made: list[Object] = []
        self.watches = self.most_watches = 0
        self.quota: int | None = None
        self.deleted: list[Object] = []

    def schedule(self, made: Object) -> str:
        """Why the scheduler does not place a Pod; empty if it does."""
        raise NotImplementedError

    def prepare(self, made: Object) -> str:
        """Why the kubelet starts no containers of a Pod; empty if it does."""
        return ""

    def shows(self, name: str) -> list[str]:
        """What the container with a share of a Pod prints, beside what every container does."""
        raise NotImplementedError

    async def groups(self) -> dict[str, tuple[str, ...]]:
        return {"resource.k8s.io": ("v1",)} if self.of("ResourceSlice") else {}

    async def resources(self, api_version: str) -> dict[str, Any]:
        return {}

    def of(self, kind: str) -> list[Object]:
        return [each for each in (*self.objects, *self.created) if each["kind"] == kind]

    def claims_of(self, pod: Object) -> list[Object]:
        names = [each["resourceClaimName"] for each in pod["spec"].get("resourceClaims") or []]
        return [each for each in self.of("ResourceClaim") if each["metadata"]["name"] in names]

    async def list(
        self, api_version: str, kind: str, namespace: str | None = None, *, labels: str = "", fields: str = ""
    ) -> AsyncIterator[Object]:
        for each in self.of(kind):
            if "spec.nodeName=" not in fields or each["spec"].get("nodeName") == fields.partition("=")[2]:
                # Readers change what they get.
                yield {**each, "spec": dict(each.get("spec") or {}), "status": dict(each.get("status") or {})}

    async def get(self, api_version: str, kind: str, name: str, namespace: str | None = None) -> Object:
        return next(each for each in self.of(kind) if each["metadata"]["name"] == name)

    async def delete(self, obj: Object) -> None:
        self.created = [each for each in self.created if each is not obj]
        self.deleted.append(obj)

    async def snapshot(
        self, api: str, kind: str, namespace: str | None, *, labels: str, fields: str
    ) -> tuple[list[Object], str]:
        return [each for each in self.created if each["kind"] == kind], "1"

    async def watch(self, api: str, kind: str, namespace: str, *, fields: str, **_: Any) -> AsyncIterator[WatchEvent]:
        self.watches += 1
        self.most_watches = max(self.watches, self.most_watches)
        try:
            if fields:
                yield WatchEvent("ADDED", await self.get(api, kind, fields.removeprefix("metadata.name="), namespace))
            await asyncio.sleep(60)
        finally:
            self.watches -= 1

    async def follow(self, namespace: str, name: str, container: str, *, seconds: float) -> AsyncIterator[str]:
        seen = await self.get("v1", "Pod", name, namespace)
        assert seen["status"]["phase"] == "Running", f"{name} prints nothing"
        assert container in [each["name"] for each in seen["spec"]["containers"]]
        for line in (*NOBODY, *(self.shows(name) if container == "holder" else []), LOOKED):
            yield line

    def place(self, made: Object) -> None:
        """What scheduler and kubelet make of a new Pod."""
        if reason := self.schedule(made):
            waits = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": reason}
            made["status"] = {"phase": "Pending", "conditions": [waits]}
            return
        ends = [state for end, state in self.states.items() if made["metadata"]["name"].endswith(end)]
        if ends and ends[0]["phase"] == "Pending" and "containerStatuses" not in ends[0]:
            made["status"] = ends[0]
            return
        made["spec"]["nodeName"] = self.of("Node")[0]["metadata"]["name"]
        names = [each["name"] for each in made["spec"]["containers"]]
        runs: Object = {
            "phase": "Running",
            "containerStatuses": [{"name": name, "state": {"running": {}}} for name in names],
        }
        for field, statuses in self.injected.items():
            runs[field] = [*runs.get(field, []), *statuses]
        if reason := self.prepare(made):
            runs = {"phase": "Failed", "reason": "UnexpectedAdmissionError", "message": reason}
        made["status"] = ends[0] if ends else runs


class FakeScratch:
    labels = RUN
    selector = "aiconform.dev/run=r1"

    def __init__(self, cluster: FakeCluster) -> None:
        self.cluster = cluster

    def name(self, part: str) -> str:
        return f"probe-{part}"

    def cluster_name(self, part: str) -> str:
        return f"run-probe-{part}"

    @property
    def created(self) -> list[Object]:
        return self.cluster.created

    def tell(self, message: str) -> None:
        pass

    async def create(self, obj: Object) -> Object:
        about = {"namespace": "ns", "uid": obj["metadata"]["name"], "labels": RUN}
        made = {**obj, "metadata": {**obj["metadata"], **about}, "spec": dict(obj["spec"]), "status": {}}
        if made["kind"] == "Pod" and len(self.cluster.of("Pod")) == self.cluster.quota:
            raise OverQuota("pods is forbidden: exceeded quota: few")
        self.cluster.created.append(made)
        if made["kind"] == "Pod":
            self.cluster.place(made)
        return made


def settings(**options: Any) -> Settings:
    known = {"observe_seconds": 0.2, "start_seconds": 1.0, **options}
    return Settings(patience=1.0, options=(GpuSharing.model_construct(**{**GpuSharing().model_dump(), **known}),))


def platform(cluster: FakeCluster) -> Platform:
    return Platform(cluster, Images())  # type: ignore[arg-type]


async def places_of(cluster: FakeCluster, **options: Any) -> list[SharedPlace]:
    return [*await places(platform(cluster), settings(**options))]


async def observed(cluster: FakeCluster, place: SharedPlace, **options: Any) -> Sharing:
    """What the probe records of one place; what it made is gone afterwards."""
    try:
        return await sharing(platform(cluster), FakeScratch(cluster), settings(**options), place)  # type: ignore[arg-type]
    finally:
        cluster.made, cluster.created = cluster.created, []


def outcomes(*found: Sharing) -> set[tuple[str, bool | None]]:
    """What the check finds in each of these, without what it leaves out."""
    decided = [findings(load_check("gpu_sharing"), each) for each in found]
    return {(name, finding.holds) for each in decided for name, finding in each.items() if finding.applies}


def broken(*found: Sharing) -> set[str]:
    return {name for name, held in outcomes(*found) if held is False}


def undecided(*found: Sharing) -> set[str]:
    return {name for name, held in outcomes(*found) if held is None}
