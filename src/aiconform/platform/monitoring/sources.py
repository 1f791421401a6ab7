"""What reports a node's accelerators: each endpoint with the convention that its metrics follow."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass

from aiconform.platform.monitoring.conventions import Convention, load_conventions
from aiconform.platform.monitoring.readings import Readings, by_device, each_once
from aiconform.platform.monitoring.scrape import Endpoint, Scrape


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
            if (convention := known(each.endpoint)) is None or convention.describes(profile, beside)
        ]
        return NodeSources(theirs, tuple(problems), (*told, *self.tried))


def known(endpoint: Endpoint) -> Convention | None:
    return next((each for each in load_conventions() if each.name == endpoint.exporter), None)
