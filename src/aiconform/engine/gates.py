"""What a check waits for before it can begin, such as a component of the platform that is still being installed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable


class NeverReady(Exception):
    """What the check needs will not come; the text says why. Its probes end as errors with these words."""


Gate = Callable[[], Awaitable[None]]
"""Returns when the check can begin. Raises NeverReady."""
