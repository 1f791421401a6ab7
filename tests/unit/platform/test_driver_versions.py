"""Versions as vendors write them, compared at the precision that both have."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiconform.platform.accelerators.versions import Version, agree, parse


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("580", "580.65.06"),
        ("580.65.06", "580.65.6"),
        ("v580.95.05", "580.95.5"),
        ("13.0", "13.0.0"),
        ("6.12.12", "6.12.12"),
        ("0.11.0-26305c5e", "0.11.0"),
        ("1.23.0-695-ABC", "1.23.0-695-abc"),
        ("24.1.rc3", "24.1.0-rc3"),
        ("1.4.2+build.7", "1.4.2_build-7"),
        ("6.8.0-41-generic", "6.8.0-41-generic"),
        ("6.1.58+", "6.1.58"),
        (" 2.22.2.0 ", "2.22.2"),
    ],
)
def test_one_version_written_in_two_ways(one: str, other: str) -> None:
    assert agree(one, other)
    assert agree(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("580.65", "580.82"),
        ("580.65.06", "580.82.07"),
        ("580", "58"),
        ("6.8.0-41-generic", "6.8.0-45-generic"),
        ("24.1.rc3", "24.1.rc2"),
        ("0.11.0-26305c5e", "0.11.0-36305c5e"),
        ("1.4.2", "1.4.20"),
    ],
)
def test_two_versions(one: str, other: str) -> None:
    assert not agree(one, other)
    assert not agree(other, one)


@pytest.mark.parametrize(
    "text",
    ["", "default", "latest", "unknown", "N/A", "true", "26305c5e", "v", ".1", "rc3", "1..2", "٥٨٠.٦٥", "1.\x1b[31m2"],
)
def test_what_is_no_version_agrees_with_nothing(text: str) -> None:
    assert parse(text) is None
    assert not agree(text, text)


@pytest.mark.parametrize("text", ["1" * 200, "1." * 200_000 + "\nx", "580.65.06 " + "x" * 200_000])
def test_a_text_of_any_length_is_read_at_once(text: str) -> None:
    assert parse(text) is None


def test_a_version_has_numbers_and_what_follows_them() -> None:
    assert parse("0.11.0-26305C5E") == Version((0, 11, 0), ("26305c5e",))


NUMBERS = st.lists(st.integers(0, 10**6), min_size=1, max_size=5)


def written(numbers: list[int]) -> str:
    return ".".join(map(str, numbers))


@given(NUMBERS, st.integers(1, 5))
def test_a_version_agrees_with_its_beginning(numbers: list[int], length: int) -> None:
    assert agree(written(numbers), written(numbers[:length]))


@given(NUMBERS, NUMBERS)
def test_versions_agree_if_one_is_the_beginning_of_the_other(one: list[int], other: list[int]) -> None:
    shared = min(len(one), len(other))
    assert agree(written(one), written(other)) == (one[:shared] == other[:shared])


@given(st.text())
def test_any_text_can_be_read(text: str) -> None:
    found = parse(text)
    assert found is None or found.numbers
    assert agree(text, text) == (found is not None)
