"""Discovers which endpoint reports a node's accelerators."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from weakref import WeakKeyDictionary

from aiconform.cluster import Object
from aiconform.platform.accelerators.offered import NodeAccelerators
from aiconform.platform.inventory import Platform
from aiconform.platform.monitoring.conventions import Convention, conventions_of, load_conventions, used_samples
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
# (the pattern of names, a node) -> endpoints on other nodes that reported it: the next search asks these first.
_REPORTERS: WeakKeyDictionary[Platform, dict[tuple[str, str], dict[Endpoint, None]]] = WeakKeyDictionary()


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
    node. Other endpoints are scraped only if known exporters do not report accelerators of each kind, and those of
    other nodes only if the node's own do not. seconds: after this long, what is left counts as not reached.
    """
    pods, found, nodes = await asyncio.gather(platform.pods(), monitors(platform), platform.nodes())
    names = {name: each["metadata"]["name"] for each in nodes for name in _names_of(each)}
    of_node: dict[str, list[Object]] = defaultdict(list)
    for pod in pods:
        metadata = pod["metadata"]
        if not only or fnmatchcase(f"{metadata['namespace']}/{metadata['name']}", only):
            of_node[pod["spec"].get("nodeName", "")].append(pod)
    asking = _Asking(platform, conventions, names, seconds)

    def ports(of: Iterable[Object]) -> tuple[list[Endpoint], list[Endpoint]]:
        """(the endpoints to ask, those to try if these report nothing)."""
        listed = endpoints(of, found, conventions, every_port=bool(only))
        chosen = [each for each in listed if each.exporter or only]
        return chosen, [each for each in listed if not (each.exporter or only)][:_TRIED]

    async def one(node: str, profiles: set[str]) -> NodeSources:
        chosen, others = ports(of_node[node])
        if only and not chosen:
            return NodeSources(tried=(_no_place(node, only, of_node[node]),))
        known = asking.sources(node, await asking.ask(chosen))
        waiting = not_running(of_node[node], conventions)
        of_each = [known.of(profile, profiles - {profile}) for profile in profiles]
        if all(each.sources or each.problems for each in of_each):
            return known
        # What an exporter would say that does not run at the moment, nobody knows.
        guessed = asking.sources(node, await asking.ask(others))
        return NodeSources(known.sources + guessed.sources, (*known.problems, *waiting), known.tried + guessed.tried)

    profiles: dict[str, set[str]] = defaultdict(set)
    for each in offered:
        profiles[each.node].add(each.profile)
    results: dict[str, NodeSources] = {}

    def silent() -> set[str]:
        """The nodes with accelerators of a profile that nothing reports."""
        found = ((node, each, profiles[node] - {each}) for node in results for each in profiles[node])
        return {node for node, profile, beside in found if not results[node].of(profile, beside).sources}

    async def ask_beside(chosen: Iterable[Endpoint]) -> list[_Answer]:
        """A collector on another node may report a node's devices."""
        answers, without = await asking.ask(list(dict.fromkeys(chosen))), silent()
        for answer in answers:
            for node in answer.of_node.keys() - {answer.scrape.endpoint.node}:
                reporters.setdefault((only, node), {})[answer.scrape.endpoint] = None
            for node in without & answer.of_node.keys():
                if answer.scrape.endpoint in (each.first.endpoint for each in results[node].sources):
                    continue
                beside = asking.sources(node, [answer])
                results[node] = replace(results[node], sources=results[node].sources + beside.sources)
        return answers

    reporters = _REPORTERS.setdefault(platform, {})
    try:
        results |= zip(profiles, await asyncio.gather(*(one(*each) for each in profiles.items())), strict=True)
        await ask_beside(asking.asked)
        await ask_beside([each for node in silent() for each in reporters.get((only, node), ())])
        if silent():
            others = {each.node for each in (await platform.all_accelerators()).offered}
            places = [of_node[node] for node in (list(of_node) if only else others - profiles.keys())]
            answers = await ask_beside([each for of_one in places for some in ports(of_one) for each in some])
            for node in silent() if only and answers else ():
                if not of_node[node]:
                    results[node] = replace(_nowhere(node, answers), sources=results[node].sources)
    finally:
        asking.stop()
    return results


def _nowhere(node: str, answers: Sequence[_Answer]) -> NodeSources:
    """For a node without a Pod of the name that was given: what kept those on other nodes from reporting it."""
    problems = tuple(each.scrape for each in answers if each.is_problem)
    told = [_told_nothing(each, node) for each in answers[:_TRIED] if node not in each.of_node]
    more = (f"and {len(answers) - _TRIED} more",) if len(answers) > _TRIED else ()
    return NodeSources((), problems, (*told, *more))


def _no_place(node: str, only: str, pods: Sequence[Object]) -> str:
    if not pods:
        return f"no Pod on {node} is called {only}"
    names = ", ".join(f"{pod['metadata']['namespace']}/{pod['metadata']['name']}" for pod in pods)
    return f"no container of {names} declares a TCP port, or it does not run"


@dataclass(frozen=True)
class _Answer:
    """What an endpoint answered: `scrape` without the samples, and those about accelerators by the node they are of."""

    scrape: Scrape
    of_node: Mapping[str, tuple[MetricSample, ...]]
    asked: bool = True

    @property
    def is_problem(self) -> bool:
        return bool(self.scrape.problem) and (not self.asked or self.scrape.endpoint.why != BY_PORT)

    def about(self, node: str) -> Scrape:
        return replace(self.scrape, samples=self.of_node.get(node, ()))


class _Asking:
    """Asks each endpoint once, some at a time, for so many seconds from now.

    names: what nodes are called in labels -> the Node's name.
    """

    def __init__(
        self, platform: Platform, conventions: Sequence[Convention], names: Mapping[str, str], seconds: float
    ) -> None:
        self._platform, self._conventions, self._names = platform, conventions, names
        self._seconds, self._loop = seconds, asyncio.get_running_loop()
        self._ends = self._loop.time() + seconds
        self._places = asyncio.Semaphore(_AT_ONCE)
        self._asked: dict[Endpoint, asyncio.Task[_Answer]] = {}

    async def ask(self, chosen: Sequence[Endpoint]) -> list[_Answer]:
        for each in chosen:
            if each not in self._asked:
                self._asked[each] = asyncio.ensure_future(self._ask(each))
        return await asyncio.gather(*(self._asked[each] for each in chosen))

    async def _ask(self, endpoint: Endpoint) -> _Answer:
        async with self._places:
            if self._loop.time() < self._ends:
                whole = await read_first(self._platform.cluster, endpoint)
                # A thousand whole pages do not fit into memory.
                return _Answer(replace(whole, samples=()), _by_node(whole, self._conventions, self._names))
        told = f"{endpoint}: not asked, as other endpoints took {self._seconds:.0f} s; use a larger --patience"
        return _Answer(Scrape(endpoint, problem="unreachable", message=told), {}, asked=False)

    @property
    def asked(self) -> list[Endpoint]:
        return list(self._asked)

    def stop(self) -> None:
        for task in self._asked.values():
            task.cancel()

    def sources(self, node: str, answers: Iterable[_Answer]) -> NodeSources:
        sources: list[Source] = []
        problems: list[Scrape] = []
        tried: list[str] = []
        for answer in answers:
            result = answer.about(node)
            follows = conventions_of(result.samples, self._conventions, result.endpoint.exporter)
            sources += [self._source(node, result, convention) for convention in follows]
            if answer.is_problem:
                problems.append(result)
            if not follows:
                tried.append(_told_nothing(answer, node))
        return NodeSources(tuple(sources), tuple(problems), tuple(tried))

    def _source(self, node: str, first: Scrape, convention: Convention) -> Source:
        cluster, endpoint, conventions, names = self._platform.cluster, first.endpoint, self._conventions, self._names

        async def again() -> Scrape:
            whole = await read(cluster, endpoint)
            return replace(whole, samples=_by_node(whole, conventions, names).get(node, ()))

        return Source(str(endpoint), endpoint.why, convention, first, again)


def _names_of(node: Object) -> set[str]:
    metadata = node["metadata"]
    return {metadata["name"], (metadata.get("labels") or {}).get("kubernetes.io/hostname") or metadata["name"]}


def _nodes_of(sample: MetricSample, names: Mapping[str, str]) -> set[str]:
    """The Nodes that the labels of a sample name."""
    told = (names.get(sample.labels.get(label, "").partition(":")[0]) for label in _NODE_LABELS)
    return set(filter(None, told))


def _by_node(
    scrape: Scrape, conventions: Sequence[Convention], names: Mapping[str, str]
) -> dict[str, tuple[MetricSample, ...]]:
    """Node -> the samples about its accelerators: a collector, or an exporter of a remote host, may report others.

    What names no Node is about that of the exporter.
    """
    found: dict[str, list[MetricSample]] = defaultdict(list)
    for sample in used_samples(scrape.samples, conventions):
        for node in _nodes_of(sample, names) or {scrape.endpoint.node}:
            found[node].append(sample)
    return {node: tuple(samples) for node, samples in found.items()}


def _told_nothing(answer: _Answer, node: str) -> str:
    of_others = f" of {node}, but of other nodes" if answer.of_node.keys() - {node} else ""
    endpoint = answer.scrape.endpoint
    told = f"{endpoint}: nothing about accelerators{of_others}{_why_nothing(endpoint)}"
    return answer.scrape.message or told


def _known(endpoint: Endpoint) -> Convention | None:
    return next((each for each in load_conventions() if each.name == endpoint.exporter), None)


def _why_nothing(endpoint: Endpoint) -> str:
    known = _known(endpoint)
    if known is None or not known.only_in_use:
        return ""
    return f" ({known.name} reports {', '.join(known.only_in_use)} only of devices in use: try while a workload runs)"
