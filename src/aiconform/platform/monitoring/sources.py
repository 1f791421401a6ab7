"""What reports a node's accelerators: each endpoint with the convention that its metrics follow."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, replace

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

    def is_of(self, endpoint: Endpoint) -> bool:
        """Whether it is the exporter of this endpoint, read at another port of the same Pod."""
        own = self.first.endpoint
        in_pod = (own.namespace, own.pod) == (endpoint.namespace, endpoint.pod)
        return in_pod and endpoint.exporter in ("", self.convention.name)

    def may_report(self, reading: Readings, quantity: str) -> bool:
        """Whether it reports the quantity of a device, or would while that is in use."""
        return quantity in reading.reported or quantity in self.convention.only_in_use

    def is_whole(self, quantities: Collection[str]) -> bool:
        """Whether it reports these of each device that it names."""
        named = [each for each in self.devices if each.label]
        return bool(named) and all(self.may_report(each, quantity) for each in named for quantity in quantities)


@dataclass(frozen=True)
class NodeSources:
    """What was found for one node: sources, problems of known exporters, and everything that was tried.

    idle: the conventions of known exporters that report some quantities only of devices in use, and nothing now.
    closed: what asks who reads it, each with what helps. unknown: endpoints of the node with metrics that may be about
    accelerators, by names that are not known. unlisted: objects that may name an exporter, which these credentials may
    not list.
    """

    sources: tuple[Source, ...] = ()
    problems: tuple[Scrape, ...] = ()
    tried: tuple[str, ...] = ()
    idle: tuple[Convention, ...] = ()
    closed: tuple[Scrape, ...] = ()
    unknown: tuple[str, ...] = ()
    unlisted: tuple[str, ...] = ()

    @property
    def ways_out(self) -> tuple[str, ...]:
        """What helps where something could not be read."""
        return tuple(dict.fromkeys(each.way_out for each in self.closed))

    @property
    def hidden(self) -> str:
        """Why there may be an exporter that was not found; empty if nothing was hidden."""
        if not self.unlisted:
            return ""
        return (
            f"{' and '.join(self.unlisted)} may name another exporter, and these credentials may not list them: let "
            "the run do so (`aiconform rbac` prints the rule)"
        )

    @property
    def unread(self) -> tuple[Scrape, ...]:
        """The known exporters of which nobody knows what they report: what one port says, no other port has to."""
        unread = (each for each in self.problems if each.problem in ("authentication", "unreachable"))
        return tuple(each for each in unread if not any(source.is_of(each.endpoint) for source in self.sources))

    @property
    def is_closed(self) -> bool:
        """Whether an exporter of one vendor cannot be read, or one that the user named: none has to be installed."""
        exporters = [known(each.endpoint) for each in self.unread]
        return any(exporter is None or exporter.accelerators for exporter in exporters)

    def is_whole(self, quantities: Collection[str]) -> bool:
        """Whether one source reports these of each device that it names: what others add is not needed."""
        return any(each.is_whole(quantities) for each in self.sources)

    def __add__(self, other: NodeSources) -> NodeSources:
        return NodeSources(
            self.sources + other.sources,
            self.problems + other.problems,
            self.tried + other.tried,
            self.idle + other.idle,
            self.closed + other.closed,
            self.unknown + other.unknown,
            self.unlisted + other.unlisted,
        )

    def of(self, profile: str, beside: Collection[str] = ()) -> NodeSources:
        """Only what can be about accelerators of this profile: an exporter belongs to a vendor.

        beside: the profiles of the node's other accelerators.
        """
        theirs = tuple(source for source in self.sources if source.convention.describes(profile, beside))
        told = [f"{each.place}: {each.convention.name}, of others" for each in self.sources if each not in theirs]

        def about(scrapes: Collection[Scrape]) -> tuple[Scrape, ...]:
            exporters = ((each, known(each.endpoint)) for each in scrapes)
            return tuple(
                each for each, exporter in exporters if exporter is None or exporter.describes(profile, beside)
            )

        idle = tuple(each for each in self.idle if each.describes(profile, beside))
        tried = (*told, *self.tried)
        return replace(
            self, sources=theirs, problems=about(self.problems), tried=tried, idle=idle, closed=about(self.closed)
        )


def known(endpoint: Endpoint) -> Convention | None:
    return next((each for each in load_conventions() if each.name == endpoint.exporter), None)
