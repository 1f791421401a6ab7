"""The Pods of secure_accelerator_access, and what their containers print."""

from __future__ import annotations

from aiconform.cluster import ClusterError, NotCreated, Object, Rejected, Stuck, admission
from aiconform.cluster.amounts import with_amounts
from aiconform.cluster.scratch import Scratch
from aiconform.kit.as_root import AsRoot
from aiconform.kit.container_view import FORGE, LOOK, LOOKED, OPEN_OWN, View, parse_view
from aiconform.kit.devices import request_devices
from aiconform.kit.logs import read_until
from aiconform.kit.pods import STAY, container, pod, started
from aiconform.platform import NodeAccelerators, Platform
from aiconform.platform.accelerators.device_nodes import known_nodes
from aiconform.platform.accelerators.nodes import usable_node
from aiconform.platform.accelerators.profiles import load_profiles


class Containers:
    """Makes the Pods of one target."""

    def __init__(self, platform: Platform, scratch: Scratch, target: NodeAccelerators, patience: float) -> None:
        self._as_root = AsRoot(scratch)
        self._platform, self._scratch, self._target, self._patience = platform, scratch, target, patience

    @property
    def unprivileged(self) -> str:
        """Why the platform refuses containers that run as root, or empty."""
        return self._as_root.unprivileged

    async def holder(self, name: str, *, priority: str = "") -> Object:
        """A Pod whose container `holder` is given devices; its container `sibling` is not.

        priority: its PriorityClass, if it is to have one of its own.
        """
        name = self._scratch.name(name)
        request = await request_devices(self._platform, self._scratch, self._target, name=name)
        scripts = {"holder": f"{LOOK}{OPEN_OWN}", "sibling": LOOK}
        node = await self._platform.node(self._target.node)
        about = {"priorityClassName": priority} if priority else {}
        return await self._create(name, node, scripts, request.resources, **request.pod_spec, **about)

    async def stranger(self, numbers: list[str]) -> list[str]:
        """What a container without a device prints that looks and makes device nodes of these numbers."""
        node = await self._platform.node(self._target.node)
        environment = {"NUMBERS": " ".join(numbers)}
        return await self._told(await self._looking("stranger", node, f"{LOOK}{FORGE}", environment), "stranger")

    async def asker(self) -> tuple[View | None, str]:
        """(what a container without a device sees that asks for all by its environment, why it did not start).

        Its environment is the reason if a Pod without it starts, and the same Pod does not a second time either. Raises
        ClusterError if no such Pod starts: that is a full quota, or a trouble of the moment.
        """
        node, asked = await self._platform.node(self._target.node), known_nodes().environment
        try:
            return await self._view("asker", node, asked), ""
        except (NotCreated, Rejected):
            await self._view("asker-of-nothing", node, {})
        try:
            return await self._view("asker-again", node, asked), ""
        except (NotCreated, Rejected) as error:
            if isinstance(error, Rejected) and not admission.by_policy(str(error)):
                # What a quota refuses says nothing of the environment.
                raise
            return None, str(error)

    async def baseline(self) -> View | None:
        """What a container sees on a node without accelerators; None if there is no such node, or it does not start."""
        node = await node_without_accelerators(self._platform)
        if node is None:
            return None
        try:
            return await self._view("baseline", node, {})
        except ClusterError:
            return None

    async def _view(self, name: str, node: Object, environment: dict[str, str]) -> View:
        return parse_view(await self._told(await self._looking(name, node, LOOK, environment), name))

    async def _looking(self, name: str, node: Object, script: str, environment: dict[str, str]) -> Object:
        asked = [{"name": key, "value": value} for key, value in environment.items()]
        return await self._create(self._scratch.name(name), node, {name: script}, env=asked)

    async def _told(self, created: Object, name: str) -> list[str]:
        cluster = self._platform.cluster
        running, problem = await started(cluster, created, seconds=self._patience)
        if running is None:
            raise Stuck(f"the {name} Pod does not start: {problem}")
        return await read_until(cluster, created, name, LOOKED, seconds=self._patience)

    async def _create(
        self, name: str, node: Object, scripts: dict[str, str], resources: Object | None = None, **fields: object
    ) -> Object:
        """A Pod with a container for each script; the first one gets `resources` and, as `env`, the environment."""
        env = fields.pop("env", [])

        def made(security: Object) -> Object:
            containers = [
                container(each, self._platform.images["shell"], f"{script}echo {LOOKED}; {STAY}", **security)
                for each, script in scripts.items()
            ]
            containers[0] |= {"env": env, "resources": with_amounts(resources)}
            return pod(name, node, containers, **fields)

        return await self._as_root.create(made)


async def node_without_accelerators(platform: Platform) -> Object | None:
    """A node that has no accelerator, by all that the API tells, and that runs any Pod; None if there is none."""
    devices, _ = await platform.devices()
    published = {device.node for device in devices}
    if None in published:
        return None
    for node in await platform.nodes():
        labels = node["metadata"].get("labels") or {}
        offers = [name for name in node["status"].get("capacity") or {} if "/" in name]
        if (
            usable_node(node) is None
            and not node["spec"].get("taints")
            and labels.get("kubernetes.io/os", "linux") == "linux"
            and node["metadata"]["name"] not in published
            and not offers
            and not any(label in labels for profile in load_profiles().accelerators for label in profile.labels)
        ):
            return node
    return None
