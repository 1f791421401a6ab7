"""ai_service_metrics: the platform's monitoring finds a workload that speaks Prometheus' format, and collects it.

A small web server counts the requests that are really sent to it. It is declared as the platform has it (an object such
as PodMonitor, or annotations), and what the monitoring then answers has to be its counter, now and after more requests.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

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
from aiconform.cluster import Cluster, ClusterError, Object, conditions, wait
from aiconform.cluster.scratch import RESTRICTED, Scratch
from aiconform.kit.pods import POD_ACCESS
from aiconform.platform import Platform
from aiconform.platform.monitoring import collection, prometheus
from aiconform.platform.monitoring.collection import KINDS, Way
from aiconform.platform.monitoring.metrics import MetricSample
from aiconform.platform.monitoring.prometheus import QueryApi

METRIC = "aiconform_requests_total"
PORT, PORT_NAME, PATH = 8080, "http", "/cgi-bin/metrics"
FIRST, MORE = 7, 5
_POLL_SECONDS = 2.0
_MOST_POLL_SECONDS = 5.0
# Counts each request in a file by a byte that is appended: no request is lost, however many come at once.
_SERVE = f"""
mkdir -p /tmp/www/cgi-bin && : > /tmp/count
cat > /tmp/www/cgi-bin/work <<'END'
#!/bin/sh
printf x >> /tmp/count
printf 'Content-Type: text/plain\\r\\n\\r\\ndone\\n'
END
cat > /tmp/www{PATH} <<'END'
#!/bin/sh
printf 'Content-Type: text/plain; version=0.0.4\\r\\n\\r\\n'
echo '# HELP {METRIC} Requests that were answered.'
echo '# TYPE {METRIC} counter'
echo "{METRIC}{{workload=\\"$WORKLOAD\\"}} $(wc -c < /tmp/count)"
END
chmod +x /tmp/www/cgi-bin/*
exec httpd -f -p {PORT} -h /tmp/www
"""


def _query(text: str) -> str:
    if text:
        prometheus.given(text)
    return text


class AiServiceMetrics(Options):
    way: Literal[("", *collection.NAMES)] = Field(  # type: ignore[valid-type]
        "", description=f"How the workload is declared: {', '.join(collection.NAMES)}; else by what is served."
    )
    query: Annotated[str, AfterValidator(_query)] = Field(
        "", description="NAMESPACE/SERVICE:PORT[/PREFIX] of the query API (Prometheus' own); else it is found."
    )
    discovery_seconds: float = Field(
        180.0, ge=1, description="How long until a new workload is collected: discovery and the first scrape."
    )
    seconds: float = Field(120.0, ge=1, description="How long until a counter is up to date: two scrapes.")


class Round(Observation):
    """One reading: requests sent so far, the workload's own counter, and the collected one (None: no series)."""

    sent: int
    own: int
    collected: float | None
    seconds: float


class Collected(Observation):
    """A workload that was declared for collection, and what the monitoring had of it.

    `labels` are those of its series; without a series `rounds` has one reading of nothing.
    """

    way: str
    why: str
    query: str
    namespace: str
    pod: str
    labels: dict[str, str]
    rounds: list[Round]


async def _apis(platform: Platform, options: AiServiceMetrics) -> list[QueryApi]:
    """Where the series may be. Raises NothingToLookAt."""
    if options.query:
        return [prometheus.given(options.query)]
    answering, tried = await prometheus.find(platform.cluster)
    if not answering:
        why = "; ".join(tried) or "no Service is named as one"
        raise NothingToLookAt(
            f"nothing to look at: no query API of a monitoring system answers ({why}); "
            "name its Service: --set ai_service_metrics.query=NAMESPACE/SERVICE:PORT"
        )
    return answering


def _named(apis: Sequence[QueryApi]) -> str:
    return ", ".join(map(str, apis))


def _insist_on_certainty(options: AiServiceMetrics, way: Way, apis: Sequence[QueryApi]) -> None:
    """Raises ClusterError where series may be missing only since we declared or asked at the wrong place."""
    declared = bool(options.way or way.namespace)
    asked = bool(options.query) or any(api.namespace == way.namespace for api in apis)
    if not (declared and asked):
        raise ClusterError(
            f"no series of a workload declared by {way} ({way.why}) in {_named(apis)} after "
            f"{options.discovery_seconds:.0f} s; nothing says that these belong together. Name them: "
            "--set ai_service_metrics.way=..., --set ai_service_metrics.query=NAMESPACE/SERVICE:PORT"
        )


def _limit(settings: Settings) -> float:
    options = settings.of(AiServiceMetrics)
    return options.discovery_seconds + 2 * options.seconds + 60


@probe(
    limit=_limit,
    access=(
        *POD_ACCESS,
        Access("", "pods/proxy", ("get",)),
        Access("", "services/proxy", ("get",)),
        Access("", "services", ("list",)),
        Access("monitoring.coreos.com", "prometheuses", ("list",)),
        *(Access(kind.group, kind.plural, ("create", "list", "watch", "delete")) for kind in KINDS),
    ),
)
async def collected(platform: Platform, scratch: Scratch, settings: Settings, target: None) -> Collected:
    cluster, options = platform.cluster, settings.of(AiServiceMetrics)
    way, apis = await asyncio.gather(collection.choose(cluster, options.way), _apis(platform, options))
    workload = scratch.cluster_name("workload")
    pod = await _workload(platform, scratch, way, workload, settings.patience)
    # Before anybody knows of it: the first value that is collected is this one.
    await _send(cluster, pod, FIRST)
    declared = way.declaration(scratch.name("workload"), {"aiconform.dev/workload": workload}, PORT_NAME, PATH)
    if declared:
        await scratch.create(declared)
    scratch.tell(f"declared by {way}; waiting until {_named(apis)} has its counter")

    async def reading(
        sent: int, seconds: float, enough: Callable[[MetricSample], bool]
    ) -> tuple[Round, MetricSample | None]:
        nonlocal apis
        answering, sample, took = await _until(apis, cluster, workload, enough, seconds)
        # From the first series on there is one that is asked.
        apis = [answering] if answering else apis
        own = await _own(cluster, pod)
        if own != sent:
            raise ClusterError(f"our own workload counted {own} requests of {sent}: something else calls it")
        value = sample.value if sample else None
        return Round(sent=sent, own=own, collected=value, seconds=round(took, 1)), sample

    first, sample = await reading(FIRST, options.discovery_seconds, lambda _: True)
    rounds = [first]
    if sample is None:
        _insist_on_certainty(options, way, apis)
    if sample and sample.value != FIRST:
        rounds[0], _ = await reading(FIRST, options.seconds, lambda now: now.value == FIRST)
    if sample:
        await _send(cluster, pod, MORE)
        scratch.tell("its counter is there; waiting until it follows")
        sent = FIRST + MORE
        rounds.append((await reading(sent, options.seconds, lambda now: now.value == sent))[0])
    return Collected(
        way=str(way),
        why=way.why,
        query=_named(apis),
        namespace=pod["metadata"]["namespace"],
        pod=pod["metadata"]["name"],
        labels=sample.labels if sample else {},
        rounds=rounds,
    )


async def _workload(platform: Platform, scratch: Scratch, way: Way, workload: str, patience: float) -> Object:
    """The running Pod. Raises ClusterError: that it starts is no matter of the monitoring."""
    container = {
        "name": "workload",
        "image": platform.images["shell"],
        "command": ["sh", "-c", _SERVE],
        "env": [{"name": "WORKLOAD", "value": workload}],
        "ports": [{"name": PORT_NAME, "containerPort": PORT}],
        "readinessProbe": {"tcpSocket": {"port": PORT_NAME}, "periodSeconds": 1},
        "securityContext": RESTRICTED,
    }
    made = await scratch.create(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": scratch.name("workload"),
                "labels": {"aiconform.dev/workload": workload},
                "annotations": way.annotations(PORT, PATH),
            },
            "spec": {
                "restartPolicy": "Never",
                "terminationGracePeriodSeconds": 1,
                "automountServiceAccountToken": False,
                "enableServiceLinks": False,
                "containers": [container],
            },
        }
    )
    return await wait.until(platform.cluster, made, _ready, seconds=patience, what="the workload's Pod to be ready")


def _ready(seen: Object) -> Object | None:
    wait.refuse_unrecoverable(seen)
    return seen if conditions.is_true(seen, "Ready") else None


async def _get(cluster: Cluster, pod: Object, path: str) -> str:
    about = pod["metadata"]
    answer = await cluster.proxied("pods", about["namespace"], f"{about['name']}:{PORT}", path)
    if answer.status != 200:
        raise ClusterError(f"our own workload answered HTTP {answer.status} to {path}: {answer.text[:80]!r}")
    return answer.text


async def _send(cluster: Cluster, pod: Object, count: int) -> None:
    """So many requests, each answered. Raises ClusterError."""
    for _ in range(count):
        await _get(cluster, pod, "/cgi-bin/work")


async def _own(cluster: Cluster, pod: Object) -> int:
    page = await _get(cluster, pod, PATH)
    return int(float(page.split()[-1]))


async def _until(
    apis: Sequence[QueryApi], cluster: Cluster, workload: str, enough: Callable[[MetricSample], bool], seconds: float
) -> tuple[QueryApi | None, MetricSample | None, float]:
    """(the API that has the workload's series, its first sample that is enough or the last one seen, seconds waited).

    An API that does not answer now and then is asked again. Raises ClusterError if its last word is none.
    """
    loop = asyncio.get_running_loop()
    begun, pause = loop.time(), _POLL_SECONDS
    last: tuple[QueryApi, MetricSample] | None = None
    while True:
        refused: ClusterError | None = None
        now: tuple[QueryApi, MetricSample] | None = None
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


def _none(seen: Collected) -> str:
    return f"{seen.query} has no series of {seen.pod}, declared by {seen.way} ({seen.why})"


@assertion(
    "workload_is_collected",
    "The platform's monitoring finds a declared workload, and its series name Namespace and Pod",
)
def workload_is_collected(seen: Collected) -> Finding:
    first = seen.rounds[0]
    if first.collected is None:
        return holds(False, f"{_none(seen)} after {first.seconds:.0f} s", subjects=1)
    missing = [word for word in (seen.namespace, seen.pod) if word not in seen.labels.values()]
    if missing:
        return holds(False, f"its series' labels do not say {', '.join(missing)}: {seen.labels}", subjects=1)
    return holds(True, f"by {seen.way} ({seen.why}), read from {seen.query}", subjects=1)


@assertion("counter_equals_requests", "The collected counter equals the number of requests that were sent")
def counter_equals_requests(seen: Collected) -> Finding:
    first = seen.rounds[0]
    if first.collected is None:
        return undecided(_none(seen))
    return holds(
        first.collected == first.sent, f"{first.sent} sent, {first.collected:g} collected", subjects=first.sent
    )


@assertion("counter_follows", "The collected counter follows when more requests are sent")
def counter_follows(seen: Collected) -> Finding:
    if len(seen.rounds) < 2:
        return undecided(_none(seen))
    first, second = seen.rounds
    if first.collected is None:
        return undecided(_none(seen))
    now = "nothing" if second.collected is None else f"{second.collected:g}"
    told = f"{first.collected:g} after {first.sent} requests, {now} {second.seconds:.0f} s after {second.sent}"
    return holds(second.collected == second.sent, told, subjects=second.sent - first.sent)


@inspection
async def monitoring(platform: Platform, settings: Settings) -> Inspection:
    options = settings.of(AiServiceMetrics)
    way = await collection.choose(platform.cluster, options.way)
    told = f"workloads are declared by {way} ({way.why})"
    try:
        apis = await _apis(platform, options)
    except NothingToLookAt as reason:
        return Inspection((told,), (str(reason),))
    read = "; ".join(f"{api} ({api.why})" for api in apis)
    return Inspection((told, f"collected metrics are read from {read}"))
