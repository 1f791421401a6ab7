"""The ledger of devices: a group of nodes is held as a whole, or not at all."""

from __future__ import annotations

import asyncio

from aiconform.engine.capacity import Capacity
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


def test_a_group_gives_no_more_than_is_asked_for() -> None:
    async def run() -> None:
        capacity = Capacity()
        group = AcceleratorGroup((node("one", 2), node("two", 2)))
        async with capacity.hold(group, 3), capacity.hold(group.members[1], 1):
            pass

    asyncio.run(asyncio.wait_for(run(), 1))
