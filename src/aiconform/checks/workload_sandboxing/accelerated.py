"""A sandboxed Pod that asks for an accelerator: whether it stays in its sandbox where its sandbox supports that."""

from __future__ import annotations

from collections.abc import Sequence

from aiconform.check import Access, Finding, NothingToLookAt, Settings, assertion, holds, left_out, probe, undecided
from aiconform.checks.workload_sandboxing import inside
from aiconform.checks.workload_sandboxing.kernels import Compared, compare
from aiconform.checks.workload_sandboxing.observations import Accelerated, AcceleratedPod, Kernel
from aiconform.checks.workload_sandboxing.options import WorkloadSandboxing
from aiconform.checks.workload_sandboxing.probes import offered_classes
from aiconform.checks.workload_sandboxing.sandboxed_pods import SandboxPods
from aiconform.checks.workload_sandboxing.sight import MOST, kernel_lines
from aiconform.checks.workload_sandboxing.starts import Refusal
from aiconform.cluster import Object
from aiconform.cluster.scratch import Scratch
from aiconform.kit.container_view import parse_attempts
from aiconform.kit.devices import CLAIM_ACCESS, request_devices
from aiconform.kit.logs import read_until
from aiconform.kit.pods import POD_ACCESS, container, pod
from aiconform.kit.starting import BLAME_SECONDS
from aiconform.platform import NodeAccelerators, Platform
from aiconform.platform.accelerators.device_nodes import known_nodes
from aiconform.platform.sandboxes import SandboxClass

MOST_CLASSES = 2
"""RuntimeClasses that are tried at most with an accelerator: some sandboxes have one of their own for that."""
# Characters of a line that are read.
_LONGEST = 300


async def one_accelerator(platform: Platform, settings: Settings) -> Sequence[NodeAccelerators | None]:
    """Accelerators of a node where the first class may run, the most free ones; None where there are none."""
    found = (await platform.accelerators()).offered
    for each in (await offered_classes(platform, settings)).classes[:MOST_CLASSES]:
        fitting = [one for one in found if each.runs_on((await platform.node(one.node))["metadata"].get("labels"))]
        if fitting:
            return [max(fitting, key=lambda one: one.room)]
    return [None]


def _limit(settings: Settings) -> float:
    starts = settings.of(WorkloadSandboxing).start_seconds + BLAME_SECONDS + settings.patience
    return 2 * MOST_CLASSES * starts


@probe(
    limit=_limit,
    targets=one_accelerator,
    devices=(1, 1),
    access=(*POD_ACCESS, *CLAIM_ACCESS, Access("node.k8s.io", "runtimeclasses", ("list",), everywhere=True)),
)
async def with_accelerator(
    platform: Platform, scratch: Scratch, settings: Settings, target: NodeAccelerators | None
) -> Accelerated:
    if target is None:
        return Accelerated(untried="no node that a sandboxed Pod may run on has accelerators")
    if target.room < 1:
        raise NothingToLookAt(f"nothing to look at: of the devices of {target}, {target.occupied}")
    options = settings.of(WorkloadSandboxing)
    pods = SandboxPods(platform, scratch, max(options.start_seconds, settings.patience), settings.patience)
    node = await platform.node(target.node)
    found: list[AcceleratedPod] = []
    offered = await offered_classes(platform, settings)
    release, boot = _kernel_of(node)
    able = [each for each in offered.classes if each.runs_on(node["metadata"].get("labels"))]
    for number, each in enumerate(able[:MOST_CLASSES], 1):
        scratch.tell(f"{each}: which kernel does its Pod have with {target}?")
        found.append(await _tried(platform, scratch, pods, target, node, each, number, settings.patience))
        if _own(found[-1].kernel, release, boot):
            break
    return Accelerated(node=target.node, asked=target.name, release=release, boot=boot, pods=tuple(found))


async def _tried(
    platform: Platform,
    scratch: Scratch,
    pods: SandboxPods,
    target: NodeAccelerators,
    node: Object,
    each: SandboxClass,
    number: int,
    patience: float,
) -> AcceleratedPod:
    request = await request_devices(platform, scratch, target, name=f"accelerated-{number}")
    main = container("main", platform.images["shell"], inside.ACCELERATED, resources=request.resources)
    spec = {**request.pod_spec, "runtimeClassName": each.name}
    created = await scratch.create(pod(scratch.name(f"accelerated-{number}"), node, [main], **spec))
    running = await pods.starts.running(created)
    if isinstance(running, Refusal):
        tried = AcceleratedPod(name=each.name, handler=each.handler, problem=running.said)
    else:
        lines = await _printed(platform, running, patience)
        attempts = parse_attempts([line[:_LONGEST] for line in lines if line.startswith("own ")][:MOST], "own")
        tried = AcceleratedPod(
            name=each.name,
            handler=each.handler,
            kernel=kernel_lines(lines)[0],
            opens=tuple(attempt for attempt in attempts if not known_nodes().is_ordinary(attempt.device)),
        )
        if _own(tried.kernel, *_kernel_of(node)):
            return tried
        alone = await pods.trial(each, f"without-{number}")
        if not isinstance(alone, Refusal):
            without, _ = kernel_lines(await _printed(platform, alone, patience))
            tried = tried.model_copy(update={"without": without})
    # The Pod of the next class may need what it holds.
    await platform.cluster.delete(created)
    return tried


async def _printed(platform: Platform, running: Object, patience: float) -> list[str]:
    return await read_until(platform.cluster, running, "main", inside.LOOKED, seconds=patience)


def _kernel_of(node: Object) -> tuple[str, str]:
    """(release, boot ID)."""
    about = node["status"].get("nodeInfo") or {}
    return about.get("kernelVersion", ""), about.get("bootID", "")


def _compared(kernel: Kernel, release: str, boot: str) -> Compared:
    return compare(kernel, Kernel(), release=release, boot=boot)


def _own(kernel: Kernel | None, release: str, boot: str) -> bool:
    return kernel is not None and _compared(kernel, release, boot).said_to_differ


@assertion("kernel_is_another_with_accelerator", "With an accelerator, the sandboxed Pod sees another kernel, too")
def kernel_is_another_with_accelerator(seen: Accelerated) -> Finding:
    if seen.untried:
        return left_out(seen.untried)
    told, unknown = [], ""
    for each in seen.pods:
        about = f"RuntimeClass {each.name} with {seen.asked} on {seen.node}"
        if each.kernel is None:
            told.append(f"{about}: {each.problem}")
            continue
        found = _compared(each.kernel, seen.release, seen.boot)
        if _own(each.kernel, seen.release, seen.boot):
            return holds(True, f"{about}: {found.words}; {_opened(each)}", subjects=1)
        if not found.same:
            unknown = unknown or f"{about}: {found.words}"
        elif _own(each.without, seen.release, seen.boot):
            without = _compared(each.without or Kernel(), seen.release, seen.boot)
            return holds(False, f"{about}: {found.words}; without it, its Pod has {without.words}", subjects=2)
        else:
            told.append(f"{about}: it is no sandbox without an accelerator either, as kernel_is_another tells")
    if unknown:
        return undecided(unknown)
    return left_out(f"the sandbox runs no Pod with an accelerator: {'; '.join(told) or 'no class was tried'}")


def _opened(each: AcceleratedPod) -> str:
    if not each.opens:
        return "it has no device node: the sandbox does not support the accelerator, or gives it in another way"
    return "its device nodes: " + ", ".join(f"{attempt.device} {attempt.outcome}" for attempt in each.opens[:8])
