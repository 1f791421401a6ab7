"""How much of a device's capacity to ask for, so that several claims can share the device, and how many can.

The rules are those of consumable capacity (KEP-5075): a claim gets what it asks for, rounded up to an amount that the
capacity's policy allows; the amounts of all claims together are no more than the capacity.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from aiconform.platform.accelerators.counting import Holdings, left
from aiconform.platform.accelerators.devices import Capacity, Device

# Of a capacity for which a driver suggests no amounts, so many claims get one each; where it leaves the amount to them,
# no more than so many.
_USUAL, _FEW = 4, 8


@dataclass(frozen=True)
class Portion:
    """What each claim asks of a device: (name of the capacity, amount).

    bound: how many claims can have as much at once; 0 if the device has no capacity that they would use up.
    """

    amounts: tuple[tuple[str, float], ...]
    bound: int

    def free(self, device: Device, held: Holdings) -> int:
        """For how many more claims the device has room."""
        remaining = left(device, held)
        return min((max(0, _fitting(remaining[name], amount)) for name, amount in self.amounts), default=0)


def portion(device: Device, most: int) -> Portion | None:
    """A portion of which 2 to `most` fit, as the driver suggests it; None if no two fit, or nobody may share it."""
    if not device.shareable:
        return None
    amounts: dict[str, float] = {}
    guided, open_ = [], []
    for each in device.capacity:
        if each.default is None:
            open_.append(each)
        elif each.default > 0:
            if (amount := _allowed(each, most)) is None:
                return None
            guided.append(each)
            amounts[each.name] = amount
    parts = min((_fitting(each.value, amounts[each.name]) for each in guided), default=min(_USUAL, most))
    # A claim that asks for none of these would get all.
    amounts |= {each.name: _part(each.value, parts) for each in open_ if each.value > 0}
    if not all(amounts.values()):
        return None
    fitting = (_fitting(each.value, amounts[each.name]) for each in device.capacity if each.name in amounts)
    bound = min(fitting, default=0)
    return None if amounts and bound < 2 else Portion(tuple(sorted(amounts.items())), bound)


def _fitting(value: float, amount: float) -> int:
    """How many such amounts fit, counted in the thousandths that quantities have: fractions are not exact."""
    return round(value * 1000) // max(1, round(amount * 1000))


def _part(value: float, parts: int) -> float:
    """A part of a value, whole if it can be, else in the thousandths that quantities have."""
    return float(value // parts) if value >= parts else math.floor(value / parts * 1000) / 1000


def _allowed(capacity: Capacity, most: int) -> float | None:
    """The amount to ask for: the policy's own if 2 to `most` fit, else the smallest of which few fit."""
    return next(
        (
            amount
            for amount in _amounts(capacity, min(most, _FEW))
            if amount and 2 <= _fitting(capacity.value, amount) <= most
        ),
        None,
    )


def _amounts(capacity: Capacity, most: int) -> Iterable[float]:
    """Amounts that the policy of a capacity allows, to be tried in this order."""
    yield capacity.default or 0.0
    enough = capacity.value / most
    if capacity.choices:
        yield from (each for each in capacity.choices if each >= enough)
        return
    least, step = capacity.least, capacity.step
    if least is None:
        # Nothing less than what the driver suggests.
        least = step = capacity.default or 0.0
    amount = max(least, enough)
    if step:
        amount = least + math.ceil((amount - least) / step) * step
    elif capacity.value >= most:
        amount = float(math.ceil(amount))
    if capacity.most is None or amount <= capacity.most:
        yield amount
