"""Pods that agent-sandbox makes of the sandbox's RuntimeClass: by a Sandbox, and by a claim of a template."""

from __future__ import annotations

from collections.abc import Sequence

from aiconform.check import Access
from aiconform.checks.workload_sandboxing import inside
from aiconform.checks.workload_sandboxing.observations import AgentPod
from aiconform.checks.workload_sandboxing.sandboxed_pods import SandboxPods
from aiconform.checks.workload_sandboxing.sight import kernel_lines
from aiconform.checks.workload_sandboxing.starts import Refusal
from aiconform.cluster import ClusterError, Object, TimedOut, wait
from aiconform.cluster.scratch import Scratch
from aiconform.kit.logs import read_until
from aiconform.kit.pods import container, pod
from aiconform.kit.together import gather
from aiconform.platform import Platform
from aiconform.platform.sandboxes import AGENTS, EXTENSIONS, AgentSandbox

_MADE = "aiconform.dev/sandboxed-by"
AGENT_ACCESS = (
    *(
        Access(group, kind, ("create", "get", "list", "watch", "delete"), optional=True)
        for group, kind in (
            (AGENTS, "sandboxes"),
            (EXTENSIONS, "sandboxclaims"),
            (EXTENSIONS, "sandboxwarmpools"),
        )
    ),
    Access(EXTENSIONS, "sandboxtemplates", ("create", "watch", "delete"), optional=True),
    Access(EXTENSIONS, "sandboxtemplates", ("list",), everywhere=True, optional=True),
)


class Agents:
    """Makes the Pods on the control Pod's node."""

    def __init__(self, platform: Platform, scratch: Scratch, pods: SandboxPods, patience: float) -> None:
        self._platform, self._scratch, self._pods, self._patience = platform, scratch, pods, patience

    async def each(self, served: AgentSandbox, runtime_class: str, node: Object) -> list[AgentPod]:
        """What became of a Pod by each way that is served."""
        ways: list[tuple[str, Sequence[Object]]] = []
        if served.core:
            sandbox = self._object(served.core, "Sandbox", "agent", self._template("agent", runtime_class, node))
            ways.append(("Sandbox", [sandbox]))
        if served.core and served.extensions:
            ways.append(("SandboxClaim", self._claimed(served.extensions, runtime_class, node)))
        return await gather(*(self._made(way, objects, runtime_class) for way, objects in ways))

    def _claimed(self, api: str, runtime_class: str, node: Object) -> list[Object]:
        """A template and a claim of it; newer claims name a pool, which makes the Pod beforehand."""
        name = self._scratch.name("claim")
        found = [self._object(api, "SandboxTemplate", "claim", self._template("claim", runtime_class, node))]
        by_template: Object = {"sandboxTemplateRef": {"name": name}}
        if api.endswith("/v1alpha1"):
            return [*found, self._object(api, "SandboxClaim", "claim", by_template)]
        pool = self._object(api, "SandboxWarmPool", "claim", {"replicas": 1, **by_template})
        return [*found, pool, self._object(api, "SandboxClaim", "claim", {"warmPoolRef": {"name": name}})]

    def _object(self, api: str, kind: str, part: str, spec: Object) -> Object:
        return {"apiVersion": api, "kind": kind, "metadata": {"name": self._scratch.name(part)}, "spec": spec}

    def _template(self, part: str, runtime_class: str, node: Object) -> Object:
        main = container("main", self._platform.images["shell"], inside.TRIAL)
        spec = pod(part, node, [main], runtimeClassName=runtime_class)["spec"]
        # A Sandbox takes no policy of restarts but the usual one; its Pods come back.
        spec = {key: value for key, value in spec.items() if key != "restartPolicy"}
        return {"podTemplate": {"metadata": {"labels": {**self._scratch.labels, _MADE: part}}, "spec": spec}}

    async def _made(self, way: str, objects: Sequence[Object], runtime_class: str) -> AgentPod:
        try:
            for each in objects:
                made = await self._scratch.create(each)
            found = await self._pod(made, "agent" if way == "Sandbox" else "claim")
            running = await self._pods.starts.running(found)
            if isinstance(running, Refusal):
                return AgentPod(way=way, runtime_class=runtime_class, problem=running.said)
            lines = await read_until(self._platform.cluster, running, "main", inside.LOOKED, seconds=self._patience)
        except ClusterError as error:
            return AgentPod(way=way, runtime_class=runtime_class, problem=str(error))
        kernel, samples = kernel_lines(lines)
        taken = running["spec"].get("runtimeClassName") or ""
        return AgentPod(way=way, runtime_class=taken, kernel=kernel, samples=samples)

    async def _pod(self, made: Object, part: str) -> Object:
        """The Pod that the controller makes. Raises TimedOut with what the object says of itself."""
        about = made["metadata"]

        def first(there: Sequence[Object]) -> Object | None:
            return next(iter(there), None)

        try:
            return await wait.among(
                self._platform.cluster,
                "v1",
                "Pod",
                about["namespace"],
                first,
                labels=f"{self._scratch.selector},{_MADE}={part}",
                seconds=self._patience,
                what=f"the Pod of {made['kind']} {about['name']}",
            )
        except TimedOut as error:
            seen = await self._platform.cluster.get(made["apiVersion"], made["kind"], about["name"], about["namespace"])
            raise TimedOut(f"{error}; {made['kind']}: {wait.describe(seen)}") from error
