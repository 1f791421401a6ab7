"""Who sees which device node, and what became of attempts to open it."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain

from aiconform.check.figures import Cell, Matrix, Tone, figure
from aiconform.checks.secure_accelerator_access.assertions import NOT_STARTED
from aiconform.checks.secure_accelerator_access.device_sets import counting, own_kernel
from aiconform.checks.secure_accelerator_access.observations import Isolation
from aiconform.kit.attempts import answer, denied, no_such_device, stops_holder
from aiconform.kit.container_view import DeviceNode, View, granted, special
from aiconform.kit.device_families import too_many, without_device

Key = tuple[bool, str]
"""What tells a device node apart: its number, which means another device in a kernel of the container's own."""

NOTHING = Cell("no")
UNASKED = Cell("not tried")
ANSWERS = {
    "refused": Cell("refused", "good"),
    "absent": Cell("no such device", "good"),
    "reached": Cell("reached", "bad"),
    "untried": Cell("could not try", "open"),
}


@figure
def who_sees_what(seen: Isolation) -> Matrix | str:
    if seen.holder is None or seen.stranger is None:
        return NOT_STARTED
    views = {
        "Holder": seen.holder,
        "Second holder": seen.second,
        "Sibling in the holder's Pod": seen.sibling,
        "Pod without a claim": seen.stranger,
        "Pod that asks by its environment": seen.asker,
        "Pod on a node without accelerators": seen.baseline,
    }
    there = {name: view for name, view in views.items() if view}
    rows: dict[Key, DeviceNode] = {}
    for view in there.values():
        for node in counting(view, seen) if view is not seen.baseline else ():
            rows.setdefault(_key(node, view, seen), node)
    if not rows:
        return "no container has a device node that it would not have without accelerators"
    sights = [_sights(view, seen, seen.stranger) for view in there.values()]
    opened = _opened(seen, seen.holder, seen.stranger)
    forged = _forged(seen, [view for view in (seen.holder, seen.second) if view])
    return Matrix(
        title="Who sees which device",
        says=f"{len(rows)} device nodes of accelerators in {len(there)} containers. Only the holders asked for any.",
        corner="Device node (path, number)",
        columns=(*there, "The holder opens it", "A Pod without a claim opens a node that it made"),
        rows=tuple(
            (
                f"{node.path} {node.number}",
                (
                    *(each.get(key, NOTHING) for each in sights),
                    opened.get(key, UNASKED),
                    forged.get(node.number, UNASKED),
                ),
            )
            for key, node in rows.items()
        ),
    )


def _key(node: DeviceNode, view: View, seen: Isolation) -> Key:
    return own_kernel(view, seen), node.number


def _keys(nodes: Iterable[DeviceNode], view: View, seen: Isolation) -> set[Key]:
    alone = own_kernel(view, seen)
    return {(alone, node.number) for node in nodes}


def _sights(view: View, seen: Isolation, stranger: View) -> dict[Key, Cell]:
    """What a container sees: `bad` is what breaks an assertion about it, and `open` what decides nothing."""
    counted, own = _keys(counting(view, seen), view, seen), _keys(granted(view, stranger), view, seen)
    if view is seen.baseline:
        # Its node has accelerators, then, and it tells nothing.
        good, bad = set[Key](), set[Key]()
    elif view is seen.asker:
        good, bad = set[Key](), counted & own
    elif view is seen.holder or view is seen.second:
        many = chain.from_iterable(too_many(seen.asked, seen.total, granted(view, stranger)))
        bad = _keys(many, view, seen)
        # What others see as well may be a control node that all holders share, or not the holder's at all.
        others = [each for each in (seen.holder, seen.second, seen.sibling, stranger) if each and each is not view]
        good = set[Key]() if without_device(counting(view, seen)) else counted
        good = good.difference(*(_keys(special(each), each, seen) for each in others))
    else:
        good, bad = set[Key](), counted
    return {
        key: Cell("sees it", "bad" if key in bad else "good" if key in good else "open")
        for key in _keys(special(view), view, seen)
    }


def _opened(seen: Isolation, holder: View, stranger: View) -> dict[Key, Cell]:
    """What became of the holder's attempts; those count that concern what it alone has."""
    own = {node.path for node in granted(holder, stranger)}
    counted = [attempt for attempt in seen.own if attempt.device in own]
    nothing_there = all(map(no_such_device, counted))
    told_nothing = seen.unprivileged and any(map(denied, counted))
    cells: dict[str, Cell] = {}
    for attempt in reversed(seen.own):
        stopped = nothing_there or stops_holder(attempt, seen.control)
        tone: Tone = "good" if attempt.outcome == "opened" else "bad" if stopped and not told_nothing else "open"
        cells[attempt.device] = Cell(attempt.outcome, tone if attempt.device in own else "open")
    return {_key(node, holder, seen): cells[node.path] for node in special(holder) if node.path in cells}


def _forged(seen: Isolation, holders: list[View]) -> dict[str, Cell]:
    """What became of the stranger's attempts, by number; those count that concern what holders have."""
    held = {node.number for view in holders for node in counting(view, seen)}
    alone = own_kernel(seen.stranger, seen)
    cells = {each.device: ANSWERS[answer(each, seen.control, own_kernel=alone)] for each in reversed(seen.forged)}
    return {number: cell if number in held else Cell(cell.word, "open") for number, cell in cells.items()}
