"""Quantities as numbers: what the API server stores, and what is none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiconform.cluster import quantity


@given(st.integers(0, 10**9), st.sampled_from(["", "m", "k", "M", "G", "T", "Ki", "Mi", "Gi", "Ti"]))
def test_quantities_are_numbers(number: int, suffix: str) -> None:
    assert quantity.number(f"{number}{suffix}") >= (number / 1000 if suffix == "m" else number)


@pytest.mark.parametrize(
    ("text", "number"),
    [("7", 7), ("2333m", 2.333), ("1k", 1000), ("0", 0), ("1M", 10**6), ("16Gi", 2**34), ("1e3", 1000), (4, 4)],
)
def test_quantities_are_read(text: object, number: float) -> None:
    assert quantity.number(text) == pytest.approx(number)


@pytest.mark.parametrize("text", ["", "x", "1e", "Ki", "1Kim", "one", "NaN", "Infinity", None])
def test_no_quantity_is_no_number(text: object) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the client's own words
        quantity.number(text)


def test_a_count_of_devices_is_whole() -> None:
    assert quantity.whole("4") == 4
    assert quantity.whole("1k") == 1000
    with pytest.raises(ValueError, match="500m is no whole number"):
        quantity.whole("500m")
