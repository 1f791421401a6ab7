"""The Pods of workload_sandboxing: sandboxed ones, the control Pod, and a listener on the node's loopback interface.

No Pod has a privilege, a path of the host or a token of a ServiceAccount; only the listener is in the node's network.
"""

from __future__ import annotations

import hashlib

from aiconform.checks.workload_sandboxing import inside
from aiconform.checks.workload_sandboxing.observations import Sight
from aiconform.checks.workload_sandboxing.sight import Words, block_numbers, parse_sight
from aiconform.checks.workload_sandboxing.starts import NO_HANDLER, Refusal, Starts
from aiconform.cluster import ClusterError, NotFound, Object, Stuck, wait
from aiconform.cluster.scratch import Scratch
from aiconform.kit.as_root import AsRoot
from aiconform.kit.logs import read_until
from aiconform.kit.meshes import without_sidecar
from aiconform.kit.pods import (
    container,
    container_runs,
    pod,
    pod_anywhere,
    start_of,
    started,
    trouble_of_the_node,
)
from aiconform.platform import Platform
from aiconform.platform.accelerators.nodes import usable_node
from aiconform.platform.sandboxes import SandboxClass

# Code that nobody has reviewed is root in its container, with what a runtime gives every container.
_USUAL_ROOT: Object = {"runAsUser": 0, "seccompProfile": {"type": "RuntimeDefault"}}


class SandboxPods:
    """Makes the Pods of one run. `unprivileged`: why sandboxed Pods cannot run as root, or empty."""

    def __init__(self, platform: Platform, scratch: Scratch, seconds: float, patience: float) -> None:
        self._as_root = AsRoot(scratch, _USUAL_ROOT)
        self._services: dict[str, str] = {}
        self._listener: Object | None = None
        self.starts = Starts(platform, scratch, seconds)
        self._platform, self._scratch, self._patience = platform, scratch, patience
        unique = hashlib.sha256(scratch.cluster_name("").encode()).hexdigest()
        self._mark = f"aiconform-{unique[:8]}"
        self._secret, self._served = f"secret-{unique[8:24]}", f"served-{unique[24:40]}"
        self._loopback, self._of_host = f"loopback-{unique[40:52]}", f"host-{unique[52:]}"
        self._port = 20000 + int(unique[:4], 16) % 10000
        self.words = Words(
            secret=self._secret,
            # A process has a name of at most 15 letters.
            victim=f"aic-{unique[:10]}",
            servers={self._served: "victim", self._loopback: "victim-loopback", self._of_host: "host-loopback"},
        )

    @property
    def unprivileged(self) -> str:
        return self._as_root.unprivileged

    async def trial(self, each: SandboxClass, name: str) -> Object | Refusal:
        """A running Pod of the class that tells which kernel it has, or why there is none. Raises ClusterError."""
        found = await self._tried(each, name, None)
        if isinstance(found, Refusal) and NO_HANDLER.search(found.said) and each.handler:
            other, told = await self._with_handler(each.handler, found.node)
            if other:
                return await self._tried(each, f"{name}-again", other)
            return Refusal(f"{found.said}{told}", found.node)
        if isinstance(found, Refusal) and each.machine and not NO_HANDLER.search(found.said):
            # A cloud may have no machine left, or no quota, at the moment.
            raise Stuck(f"{each} needs a machine for each Pod, and gets none: {found.said}")
        return found

    async def _tried(self, each: SandboxClass, name: str, node: Object | None) -> Object | Refusal:
        created = await self._sandboxed(each.name, name, inside.TRIAL, node, {})
        found = await self.starts.running(created)
        if isinstance(found, Refusal):
            await self._platform.cluster.delete(created)
        return found

    async def attacker(self, each: SandboxClass, node: Object, control: Object) -> Object:
        """A running Pod of the class on the control Pod's node that tries everything. Raises ClusterError."""
        lines = await read_until(self._platform.cluster, control, "main", inside.LOOKED, seconds=self._patience)
        about = node["status"].get("nodeInfo") or {}
        environment = {
            "MARK": self._mark,
            "MACHINE": about.get("machineID", ""),
            "BOOT": about.get("bootID", ""),
            "VICTIM": control["metadata"]["uid"],
            "VICTIM_ADDRESS": control["status"].get("podIP", ""),
            "BLOCKS": " ".join(block_numbers(lines)),
            "HOST_PORT": str(self._port),
            **self._services,
        }
        created = await self._sandboxed(each.name, "sandbox", inside.ATTACKER, node, environment)
        found = await self.starts.running(created)
        if isinstance(found, Refusal):
            raise Stuck(f"{start_of(created)}: {found.said}, where another one of {each.name} ran just before")
        return found

    async def _sandboxed(
        self, runtime_class: str, name: str, script: str, node: Object | None, environment: dict[str, str]
    ) -> Object:
        def made(security: Object) -> Object:
            main = container("main", self._platform.images["shell"], script, env=_env(environment), **security)
            named = self._scratch.name(name)
            if node:
                return without_sidecar(pod(named, node, [main], runtimeClassName=runtime_class))
            return without_sidecar(pod_anywhere(named, [main], runtimeClassName=runtime_class))

        return await self._as_root.create(made)

    async def _with_handler(self, handler: str, but: str) -> tuple[Object | None, str]:
        """(another node that reports this handler, what nodes report of handlers in words)."""
        reporting = 0
        async for node in self._platform.cluster.list("v1", "Node"):
            names = [each.get("name") for each in node["status"].get("runtimeHandlers") or []]
            reporting += bool(names)
            if handler in names and node["metadata"]["name"] != but and usable_node(node) is None:
                return node, ""
        return None, f"; of {reporting} nodes that report their handlers, none has {handler}" if reporting else ""

    async def serve(self) -> None:
        """Create the Service of the control Pod. Raises ClusterError."""
        service = {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": self._scratch.name("control")},
            "spec": {"selector": self._selector, "ports": [{"port": 80, "targetPort": inside.SERVED}]},
        }
        made = await self._scratch.create(service)
        about = made["metadata"]
        self._services = {
            "SERVICE_NAME": f"{about['name']}.{about['namespace']}",
            "SERVICE_ADDRESS": made["spec"].get("clusterIP", ""),
            "SERVED_WORD": self._served,
        }

    @property
    def _selector(self) -> dict[str, str]:
        return {"aiconform.dev/sandboxing": self._mark}

    async def control(self, node: Object) -> Object:
        """The running control Pod. Raises ClusterError."""
        environment = {
            "MARK": self._mark,
            "SECRET": self._secret,
            "VICTIM_NAME": self.words.victim,
            "LOOPBACK_WORD": self._loopback,
            **self._services,
        }
        mounts = [{"name": "shared", "mountPath": "/shared"}]
        main = container(
            "main", self._platform.images["shell"], inside.CONTROL, env=_env(environment), volumeMounts=mounts
        )
        volumes = [{"name": "shared", "emptyDir": {}}]
        made = pod(self._scratch.name("control"), node, [main], labels=self._selector, volumes=volumes)
        return await self._ordinary(await self._scratch.create(without_sidecar(made)))

    async def listener(self, node: Object) -> str:
        """Why no Pod listens on the node's loopback interface; empty if one does."""
        environment = {"HOST_WORD": self._of_host, "HOST_PORT": str(self._port)}
        main = container("main", self._platform.images["shell"], inside.LISTENER, env=_env(environment))
        made = pod(self._scratch.name("listener"), node, [main], hostNetwork=True)
        try:
            running = await self._ordinary(await self._scratch.create(without_sidecar(made), security="privileged"))
            lines = await read_until(self._platform.cluster, running, "main", inside.LOOKED, seconds=self._patience)
        except ClusterError as error:
            return str(error)
        self._listener = running
        answer = parse_sight(lines, self.words).fetched("host-loopback")
        return "" if answer and answer.word else f"its server on port {self._port} does not answer to itself"

    async def saw(self, control: Object) -> Sight:
        """What the control Pod saw until now. Raises Stuck if it ended: then it says nothing of the sandbox."""
        about = control["metadata"]
        lines = (await self._platform.cluster.logs(about["namespace"], about["name"], "main")).splitlines()
        if ended := await self._ended(control):
            raise Stuck(ended)
        return parse_sight(lines, self.words)

    async def listener_ended(self) -> str:
        """Why the listener did not listen all the time; empty if it did."""
        return await self._ended(self._listener) if self._listener else ""

    async def _ended(self, running: Object) -> str:
        about = running["metadata"]
        ended = f"Pod {about['name']} ended meanwhile"
        try:
            seen = await self._platform.cluster.get("v1", "Pod", about["name"], about["namespace"])
        except NotFound:
            return f"{ended}: someone else deleted it"
        if container_runs(seen, "main"):
            return ""
        return f"{ended}: {trouble_of_the_node(seen) or wait.describe(seen)}"

    async def _ordinary(self, created: Object) -> Object:
        running, problem = await started(self._platform.cluster, created, seconds=self._patience)
        if running is None:
            raise Stuck(f"{start_of(created)}: {problem}")
        return running


def unlimited(made: Object) -> str:
    """Why a Pod may use all memory of its node; empty if it has a limit, which all its containers need to have.

    Admission may have put containers into it. A cgroup of the Pod gets no limit then (Kubernetes' pkg/kubelet/cm).
    """
    spec = made["spec"]
    if _limited(spec):
        return ""
    each = [*(spec.get("initContainers") or []), *spec["containers"]]
    names = ", ".join(entry["name"] for entry in each if not _limited(entry))
    return f"container {names} of the sandboxed Pod has no memory limit" if names else ""


def _limited(entry: Object) -> bool:
    return "memory" in ((entry.get("resources") or {}).get("limits") or {})


def _env(environment: dict[str, str]) -> list[Object]:
    return [{"name": name, "value": value} for name, value in environment.items()]
