"""What credentials are asked about before a run."""

from __future__ import annotations

import pytest

from aiconform.check.registry import load_check
from aiconform.engine.access import Permissions


class Authorizer:
    """Allows everything, or everything but these (verb, resource)."""

    def __init__(self, *refused: tuple[str, str]) -> None:
        self.refused, self.questions = refused, 0

    async def may(self, verb: str, group: str, resource: str) -> bool:
        self.questions += 1
        return (verb, resource) not in self.refused and not (verb == "*" and self.refused)


@pytest.mark.parametrize("names", [("dra_support",), ("dra_support", "ai_inference", "gang_scheduling")])
async def test_an_administrator_is_asked_about_once(names: tuple[str, ...]) -> None:
    authorizer = Authorizer()
    permissions = Permissions(authorizer)  # type: ignore[arg-type]
    for name in names:
        assert await permissions.missing([load_check(name)]) == []
    assert authorizer.questions == 1


async def test_others_are_asked_about_each_thing_once() -> None:
    authorizer = Authorizer(("create", "pods"))
    permissions = Permissions(authorizer)  # type: ignore[arg-type]
    assert await permissions.missing([load_check("dra_support")]) == ["create pods"]
    asked = authorizer.questions
    assert asked > 10
    await permissions.missing([load_check("dra_support")])
    assert authorizer.questions == asked
