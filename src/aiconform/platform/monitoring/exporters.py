"""Discovers which endpoint reports a node's accelerators."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from aiconform.cluster import Object
from aiconform.platform.inventory import Platform
from aiconform.platform.monitoring.metrics import Convention, Readings, by_device, convention_of
from aiconform.platform.monitoring.scrape import Endpoint, Scrape, endpoints, monitors, read

# Concurrent scrapes, and how many endpoints of a node are tried if no exporter is known.
_AT_ONCE = 16
_TRIED = 12


@dataclass(frozen=True)
class Source:
    """An endpoint that reports a node's accelerators. `read` scrapes it again."""

    place: str
    found_by: str
    convention: Convention
    first: Scrape
    read: Callable[[], Awaitable[Scrape]]

    def readings(self, scrape: Scrape) -> list[Readings]:
        return by_device(scrape.samples, self.convention)


@dataclass(frozen=True)
class NodeSources:
    """What was found for one node: sources, problems of known exporters, and everything that was tried."""

    sources: tuple[Source, ...] = ()
    problems: tuple[Scrape, ...] = ()
    tried: tuple[str, ...] = ()


async def find(
    platform: Platform, nodes: Iterable[str], conventions: Sequence[Convention], *, only: str = ""
) -> dict[str, NodeSources]:
    """Node -> the sources of its accelerators' metrics. Raises ClusterError.

    only: a shell pattern of NAMESPACE/POD. Other endpoints are scraped only if no known exporter reports accelerators.
    """
    pods, found = await asyncio.gather(platform.pods(), monitors(platform))
    of_node: dict[str, list[Object]] = defaultdict(list)
    for pod in pods:
        metadata = pod["metadata"]
        if not only or fnmatchcase(f"{metadata['namespace']}/{metadata['name']}", only):
            of_node[pod["spec"].get("nodeName", "")].append(pod)
    gate = asyncio.Semaphore(_AT_ONCE)

    async def one(node: str) -> NodeSources:
        candidates = endpoints(of_node[node], found, conventions)
        chosen = [each for each in candidates if each.exporter or only]
        sources, problems, tried = await _ask(platform, chosen, conventions, gate)
        if sources or problems:
            return NodeSources(tuple(sources), tuple(problems), tuple(tried))
        others = [each for each in candidates if each not in chosen][:_TRIED]
        sources, _, also = await _ask(platform, others, conventions, gate)
        return NodeSources(tuple(sources), (), (*tried, *also))

    names = list(dict.fromkeys(nodes))
    return dict(zip(names, await asyncio.gather(*(one(node) for node in names)), strict=True))


async def _ask(
    platform: Platform, chosen: Sequence[Endpoint], conventions: Sequence[Convention], gate: asyncio.Semaphore
) -> tuple[list[Source], list[Scrape], list[str]]:
    async def scrape(endpoint: Endpoint) -> Scrape:
        async with gate:
            return await read(platform.cluster, endpoint)

    sources, problems, tried = [], [], []
    for result in await asyncio.gather(*(scrape(endpoint) for endpoint in chosen)):
        convention = convention_of(result.samples, conventions)
        if convention:
            sources.append(_source(platform, result, convention))
        elif result.problem:
            problems.append(result)
        tried.append(result.message or f"{result.endpoint}: nothing about accelerators")
    return sources, problems, tried


def _source(platform: Platform, first: Scrape, convention: Convention) -> Source:
    endpoint = first.endpoint

    async def again() -> Scrape:
        return await read(platform.cluster, endpoint)

    return Source(str(endpoint), endpoint.why, convention, first, again)
