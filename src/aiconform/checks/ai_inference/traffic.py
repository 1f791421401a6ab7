"""What a client's answers come to: counted by what was asked, held against weights, watched while weights change."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict

from aiconform.checks.ai_inference import binomial as shares
from aiconform.checks.ai_inference import model_servers
from aiconform.checks.ai_inference.model_servers import Answer
from aiconform.checks.ai_inference.routes import CHANGED, WEIGHTS
from aiconform.cluster import TimedOut

# Answers by which the new weights are seen to be in force; those that are judged come after them.
WINDOW = 40
BEFORE_CHANGE = 20
# Of the two streams that ask for long answers each then has begun one before the change and one after it.
LONG_AFTER_CHANGE = 4
_AT_LAST_SECONDS = 60.0


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Asked(Part):
    """Requests of one kind. `answers`: server -> how many it answered; `failures`: what came instead -> how often.

    `model` is what the header or path named.
    """

    rule: Literal["weights", "header", "path", "none"]
    model: str
    origin: Literal["inside", "outside"]
    answers: dict[str, int]
    failures: dict[str, int]


class Change(Part):
    """What a steady flow of requests met when the weights changed.

    in_force_after: seconds from the change until the last answers agreed with the new weights and no longer with the
    old ones; None if they never did. sample: server -> answers, of the requests after that (else of the last ones).
    requests, long_requests: how many were sent in all, and how many of them were for long answers. lost: what came
    instead of a whole answer -> how often.
    """

    weights: dict[str, int]
    in_force_after: float | None
    within: float
    sample: dict[str, int]
    requests: int
    long_requests: int
    lost: dict[str, int]


async def answers_until(lines: AsyncIterator[str], end: str) -> tuple[list[Answer], bool]:
    """(the answers up to the line `end`, whether it came)."""
    found: list[Answer] = []
    async for line in lines:
        if line == end:
            return found, True
        if answer := model_servers.parse(line):
            found.append(answer)
    return found, False


def tally(answers: Iterable[Answer], origin: Literal["inside", "outside"]) -> list[Asked]:
    """The answers counted by what was asked."""
    counted: dict[tuple[str, str], tuple[Counter[str], Counter[str]]] = {}
    for answer in answers:
        by_backend, by_failure = counted.setdefault((answer.rule, answer.model), (Counter(), Counter()))
        if answer.backend:
            by_backend[answer.backend] += 1
        else:
            by_failure[answer.failure] += 1
    return [
        Asked.model_validate(
            {"rule": rule, "model": model, "origin": origin, "answers": dict(by_backend), "failures": dict(by_failure)}
        )
        for (rule, model), (by_backend, by_failure) in counted.items()
    ]


async def watch_change(
    lines: AsyncIterator[str], change: Callable[[], Awaitable[None]], requests: int, within: float
) -> Change:
    """Call `change` (which changes WEIGHTS to CHANGED) in the flow of answers, and watch what follows.

    Raises TimedOut if the answers end before there are enough of them.
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
        # The first long answers after the change were begun before it.
        enough = (in_force is not None and len(sample) == requests) or (in_force is None and late > within)
        if (enough and long_after >= LONG_AFTER_CHANGE) or late > within + _AT_LAST_SECONDS:
            return Change(
                weights=CHANGED,
                in_force_after=round(in_force, 3) if in_force is not None else None,
                within=within,
                sample=dict(Counter(sample)),
                requests=total,
                long_requests=long_total,
                lost=dict(lost),
            )
    raise TimedOut(f"the client stopped asking; it made {total} requests while the weights changed")


def _agrees(backends: Iterable[str], weights: Mapping[str, int]) -> bool:
    return share(Counter(backends), weights)[0]


def share(answers: Mapping[str, int], weights: Mapping[str, int]) -> tuple[bool, str]:
    """(whether the counts agree with the weights of two backends, in what words)."""
    first, *_ = weights
    count, requests, weight, total = answers.get(first, 0), sum(answers.values()), weights[first], sum(weights.values())
    p = shares.p_value(count, requests, weight, total)
    low, high = shares.agreeing(requests, weight, total)
    words = (
        f"{count} of {requests} answers are {first}'s, declared {weight} of {total}; exact two-sided binomial test: "
        f"p = {float(p):.2g}, {low} to {high} agree (a right split is found wrong once in {1 / shares.ERROR} times)"
    )
    return p >= shares.ERROR, words
