"""How long a request goes on that fails for a moment: "not yet" is not "failed".

An API server restarts, a connection is lost, a name is not resolved, a webhook is still starting: that says nothing of
the platform. Who can wait opens a `patient` block. Each request in the same task, or in tasks that it starts, is
repeated for that many seconds after its first failure. Outside of such a block a request fails at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from aiconform.cluster.errors import ClusterError, NoAnswer, ServerFailed, Unreachable, WebhookUnreached

FIRST_PAUSE_SECONDS = 0.25
LONGEST_PAUSE_SECONDS = 5.0
# 501 is missing: what is not implemented will not be, a moment later.
PASSING = frozenset({429, 500, 502, 503, 504})

_seconds: ContextVar[float] = ContextVar("patience", default=0.0)


@contextmanager
def patient(seconds: float) -> Iterator[None]:
    """Requests inside of this block are repeated for `seconds` after their first failure."""
    token = _seconds.set(seconds)
    try:
        yield
    finally:
        _seconds.reset(token)


def seconds() -> float:
    """The patience of this task."""
    return _seconds.get()


def passing(error: ClusterError) -> bool:
    """Whether the same request may succeed a moment later, without anything else being done.

    Webhooks are asked again by `wait.reaching_webhooks`, which knows how long the platform has for them.
    """
    if isinstance(error, NoAnswer):
        return True
    if isinstance(error, Unreachable):
        return not error.lasting
    return isinstance(error, ServerFailed) and not isinstance(error, WebhookUnreached) and error.status in PASSING


class Tries:
    """The tries of one request. `failed`: how many of them failed."""

    def __init__(self) -> None:
        self.failed = 0
        self._until = 0.0

    async def again(self, error: ClusterError) -> bool:
        """Pause after a failure; whether to try again."""
        now = asyncio.get_running_loop().time()
        if not self.failed:
            self._until = now + seconds()
        pause = min(FIRST_PAUSE_SECONDS * 2**self.failed, LONGEST_PAUSE_SECONDS)
        self.failed += 1
        if not passing(error) or now >= self._until:
            return False
        await asyncio.sleep(min(pause, self._until - now))
        return True
