"""Discovers which endpoint reports a node's accelerators."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from aiconform.cluster import Object
from aiconform.platform.accelerators.offered import NodeAccelerators
from aiconform.platform.inventory import Platform
from aiconform.platform.monitoring.conventions import Convention, conventions_of, load_conventions
from aiconform.platform.monitoring.metrics import MetricSample
from aiconform.platform.monitoring.readings import Readings, by_device, each_once
from aiconform.platform.monitoring.scrape import (
    BY_PORT,
    Endpoint,
    Scrape,
    endpoints,
    monitors,
    not_running,
    read,
    read_first,
)

# Concurrent scrapes, and how many endpoints of a node are tried if no exporter is known.
_AT_ONCE = 16
_TRIED = 12
# Labels in which exporters and collectors name the node of a device; some give the name of the exporter's Pod.
_NODE_LABELS = (
    *("Hostname", "hostname", "host", "host_name", "node", "node_name", "nodename", "kubernetes_node"),
    *("k8s_node_name", "instance", "exported_instance"),
)


@dataclass(frozen=True)
class Source:
    """An endpoint that reports a node's accelerators of one convention. `read` scrapes it again."""

    place: str
    found_by: str
    convention: Convention
    first: Scrape
    read: Callable[[], Awaitable[Scrape]]

    def readings(self, scrape: Scrape) -> list[Readings]:
        """All readings; `each_once` leaves out those of a device that there is twice."""
        return by_device(scrape.samples, self.convention)

    @property
    def devices(self) -> list[Readings]:
        """The first readings of each device."""
        return each_once(self.readings(self.first))


@dataclass(frozen=True)
class NodeSources:
    """What was found for one node: sources, problems of known exporters, and everything that was tried."""

    sources: tuple[Source, ...] = ()
    problems: tuple[Scrape, ...] = ()
    tried: tuple[str, ...] = ()

    def of(self, profile: str, beside: Collection[str] = ()) -> NodeSources:
        """Only what can be about accelerators of this profile: an exporter belongs to a vendor.

        beside: the profiles of the node's other accelerators.
        """
        theirs = tuple(source for source in self.sources if source.convention.describes(profile, beside))
        told = [f"{each.place}: {each.convention.name}, of others" for each in self.sources if each not in theirs]
        problems = [
            each
            for each in self.problems
            if (convention := _known(each.endpoint)) is None or convention.describes(profile, beside)
        ]
        return NodeSources(theirs, tuple(problems), (*told, *self.tried))


async def find(
    platform: Platform,
    offered: Iterable[NodeAccelerators],
    conventions: Sequence[Convention],
    *,
    only: str = "",
    seconds: float,
) -> dict[str, NodeSources]:
    """Node -> the sources of these accelerators' metrics. Raises ClusterError.

    only: a shell pattern of NAMESPACE/POD: all TCP ports of these Pods are tried, on other nodes where none is on the
    node. Other endpoints are scraped only if known exporters do not report accelerators of each kind. seconds: after
    this long no further endpoint is asked, and those that are left count as not reached.
    """
    pods, found, nodes = await asyncio.gather(platform.pods(), monitors(platform), platform.nodes())
    names = {name: each["metadata"]["name"] for each in nodes for name in _names_of(each)}
    of_node: dict[str, list[Object]] = defaultdict(list)
    for pod in pods:
        metadata = pod["metadata"]
        if not only or fnmatchcase(f"{metadata['namespace']}/{metadata['name']}", only):
            of_node[pod["spec"].get("nodeName", "")].append(pod)
    gate = _Gate(seconds)
    matching = [pod for of_one in of_node.values() for pod in of_one] if only else []

    scraped: dict[Endpoint, Scrape] = {}

    async def ask(node: str, chosen: Sequence[Endpoint]) -> NodeSources:
        found = await asyncio.gather(*(gate.scrape(platform, each) for each in chosen))
        scraped.update(zip(chosen, found, strict=True))
        return _sources(platform, node, found, conventions, names)

    async def one(node: str, profiles: set[str]) -> NodeSources:
        candidates = endpoints(of_node[node] or matching, found, conventions, every_port=bool(only))
        chosen = [each for each in candidates if each.exporter or only]
        if only and not chosen:
            return NodeSources(tried=(_no_place(node, only, of_node[node] or matching),))
        known = await ask(node, chosen)
        waiting = not_running(of_node[node], conventions)
        of_each = [known.of(profile, profiles - {profile}) for profile in profiles]
        if all(each.sources or each.problems for each in of_each):
            return known
        # What an exporter would say that does not run at the moment, nobody knows.
        others = [each for each in candidates if each not in chosen][:_TRIED]
        guessed = await ask(node, others)
        return NodeSources(known.sources + guessed.sources, (*known.problems, *waiting), known.tried + guessed.tried)

    profiles: dict[str, set[str]] = defaultdict(set)
    for each in offered:
        profiles[each.node].add(each.profile)
    results = dict(zip(profiles, await asyncio.gather(*(one(*each) for each in profiles.items())), strict=True))
    silent = {node for node, result in results.items() if not result.sources}
    # A collector on another node may report a node's devices.
    for scrape in scraped.values() if silent else ():
        for node in silent & {name for sample in scrape.samples for name in _nodes_of(sample, names)}:
            beside = _sources(platform, node, [scrape], conventions, names)
            results[node] = replace(results[node], sources=results[node].sources + beside.sources)
    return results


def _no_place(node: str, only: str, pods: Sequence[Object]) -> str:
    if not pods:
        return f"no Pod on {node} is called {only}"
    names = ", ".join(f"{pod['metadata']['namespace']}/{pod['metadata']['name']}" for pod in pods)
    return f"no container of {names} declares a TCP port, or it does not run"


class _Gate:
    """Lets some endpoints be scraped at a time, for so many seconds from now."""

    def __init__(self, seconds: float) -> None:
        self._seconds, self._loop = seconds, asyncio.get_running_loop()
        self._ends = self._loop.time() + seconds
        self._places = asyncio.Semaphore(_AT_ONCE)

    async def scrape(self, platform: Platform, endpoint: Endpoint) -> Scrape:
        async with self._places:
            if self._loop.time() < self._ends:
                return await read_first(platform.cluster, endpoint)
        told = f"{endpoint}: not asked, as other endpoints took {self._seconds:.0f} s; use a larger --patience"
        return Scrape(endpoint, problem="unreachable", message=told)


def _names_of(node: Object) -> set[str]:
    metadata = node["metadata"]
    return {metadata["name"], (metadata.get("labels") or {}).get("kubernetes.io/hostname") or metadata["name"]}


def _nodes_of(sample: MetricSample, names: Mapping[str, str]) -> set[str]:
    """The Nodes that the labels of a sample name."""
    told = (names.get(sample.labels.get(label, "").partition(":")[0]) for label in _NODE_LABELS)
    return set(filter(None, told))


def _about(scrape: Scrape, node: str, names: Mapping[str, str]) -> Scrape:
    """Only what is about a node's devices: a collector, or an exporter of a remote host, may report others.

    names: what nodes are called in labels -> the Node's name. What names no Node is about that of the exporter.
    """

    def is_here(sample: MetricSample) -> bool:
        found = _nodes_of(sample, names)
        return node in found if found else scrape.endpoint.node == node

    kept = tuple(sample for sample in scrape.samples if is_here(sample))
    return scrape if len(kept) == len(scrape.samples) else replace(scrape, samples=kept)


def _sources(
    platform: Platform,
    node: str,
    scrapes: Sequence[Scrape],
    conventions: Sequence[Convention],
    names: Mapping[str, str],
) -> NodeSources:
    sources: list[Source] = []
    problems: list[Scrape] = []
    tried: list[str] = []
    for whole in scrapes:
        result = _about(whole, node, names)
        follows = conventions_of(result.samples, conventions, result.endpoint.exporter)
        sources += [_source(platform, node, result, convention, names) for convention in follows]
        if result.problem and result.endpoint.why != BY_PORT:
            problems.append(result)
        if not follows:
            of_others = "" if result is whole else f" of {node}, but of other nodes"
            told = f"{result.endpoint}: nothing about accelerators{of_others}{_why_nothing(result)}"
            tried.append(result.message or told)
    return NodeSources(tuple(sources), tuple(problems), tuple(tried))


def _known(endpoint: Endpoint) -> Convention | None:
    return next((each for each in load_conventions() if each.name == endpoint.exporter), None)


def _why_nothing(result: Scrape) -> str:
    known = _known(result.endpoint)
    if known is None or not known.only_in_use:
        return ""
    return f" ({known.name} reports {', '.join(known.only_in_use)} only of devices in use: try while a workload runs)"


def _source(platform: Platform, node: str, first: Scrape, convention: Convention, names: Mapping[str, str]) -> Source:
    endpoint = first.endpoint

    async def again() -> Scrape:
        return _about(await read(platform.cluster, endpoint), node, names)

    return Source(str(endpoint), endpoint.why, convention, first, again)
