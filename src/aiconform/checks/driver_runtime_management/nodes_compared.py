"""What the nodes together have to show: each advertises its driver, all in one way, and none differs in secret."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, get_args

from aiconform.check import Finding, assertion, holds, left_out, undecided
from aiconform.checks.driver_runtime_management.assertions import WAY_OUT, driver_found, is_kernels, versions_in
from aiconform.checks.driver_runtime_management.observations import (
    Advertised,
    Advertisements,
    Installed,
    NodeAdvertisement,
)
from aiconform.platform.accelerators.drivers import Place
from aiconform.platform.accelerators.offered import Kind
from aiconform.platform.accelerators.versions import agree, parse

# By these a workload can choose a node: a claim by attributes, a Pod by labels.
_SELECTABLE = ("attribute", "label")
_PLACES = (*get_args(Place), "option")
_MOST = 5
_Way = tuple[Place | Literal["option"], str]


def _some(lines: Sequence[str]) -> str:
    more = len(lines) - _MOST
    return "; ".join(lines[:_MOST]) + (f"; and {more} more" if more > 0 else "")


def _by_kind(nodes: Iterable[NodeAdvertisement]) -> Mapping[Kind, list[NodeAdvertisement]]:
    found: dict[Kind, list[NodeAdvertisement]] = defaultdict(list)
    for each in nodes:
        found[each.kind].append(each)
    return found


def _commonest(ways: Iterable[set[_Way]]) -> _Way | tuple[()]:
    """The way in which most nodes advertise, () if none does; of equal ones the first of _PLACES, always the same."""
    counts = Counter(way for found in ways for way in found)
    return min(counts, key=lambda way: (-counts[way], _PLACES.index(way[0]), way[1]), default=())


@assertion("driver_version_is_advertised", "Every accelerator node advertises a driver version, all in the same way")
def driver_version_is_advertised(seen: Advertisements) -> Finding:
    wrong: list[str] = []
    unknown: list[str] = []
    sources: Counter[str] = Counter()
    for members in _by_kind(seen.nodes).values():
        ways = {each.node: {(told.place, told.name) for told in versions_in(each.driver)} for each in members}
        common = _commonest(ways.values())
        for each in members:
            about = f"{each.name} on {each.node}"
            if not ways[each.node]:
                said = (
                    f"{', '.join(map(str, each.driver))} is no version" if each.driver else "no version is advertised"
                )
                # Others have it, or a driver that publishes it has not: the platform may say it anywhere otherwise.
                missing = common or (each.way == "dra" and each.published)
                (wrong if missing else unknown).append(f"{about}: {said}")
            elif common not in ways[each.node]:
                told = ", ".join(f"{place} {name}" for place, name in sorted(ways[each.node]))
                wrong.append(f"{about}: advertised by {told}, and not by {' '.join(common)} as elsewhere")
            else:
                sources[" ".join(common)] += 1
    if wrong:
        return holds(False, f"{_some(wrong)}. {WAY_OUT}", subjects=len(seen.nodes))
    if unknown:
        return undecided(f"where it is looked for, {_some(unknown)}. {WAY_OUT}")
    said = ", ".join(f"by {name} on {count} node(s)" for name, count in sources.items())
    return holds(True, said, subjects=len(seen.nodes))


@assertion("versions_come_from_dra", "Where the accelerator's DRA driver publishes versions, they come from there")
def versions_come_from_dra(seen: Advertisements) -> Finding:
    by_driver: dict[str, list[NodeAdvertisement]] = defaultdict(list)
    for each in seen.nodes:
        if each.way == "dra":
            by_driver[each.name].append(each)
    wrong, right, elsewhere = [], 0, []
    for driver, members in by_driver.items():
        publishing = sum(any(map(_is_published, versions_in(each.driver))) for each in members)
        # A driver that is part of the kernel has no version of its own to publish.
        silent = [
            each for each in members if not is_kernels(each) and not any(map(_is_published, versions_in(each.driver)))
        ]
        if not publishing and not (silent and members[0].published):
            elsewhere.append(f"{driver} publishes no version of the driver")
            continue
        right += publishing
        wrong += [f"{driver} publishes no version of the driver for {each.node}" for each in silent]
    if wrong or right:
        said = _some(wrong) or f"attributes of devices on {right} node(s)"
        return holds(not wrong, said, subjects=right + len(wrong))
    return left_out("; ".join(elsewhere) or "no accelerator is offered by DRA")


def _is_published(told: Advertised) -> bool:
    return told.place == "attribute"


@assertion(
    "differences_in_pool_are_advertised", "Nodes of one kind with different driver versions can be told apart by them"
)
def differences_in_pool_are_advertised(seen: Sequence[Installed]) -> Finding:
    by_kind: dict[Kind, list[Installed]] = defaultdict(list)
    for each in seen:
        if _version(each):
            by_kind[each.advertised.kind].append(each)
    compared = {kind: members for kind, members in by_kind.items() if len(members) > 1}
    if not compared:
        return left_out("there are no two nodes of one kind on which a container with a device found a version")
    hidden: dict[str, str] = {}
    differing = 0
    for members in compared.values():
        # One of each sort is compared with one of each other.
        sorts: dict[object, list[Installed]] = defaultdict(list)
        for each in members:
            sorts[_version(each), each.advertised.driver].append(each)
        for alike in sorts.values():
            others = [each[0] for each in sorts.values() if not agree(_version(each[0]), _version(alike[0]))]
            differing += len(alike) if others else 0
            for other in others:
                if not _tells_from(alike[0], other):
                    hidden |= {each.advertised.node: _hidden(each) for each in alike}
    if hidden:
        lines = [f"{node} {said}" for node, said in hidden.items()]
        return holds(False, f"not told apart from nodes of its kind: {_some(lines)}", subjects=len(seen))
    said = f"{differing} node(s) differ from others of their kind and say so" if differing else "no node differs"
    return holds(True, said, subjects=sum(map(len, compared.values())))


def _version(seen: Installed) -> str:
    """The version of the driver that a container with a device found; empty if it found none."""
    return next((each.version for each in driver_found(seen) if parse(each.version)), "")


def _tells_from(one: Installed, other: Installed) -> bool:
    """Whether what a workload can select by says of one node that it has not the other's driver."""
    told = [each for each in one.advertised.driver if each.place in _SELECTABLE]
    # A word that is no version tells nodes apart if the other has another: `default` and `latest`.
    return any(
        not agree(each.says, _version(other)) if parse(each.says) else each not in other.advertised.driver
        for each in told
    )


def _hidden(seen: Installed) -> str:
    told = ", ".join(map(str, seen.advertised.driver)) or "nothing"
    return f"has {_version(seen)} and advertises {told}"
