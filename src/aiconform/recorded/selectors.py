"""Label and field selectors of requests, read as the API server reads them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from aiconform.cluster import Object

Selects = Callable[[Object], bool]
LabelTerm = Callable[[dict[str, str]], bool]


class BadSelector(ValueError):
    """The API server would answer 400 with this text."""


_TERM = re.compile(
    r"\s*(?:(?P<absent>!)\s*(?P<no>[\w./-]+)"
    r"|(?P<key>[\w./-]+)\s*(?:(?P<op>==|=|!=)\s*(?P<value>[\w.-]*)|(?P<set>in|notin)\s*\((?P<values>[^()]*)\))?)"
    r"\s*(?P<end>,|$)"
)


def labels(text: str) -> Selects:
    """A label selector: `a=b`, `a!=b`, `a in (b,c)`, `a notin (b,c)`, `a`, `!a`, by commas. Raises BadSelector."""
    terms: list[LabelTerm] = []
    position, more = 0, bool(text.strip())
    while more:
        match = _TERM.match(text, position)
        if match is None:
            raise BadSelector(f"unable to parse requirement: found '{text[position:]}'")
        terms.append(_label_term(match))
        position, more = match.end(), match["end"] == ","
    return lambda obj: all(term(obj["metadata"].get("labels") or {}) for term in terms)


def _label_term(match: re.Match[str]) -> LabelTerm:
    key, operator, value = match["no"] or match["key"], match["op"], match["value"]
    if match["absent"]:
        return lambda found: key not in found
    if match["set"]:
        values = {each.strip() for each in match["values"].split(",")}
        if match["set"] == "in":
            return lambda found: found.get(key) in values
        return lambda found: found.get(key) not in values
    if operator == "!=":
        return lambda found: found.get(key) != value
    if operator:
        return lambda found: found.get(key) == value
    return lambda found: key in found


def fields(text: str, known: Iterable[str]) -> Selects:
    """A field selector: `a=b`, `a!=b`, joined by commas; `known` are the fields of the kind. Raises BadSelector."""
    terms: list[tuple[str, bool, str]] = []
    for part in filter(None, text.split(",")):
        match = re.fullmatch(r"([\w.]+)(==|=|!=)(.*)", part)
        if match is None:
            raise BadSelector(f"invalid selector: '{part}'; can't understand '{part}'")
        if match[1] not in known:
            raise BadSelector(f"field label not supported: {match[1]}")
        terms.append((match[1], match[2] != "!=", match[3]))
    return lambda obj: all((_field(obj, path) == value) is equal for path, equal, value in terms)


def _field(obj: Object, path: str) -> str:
    found: Any = obj
    for key in path.split("."):
        found = found.get(key) if isinstance(found, dict) else None
    if found is None:
        # These are never absent, only not written.
        return "false" if path in ("spec.unschedulable", "spec.hostNetwork") else ""
    return str(found).lower() if isinstance(found, bool) else str(found)
