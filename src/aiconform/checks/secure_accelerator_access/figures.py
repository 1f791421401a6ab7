"""Who sees which device node, and what became of attempts to open it."""

from __future__ import annotations

from aiconform.check.figures import Cell, Matrix, figure
from aiconform.checks.secure_accelerator_access.assertions import NOT_STARTED
from aiconform.checks.secure_accelerator_access.attempts import answer, denied, not_permitted
from aiconform.checks.secure_accelerator_access.device_sets import counting, own_kernel
from aiconform.checks.secure_accelerator_access.observations import Isolation
from aiconform.kit.container_view import DeviceNode, View, special

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
    rows: dict[tuple[bool, str], DeviceNode] = {}
    for name, view in there.items():
        for node in counting(view, seen) if view is not seen.baseline else ():
            rows.setdefault(_key(node, there[name], seen), node)
    if not rows:
        return "no container has a device node that it would not have without accelerators"
    tried = (("The holder opens it", _opened), ("A Pod without a claim opens a node that it made", _forged))
    return Matrix(
        title="Who sees which device",
        says=f"{len(rows)} device nodes of accelerators in {len(there)} containers. Only the holders asked for any.",
        corner="Device node (path, number)",
        columns=(*there, *(name for name, _ in tried)),
        rows=tuple(
            (
                f"{node.path} {node.number}",
                (*(_sight(key, view, seen) for view in there.values()), *(each(node, seen) for _, each in tried)),
            )
            for key, node in rows.items()
        ),
    )


def _key(node: DeviceNode, view: View, seen: Isolation) -> tuple[bool, str]:
    """What tells a device node apart: its number, which means another device in a kernel of the container's own."""
    return own_kernel(view, seen), node.number


def _sight(key: tuple[bool, str], view: View, seen: Isolation) -> Cell:
    if not _sees(key, view, seen):
        return NOTHING
    if view is not seen.holder and view is not seen.second:
        return Cell("sees it", "bad")
    # What others see as well may be a control node that all holders share, or not the holder's at all.
    others = [each for each in (seen.holder, seen.second, seen.sibling, seen.stranger) if each and each is not view]
    return Cell("sees it", "open" if any(_sees(key, each, seen) for each in others) else "good")


def _sees(key: tuple[bool, str], view: View, seen: Isolation) -> bool:
    return key in {_key(node, view, seen) for node in special(view)}


def _opened(node: DeviceNode, seen: Isolation) -> Cell:
    attempt = next((each for each in seen.own if each.device == node.path), None)
    if attempt is None:
        return UNASKED
    if not_permitted(attempt) or denied(attempt):
        return Cell(attempt.outcome, "open" if seen.unprivileged and denied(attempt) else "bad")
    return Cell(attempt.outcome, "good" if attempt.outcome == "opened" else "open")


def _forged(node: DeviceNode, seen: Isolation) -> Cell:
    attempt = next((each for each in seen.forged if each.device == node.number), None)
    if attempt is None:
        return UNASKED
    return ANSWERS[answer(attempt, seen.control, own_kernel=own_kernel(seen.stranger, seen))]
