"""Kubernetes quantities (`500m`, `16Gi`, `4`) as numbers, by the client's own parser."""

from __future__ import annotations

import math


def number(text: object) -> float:
    """The number that a quantity stands for. Raises ValueError if it is none."""
    # Here, because importing the client takes most of a second.
    from kubernetes.utils.quantity import parse_quantity

    found = float(parse_quantity(text))
    if not math.isfinite(found):
        raise ValueError(f"{text} is no quantity")
    return found


def whole(text: object) -> int:
    """The whole number that a quantity of devices stands for. Raises ValueError."""
    found = number(text)
    if found != int(found):
        raise ValueError(f"{text} is no whole number")
    return int(found)


def text(amount: float) -> str:
    """A quantity that is not more than this number; exact to a thousandth."""
    return f"{amount:.0f}" if amount == int(amount) else f"{math.floor(amount * 1000)}m"
