"""Whether counted answers agree with declared weights: an exact two-sided binomial test, in whole numbers throughout.

Every request goes to a backend of weight w among weights of sum W with chance w/W, on its own. A data plane that deals
requests out in turn stays nearer to its weights than chance would, so it agrees as well.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import accumulate
from math import comb

ERROR = Fraction(1, 1_000_000)
"""The chance of finding that a data plane which does split as declared does not."""


def _ways(requests: int, weight: int, total: int) -> list[int]:
    """How many of total**requests equally likely cases give 0, 1, ... answers of the backend."""
    other = total - weight
    return [comb(requests, count) * weight**count * other ** (requests - count) for count in range(requests + 1)]


def p_value(count: int, requests: int, weight: int, total: int) -> Fraction:
    """Twice the chance of a count as far out as this one on its own side, at most 1.

    `count` of `requests` answers came from a backend of `weight` among weights of sum `total`.
    """
    ways = _ways(requests, weight, total)
    tail = min(sum(ways[: count + 1]), sum(ways[count:]))
    return min(Fraction(1), Fraction(2 * tail, total**requests))


def agreeing(requests: int, weight: int, total: int, error: Fraction = ERROR) -> tuple[int, int]:
    """The least and the greatest count whose p-value is not below `error`."""
    ways = _ways(requests, weight, total)
    least = error * total**requests / 2
    low = next(count for count, tail in enumerate(accumulate(ways)) if tail >= least)
    high = next(count for count, tail in enumerate(accumulate(reversed(ways))) if tail >= least)
    return low, requests - high
