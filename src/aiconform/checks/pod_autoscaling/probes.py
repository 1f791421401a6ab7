"""What pod_autoscaling does: it scales Pods that each hold an accelerator by a metric that it sets.

Each Pod reports a metric whose value comes from an annotation of the Pod, and a HorizontalPodAutoscaler has a target
for the average over the Pods. Only the first Pod reports more than zero: with three times the target the autoscaler
needs three Pods, and over these three the load is at the target.
"""

from __future__ import annotations

from collections.abc import Sequence

from aiconform.check import Access, Inspection, NothingToLookAt, Settings, inspection, probe
from aiconform.check import accelerators as any_accelerators
from aiconform.checks.pod_autoscaling.observations import Sample, Scaled, Scaling, near
from aiconform.checks.pod_autoscaling.options import PodAutoscaling
from aiconform.checks.pod_autoscaling.scaled_pods import first_pod, holding, set_metric, why_not_running
from aiconform.checks.pod_autoscaling.scaled_workload import (
    PATH,
    REPLICAS,
    SCALED,
    SERIES,
    TARGET,
    autoscaler,
    deployment,
)
from aiconform.checks.pod_autoscaling.scaling_history import ScalingHistory
from aiconform.cluster import NotFound, Object, TimedOut
from aiconform.cluster.scratch import Scratch
from aiconform.kit.devices import CLAIM_ACCESS
from aiconform.kit.following import background
from aiconform.kit.network import NETWORK_ACCESS, allow, denied
from aiconform.kit.pods import POD_ACCESS
from aiconform.kit.priority import PRIORITY_ACCESS
from aiconform.kit.starting import BLAME_SECONDS
from aiconform.platform import AcceleratorPlace, NodeAccelerators, Platform
from aiconform.platform.accelerators.holders import holders
from aiconform.platform.autoscaling.metrics_api import GROUPS, MetricsApi, metrics_apis
from aiconform.platform.monitoring.collection import KINDS, CollectionMethod
from aiconform.platform.monitoring.collection import choose as choose_collection

LOW = 7
HIGH = REPLICAS * TARGET
# So many nodes are named when none has room.
_NAMED = 10


def choose_api(served: Sequence[MetricsApi], wanted: str, metric: str = SERIES) -> MetricsApi:
    """The metrics API to use. metric: as the user names it. Raises NothingToLookAt."""

    def preference(api: MetricsApi) -> tuple[bool, bool]:
        # An adapter that was removed leaves its registration behind.
        stale, other = bool(api.problem), bool(api.only)
        return (other, stale) if metric == SERIES else (stale, other)

    for api in sorted(served, key=preference):
        if wanted in ("", api.name):
            if api.only and metric == SERIES:
                raise NothingToLookAt(
                    f"nothing to look at: {api} serves only {api.only}, not what Pods report. Install an adapter that "
                    "does, for example prometheus-adapter, or name a metric that it makes of "
                    f"{SERIES} (--set pod_autoscaling.metric=NAME)"
                )
            return api
    missing = f"no {GROUPS[wanted]}" if wanted else f"neither {' nor '.join(GROUPS.values())}"
    raise NothingToLookAt(
        f"nothing to look at: the platform serves {missing}, so no autoscaler can read a workload's own metric. "
        "Install an adapter, for example prometheus-adapter"
    )


def metric_of(api: MetricsApi, options: PodAutoscaling) -> str:
    """The name of the metric in this API: as the user says, or as its adapter usually names it."""
    return api.metric(SERIES) if options.metric == SERIES else options.metric


async def _choose_collection(platform: Platform, options: PodAutoscaling, namespace: str = "") -> CollectionMethod:
    try:
        chosen = await choose_collection(platform.cluster, options.collection, namespace)
    except NotFound as error:
        raise NothingToLookAt(f"nothing to look at: {error}; see --set pod_autoscaling.collection") from error
    return chosen.labelled(options.labels)


def _room(entry: NodeAccelerators) -> str:
    together = f", all {entry.unit} of the node for one Pod" if entry.unit > 1 else ""
    return f"{entry.free} of {entry.total} free{together}"


async def _targets(platform: Platform, settings: Settings) -> Sequence[AcceleratorPlace]:
    """A node with enough free accelerators for each kind, or several of one kind that have enough together.

    Raises NothingToLookAt, which names the holders of the others.
    """
    await any_accelerators(platform, settings)
    found = await platform.accelerators()
    alone = [entry for entry in found.offered if entry.room >= REPLICAS]
    usable = alone if settings.every_node and alone else found.places(REPLICAS)
    if not usable:
        free = "; ".join(f"{entry}: {_room(entry)}" for entry in found.offered[:_NAMED])
        raise NothingToLookAt(
            f"nothing to look at: three free accelerators of one kind are needed ({free}); held by "
            f"{await holders(platform, found.offered)}"
        )
    return usable if settings.every_node else usable[:1]


def _limit(settings: Settings) -> float:
    options = settings.of(PodAutoscaling)
    waits = settings.patience + BLAME_SECONDS
    return 5 * options.scale_seconds + options.observe_seconds + options.window_seconds + waits


@probe(
    limit=_limit,
    targets=_targets,
    devices=(REPLICAS, REPLICAS + 1),
    access=(
        *POD_ACCESS,
        *NETWORK_ACCESS,
        *CLAIM_ACCESS,
        *PRIORITY_ACCESS,
        Access("", "pods", ("patch",)),
        Access("apps", "deployments", ("create", "get", "list", "watch", "delete")),
        Access("autoscaling", "horizontalpodautoscalers", ("create", "get", "list", "watch", "delete")),
        Access("resource.k8s.io", "resourceclaimtemplates", ("create", "get", "list", "watch", "delete")),
        Access("apiregistration.k8s.io", "apiservices", ("list",), everywhere=True),
        Access("monitoring.coreos.com", "prometheuses", ("list",), everywhere=True),
        *(Access(kind.group, kind.plural, ("create", "get", "list", "watch", "delete")) for kind in KINDS),
    ),
)
async def scaling(platform: Platform, scratch: Scratch, settings: Settings, target: AcceleratorPlace) -> Scaling:
    options = settings.of(PodAutoscaling)
    cluster = platform.cluster
    api = choose_api(await metrics_apis(cluster), options.api, options.metric)
    metric = metric_of(api, options)
    way = await _choose_collection(platform, options, await scratch.namespace())
    await allow(scratch, "scrapes", "Ingress")
    made = await deployment(platform, scratch, target, way)
    name = made["metadata"]["name"]
    history = ScalingHistory(scratch, name)
    if declared := way.declaration(name, {SCALED: name}, "metrics", PATH):
        await scratch.create(declared)
    namespace = await scratch.namespace()
    high_at = held_at = fall_at = end_at = None
    broken = problem = ""
    grown: tuple[Scaled, ...] = ()
    async with background(history.follow_pods(cluster, namespace)):
        first = await first_pod(platform, scratch, history, target, settings.patience)
        await set_metric(platform, first, LOW)
        await scratch.create(autoscaler(name, api.name, metric, options.window_seconds))
        async with background(history.follow_autoscaler(cluster, namespace)):
            scratch.tell(f"the metric is set to {LOW}: waiting until the autoscaler reads it")
            read = await history.until(lambda: history.last and near(history.last.average, LOW), options.scale_seconds)
            if not read:
                broken = await _why_unread(platform, api, history, options, first)
            else:
                scratch.tell(f"the metric is set to {HIGH}: waiting for {REPLICAS} Pods")
                # Before it is set: when it takes effect is not known if the response is late.
                high_at = history.now
                await set_metric(platform, first, HIGH)
                await history.until(lambda: len(history.running()) >= REPLICAS, options.scale_seconds)
                problem = await why_not_running(platform, scratch, history, target)
                grown = await holding(platform, history, target, namespace)
            if len(grown) >= REPLICAS:
                held_at = history.now
                # The value that it last read can still be that of one Pod.
                await history.until(lambda: settled(history.last), options.scale_seconds)
                scratch.tell(f"{len(grown)} Pods run: observing for {options.observe_seconds:.0f} s whether they stay")
                await history.until(lambda: False, options.observe_seconds)
                scratch.tell(f"the metric is set to {LOW}: waiting for one Pod, after {options.window_seconds} s")
                fall_at = history.now
                await set_metric(platform, first, LOW)
                if await history.until(lambda: _one_left(history), options.scale_seconds + options.window_seconds):
                    end_at = history.now
    return Scaling(
        api=api.name,
        by=api.by,
        metric=metric,
        scraped=str(way),
        way=target.way,
        resource=target.name,
        simulated=target.simulated,
        node=target.node,
        window=options.window_seconds,
        round=options.interval_seconds,
        limit=options.scale_seconds,
        hold=options.observe_seconds,
        low=LOW,
        high=HIGH,
        samples=tuple(history.samples),
        broken=broken,
        said=history.said,
        pods=grown,
        problem=problem,
        high_at=high_at,
        held_at=held_at,
        fall_at=fall_at,
        end_at=end_at,
        left=len(history.pods),
    )


def settled(last: Sample | None) -> bool:
    """Whether the metric was read at its target, or the autoscaler already requests too many Pods.

    A status that requests fewer can be one from before these Pods ran.
    """
    return last is not None and (near(last.average, TARGET) or last.desired > REPLICAS)


def _one_left(history: ScalingHistory) -> bool:
    return bool(history.last and history.last.desired == 1 and len(history.pods) == 1)


async def _why_unread(
    platform: Platform, api: MetricsApi, history: ScalingHistory, options: PodAutoscaling, pod: Object
) -> str:
    """What is wrong with the metrics API; empty if the autoscaler read a wrong value.

    Raises TimedOut if nothing was read and nothing shows that the platform is at fault: then the check may have looked
    for the metric in the wrong place.
    """
    now = {entry.name: entry for entry in await metrics_apis(platform.cluster)}.get(api.name)
    if now is None or now.problem:
        return now.problem if now else "it is no longer registered"
    if history.last and history.last.average is not None:
        return ""
    way_out = await denied(platform.cluster, pod, "Ingress") or (
        "set how the Pods are scraped (--set pod_autoscaling.collection=..., .collection_labels=...), the name of the "
        "metric (metric), or the API that has it (api)"
    )
    raise TimedOut(
        f"{api} answers, but returned no {metric_of(api, options)} of the Pods in {options.scale_seconds:.0f} s: "
        f"{history.said or 'the autoscaler reports no reason'}; {way_out}"
    )


@inspection
async def inspect(platform: Platform, settings: Settings) -> Inspection:
    """The metrics APIs, how Pods declare their metrics, where Pods would run, and what is missing."""
    options = settings.of(PodAutoscaling)
    apis = await metrics_apis(platform.cluster)
    found = [str(api) for api in apis]
    problems = tuple(f"{api} does not answer: {api.problem}" for api in apis if api.problem)
    missing: tuple[str, ...] = ()
    try:
        api = choose_api(apis, options.api, options.metric)
        found.append(f"would scale on {metric_of(api, options)} of {api}")
        found.append(f"Pods would declare their metrics by {await _choose_collection(platform, options)}")
        for target in await _targets(platform, settings):
            found.append(f"Pods would run on {target}, {target.free} of {target.total} free")
    except NothingToLookAt as reason:
        missing = (str(reason),)
    return Inspection(tuple(found), missing, problems)
