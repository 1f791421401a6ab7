"""The probe of ai_service_metrics, and what `aiconform inspect` says of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence

from aiconform.check import Access, Inspection, NothingToLookAt, Settings, inspection, probe
from aiconform.checks.ai_service_metrics import counting_workload
from aiconform.checks.ai_service_metrics.counting_workload import METRIC, PATH, PORT_NAME
from aiconform.checks.ai_service_metrics.observations import Collected, CounterReading
from aiconform.checks.ai_service_metrics.options import AiServiceMetricsOptions
from aiconform.cluster import Cluster, ClusterError
from aiconform.cluster.scratch import Scratch
from aiconform.kit.network import NETWORK_ACCESS, allow, denied
from aiconform.kit.pods import POD_ACCESS
from aiconform.platform import Platform
from aiconform.platform.monitoring import collection, prometheus
from aiconform.platform.monitoring.collection import KINDS, CollectionMethod
from aiconform.platform.monitoring.metrics import MetricSample
from aiconform.platform.monitoring.prometheus import NoQueryApi, QueryApi
from aiconform.platform.monitoring.remote import RemoteQueryApi

Api = QueryApi | RemoteQueryApi
FIRST, MORE = 7, 5
_POLL_SECONDS = 2.0
_MOST_POLL_SECONDS = 5.0


async def _apis(platform: Platform, options: AiServiceMetricsOptions) -> tuple[list[Api], set[str]]:
    """(query APIs that may have the series, Namespaces of others that do not answer). Raises NothingToLookAt."""
    if options.query:
        return [options.api()], set()
    answering, refused = await prometheus.find(platform.cluster)
    if not answering:
        why = "; ".join(map(str, refused.values())) or "no Service has a known name"
        raise NothingToLookAt(
            f"nothing to look at: no query API of a monitoring system answers ({why}); "
            "name its Service or URL: --set ai_service_metrics.query=NAMESPACE/SERVICE:PORT"
        )
    return list(answering), {api.namespace for api, why in refused.items() if not isinstance(why, NoQueryApi)}


def _named(apis: Sequence[Api]) -> str:
    return ", ".join(map(str, apis))


def _insist_on_certainty(
    options: AiServiceMetricsOptions, method: CollectionMethod, apis: Sequence[Api], silent: Collection[str] = ()
) -> None:
    """Raises ClusterError if the series may be missing because the check declared or queried in the wrong place.

    silent: Namespaces with query APIs that do not answer.
    """
    declared = bool(options.collection or method.namespace)
    asked = bool(options.query) or (
        method.namespace not in silent and any(api.namespace == method.namespace for api in apis)
    )
    if not (declared and asked):
        raise ClusterError(
            f"no series of a workload declared by {method} ({method.why}) in {_named(apis)} after "
            f"{options.discovery_seconds:.0f} s; the two may not belong together. Set both: "
            "--set ai_service_metrics.collection=... (and .collection_labels where it selects objects by labels), "
            "--set ai_service_metrics.query=NAMESPACE/SERVICE:PORT"
        )


def _limit(settings: Settings) -> float:
    options = settings.of(AiServiceMetricsOptions)
    return options.discovery_seconds + 2 * options.counter_seconds + 60


@probe(
    limit=_limit,
    access=(
        *POD_ACCESS,
        *NETWORK_ACCESS,
        Access("", "pods/proxy", ("get",), everywhere=True),
        Access("", "services/proxy", ("get",), everywhere=True),
        Access("", "services", ("list",), everywhere=True),
        Access("monitoring.coreos.com", "prometheuses", ("list",), everywhere=True),
        *(Access(kind.group, kind.plural, ("create", "list", "watch", "delete")) for kind in KINDS),
    ),
)
async def collected(platform: Platform, scratch: Scratch, settings: Settings, target: None) -> Collected:
    cluster, options = platform.cluster, settings.of(AiServiceMetricsOptions)
    apis, silent = await _apis(platform, options)
    chosen = await collection.choose(cluster, options.collection, await scratch.namespace())
    method = chosen.labelled(options.labels)
    workload = scratch.cluster_name("workload")
    await allow(scratch, "scrapes", "Ingress")
    pod = await counting_workload.start(platform, scratch, method, workload, settings.patience)
    # Before it is declared, so that this is the first value that can be collected.
    await counting_workload.send(cluster, pod, FIRST)
    declared = method.declaration(scratch.name("workload"), counting_workload.selector(workload), PORT_NAME, PATH)
    if declared:
        await scratch.create(declared)
    scratch.tell(f"declared by {method}; waiting until {_named(apis)} has its counter")

    async def reading(
        sent: int, seconds: float, enough: Callable[[MetricSample], bool]
    ) -> tuple[CounterReading, MetricSample | None]:
        nonlocal apis
        answering, sample, took = await _until(apis, cluster, workload, enough, seconds)
        # Once an API has the series, only that one is queried.
        apis = [answering] if answering else apis
        own = await counting_workload.counter(cluster, pod)
        if own != sent:
            raise ClusterError(
                f"the check's workload counted {own} requests instead of {sent}: something else calls it"
            )
        value = sample.value if sample else None
        return CounterReading(sent=sent, own=own, collected=value, seconds=round(took, 1)), sample

    first, sample = await reading(FIRST, options.discovery_seconds, lambda _: True)
    rounds = [first]
    if sample is None:
        if why := await denied(cluster, pod, "Ingress"):
            raise ClusterError(f"no series of the workload in {_named(apis)}, and {why}")
        _insist_on_certainty(options, method, apis, silent)
    if sample and sample.value != FIRST:
        rounds[0], _ = await reading(FIRST, options.counter_seconds, lambda now: now.value == FIRST)
    if sample:
        await counting_workload.send(cluster, pod, MORE)
        scratch.tell("the counter is collected; waiting until it follows more requests")
        sent = FIRST + MORE
        rounds.append((await reading(sent, options.counter_seconds, lambda now: now.value == sent))[0])
    return Collected(
        way=str(method),
        why=method.why,
        query=_named(apis),
        namespace=pod["metadata"]["namespace"],
        pod=pod["metadata"]["name"],
        labels=sample.labels if sample else {},
        rounds=rounds,
    )


async def _until(
    apis: Sequence[Api], cluster: Cluster, workload: str, enough: Callable[[MetricSample], bool], seconds: float
) -> tuple[Api | None, MetricSample | None, float]:
    """(the API with the workload's series, its first sample that is `enough` or else the last one, seconds waited).

    Failed queries are repeated. Raises ClusterError if the last one failed, too.
    """
    loop = asyncio.get_running_loop()
    begun, pause = loop.time(), _POLL_SECONDS
    last: tuple[Api, MetricSample] | None = None
    while True:
        refused: ClusterError | None = None
        now: tuple[Api, MetricSample] | None = None
        for api in apis:
            try:
                samples = await api.query(cluster, f'{METRIC}{{workload="{workload}"}}')
            except ClusterError as error:
                refused = error
                continue
            if samples:
                last = now = api, samples[0]
                break
        waited = loop.time() - begun
        if (last and enough(last[1])) or waited + pause > seconds:
            if refused and not now:
                raise refused
            return (*last, waited) if last else (None, None, waited)
        await asyncio.sleep(pause)
        pause = min(_MOST_POLL_SECONDS, pause * 1.2)


@inspection
async def monitoring(platform: Platform, settings: Settings) -> Inspection:
    options = settings.of(AiServiceMetricsOptions)
    method = await collection.choose(platform.cluster, options.collection)
    told = f"workloads are declared by {method} ({method.why})"
    try:
        apis, _ = await _apis(platform, options)
    except NothingToLookAt as reason:
        return Inspection((told,), (str(reason),))
    read = "; ".join(f"{api} ({api.why})" for api in apis)
    return Inspection((told, f"collected metrics are read from {read}"))
