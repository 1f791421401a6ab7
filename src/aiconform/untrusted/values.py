"""JSON of strangers: nested only so deep that every function here can follow it."""

from __future__ import annotations

import json
import re
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
    """The value of a JSON text; `what` names it in the message. Raises Refused."""
    refuse_depth(data, what)
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise Refused(f"{what} is not JSON: {error}") from error
