"""Accelerators and solutions that a text names, by the words of mentions.yaml."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from aiconform.spec.yamlfile import read

FILE = Path(__file__).with_name("mentions.yaml")
_NOT_A_WORD = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True)
class Named:
    """One thing that can be named. requirement: of a solution. project: its names in conformance reports of others."""

    id: str
    title: str
    words: tuple[str, ...]
    requirement: str = ""
    project: tuple[str, ...] = ()


@cache
def accelerators() -> tuple[Named, ...]:
    return _read("accelerators")


@cache
def solutions() -> tuple[Named, ...]:
    return _read("solutions")


def named(text: str, among: Iterable[Named]) -> list[str]:
    """Ids of what the text names, in the order of `among`. Of `envoy ai gateway` only the longest name counts."""
    every = tuple(among)
    found = {match.group().strip() for match in _pattern(every).finditer(f" {words_of(text)} ")}
    return [each.id for each in every if found & set(each.words)]


def words_of(text: str) -> str:
    """In lower case, with one blank for everything that is neither a letter nor a digit."""
    return _NOT_A_WORD.sub(" ", text.lower()).strip()


@cache
def _pattern(among: tuple[Named, ...]) -> re.Pattern[str]:
    words = sorted((word for each in among for word in each.words), key=len, reverse=True)
    return re.compile(rf"(?<= )(?:{'|'.join(map(re.escape, words))})(?= )") if words else re.compile(r"(?!)")


def _read(key: str) -> tuple[Named, ...]:
    listed = read(FILE).data[key]
    return tuple(
        Named(
            each["id"], each["title"], tuple(each["words"]), each.get("requirement", ""), tuple(each.get("project", ()))
        )
        for each in listed
    )
