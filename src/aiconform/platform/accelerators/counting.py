"""How many devices can be allocated: by what partitions share, what shares of a device are left, and who holds some.

The rules are those of the scheduler's allocator (KEP-4815 partitionable devices, KEP-5075 consumable capacity).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from aiconform.cluster import Object, quantity
from aiconform.platform.accelerators.devices import Device, Id, results

Holdings = Mapping[Id, Sequence[Mapping[str, float]]]
"""For each held device, what each of its holders consumes of its capacity (only of devices that several can hold)."""
Counter = tuple[str, str, str]
"""pool, set of counters, counter"""
_MOST_STEPS = 20_000


def holdings(claims: Iterable[Object]) -> Holdings:
    """Who holds devices, by these ResourceClaims. Access for administration holds nothing."""
    held: dict[Id, list[Mapping[str, float]]] = defaultdict(list)
    for claim in claims:
        for result in results(claim):
            if not result.get("adminAccess"):
                consumed = result.get("consumedCapacity") or {}
                held[result["driver"], result["pool"], result["device"]].append(
                    {name: quantity.number(amount) for name, amount in consumed.items()}
                )
    return held


def left(device: Device, held: Holdings) -> dict[str, float]:
    """What is left of the capacity of a device that several claims can hold."""
    remaining = {each.name: each.value for each in device.capacity}
    for consumed in held.get(device.id, ()):
        for each in device.capacity:
            remaining[each.name] -= consumed.get(each.name, each.default or 0)
    return remaining


def open_(device: Device, held: Holdings) -> bool:
    """Whether a claim can still be allocated this device, apart from counters that it shares with others."""
    if device.id not in held:
        return True
    remaining = left(device, held)
    return device.shareable and all(
        remaining[each.name] >= each.default if each.default else remaining[each.name] > 0 or each.value == 0
        for each in device.capacity
    )


def to_request(devices: Iterable[Device], held: Holdings) -> dict[str, float]:
    """The capacity that a claim must ask for so that each of these devices can be allocated to it.

    Of a capacity without a default, a claim that asks for none of it takes all.
    """
    asked: dict[str, float] = {}
    for device in devices:
        remaining = left(device, held)
        for each in device.capacity:
            if each.default is None and remaining[each.name] < each.value:
                asked[each.name] = min(asked.get(each.name, each.value), remaining[each.name])
    return asked


class Room:
    """What is left of counters that partitions of one physical device share; `devices` are all that consume them.

    A device consumes them once, however many claims share it.
    """

    def __init__(self, devices: Iterable[Device], held: Holdings) -> None:
        self._left: dict[Counter, float] = {}
        self._held = frozenset(held)
        devices = list(devices)
        for device in devices:
            for each in device.consumes:
                self._left.setdefault((device.pool, each.counters, each.name), each.available)
                if device.id in held:
                    self._left[device.pool, each.counters, each.name] -= each.amount

    def fitting(self, devices: Iterable[Device]) -> tuple[Device, ...]:
        """As many of these devices, in their order, as can be allocated together."""
        left, found = dict(self._left), []
        for device in devices:
            asked = () if device.id in self._held else device.consumes
            if all(left[device.pool, each.counters, each.name] >= each.amount for each in asked):
                found.append(device)
                for each in asked:
                    left[device.pool, each.counters, each.name] -= each.amount
        return tuple(found)

    def most(self, devices: Iterable[Device]) -> int:
        """The largest number of these devices that can be allocated together, in whichever order.

        It is never too small: where it would take too long to find out, it is what each counter alone leaves room for.
        """
        asking = [(device, () if device.id in self._held else device.consumes) for device in devices]
        wanted = [{(device.pool, each.counters, each.name): each.amount for each in asks} for device, asks in asking]
        # Those that take the least first: with them the largest number is found soon.
        wanted.sort(key=lambda amounts: sum(amounts.values()))
        limit = self._at_most(wanted)
        best, steps = 0, 0

        def search(position: int, taken: int, left: Mapping[Counter, float]) -> None:
            nonlocal best, steps
            steps += 1
            best = max(best, taken)
            if best == limit or steps > _MOST_STEPS or taken + len(wanted) - position <= best:
                return
            amounts = wanted[position]
            if all(left[counter] >= amount for counter, amount in amounts.items()):
                rest = {counter: amount - amounts.get(counter, 0.0) for counter, amount in left.items()}
                search(position + 1, taken + 1, rest)
            search(position + 1, taken, left)

        search(0, 0, self._left)
        return limit if steps > _MOST_STEPS else best

    def _at_most(self, wanted: Sequence[Mapping[Counter, float]]) -> int:
        """How many of these fit by each counter alone."""
        fewest = len(wanted)
        for counter, left in self._left.items():
            taken, fitting = 0.0, 0
            for amount in sorted(amounts.get(counter, 0.0) for amounts in wanted):
                taken += amount
                fitting += taken <= left
            fewest = min(fewest, fitting)
        return fewest


@dataclass(frozen=True)
class Kind:
    """The devices of one kind on a node. total: how many can be allocated together. free: those that are left."""

    devices: tuple[Device, ...]
    total: int
    free: tuple[Device, ...]

    @property
    def counters(self) -> frozenset[tuple[str, str]]:
        """The sets of counters that its devices consume: kinds that have one in common exclude each other."""
        return frozenset((device.pool, each.counters) for device in self.devices for each in device.consumes)


def count(devices: Sequence[Device], held: Holdings, others: Iterable[Device] = ()) -> list[Kind]:
    """The kinds among the devices of one driver on one node.

    others: those that nobody may try, and that take counters of these all the same if somebody holds them.
    """
    now, empty = Room((*devices, *others), held), Room(devices, {})
    kinds: dict[str, list[Device]] = defaultdict(list)
    for device in devices:
        kinds[device.product].append(device)
    return [
        Kind(
            tuple(members),
            len(empty.fitting(members)),
            now.fitting(device for device in members if open_(device, held)),
        )
        for _, members in sorted(kinds.items())
    ]


def without_overlap(kinds: Sequence[Kind]) -> tuple[list[Kind], list[Kind]]:
    """(the kinds to use, those that would take the same counters).

    The largest partitions that are free, that is the whole device, are preferred; else the kind with the most free.
    """
    used: list[Kind] = []
    taken: set[tuple[str, str]] = set()
    whole = min((kind.total for kind in kinds if kind.counters), default=0)
    order = sorted(kinds, key=lambda kind: (not (kind.free and kind.total == whole), -len(kind.free), kind.total))
    for kind in order:
        if taken.isdisjoint(kind.counters):
            used.append(kind)
            taken |= kind.counters
    return [kind for kind in kinds if kind in used], [kind for kind in kinds if kind not in used]
