"""Discovers which endpoint reports a node's accelerators."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from weakref import WeakKeyDictionary

from aiconform.cluster import Object
from aiconform.platform.accelerators.offered import NodeAccelerators
from aiconform.platform.inventory import Platform
from aiconform.platform.monitoring.asking import Answer, Asking, names_of, told_nothing
from aiconform.platform.monitoring.conventions import Convention
from aiconform.platform.monitoring.monitors import monitors
from aiconform.platform.monitoring.readings import MUST_BE_REPORTED
from aiconform.platform.monitoring.scrape import Endpoint, endpoints, not_running, outside_pods
from aiconform.platform.monitoring.sources import NodeSources

# How many endpoints of a node are tried if no exporter is known.
_TRIED = 12
# (the pattern of names, a node) -> endpoints on other nodes that reported it: the next search asks these first.
_REPORTERS: WeakKeyDictionary[Platform, dict[tuple[str, str], dict[Endpoint, None]]] = WeakKeyDictionary()


async def find(
    platform: Platform,
    offered: Iterable[NodeAccelerators],
    conventions: Sequence[Convention],
    *,
    only: str = "",
    quantities: Collection[str] = MUST_BE_REPORTED,
    seconds: float,
) -> dict[str, NodeSources]:
    """Node -> the sources of these accelerators' metrics. Raises ClusterError.

    only: a shell pattern of NAMESPACE/POD: all TCP ports of these Pods are tried, on other nodes where none is on the
    node. Other endpoints are scraped only if no known exporter reports these quantities of accelerators of each kind,
    and those of other nodes only if none of the node does. seconds: after so long, what is left counts as not reached.
    Rights that are missing for these other endpoints are an error only where nothing else reports any accelerators.
    """
    pods, found, nodes = await asyncio.gather(platform.pods(), monitors(platform), platform.nodes())
    names = {name: each["metadata"]["name"] for each in nodes for name in names_of(each)}
    by_name = {each["metadata"]["name"]: each for each in nodes}
    of_node: dict[str, list[Object]] = defaultdict(list)
    for pod in pods:
        metadata = pod["metadata"]
        if not only or fnmatchcase(f"{metadata['namespace']}/{metadata['name']}", only):
            of_node[pod["spec"].get("nodeName", "")].append(pod)
    asking = Asking(platform, conventions, names, seconds, guesses=not only)

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
        host = [] if only else outside_pods(by_name[node], conventions)
        waiting = [*not_running(of_node[node], conventions), *host]
        of_each = [known.of(profile, profiles - {profile}) for profile in profiles]
        if all(each.is_whole(quantities) or (each.problems and not each.sources) for each in of_each):
            return known
        # What an exporter would say that does not run at the moment, nobody knows. What is guessed may be none at all:
        # nobody has to open it.
        guessed = asking.sources(node, await asking.ask(others))
        return known + replace(guessed, problems=tuple(waiting), closed=tuple(host))

    profiles: dict[str, set[str]] = defaultdict(set)
    for each in offered:
        profiles[each.node].add(each.profile)
    results: dict[str, NodeSources] = {}

    def lacking() -> set[str]:
        """The nodes with accelerators of a profile that nothing reports, or of which some quantity is missing."""
        found = ((node, each, profiles[node] - {each}) for node in results for each in profiles[node])
        return {node for node, profile, beside in found if not results[node].of(profile, beside).is_whole(quantities)}

    async def ask_beside(chosen: Iterable[Endpoint]) -> list[Answer]:
        """A collector on another node may report a node's devices."""
        answers, without = await asking.ask(list(dict.fromkeys(chosen))), lacking()
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
        await ask_beside([each for node in lacking() for each in reporters.get((only, node), ())])
        if lacking():
            others = {each.node for each in (await platform.all_accelerators()).offered}
            places = [of_node[node] for node in (list(of_node) if only else others - profiles.keys())]
            answers = await ask_beside([each for of_one in places for some in ports(of_one) for each in some])
            for node in lacking() if only and answers else ():
                if not of_node[node]:
                    results[node] = replace(_nowhere(node, answers), sources=results[node].sources)
        for node in lacking() if asking.forbidden else ():
            if not results[node].sources:
                raise next(iter(asking.forbidden.values()))
            # They may report what is lacking.
            results[node] += NodeSources(problems=tuple(each.scrape for each in await asking.ask([*asking.forbidden])))
    finally:
        asking.stop()
    # What a user names is not looked for.
    unlisted = () if only else found.unlisted
    return {node: replace(each, unlisted=unlisted) for node, each in results.items()}


def _nowhere(node: str, answers: Sequence[Answer]) -> NodeSources:
    """For a node without a Pod of the name that was given: what kept those on other nodes from reporting it."""
    problems = tuple(each.scrape for each in answers if each.is_problem)
    told = [told_nothing(each, node) for each in answers[:_TRIED] if node not in each.of_node]
    more = (f"and {len(answers) - _TRIED} more",) if len(answers) > _TRIED else ()
    return NodeSources((), problems, (*told, *more), closed=tuple(each for each in problems if each.way_out))


def _no_place(node: str, only: str, pods: Sequence[Object]) -> str:
    if not pods:
        return f"no Pod on {node} is called {only}"
    names = ", ".join(f"{pod['metadata']['namespace']}/{pod['metadata']['name']}" for pod in pods)
    return f"no container of {names} declares a TCP port, or it does not run"
