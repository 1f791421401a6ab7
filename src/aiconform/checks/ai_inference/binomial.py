"""Whether counted answers agree with declared weights: an exact two-sided binomial test, computed with integers.

Each request goes to a backend of weight w, of weights with the sum W, with the probability w/W, independently of the
others. A data plane that distributes requests in turn is closer to its weights than chance, so it agrees as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from itertools import accumulate
from math import comb

ERROR = Fraction(1, 1_000_000)
"""The probability that the test rejects a data plane that splits as declared."""
MOST_REQUESTS = 10_000  # the option allows 5,000; the test computes with numbers of as many digits
MOST_WEIGHT = 1_000


def _ways(requests: int, weight: int, total: int) -> list[int]:
    """How many of total**requests equally likely cases give 0, 1, ... answers of the backend."""
    other = total - weight
    return [comb(requests, count) * weight**count * other ** (requests - count) for count in range(requests + 1)]


def p_value(count: int, requests: int, weight: int, total: int) -> Fraction:
    """Twice the probability of a count at least as extreme as this one, on its side; at most 1.

    `count` of `requests` answers came from a backend of `weight` among weights of sum `total`.
    """
    ways = _ways(requests, weight, total)
    tail = min(sum(ways[: count + 1]), sum(ways[count:]))
    return min(Fraction(1), Fraction(2 * tail, total**requests))


def agreeing(requests: int, weight: int, total: int, error: Fraction = ERROR) -> tuple[int, int]:
    """The smallest and the largest count whose p-value is not below `error`."""
    ways = _ways(requests, weight, total)
    least = error * total**requests / 2
    low = next(count for count, tail in enumerate(accumulate(ways)) if tail >= least)
    high = next(count for count, tail in enumerate(accumulate(reversed(ways))) if tail >= least)
    return low, requests - high


def agreement(answers: Mapping[str, int], weights: Mapping[str, int]) -> tuple[bool, str]:
    """(whether the counts agree with the weights of two backends, the figures of the test)."""
    first, *_ = weights
    count, requests, weight, total = answers.get(first, 0), sum(answers.values()), weights[first], sum(weights.values())
    if not (0 <= count <= requests <= MOST_REQUESTS and 0 <= weight <= total <= MOST_WEIGHT):
        raise ValueError(f"{count} of {requests} answers with the weight {weight} of {total} are none of a run")
    p = p_value(count, requests, weight, total)
    low, high = agreeing(requests, weight, total)
    words = (
        f"{count} of {requests} answers are from {first}, declared {weight} of {total}; exact two-sided binomial test: "
        f"p = {float(p):.2g}, {low} to {high} agree (a correct split is rejected once in {1 / ERROR} tests)"
    )
    return p >= ERROR, words
