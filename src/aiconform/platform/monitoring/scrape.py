"""Discovers a platform's metrics endpoints and scrapes them through the API server, with limits on time and size.

An endpoint is a port of a Pod. It is discovered as monitoring systems do (PodMonitor, ServiceMonitor, annotations), by
the names of known exporters, and by the names of ports.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from aiconform.cluster import Cluster, ClusterError, Forbidden, Object, TimedOut, wait
from aiconform.platform.monitoring import closed
from aiconform.platform.monitoring.conventions import Convention
from aiconform.platform.monitoring.metrics import BadFormat, MetricSample, parse
from aiconform.platform.monitoring.monitors import Monitors
from aiconform.platform.selectors import selects

# The default timeout of Prometheus, and more than any exporter sends.
SCRAPE_SECONDS = 10.0
SCRAPE_BYTES = 16 << 20
_WANTS_TLS = "HTTP request to an HTTPS server"
"""What Go's servers answer to a request without TLS, with the status 400."""
UNREACHED_SECONDS = 35.0
"""API servers say after 30 s that a connection cannot be made (the timeout of Go's default transport)."""
ACCEPT = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4"
BY_PORT = "its declared port"
"""Why a port is tried of which nothing says that it serves metrics."""
Problem = Literal["", "authentication", "slow", "format", "unreachable"]


@dataclass(frozen=True)
class Endpoint:
    """A place to scrape. `why` says how it was discovered; `exporter` is the known convention that it follows."""

    namespace: str
    pod: str
    node: str
    port: str
    path: str
    scheme: str
    why: str
    exporter: str = ""

    def __str__(self) -> str:
        return f"{self.namespace}/{self.pod}:{self.port}{self.path}"


@dataclass(frozen=True)
class Scrape:
    """The outcome of scraping an endpoint: its samples, or a problem. way_out: what helps, besides the message."""

    endpoint: Endpoint
    samples: tuple[MetricSample, ...] = ()
    problem: Problem = ""
    message: str = ""
    way_out: str = ""


async def read(cluster: Cluster, endpoint: Endpoint, *, seconds: float = SCRAPE_SECONDS) -> Scrape:
    """Scrape once. Raises Forbidden if the credentials do not allow it; other problems are in the Scrape."""
    scheme = f"{endpoint.scheme}:" if endpoint.scheme == "https" else ""
    try:
        answer = await cluster.proxied(
            "pods",
            endpoint.namespace,
            f"{scheme}{endpoint.pod}:{endpoint.port}",
            endpoint.path,
            accept=ACCEPT,
            seconds=seconds,
            limit_bytes=SCRAPE_BYTES,
        )
    except Forbidden:
        raise
    except TimedOut as error:
        return Scrape(endpoint, problem="slow", message=f"{endpoint}: {error}")
    except ClusterError as error:
        told = closed.by_tls(str(error))
        return _closed(endpoint, *told) if told[0] else _unreached(endpoint, f": {error}")
    told = closed.over_tls(answer.status, answer.location, endpoint.path)
    if told[0] and not scheme:
        return replace(_unreached(endpoint, told[0]), way_out=told[1])
    told = closed.by_status(answer.status, answer.text)
    if told[0]:
        return _closed(endpoint, *told)
    if answer.status == 400 and not scheme and _WANTS_TLS in answer.text:
        found = await read(cluster, replace(endpoint, scheme="https"), seconds=seconds)
        return replace(found, endpoint=endpoint)
    if answer.status != 200:
        return _unreached(endpoint, f" answers HTTP {answer.status}")
    if not answer.whole:
        # Monitoring systems have no such limit.
        return _unreached(endpoint, f" sends more than {SCRAPE_BYTES >> 20} MiB")
    try:
        return Scrape(endpoint, tuple(parse(answer.text, answer.content_type)))
    except BadFormat as error:
        return Scrape(endpoint, problem="format", message=f"{endpoint}: {error}")


def _closed(endpoint: Endpoint, why: str, way_out: str) -> Scrape:
    return Scrape(endpoint, problem="authentication", message=f"{endpoint} {why}", way_out=way_out)


def _unreached(endpoint: Endpoint, why: str) -> Scrape:
    return Scrape(endpoint, problem="unreachable", message=f"{endpoint}{why}")


async def read_first(cluster: Cluster, endpoint: Endpoint) -> Scrape:
    """As `read`; an endpoint that does not answer in time is asked once more, to see whether it can be reached at all.

    A network policy that drops packets looks like a slow exporter until the API server gives up.
    """
    found = await read(cluster, endpoint)
    if found.problem != "slow":
        return found
    loop = asyncio.get_running_loop()
    begun = loop.time()
    again = await read(cluster, endpoint, seconds=UNREACHED_SECONDS)
    in_time = not again.problem and loop.time() - begun < SCRAPE_SECONDS
    return again if in_time or again.problem == "unreachable" else found


def endpoints(
    pods: Iterable[Object], found: Monitors, conventions: Sequence[Convention], *, every_port: bool = False
) -> list[Endpoint]:
    """The ports of these Pods that may serve metrics, known exporters first, without duplicates.

    every_port: also TCP ports of which nothing says that they serve metrics.
    """
    ways: list[list[Endpoint]] = [[], [], [], [], []]
    for pod in pods:
        if (pod.get("status") or {}).get("phase") not in (None, "Running"):
            continue
        ways[0] += _known(pod, conventions)
        ways[1] += _annotated(pod)
        ways[2] += _monitored(pod, found)
        ways[3] += _named(pod)
        if every_port:
            ways[4] += [_at(pod, number, BY_PORT) for number, _ in _ports(pod)]
    unique: dict[tuple[str, str, str, str], Endpoint] = {}
    for endpoint in (each for way in ways for each in way):
        place = (endpoint.namespace, endpoint.pod, endpoint.port, endpoint.path)
        first = unique.setdefault(place, endpoint)
        # Who is known by name may serve TLS, as the platform's monitoring knows.
        if endpoint.scheme and not first.scheme:
            unique[place] = replace(first, scheme=endpoint.scheme)
    return list(unique.values())


def _at(pod: Object, port: str, why: str, path: str = "", scheme: str = "", exporter: str = "") -> Endpoint:
    metadata = pod["metadata"]
    node = pod["spec"].get("nodeName", "")
    return Endpoint(
        metadata["namespace"], metadata["name"], node, port, path or "/metrics", scheme.lower(), why, exporter
    )


def _ports(pod: Object) -> list[tuple[str, str]]:
    """(number, name) of each TCP port that the Pod declares."""
    return [
        (str(port["containerPort"]), port.get("name", ""))
        for container in pod["spec"]["containers"]
        for port in container.get("ports") or []
        if port.get("protocol", "TCP") == "TCP"
    ]


def not_running(pods: Iterable[Object], conventions: Sequence[Convention]) -> list[Scrape]:
    """The Pods of known exporters that do not run yet, as endpoints that cannot be reached."""
    found = []
    for pod in pods:
        phase = (pod.get("status") or {}).get("phase")
        if phase == "Pending" and (convention := _convention_of(pod, conventions)):
            endpoint = _at(pod, str(convention.port), "", convention.path, exporter=convention.name)
            told = (
                f"{endpoint.namespace}/{endpoint.pod}, known as {convention.name}, does not run: {wait.describe(pod)}"
            )
            found.append(Scrape(endpoint, problem="unreachable", message=told))
    return found


def outside_pods(node: Object, conventions: Sequence[Convention]) -> list[Scrape]:
    """The exporters that run on a node but in no Pod, by its labels, as endpoints that cannot be reached."""
    name, labels = node["metadata"]["name"], node["metadata"].get("labels") or {}
    found = []
    for convention in conventions:
        for label, value in convention.host_labels:
            if labels.get(label) == value:
                place = Endpoint("", "", name, str(convention.port), convention.path, "", "", convention.name)
                told = f"{convention.name} runs on {name} outside of Pods (its label {label} is {value})"
                found.append(Scrape(place, problem="unreachable", message=told, way_out=closed.OUTSIDE_PODS))
    return found


def _convention_of(pod: Object, conventions: Sequence[Convention]) -> Convention | None:
    names = [pod["metadata"]["name"], *(container.get("image", "") for container in pod["spec"]["containers"])]
    return next((convention for convention in conventions if convention.serves(names)), None)


def _known(pod: Object, conventions: Sequence[Convention]) -> list[Endpoint]:
    convention = _convention_of(pod, conventions)
    if convention is None:
        return []
    declared = _ports(pod)
    named = [number for number, name in declared if "metric" in name or number == str(convention.port)]
    numbers = named or [number for number, _ in declared] or ([str(convention.port)] if convention.port else [])
    return [
        _at(pod, number, f"known as {convention.name}", convention.path, exporter=convention.name) for number in numbers
    ]


def _annotated(pod: Object) -> list[Endpoint]:
    annotations = pod["metadata"].get("annotations") or {}
    if annotations.get("prometheus.io/scrape") != "true":
        return []
    given = annotations.get("prometheus.io/port")
    path, scheme = annotations.get("prometheus.io/path", ""), annotations.get("prometheus.io/scheme", "")
    numbers = [given] if given else [number for number, _ in _ports(pod)]
    return [_at(pod, number, "annotated for scraping", path, scheme) for number in numbers]


def _named(pod: Object) -> list[Endpoint]:
    return [_at(pod, number, f"its port {name}") for number, name in _ports(pod) if "metric" in name]


def _monitored(pod: Object, found: Monitors) -> list[Endpoint]:
    metadata = pod["metadata"]
    labels, namespace = metadata.get("labels") or {}, metadata["namespace"]
    places = []
    for monitor in found.pods:
        spec = monitor["spec"]
        if _in_namespace(monitor, namespace) and selects(spec.get("selector") or {}, labels):
            why = _named_monitor(monitor, "PodMonitor")
            for entry in spec.get("podMetricsEndpoints") or []:
                port = entry.get("portNumber") or entry.get("port") or entry.get("targetPort")
                places += _place(pod, port, entry, why)
    for monitor in found.services:
        spec = monitor["spec"]
        why = _named_monitor(monitor, "ServiceMonitor")
        for service in found.targets:
            about, chosen = service["metadata"], service["spec"].get("selector") or {}
            if (
                about["namespace"] != namespace
                or not chosen
                or not chosen.items() <= labels.items()
                or not _in_namespace(monitor, namespace)
                or not selects(spec.get("selector") or {}, about.get("labels") or {})
            ):
                continue
            # A headless Service may have no port.
            ports = service["spec"].get("ports") or []
            target_of = {port.get("name"): port.get("targetPort", port["port"]) for port in ports}
            for entry in spec.get("endpoints") or []:
                places += _place(pod, entry.get("targetPort") or target_of.get(entry.get("port")), entry, why)
    return places


def _named_monitor(monitor: Object, usual: str) -> str:
    place = "/".join(filter(None, (monitor["metadata"]["namespace"], monitor["metadata"]["name"])))
    return f"{monitor.get('kind', usual)} {place}"


def _place(pod: Object, port: str | int | None, entry: Object, why: str) -> list[Endpoint]:
    """The endpoint at a port given by name or number; none if the Pod has no port of that name."""
    number = next((number for number, name in _ports(pod) if str(port) in (number, name)), None)
    if number is None and str(port).isdigit():
        number = str(port)
    return [_at(pod, number, why, entry.get("path", ""), entry.get("scheme", ""))] if number else []


def _in_namespace(monitor: Object, namespace: str) -> bool:
    chosen = monitor["spec"].get("namespaceSelector") or {}
    names = chosen.get("matchNames") or [monitor["metadata"]["namespace"]]
    return bool(chosen.get("any")) or namespace in names
