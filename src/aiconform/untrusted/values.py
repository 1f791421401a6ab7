"""JSON of strangers: nested only so deep that every function here can follow it, and with each key once."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any

from aiconform.untrusted.refused import Refused

DEEPEST = 100  # levels; observations and API objects have fewer than 30

_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*+"|[\[{]|[\]}]', re.DOTALL)


def refuse_depth(data: bytes, what: str) -> None:
    """Raises Refused if brackets are nested deeper than DEEPEST."""
    if data.count(b"[") + data.count(b"{") <= DEEPEST:
        return
    depth = 0
    for token in _TOKEN.finditer(data):
        first = data[token.start()]
        if first in b"[{":
            depth += 1
            if depth > DEEPEST:
                raise Refused(f"{what} is nested deeper than {DEEPEST} levels")
        elif first != ord('"'):
            depth -= 1


def json_value(data: bytes, what: str) -> Any:
    """The value of a JSON text; `what` names it in the message. Raises Refused, also for an object with a key twice:
    who reads it could see the first, and a program takes the last."""
    refuse_depth(data, what)
    try:
        return json.loads(data, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise Refused(f"{what} is not JSON: {error}") from error


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        raise ValueError(f"{twice[:80]!r} is there twice")
    return found
