"""The time of a challenge: clocks of two machines are never quite the same."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from aiconform.certify.challenge import Challenge

NONCE = "0" * 32
CHALLENGE = Challenge(NONCE, "", "2026-11-23T12:00:00+00:00", "2026-11-24T12:00:00+00:00")


@pytest.mark.parametrize(
    ("started", "ended", "words"),
    [
        ("2026-11-23T11:55:00.000Z", "2026-11-24T12:05:00.000Z", ""),
        ("2026-11-23T11:54:59.000Z", "2026-11-24T12:05:00.000Z", "before the challenge was issued"),
        ("2026-11-23T11:55:00.000Z", "2026-11-24T12:05:01.000Z", "after the challenge had expired"),
    ],
)
def test_clocks_may_be_five_minutes_apart(started: str, ended: str, words: str) -> None:
    run: Any = SimpleNamespace(challenge=NONCE, echoed=(NONCE,), started=started, ended=ended)
    missed = CHALLENGE.missed(run)
    assert words in missed
    assert bool(missed) is bool(words)
