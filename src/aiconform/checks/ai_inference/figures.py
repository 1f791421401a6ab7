"""How traffic was split, beside the weights that were declared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from aiconform.check.figures import Axis, Share, Shares, figure
from aiconform.checks.ai_inference.binomial import MOST_REQUESTS, MOST_WEIGHT, agreeing
from aiconform.checks.ai_inference.observations import Routing

_Z = 1.959964
"""The quantile of the normal distribution for 95 %."""


@figure
def traffic_split(seen: Routing) -> Shares | str:
    shares = tuple(_shares(seen))
    if not shares:
        return "no request that follows the weights was answered"
    first = next(iter(seen.weights), "")
    lost = sum(sum(entry.failures.values()) for entry in seen.asked if entry.rule == "weights")
    return Shares(
        title="Traffic split",
        says=f"The share of answers from {first}; {lost} requests got no answer. The band is what agrees with the "
        "declared weights, by the exact binomial test that the verdict follows.",
        x=Axis(f"Answers from {first}"),
        shares=shares,
    )


def _shares(seen: Routing) -> Iterator[Share]:
    for entry in seen.asked:
        if entry.rule == "weights":
            yield from _share(
                f"{sum(entry.answers.values())} answers, from {entry.origin}", entry.answers, seen.weights
            )
    if seen.change:
        sample = seen.change.sample
        yield from _share(f"{sum(sample.values())} answers, after the weights changed", sample, seen.change.weights)


def _share(name: str, answers: Mapping[str, int], weights: Mapping[str, int]) -> Iterator[Share]:
    """Nothing for counts and weights that no run has."""
    first = next(iter(weights), "")
    count, requests = answers.get(first, 0), sum(answers.values())
    weight, total = weights.get(first, 0), sum(weights.values())
    if not (0 <= count <= requests <= MOST_REQUESTS and 0 <= weight <= total <= MOST_WEIGHT and requests and total):
        return
    low, high = agreeing(requests, weight, total)
    band = (low / requests, high / requests)
    yield Share(name, count / requests, interval(count, requests), weight / total, band)


def interval(count: int, requests: int) -> tuple[float, float]:
    """Wilson's score interval: where the share lies with a confidence of 95 %.

    Source: E. B. Wilson, Probable Inference, the Law of Succession, and Statistical Inference, 1927.
    """
    share, squared = count / requests, _Z**2 / requests
    middle = (share + squared / 2) / (1 + squared)
    half = (_Z / (1 + squared)) * (share * (1 - share) / requests + squared / (4 * requests)) ** 0.5
    return max(0.0, middle - half), min(1.0, middle + half)
