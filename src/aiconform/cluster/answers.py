"""What the API server answered, for who records it.

Who records opens a `heard` block: it gets every answer to a request of the same task, or of tasks that it starts.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Answer:
    """The answer to one request. `proxied`: it is that of a Pod or Service behind the API server."""

    verb: str
    path: str
    query: dict[str, str] = field(default_factory=dict)
    text: str = ""
    status: int = 200
    type: str = "application/json"
    proxied: bool = False


_heard: ContextVar[list[Answer] | None] = ContextVar("heard", default=None)


@contextmanager
def heard() -> Iterator[list[Answer]]:
    """The answers to the requests made inside of the `with` block, as they come."""
    answers: list[Answer] = []
    token = _heard.set(answers)
    try:
        yield answers
    finally:
        _heard.reset(token)


def tell(answer: Answer) -> None:
    """Add an answer to the open block, if there is one."""
    answers = _heard.get()
    if answers is not None:
        answers.append(answer)
