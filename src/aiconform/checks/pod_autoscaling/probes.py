"""pod_autoscaling: Pods that each hold an accelerator grow and shrink in number with a metric of their own.

One Pod reports a metric whose value is set by its annotation, and a HorizontalPodAutoscaler wants so much of it for
each Pod. Only the first Pod reports more than nothing: three times the target asks for three Pods, and over these the
load then is at the target.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field, ValidationInfo, field_validator

from aiconform.check import (
    Access,
    Finding,
    Inspection,
    NothingToLookAt,
    Observation,
    Options,
    Settings,
    assertion,
    holds,
    inspection,
    probe,
    undecided,
)
from aiconform.check import accelerators as any_accelerators
from aiconform.checks.pod_autoscaling.scaled_pods import Scaled, first_pod, holding, set_metric, what_is_missing
from aiconform.checks.pod_autoscaling.scaled_workload import (
    PATH,
    SCALED,
    SERIES,
    TARGET,
    WANTED,
    autoscaler,
    deployment,
)
from aiconform.checks.pod_autoscaling.scaling_history import Sample, Watch
from aiconform.cluster import NotFound, TimedOut
from aiconform.cluster.scratch import Scratch
from aiconform.kit.devices import CLAIM_ACCESS
from aiconform.kit.following import background
from aiconform.kit.pods import POD_ACCESS
from aiconform.platform import NodeAccelerators, Platform
from aiconform.platform.accelerators.holders import holders
from aiconform.platform.autoscaling.metrics_api import CUSTOM, EXTERNAL, MetricsApi, metrics_apis
from aiconform.platform.monitoring.collection import KINDS, Way, choose

LOW = 7
HIGH = WANTED * TARGET
# Adapters' arithmetic rounds.
NEAR = 0.02


class PodAutoscaling(Options):
    """Which path the metric takes, and how long the platform may take."""

    api: Literal["", "custom", "external"] = Field(
        "", description="The metrics API that the autoscaler reads: custom or external; the first served one if empty."
    )
    scrape: Literal["", "podmonitor", "podmonitoring", "azure-podmonitor", "vmpodscrape", "annotations"] = Field(
        "", description="How the Pods ask to be scraped; found by itself if empty."
    )
    metric: str = Field(
        SERIES,
        pattern=r"^\S+$",
        description=f"What the metrics API calls the series {SERIES} that the Pods report.",
    )
    limit: float = Field(
        240.0,
        gt=0,
        description="Seconds from a change of the metric to the change of the Pods' number. The autoscaler looks every "
        "15 seconds, metrics pipelines add up to a minute, and Pods with devices start slowly.",
    )
    hold: float = Field(
        30.0, gt=0, description="Seconds in which the number of Pods must stay: two rounds of the autoscaler."
    )
    round: float = Field(
        15.0,
        ge=1,
        description="Seconds between two looks of the autoscaler (its flag --horizontal-pod-autoscaler-sync-period).",
    )
    window: int = Field(
        45,
        le=3600,
        description="Seconds that the autoscaler is to wait before it takes Pods away: more than two rounds of it.",
    )

    @field_validator("window")
    @classmethod
    def _longer_than_two_rounds(cls, window: int, info: ValidationInfo) -> int:
        if needed(window, info.data.get("round", 15.0)) <= 0:
            raise ValueError("is to be more than a second longer than two rounds of the autoscaler")
        return window


def needed(window: int, round_: float) -> float:
    """Seconds for which the autoscaler keeps the number after it has read less.

    The last look that wanted more may be one round earlier, and the look that sees the window over one round later than
    the window says; one more second for clocks and rounding.
    """
    return window - 2 * round_ - 1


class Scaling(Observation):
    """The metric that was set, the metric that was read, and the Pods, over time.

    Moments are seconds since the begin; `low_at`: when LOW was set first. `high_at`, `held_at`, `fall_at`, `end_at`:
    when HIGH was set, three Pods ran, LOW was set again, and one Pod was left; None: it did not come to that. `broken`:
    why the metrics API does not answer. `left`: Pods at the end.
    """

    api: str
    by: str
    metric: str
    scraped: str
    way: str
    resource: str
    simulated: bool
    node: str
    window: int
    round: float
    limit: float
    hold: float
    low: int
    high: int
    samples: tuple[Sample, ...]
    broken: str
    said: str
    pods: tuple[Scaled, ...]
    problem: str
    high_at: float | None
    held_at: float | None
    fall_at: float | None
    end_at: float | None
    left: int


# What there is to try


def choose_api(found: Sequence[MetricsApi], wanted: str) -> MetricsApi:
    """The metrics API to use. Raises NothingToLookAt."""
    # An adapter that was taken away leaves its registration behind.
    for entry in sorted(found, key=lambda entry: bool(entry.problem)):
        if wanted in ("", entry.name):
            return entry
    names = f"{CUSTOM} nor {EXTERNAL}" if not wanted else (CUSTOM if wanted == "custom" else EXTERNAL)
    raise NothingToLookAt(
        f"nothing to look at: the platform serves {'neither ' if not wanted else 'no '}{names}, so no autoscaler can "
        "read a workload's own metric. Install an adapter, for example prometheus-adapter"
    )


async def _places(platform: Platform, settings: Settings) -> Sequence[NodeAccelerators]:
    """One place with room for three. Raises NothingToLookAt, naming who is in the way."""
    found = await any_accelerators(platform, settings)
    usable = [entry for entry in found if entry.free >= WANTED]
    if not usable:
        free = ", ".join(f"{entry.node}: {entry.free} of {entry.total} free" for entry in found)
        offered = (await platform.accelerators()).offered
        raise NothingToLookAt(
            f"nothing to look at: three free accelerators of one kind on a node are needed ({free}); held by "
            f"{await holders(platform, offered)}"
        )
    return usable if settings.every_node else usable[:1]


@inspection
async def looked_at(platform: Platform, settings: Settings) -> Inspection:
    """What serves the metrics APIs, how Pods ask to be scraped, and what is missing."""
    options = settings.of(PodAutoscaling)
    apis = await metrics_apis(platform.cluster)
    found = [str(entry) for entry in apis]
    missing = [f"{entry} does not answer: {entry.problem}" for entry in apis if entry.problem]
    try:
        found.append(f"would scale on {options.metric} of {choose_api(apis, options.api)}")
        found.append(f"Pods ask to be scraped by {await _scraping(platform, options)}")
        for target in await _places(platform, settings):
            found.append(f"Pods would run on {target}, {target.free} of {target.total} free")
    except NothingToLookAt as reason:
        missing.append(str(reason))
    return Inspection(tuple(found), tuple(missing))


async def _scraping(platform: Platform, options: PodAutoscaling) -> Way:
    try:
        return await choose(platform.cluster, options.scrape)
    except NotFound as error:
        raise NothingToLookAt(f"nothing to look at: {error}; see --set pod_autoscaling.scrape") from error


# The probe


def _limit(settings: Settings) -> float:
    options = settings.of(PodAutoscaling)
    return 5 * options.limit + options.hold + options.window + settings.patience


@probe(
    limit=_limit,
    targets=_places,
    devices=(WANTED, WANTED + 1),
    access=(
        *POD_ACCESS,
        *CLAIM_ACCESS,
        Access("", "pods", ("patch",)),
        Access("apps", "deployments", ("create", "get", "list", "watch", "delete")),
        Access("autoscaling", "horizontalpodautoscalers", ("create", "get", "list", "watch", "delete")),
        Access("resource.k8s.io", "resourceclaimtemplates", ("create", "get", "list", "watch", "delete")),
        Access("apiregistration.k8s.io", "apiservices", ("list",)),
        Access("monitoring.coreos.com", "prometheuses", ("list",)),
        *(Access(kind.group, kind.plural, ("create", "get", "list", "watch", "delete")) for kind in KINDS),
    ),
)
async def scaling(platform: Platform, scratch: Scratch, settings: Settings, target: NodeAccelerators) -> Scaling:
    options = settings.of(PodAutoscaling)
    cluster = platform.cluster
    api = choose_api(await metrics_apis(cluster), options.api)
    way = await _scraping(platform, options)
    made = await deployment(platform, scratch, target, way)
    name = made["metadata"]["name"]
    watch = Watch(scratch, name)
    if declared := way.declaration(name, {SCALED: name}, "metrics", PATH):
        await scratch.create(declared)
    namespace = await scratch.namespace()
    high_at = held_at = fall_at = end_at = None
    broken = problem = ""
    grown: tuple[Scaled, ...] = ()
    async with background(watch.scaled(cluster, namespace)):
        first = await first_pod(platform, watch, target, settings.patience)
        await set_metric(platform, first, name, LOW)
        await scratch.create(autoscaler(name, api.name, options.metric, options.window))
        async with background(watch.autoscaler(cluster, namespace)):
            scratch.tell(f"the metric is set to {LOW}: waiting until the autoscaler reads it")
            seen = await watch.until(lambda: watch.last and near(watch.last.average, LOW), options.limit)
            if not seen:
                broken = await _why_unread(platform, api, watch, options)
            else:
                scratch.tell(f"the metric is set to {HIGH}: waiting for {WANTED} Pods")
                await set_metric(platform, first, name, HIGH)
                high_at = watch.now
                await watch.until(lambda: len(watch.running()) >= WANTED, options.limit)
                problem = await what_is_missing(platform, watch, target)
                grown = await holding(platform, watch, target, namespace)
            if len(grown) >= WANTED:
                held_at = watch.now
                # What it read may still be of the one Pod that there was.
                await watch.until(lambda: settled(watch.last), options.limit)
                scratch.tell(f"{len(grown)} Pods run: watching for {options.hold:.0f} s whether that stays")
                await watch.until(lambda: False, options.hold)
                scratch.tell(f"the metric is set to {LOW}: waiting for one Pod, after {options.window} s")
                await set_metric(platform, first, name, LOW)
                fall_at = watch.now
                if await watch.until(lambda: _alone(watch), options.limit + options.window):
                    end_at = watch.now
    return Scaling(
        api=api.name,
        by=api.by,
        metric=options.metric,
        scraped=str(way),
        way=target.way,
        resource=target.name,
        simulated=target.simulated,
        node=target.node,
        window=options.window,
        round=options.round,
        limit=options.limit,
        hold=options.hold,
        low=LOW,
        high=HIGH,
        samples=tuple(watch.samples),
        broken=broken,
        said=watch.said,
        pods=grown,
        problem=problem,
        high_at=high_at,
        held_at=held_at,
        fall_at=fall_at,
        end_at=end_at,
        left=len(watch.pods),
    )


def settled(last: Sample | None) -> bool:
    """Whether the metric was read at its target, or the number of Pods has left what it asked for."""
    return last is not None and (near(last.average, TARGET) or last.desired != WANTED)


def near(seen: float | None, wanted: float) -> bool:
    return seen is not None and abs(seen - wanted) <= NEAR * wanted


def _alone(watch: Watch) -> bool:
    return bool(watch.last and watch.last.desired == 1 and len(watch.pods) == 1)


async def _why_unread(platform: Platform, api: MetricsApi, watch: Watch, options: PodAutoscaling) -> str:
    """What is wrong with the metrics API, empty if a wrong value was read.

    Raises TimedOut where nothing was read and nothing shows that the platform is out of order: then the metric may have
    been looked for at the wrong place.
    """
    now = {entry.name: entry for entry in await metrics_apis(platform.cluster)}.get(api.name)
    if now is None or now.problem:
        return now.problem if now else "it is not registered any more"
    if watch.last and watch.last.average is not None:
        return ""
    raise TimedOut(
        f"{api} answers, and gave no {options.metric} of the Pods in {options.limit:.0f} s: "
        f"{watch.said or 'the autoscaler says nothing'}. Say how Pods are scraped (--set pod_autoscaling.scrape=...), "
        "what the metric is called there (metric), or which API has it (api)"
    )


# Assertions


def between(seen: Scaling, begin: float, end: float | None) -> list[Sample]:
    """The states of the autoscaler in a time, that at its begin included."""
    before = [sample for sample in seen.samples if sample.at <= begin]
    return [*before[-1:], *(each for each in seen.samples if begin < each.at and (end is None or each.at < end))]


@assertion("metric_is_read", "The autoscaler reads the value that was set")
def metric_is_read(seen: Scaling) -> Finding:
    where = f"{seen.metric} by the {seen.api} metrics API of {seen.by}"
    if seen.broken:
        return holds(False, f"{where}: the API does not answer: {seen.broken}", subjects=1)
    read = [sample.average for sample in seen.samples if sample.average is not None]
    if not read:
        return undecided(f"{where}: nothing was read")
    if seen.high_at is None:
        shown = ", ".join(f"{value:g}" for value in dict.fromkeys(read[-5:]))
        return holds(False, f"{where}: set {seen.low}, read {shown} in {seen.limit:.0f} s", subjects=1)
    there = between(seen, seen.high_at, seen.fall_at)
    raised = [(each.average, each.average * each.current) for each in there if each.average is not None]
    # For each Pod, or, where a slow pipeline let some come before it showed all of it, for all of them.
    if any(near(value, seen.high) for values in raised for value in values):
        return holds(True, f"{where}: set {seen.low} and {seen.high}, read the same", subjects=2)
    shown = ", ".join(f"{value:g}" for value in dict.fromkeys(average for average, _ in raised[-5:])) or "nothing"
    return holds(False, f"{where}: set {seen.high}, read {shown}", subjects=2)


@assertion("scales_up", "The number of Pods grows as the metric asks")
def scales_up(seen: Scaling) -> Finding:
    if seen.high_at is None:
        return undecided("the metric was not read")
    wanted = [sample.desired for sample in between(seen, seen.high_at, seen.held_at)]
    told = f"for {seen.high} at a target of {TARGET} the autoscaler wanted {_path(wanted)}"
    if WANTED in wanted:
        return holds(True, told, subjects=1)
    return holds(False, f"{told}, and not {WANTED}, in {seen.limit:.0f} s; {seen.said}".rstrip("; "), subjects=1)


def _path(numbers: Sequence[int]) -> str:
    return ", then ".join(str(number) for number in dict.fromkeys(numbers)) or "nothing"


@assertion("each_pod_has_accelerator", "Every Pod runs with an accelerator of its own")
def each_pod_has_accelerator(seen: Scaling) -> Finding:
    if not seen.pods:
        return undecided("the number of Pods did not grow")
    if seen.problem:
        return holds(False, f"{len(seen.pods)} Pods run; {seen.problem}", subjects=len(seen.pods))
    if len(seen.pods) < WANTED:
        return undecided("the number of Pods did not grow")
    without = [pod.name for pod in seen.pods if not pod.devices]
    if without:
        return holds(False, f"Pods without an accelerator: {', '.join(without)}", subjects=len(seen.pods))
    devices = [device for pod in seen.pods for device in pod.devices]
    shared = sorted({device for device in devices if devices.count(device) > 1})
    if shared:
        return holds(False, f"held by more than one Pod: {', '.join(shared)}", subjects=len(seen.pods))
    return holds(
        True, f"{len(seen.pods)} Pods hold {len(devices)} accelerators ({seen.resource})", subjects=len(devices)
    )


@assertion("holds_at_target", "The number of Pods stays while the metric is at its target")
def holds_at_target(seen: Scaling) -> Finding:
    if seen.held_at is None:
        return undecided(f"there never were {WANTED} Pods")
    there = between(seen, seen.held_at, seen.fall_at)
    wanted = [sample.desired for sample in there]
    told = f"the autoscaler wanted {_path(wanted)} in {seen.hold:.0f} s"
    if set(wanted) == {WANTED} and not any(near(sample.average, TARGET) for sample in there):
        return undecided(f"{told}, and never read the metric at its target of {TARGET}")
    return holds(set(wanted) == {WANTED}, told, subjects=len(wanted))


@assertion("scales_down", "The number of Pods goes back when the metric falls")
def scales_down(seen: Scaling) -> Finding:
    if seen.fall_at is None:
        return undecided(f"there never were {WANTED} Pods")
    if seen.end_at is not None:
        return holds(True, f"one Pod was left {seen.end_at - seen.fall_at:.0f} s after the metric fell", subjects=1)
    within = seen.limit + seen.window
    return holds(False, f"{seen.left} Pods {within:.0f} s after the metric fell; {seen.said}".rstrip("; "), subjects=1)


@assertion("respects_stabilization_window", "It does not go back before its window is over")
def respects_stabilization_window(seen: Scaling) -> Finding:
    if seen.fall_at is None:
        return undecided(f"there never were {WANTED} Pods")
    after = between(seen, seen.fall_at, None)
    most = max((sample.desired for sample in after[:1]), default=0)
    fewer = next((sample for sample in after if sample.desired < most), None)
    if fewer is None:
        return undecided("the number of Pods did not go back")
    # It began to want fewer when it first read less than before.
    least = TARGET * (1 - 2 * NEAR)
    read = next((each for each in after if each.average is not None and each.average < least), fewer)
    waited = fewer.at - min(read.at, fewer.at)
    told = f"it wanted fewer {waited:.0f} s after it had read less; its window is {seen.window} s"
    return holds(waited >= needed(seen.window, seen.round), told, subjects=1)
