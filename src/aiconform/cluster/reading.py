"""What answers of an API server have to hold to be read.

Something else may answer in its place, such as a login page or a proxy, and aggregated APIs are written by many.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

from aiconform.cluster.errors import ServerFailed

Object = dict[str, Any]
EventType = Literal["ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR"]


@contextmanager
def reading(what: str) -> Iterator[None]:
    """Raises ServerFailed, with `what` was asked, for an answer without what the block reads from it."""
    try:
        yield
    except (LookupError, TypeError, AttributeError, ValueError, RecursionError) as error:
        raise ServerFailed(f"{what}: the answer is none of Kubernetes' ({type(error).__name__}: {error})") from error


def an_object(answer: Any, what: str) -> Object:
    """The answer, if it is an object of Kubernetes. Raises ServerFailed."""
    with reading(what):
        if not isinstance(answer["metadata"], dict):
            raise TypeError("no metadata")
        found: Object = answer
    return found


def a_list(answer: Any, api_version: str, kind: str) -> tuple[list[Object], Object]:
    """(the objects of a list, its metadata). Aggregated APIs may have null for no items. Raises ServerFailed."""
    what = f"a list of {kind} in {api_version}"
    with reading(what):
        # The items of a list have no type, which `delete` needs.
        typed = {"apiVersion": api_version, "kind": kind}
        return [typed | an_object(item, what) for item in answer["items"] or ()], {**answer["metadata"]}


def an_event(line: bytes, api_version: str, kind: str) -> tuple[EventType, Object]:
    """(the type of a watch's event, its object; of an ERROR its Status). Raises ServerFailed."""
    with reading(f"a watch of {kind} in {api_version}"):
        event = json.loads(line)
        sort: EventType = event["type"]
        if sort == "ERROR":
            return sort, {**event["object"]}
        return sort, {"apiVersion": api_version, "kind": kind, **an_object(event["object"], "its event")}
