"""The ledger of devices: a group of nodes is held as a whole, or not at all."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiconform.engine.capacity import EVERY, Capacity, _wanted
from aiconform.platform import AcceleratorGroup, NodeAccelerators


def node(name: str, free: int) -> NodeAccelerators:
    return NodeAccelerators("device-plugin", name, "example.com/gpu", "model", total=8, free=free)


def test_a_group_waits_for_all_its_nodes_and_holds_nothing_meanwhile() -> None:
    order: list[str] = []
    one, two = node("one", 2), node("two", 2)

    async def hold(
        capacity: Capacity, name: str, target: NodeAccelerators | AcceleratorGroup, most: int, turn: float
    ) -> None:
        async with capacity.hold(target, most):
            order.append(f"{name} begins")
            await asyncio.sleep(turn)
            order.append(f"{name} ends")

    async def run() -> None:
        capacity = Capacity()
        first = asyncio.create_task(hold(capacity, "first", two, 1, 0.02))
        await asyncio.sleep(0)
        group = asyncio.create_task(hold(capacity, "group", AcceleratorGroup((one, two)), 100, 0))
        await asyncio.sleep(0)
        # The group needs both of `two`, of which one is held; `one` is free for others until then.
        await hold(capacity, "other", one, 2, 0)
        await asyncio.gather(first, group)

    asyncio.run(run())
    assert order == ["first begins", "other begins", "other ends", "first ends", "group begins", "group ends"]


@pytest.mark.parametrize("free", [2, 0])
def test_who_uses_every_device_of_a_node_is_alone_on_it(free: int) -> None:
    """Devices of another kind are in the same metrics, and shares of a device can be left where no device is."""
    whole = node("one", free)
    partitions = NodeAccelerators("device-plugin", "one", "example.com/part", "model", total=4, free=4)
    elsewhere = node("two", 2)
    held: list[str] = []

    async def hold(capacity: Capacity, name: str, target: NodeAccelerators, most: int) -> None:
        async with capacity.hold(target, most):
            held.append(name)
            await asyncio.sleep(0.01)

    async def run() -> None:
        capacity = Capacity()
        async with capacity.hold(partitions, 1), capacity.hold(whole, 1):
            alone = asyncio.create_task(hold(capacity, "alone", whole, EVERY))
            await hold(capacity, "elsewhere", elsewhere, EVERY)
            assert held == ["elsewhere"]
        second = asyncio.create_task(hold(capacity, "second", partitions, 1))
        await asyncio.gather(alone, second)

    asyncio.run(asyncio.wait_for(run(), 5))
    assert held == ["elsewhere", "alone", "second"]


def test_a_group_gives_no_more_than_is_asked_for() -> None:
    async def run() -> None:
        capacity = Capacity()
        group = AcceleratorGroup((node("one", 2), node("two", 2)))
        async with capacity.hold(group, 3), capacity.hold(group.members[1], 1):
            pass

    asyncio.run(asyncio.wait_for(run(), 1))


NODES = tuple(node(name, free) for name, free in (("one", 1), ("two", 2), ("three", 3)))


@dataclass(frozen=True)
class Wish:
    """A probe: the nodes whose devices it holds, how many, its limit, when it comes, and for how long it holds them."""

    nodes: frozenset[int]
    most: int
    seconds: int
    comes: int
    works: int

    @property
    def target(self) -> AcceleratorGroup:
        return AcceleratorGroup(tuple(NODES[index] for index in sorted(self.nodes)))


wishes = st.builds(
    Wish,
    st.frozensets(st.integers(0, 2), min_size=1),
    st.integers(1, 8),
    st.integers(0, 30),
    st.integers(0, 10),
    st.integers(0, 5),
)


@given(st.lists(wishes, max_size=12), st.sampled_from((1, 2, 3, math.inf)))
def test_every_probe_gets_its_turn_and_never_more_is_held_than_was_free(made: list[Wish], at_once: float) -> None:
    now, working = 0, 0
    held: Counter[str] = Counter()
    begun: dict[int, int] = {}

    async def one(capacity: Capacity, number: int, wish: Wish) -> None:
        nonlocal working

        async def until(moment: int) -> None:
            while now < moment:  # noqa: ASYNC110 - the clock is the test's own
                await asyncio.sleep(0)

        await until(wish.comes)
        async with capacity.hold(wish.target, wish.most, wish.seconds):
            begun[number] = now
            working += 1
            assert working <= at_once
            wanted = {place: count for (place, _), count in _wanted(wish.target, wish.most).items()}
            held.update(wanted)
            assert all(held[entry.node] <= entry.free for entry in NODES)
            await until(now + wish.works)
            held.subtract(wanted)
            working -= 1

    async def run() -> None:
        nonlocal now
        capacity = Capacity(at_once, lambda: now)
        tasks = [asyncio.ensure_future(one(capacity, number, wish)) for number, wish in enumerate(made)]
        # Each second is over when nobody has anything left to do in it.
        while not all(task.done() for task in tasks):
            for _ in range(4 * len(tasks) + 4):
                await asyncio.sleep(0)
            now += 1
            assert now < 1000, "somebody never gets its turn"
        await asyncio.gather(*tasks)

    asyncio.run(run())
    for number, wish in enumerate(made):
        late = wish.comes + wish.seconds
        for other, its in enumerate(made):
            # Once its limit has passed, who comes after it takes nothing that it waits for.
            if its.comes + its.seconds > late and its.nodes & wish.nodes and _shares(wish, its):
                assert not late < begun[other] < begun[number]


def _shares(one: Wish, other: Wish) -> bool:
    return not _wanted(one.target, one.most).keys().isdisjoint(_wanted(other.target, other.most).keys())


async def test_short_probes_go_first_also_those_that_are_still_looking_for_their_targets() -> None:
    capacity, order = Capacity(), list[str]()
    place = node("one", 1)

    async def hold(name: str, seconds: float) -> None:
        async with capacity.hold(place, 1, seconds):
            order.append(name)

    with capacity.coming(5):
        early = [asyncio.ensure_future(hold("long", 300)), asyncio.ensure_future(hold("middle", 60))]
        for _ in range(3):
            await asyncio.sleep(0)
        assert order == []
        late = asyncio.ensure_future(hold("short", 5))
    await asyncio.gather(*early, late)
    assert order == ["short", "middle", "long"]


async def test_a_probe_that_is_cancelled_gives_back_what_it_holds_or_waits_for() -> None:
    capacity, place = Capacity(), node("one", 1)

    async def hold() -> None:
        async with capacity.hold(place, 1):
            await asyncio.Event().wait()

    holder, waiting = asyncio.ensure_future(hold()), asyncio.ensure_future(hold())
    await asyncio.sleep(0)
    for task in (waiting, holder):
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    async with asyncio.timeout(5), capacity.hold(place, 1):
        pass


async def test_of_a_thousand_nodes_so_many_are_worked_on_at_once_as_is_allowed_also_where_no_device_is_held() -> None:
    capacity, working, most = Capacity(16), 0, 0

    async def look(number: int) -> None:
        nonlocal working, most
        async with capacity.hold(node(f"node-{number}", 2), number % 3, 60):
            working += 1
            most = max(most, working)
            await asyncio.sleep(0)
            working -= 1

    await asyncio.gather(*map(look, range(1000)))
    assert (most, working) == (16, 0)


async def test_whoever_waits_for_devices_of_a_busy_node_keeps_nobody_from_other_nodes() -> None:
    capacity, order = Capacity(2), list[str]()

    async def hold(name: str, place: NodeAccelerators, ends: asyncio.Event) -> None:
        async with capacity.hold(place, 1, 1):
            order.append(name)
            await ends.wait()

    end, busy = asyncio.Event(), node("busy", 1)
    tasks = [asyncio.ensure_future(hold(name, busy, end)) for name in ("first", "second")]
    now = asyncio.Event()
    now.set()
    await asyncio.sleep(0)
    await hold("elsewhere", node("other", 1), now)
    assert order == ["first", "elsewhere"]
    end.set()
    await asyncio.gather(*tasks)
