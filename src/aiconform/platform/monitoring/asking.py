"""Asks endpoints for metrics, each one once, and tells which node's accelerators the answers are about."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from aiconform.cluster import Forbidden, Object
from aiconform.platform.inventory import Platform
from aiconform.platform.monitoring.conventions import Convention, conventions_of, used_samples
from aiconform.platform.monitoring.metrics import MetricSample
from aiconform.platform.monitoring.scrape import BY_PORT, Endpoint, Scrape, read, read_first
from aiconform.platform.monitoring.sources import NodeSources, Source, known
from aiconform.platform.monitoring.unknown import perhaps_utilization

# Concurrent scrapes.
_AT_ONCE = 16
# Labels in which exporters and collectors name the node of a device; some give the name of the exporter's Pod.
_NODE_LABELS = (
    *("Hostname", "hostname", "host", "host_name", "node", "node_name", "nodename", "kubernetes_node"),
    *("k8s_node_name", "instance", "exported_instance"),
)


@dataclass(frozen=True)
class Answer:
    """What an endpoint answered: `scrape` without the samples, and those about accelerators by the node they are of.

    unknown: names of samples that may be about accelerators, of which no convention knows.
    """

    scrape: Scrape
    of_node: Mapping[str, tuple[MetricSample, ...]]
    asked: bool = True
    unknown: tuple[str, ...] = ()

    @property
    def is_problem(self) -> bool:
        return bool(self.scrape.problem) and (not self.asked or self.scrape.endpoint.why != BY_PORT)

    def about(self, node: str) -> Scrape:
        return replace(self.scrape, samples=self.of_node.get(node, ()))


class Asking:
    """Asks each endpoint once, some at a time, for so many seconds from now.

    names: what nodes are called in labels -> the Node's name. guesses: whether what is no known exporter is only tried.
    What of that may not be read is in `forbidden`; of others, Forbidden is raised.
    """

    def __init__(
        self,
        platform: Platform,
        conventions: Sequence[Convention],
        names: Mapping[str, str],
        seconds: float,
        *,
        guesses: bool = False,
    ) -> None:
        self._guesses, self.forbidden = guesses, dict[Endpoint, Forbidden]()
        self._platform, self._conventions, self._names = platform, conventions, names
        self._seconds, self._loop = seconds, asyncio.get_running_loop()
        self._ends = self._loop.time() + seconds
        self._places = asyncio.Semaphore(_AT_ONCE)
        self._asked: dict[Endpoint, asyncio.Task[Answer]] = {}

    async def ask(self, chosen: Sequence[Endpoint]) -> list[Answer]:
        for each in chosen:
            if each not in self._asked:
                self._asked[each] = asyncio.ensure_future(self._ask(each))
        return await asyncio.gather(*(self._asked[each] for each in chosen))

    async def _ask(self, endpoint: Endpoint) -> Answer:
        async with self._places:
            if self._loop.time() < self._ends:
                try:
                    whole = await read_first(self._platform.cluster, endpoint)
                except Forbidden as error:
                    if endpoint.exporter or not self._guesses:
                        raise
                    self.forbidden[endpoint] = error
                    whole = Scrape(endpoint, problem="unreachable", message=f"{endpoint}: {error}")
                # A thousand whole pages do not fit into memory.
                return Answer(
                    replace(whole, samples=()),
                    _by_node(whole, self._conventions, self._names),
                    unknown=perhaps_utilization(whole.samples, self._conventions),
                )
        told = f"{endpoint}: not asked, as other endpoints took {self._seconds:.0f} s; use a larger --patience"
        return Answer(Scrape(endpoint, problem="unreachable", message=told), {}, asked=False)

    @property
    def asked(self) -> list[Endpoint]:
        return list(self._asked)

    def stop(self) -> None:
        for task in self._asked.values():
            task.cancel()

    def sources(self, node: str, answers: Sequence[Answer]) -> NodeSources:
        sources: list[Source] = []
        problems: list[Scrape] = []
        tried: list[str] = []
        idle: list[Convention] = []
        for answer in answers:
            result = answer.about(node)
            follows = conventions_of(result.samples, self._conventions, result.endpoint.exporter)
            sources += [self._source(node, result, convention) for convention in follows]
            if answer.is_problem:
                problems.append(result)
            if not follows:
                tried.append(told_nothing(answer, node))
                if not result.problem and (convention := known(result.endpoint)) and convention.only_in_use:
                    idle.append(convention)
        closed = tuple(each.scrape for each in answers if each.scrape.way_out)
        unknown = tuple(
            f"{each.scrape.endpoint} has {', '.join(each.unknown)}"
            for each in answers
            if each.unknown and each.scrape.endpoint.node == node
        )
        return NodeSources(tuple(sources), tuple(problems), tuple(tried), tuple(idle), closed, unknown)

    def _source(self, node: str, first: Scrape, convention: Convention) -> Source:
        cluster, endpoint, conventions, names = self._platform.cluster, first.endpoint, self._conventions, self._names

        async def again() -> Scrape:
            whole = await read(cluster, endpoint)
            return replace(whole, samples=_by_node(whole, conventions, names).get(node, ()))

        return Source(str(endpoint), endpoint.why, convention, first, again)


def names_of(node: Object) -> set[str]:
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


def told_nothing(answer: Answer, node: str) -> str:
    of_others = f" of {node}, but of other nodes" if answer.of_node.keys() - {node} else ""
    endpoint = answer.scrape.endpoint
    names = f" by a name that is known, but {', '.join(answer.unknown)}" if answer.unknown else ""
    told = f"{endpoint}: nothing about accelerators{of_others}{names}{_why_nothing(endpoint)}"
    return answer.scrape.message or told


def _why_nothing(endpoint: Endpoint) -> str:
    convention = known(endpoint)
    if convention is None or not convention.only_in_use:
        return ""
    quantities = ", ".join(convention.only_in_use)
    return f" ({convention.name} reports {quantities} only of devices in use: try while a workload runs)"
