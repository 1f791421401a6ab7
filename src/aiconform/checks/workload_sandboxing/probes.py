"""What workload_sandboxing does: on one node, a Pod of a sandboxed RuntimeClass tries what untrusted code would try.

A first Pod of each class that may be a sandbox tells which kernel it has, until one has another than its node. Then a
control Pod with the ordinary runtime starts on that node, whose secrets, servers and processes the sandboxed Pod looks
for, and beside it a Pod that listens on the node's loopback interface. agent-sandbox makes Pods of the same class.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from aiconform.check import Access, Inspection, NothingToLookAt, Settings, inspection, probe
from aiconform.checks.workload_sandboxing import inside
from aiconform.checks.workload_sandboxing.agents import AGENT_ACCESS, Agents
from aiconform.checks.workload_sandboxing.kernels import compare
from aiconform.checks.workload_sandboxing.observations import SERVICES, AgentPod, Isolation, Kernel, Sight, Tried
from aiconform.checks.workload_sandboxing.options import MOST_CLASSES, WorkloadSandboxing
from aiconform.checks.workload_sandboxing.sandboxed_pods import SandboxPods, unlimited
from aiconform.checks.workload_sandboxing.sight import kernel_lines, parse_sight
from aiconform.checks.workload_sandboxing.starts import Refusal
from aiconform.cluster import ClusterError, Forbidden, Object, Stuck, quantity
from aiconform.cluster.scratch import Scratch
from aiconform.kit.logs import read_until
from aiconform.kit.network import NETWORK_ACCESS, allow, denied
from aiconform.kit.pods import POD_ACCESS
from aiconform.kit.starting import BLAME_SECONDS
from aiconform.kit.together import gather
from aiconform.platform import Platform
from aiconform.platform.sandboxes import SandboxClass, Sandboxes, sandboxes

# All that the sandboxed container tries has a limit of its own; together they take less.
_TRIES_SECONDS = 180.0
OPTION = "workload_sandboxing.runtime_class"


@dataclass(frozen=True)
class Trial:
    """What became of the first Pod of a class: it runs, or its platform's refusal, or a trouble of the moment."""

    found: SandboxClass
    running: Object | None = None
    kernel: Kernel | None = None
    another: bool = False
    refusal: Refusal | None = None
    error: ClusterError | None = None

    @property
    def outcome(self) -> str:
        if self.refusal or self.error:
            return str(self.refusal.said if self.refusal else self.error)
        return "its Pod has a kernel of its own" if self.another else "its Pod has the node's kernel"


def _limit(settings: Settings) -> float:
    starts = settings.of(WorkloadSandboxing).start_seconds + BLAME_SECONDS + settings.patience
    return (MOST_CLASSES + 2) * starts + _TRIES_SECONDS


@probe(
    limit=_limit,
    security="baseline",
    access=(
        *POD_ACCESS,
        *NETWORK_ACCESS,
        *AGENT_ACCESS,
        Access("node.k8s.io", "runtimeclasses", ("list",), everywhere=True),
        Access("", "services", ("create", "list", "watch", "delete")),
    ),
)
async def isolation(platform: Platform, scratch: Scratch, settings: Settings, target: None) -> Isolation:
    options = settings.of(WorkloadSandboxing)
    offered = await offered_classes(platform, settings)
    pods = SandboxPods(platform, scratch, max(options.start_seconds, settings.patience), settings.patience)
    await allow(scratch, "traffic", "Ingress", "Egress")
    trials = await _trials(platform, scratch, pods, offered, settings)
    judged, why = _judged(trials, options.runtime_class)
    if not judged.another and (untried := offered.classes[MOST_CLASSES:]):
        told = [f"{each.found.name}: {each.outcome}" for each in trials] + [
            f"{each.name}: not tried" for each in untried
        ]
        raise Stuck(f"none of the RuntimeClasses that were tried is a sandbox ({'; '.join(told)}): --set {OPTION}=NAME")
    about = _about(judged, why, trials, offered)
    if judged.running is None:
        if judged.refusal is None and judged.error is not None:
            raise judged.error
        refusal = judged.refusal or Refusal("", "")
        return Isolation(**about, problem=refusal.said, node=refusal.node)
    node = await _node(platform, judged.running["spec"]["nodeName"])
    scratch.tell(f"{judged.found} on {node['metadata']['name']}: {why}")
    await pods.serve()
    control, no_listener = await gather(pods.control(node), pods.listener(node))
    use_agents = options.agent_sandbox != "off"
    agents = Agents(platform, scratch, pods, settings.patience)
    (sandboxed, sandbox), made = await gather(
        _attack(platform, pods, judged.found, node, control, settings.patience),
        agents.each(offered.agents, judged.found.name, node) if use_agents else _none(),
    )
    seen = await pods.saw(control)
    no_listener = no_listener or await pods.listener_ended()
    closed = ""
    if not all(each.served(what) for each in (sandbox, seen) for what in SERVICES):
        closed = await denied(platform.cluster, sandboxed, "Egress") or await denied(
            platform.cluster, control, "Ingress"
        )
    return Isolation(
        **about,
        **_of_node(node),
        pod_addresses=tuple(each["ip"] for each in sandboxed["status"].get("podIPs") or []),
        unlimited=unlimited(sandboxed),
        pulse_threads=inside.PULSE_THREADS,
        pulse_shared=inside.PULSE_SHARED,
        sandbox=sandbox,
        control=seen,
        listener=not no_listener,
        no_listener=no_listener,
        unprivileged=pods.unprivileged,
        denied=closed,
        agents=tuple(made),
        agents_left_out="agent_sandbox=off" if offered.agents.core and not use_agents else "",
    )


async def _none() -> list[AgentPod]:
    return []


async def offered_classes(platform: Platform, settings: Settings) -> Sandboxes:
    """What the platform offers. Raises NothingToLookAt if there is nothing to try."""
    options = settings.of(WorkloadSandboxing)
    try:
        found = await sandboxes(platform, options.runtime_class)
    except Forbidden as error:
        raise ClusterError(f"{error}; or name the sandbox: --set {OPTION}=NAME") from error
    if found.classes:
        return found
    if options.runtime_class:
        raise NothingToLookAt(
            f"nothing to look at: there is no RuntimeClass {options.runtime_class} (--set {OPTION}); "
            f"without this option: {(await sandboxes(platform)).looked}"
        )
    raise NothingToLookAt(f"nothing to look at: no RuntimeClass that may be a sandbox: {found.looked}")


async def _trials(
    platform: Platform, scratch: Scratch, pods: SandboxPods, offered: Sandboxes, settings: Settings
) -> list[Trial]:
    """What became of each class that was tried, the last one being the first that shows a kernel of its own."""
    trials = []
    for number, each in enumerate(offered.classes[:MOST_CLASSES], 1):
        scratch.tell(f"{each}: which kernel does its Pod have?")
        trials.append(await _trial(platform, pods, each, f"trial-{number}", settings))
        if trials[-1].another:
            break
    return trials


async def _trial(platform: Platform, pods: SandboxPods, each: SandboxClass, name: str, settings: Settings) -> Trial:
    try:
        running = await pods.trial(each, name)
        if isinstance(running, Refusal):
            return Trial(each, refusal=running)
        lines = await read_until(platform.cluster, running, "main", inside.LOOKED, seconds=settings.patience)
        about = (await _node(platform, running["spec"]["nodeName"]))["status"].get("nodeInfo") or {}
    except ClusterError as error:
        return Trial(each, error=error)
    kernel, _ = kernel_lines(lines)
    found = compare(kernel, Kernel(), release=about.get("kernelVersion", ""), boot=about.get("bootID", ""))
    return Trial(each, running, kernel, another=found.said_to_differ)


def _judged(trials: list[Trial], wanted: str) -> tuple[Trial, str]:
    """(the trial whose class is judged, why): the first with a kernel of its own, else the first that decides."""
    last = trials[-1]
    if wanted:
        return last, f"named by {OPTION}"
    others = f"; --set {OPTION}=NAME chooses another"
    if last.another:
        if len(trials) == 1:
            return last, f"the first of those that may be a sandbox{others}"
        return last, f"the first of {len(trials)} that shows a kernel of its own{others}"
    decided = [each for each in trials if each.error is None]
    # While one of them cannot be tried at the moment, none is said to be what the platform offers.
    undecided = [each for each in trials if each.error is not None]
    return (undecided or decided)[0], f"none of {len(trials)} shows a kernel of its own{others}"


def _about(judged: Trial, why: str, trials: list[Trial], offered: Sandboxes) -> dict[str, Any]:
    found = judged.found
    return {
        "name": found.name,
        "handler": found.handler,
        "known": found.known.title if found.known else "",
        "machine": found.machine,
        "why": why,
        "tried": tuple(
            Tried(name=each.found.name, handler=each.found.handler, outcome=each.outcome) for each in trials
        ),
        "passed_over": offered.passed_over,
    }


async def _node(platform: Platform, name: str) -> Object:
    """The node of a Pod. An autoscaler may have added it for the Pod."""
    try:
        return await platform.node(name)
    except KeyError:
        return await platform.afresh().node(name)


def _of_node(node: Object) -> dict[str, Any]:
    about = node["status"].get("nodeInfo") or {}
    return {
        "node": node["metadata"]["name"],
        "release": about.get("kernelVersion", ""),
        "boot": about.get("bootID", ""),
        "memory": int(quantity.number((node["status"].get("capacity") or {}).get("memory") or "0")) // 1024,
        "addresses": tuple(
            each["address"] for each in node["status"].get("addresses") or [] if each["type"].endswith("IP")
        ),
    }


async def _attack(
    platform: Platform, pods: SandboxPods, each: SandboxClass, node: Object, control: Object, patience: float
) -> tuple[Object, Sight]:
    running = await pods.attacker(each, node, control)
    lines = await read_until(platform.cluster, running, "main", inside.DONE, seconds=max(patience, _TRIES_SECONDS))
    return running, parse_sight([*lines, inside.DONE], pods.words)


@inspection
async def offered_sandboxes(platform: Platform, settings: Settings) -> Inspection:
    try:
        found = await offered_classes(platform, settings)
    except NothingToLookAt as reason:
        return Inspection(missing=(str(reason),))
    shown = [str(each) for each in found.classes]
    if found.agents.core:
        shown.append(
            f"agent-sandbox: {found.agents.core}" + (", templates and claims" if found.agents.extensions else "")
        )
    problems = [*found.passed_over, *([f"agent-sandbox: {found.agents.problem}"] if found.agents.problem else [])]
    return Inspection(tuple(shown), (), tuple(problems))
