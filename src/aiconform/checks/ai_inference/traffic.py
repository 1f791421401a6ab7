"""The answers that a client reports: counted by kind of request, and watched while weights change."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from typing import Literal

from aiconform.checks.ai_inference import model_servers
from aiconform.checks.ai_inference.binomial import agreement
from aiconform.checks.ai_inference.model_servers import ServerAnswer
from aiconform.checks.ai_inference.observations import RequestCounts, WeightChange
from aiconform.checks.ai_inference.routes import CHANGED, WEIGHTS
from aiconform.cluster import TimedOut

# The number of answers that shows whether the new weights are in force; the judged answers follow them.
WINDOW = 40
BEFORE_CHANGE = 20
# Two streams request long answers: each has then started one before the change and one after it.
LONG_AFTER_CHANGE = 4
_GRACE_SECONDS = 60.0


async def answers_until(lines: AsyncIterator[str], end: str) -> tuple[list[ServerAnswer], bool]:
    """(the answers up to the line `end`, whether that line came)."""
    found: list[ServerAnswer] = []
    async for line in lines:
        if line == end:
            return found, True
        if answer := model_servers.parse(line):
            found.append(answer)
    return found, False


def tally(answers: Iterable[ServerAnswer], origin: Literal["inside", "outside"]) -> list[RequestCounts]:
    """The number of answers for each kind of request."""
    counted: dict[tuple[str, str], tuple[Counter[str], Counter[str]]] = {}
    for answer in answers:
        by_backend, by_failure = counted.setdefault((answer.rule, answer.model), (Counter(), Counter()))
        if answer.backend:
            by_backend[answer.backend] += 1
        else:
            by_failure[answer.failure] += 1
    return [
        RequestCounts.model_validate(
            {"rule": rule, "model": model, "origin": origin, "answers": dict(by_backend), "failures": dict(by_failure)}
        )
        for (rule, model), (by_backend, by_failure) in counted.items()
    ]


async def watch_change(
    lines: AsyncIterator[str], change: Callable[[], Awaitable[None]], requests: int, within: float
) -> WeightChange:
    """Call `change` (which changes WEIGHTS to CHANGED) during the flow of answers, and watch the answers after it.

    Raises TimedOut if the answers end too early.
    """
    clock = asyncio.get_running_loop().time
    lost: Counter[str] = Counter()
    total = long_total = long_after = 0
    changed_at: float | None = None
    in_force: float | None = None
    window: deque[str] = deque(maxlen=WINDOW)
    sample: deque[str] = deque(maxlen=requests)
    async for line in lines:
        answer = model_servers.parse(line)
        if answer is None or answer.rule not in ("quick", "long"):
            continue
        total += 1
        long_total += answer.rule == "long"
        if answer.failure:
            lost[answer.failure] += 1
        if changed_at is None:
            if total >= BEFORE_CHANGE:
                await change()
                changed_at = clock()
            continue
        if answer.rule == "long":
            long_after += 1
        elif answer.backend:
            sample.append(answer.backend)
            if in_force is None:
                window.append(answer.backend)
                if len(window) == WINDOW and _agrees(window, CHANGED) and not _agrees(window, WEIGHTS):
                    in_force = clock() - changed_at
                    sample.clear()
        late = clock() - changed_at
        # The first long answers after the change started before it.
        enough = (in_force is not None and len(sample) == requests) or (in_force is None and late > within)
        if (enough and long_after >= LONG_AFTER_CHANGE) or late > within + _GRACE_SECONDS:
            return WeightChange(
                weights=CHANGED,
                in_force_after=round(in_force, 3) if in_force is not None else None,
                within=within,
                sample=dict(Counter(sample)),
                requests=total,
                long_requests=long_total,
                lost=dict(lost),
            )
    raise TimedOut(f"the client stopped sending requests; it made {total} requests while the weights changed")


def _agrees(backends: Iterable[str], weights: Mapping[str, int]) -> bool:
    return agreement(Counter(backends), weights)[0]
