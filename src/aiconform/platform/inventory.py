"""The platform under test and what it offers, read from the API when first needed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, TypeVar, cast

from aiconform.cluster import Cluster, ClusterError, Forbidden, NotFound, Object, Rejected
from aiconform.platform.accelerators.devices import Device
from aiconform.platform.accelerators.hardware import together
from aiconform.platform.accelerators.nodes import is_trouble
from aiconform.platform.accelerators.offered import Accelerators, requested
from aiconform.platform.accelerators.options import NOTHING_SAID, AcceleratorOptions
from aiconform.platform.accelerators.plugins import by_device_plugin
from aiconform.platform.accelerators.published import by_dra
from aiconform.platform.accelerators.resource_slices import DevicePools, IncompletePool
from aiconform.platform.accelerators.taint_rules import KIND, UNTOLD, VERSIONS, tainted
from aiconform.platform.images import Images

T = TypeVar("T")
RESOURCE_API = "resource.k8s.io"
# The versions that checks can use, the newest first.
RESOURCE_VERSIONS = ("v1", "v1beta2", "v1beta1")


class BadSelector(ClusterError):
    """The API server cannot read the selector of the nodes."""


class Platform:
    """Each read is made once and shared. If it is forbidden (403), only the probes that need it fail.

    nodes: a label selector of the nodes whose accelerators are used; all nodes by default. said: what the user says of
    accelerators.
    """

    def __init__(
        self, cluster: Cluster, images: Images, nodes: str = "", said: AcceleratorOptions = NOTHING_SAID
    ) -> None:
        self.cluster = cluster
        self.images = images
        self.said = said
        self._chosen = nodes
        self._reads: dict[str, asyncio.Task[Any]] = {}

    def afresh(self) -> Platform:
        """The same platform, to be read again."""
        return Platform(self.cluster, self.images, self._chosen, self.said)

    async def _once(self, key: str, read: Callable[[], Awaitable[T]]) -> T:
        task = self._reads.get(key)
        if task is None or task.cancelled():
            task = self._reads[key] = asyncio.ensure_future(read())
            # Who asked may be gone when it fails: without this, Python prints the trace at the end.
            task.add_done_callback(lambda done: done.cancelled() or done.exception())
        # The deadline of one probe does not end a read that others wait for.
        return cast(T, await asyncio.shield(task))

    async def version(self) -> str:
        return await self._once("version", self.cluster.version)

    async def groups(self) -> dict[str, tuple[str, ...]]:
        """API group -> its served versions, the preferred one first."""
        return await self._once("groups", self.cluster.groups)

    async def deployments(self) -> list[Object]:
        """All Deployments, among which controllers are found."""
        return await self._once("deployments", lambda: self._list("apps/v1", "Deployment"))

    async def nodes(self) -> list[Object]:
        return await self._once("nodes", lambda: self._list("v1", "Node"))

    async def node(self, name: str) -> Object:
        return (await self._once("nodes_by_name", self._nodes_by_name))[name]

    async def _nodes_by_name(self) -> dict[str, Object]:
        return {node["metadata"]["name"]: node for node in await self.nodes()}

    async def pods(self) -> list[Object]:
        """All Pods that have not finished."""
        return await self._once(
            "pods", lambda: self._list("v1", "Pod", fields="status.phase!=Succeeded,status.phase!=Failed")
        )

    async def resource_api(self) -> str | None:
        """The newest served apiVersion of resource.k8s.io that is known here, or None."""

        async def find() -> str | None:
            served = (await self.groups()).get(RESOURCE_API, ())
            return next((f"{RESOURCE_API}/{version}" for version in RESOURCE_VERSIONS if version in served), None)

        return await self._once("resource_api", find)

    async def device_classes(self) -> list[Object]:
        return await self._once("device_classes", lambda: self._dra("DeviceClass"))

    async def claims(self) -> list[Object]:
        return await self._once("claims", lambda: self._dra("ResourceClaim"))

    async def devices(self) -> tuple[list[Device], list[IncompletePool]]:
        """The devices of all complete pools, with all their taints, and the pools that are not complete."""
        return await self._once("devices", self._devices)

    async def _devices(self) -> tuple[list[Device], list[IncompletePool]]:
        api = await self.resource_api()
        pools = DevicePools(await self.nodes() if api else ())
        try:
            if api is not None:
                async for item in self.cluster.list(api, "ResourceSlice"):
                    pools.add(item)
        except NotFound:
            pass
        devices, incomplete = pools.result()
        if devices and (rules := await self._taint_rules()):
            devices = tainted(devices, rules, await self.device_classes())
        return devices, incomplete

    async def untold_taints(self) -> str:
        """Why nobody can tell which devices DeviceTaintRules taint, and the way out; empty if it is known."""
        return UNTOLD if await self._taint_rules() is None else ""

    async def _taint_rules(self) -> list[Object] | None:
        """The DeviceTaintRules; None if these credentials may not list them."""
        return await self._once("taint_rules", self._read_taint_rules)

    async def _read_taint_rules(self) -> list[Object] | None:
        served = (await self.groups()).get(RESOURCE_API, ())
        for api in (f"{RESOURCE_API}/{each}" for each in VERSIONS if each in served):
            try:
                return [slim(item) async for item in self.cluster.list(api, KIND)]
            except NotFound:
                # The version is served without the kind.
                continue
            except Forbidden:
                # Nobody may list a kind that is not there, either.
                if KIND in await self.cluster.resources(api):
                    return None
        return []

    async def accelerators(self) -> Accelerators:
        """The accelerators on the chosen nodes that Pods can request by DRA or device plugin. Raises BadSelector."""
        chosen = await self.chosen_nodes()
        found = await self.all_accelerators()
        if chosen is None:
            return found
        offered = tuple(entry for entry in found.offered if entry.node in chosen)
        problem = () if chosen else (f"no node has the labels {self._chosen}",)
        if chosen and not offered:
            problem = (f"none on the {len(chosen)} node(s) with the labels {self._chosen}",)
        others = tuple(entry for entry in found.others if entry.node in chosen)
        return Accelerators(offered, (*problem, *found.passed_over), others)

    async def chosen_nodes(self) -> frozenset[str] | None:
        """The names of the nodes whose accelerators are used; None for all. Raises BadSelector."""
        if not self._chosen:
            return None
        try:
            nodes = await self._once("chosen", lambda: self._list("v1", "Node", labels=self._chosen))
        except Rejected as error:
            raise BadSelector(
                f"--nodes {self._chosen!r} is not a label selector such as pool=spare or pool in (a,b): {error}"
            ) from error
        return frozenset(node["metadata"]["name"] for node in nodes)

    async def all_accelerators(self) -> Accelerators:
        """The accelerators of all nodes."""
        return await self._once("accelerators", self._accelerators)

    async def _accelerators(self) -> Accelerators:
        nodes, (devices, incomplete), claims, classes, pods = await asyncio.gather(
            self.nodes(),
            self.devices(),
            self.claims(),
            self.device_classes(),
            self.pods(),
        )
        dra = by_dra(nodes, devices, incomplete, claims, classes, self.said)
        if dra.offered and (untold := await self.untold_taints()):
            dra = replace(dra, passed_over=(untold, *dra.passed_over))
        plugins = by_device_plugin(nodes, requested(pods), self.said)
        return together(dra, plugins, nodes, classes, self.said.profiles)

    async def _dra(self, kind: str) -> list[Object]:
        api = await self.resource_api()
        return [] if api is None else await self._list(api, kind)

    async def _list(self, api_version: str, kind: str, *, labels: str = "", fields: str = "") -> list[Object]:
        try:
            return [slim(item) async for item in self.cluster.list(api_version, kind, labels=labels, fields=fields)]
        except NotFound:
            return []


def slim(obj: Object) -> Object:
    """The object without the fields that no check reads and that are large; it is changed in place.

    Items are trimmed one by one as a page is read, which keeps memory small on large platforms.
    """
    metadata, status = obj["metadata"], obj.get("status") or {}
    metadata.pop("managedFields", None)
    (metadata.get("annotations") or {}).pop("kubectl.kubernetes.io/last-applied-configuration", None)
    if obj["kind"] == "Node":
        for key in ("images", "volumesInUse", "volumesAttached", "daemonEndpoints", "runtimeHandlers", "features"):
            status.pop(key, None)
        # The condition Ready says why a node is not Ready.
        kept = [each for each in status.get("conditions") or [] if each["type"] == "Ready" or is_trouble(each)]
        status["conditions"] = kept
    elif obj["kind"] == "Pod":
        for key in ("containerStatuses", "initContainerStatuses", "podIPs", "hostIPs"):
            status.pop(key, None)
        for key in ("volumes", "tolerations"):
            obj["spec"].pop(key, None)
        for container in (*obj["spec"].get("initContainers", ()), *obj["spec"]["containers"]):
            for key in ("env", "envFrom", "volumeMounts", "command", "args", "livenessProbe", "readinessProbe"):
                container.pop(key, None)
    return obj
