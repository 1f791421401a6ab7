"""Options of checks, as users give them."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import pytest
from pydantic import Field

from aiconform.check import Check, Options, Settings, collect, option
from aiconform.engine import options
from aiconform.engine.plan import BadChoice


class Example(Options):
    solution: str = Field("", description="Which solution to use.")
    window: float = Field(60.0, ge=1, description="Seconds.")
    pool_seconds: float = option(5.0, "Seconds for the pool.", formerly=("pool_limit", "pool_within"))
    operator: str = option("", "Which operator.", choices=lambda: ("jobset", "lws"))
    none: bool = Field(False, description="Says that there is none.")


Example.__module__ = "example_check"


@pytest.fixture(autouse=True)
def check(monkeypatch: pytest.MonkeyPatch) -> Check:
    module = ModuleType("example_check")
    module.Example = Example  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "example_check", module)
    found = collect("example_check", "example_check")
    monkeypatch.setattr(options, "has_check", lambda name: name == "example_check")
    monkeypatch.setattr(options, "load_check", lambda name: found)
    return found


def test_what_is_set_reaches_the_check_and_the_rest_is_as_by_default(check: Check) -> None:
    settings = Settings(options=options.parse(["example_check.window=2.5", "example_check.none=true"]))
    assert settings.of(Example) == Example(window=2.5, none=True)
    assert Settings().of(Example) == Example()
    assert options.in_force(check, settings) == {
        "solution": "",
        "window": 2.5,
        "pool_seconds": 5.0,
        "operator": "",
        "none": True,
    }


def test_a_value_may_hold_an_equals_sign() -> None:
    (given,) = options.parse(["example_check.solution=a=b"])
    assert given == Example(solution="a=b")


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("window=3", "give ID.NAME=VALUE"),
        ("example_check.window", "give ID.NAME=VALUE"),
        ("other_check.window=3", "other_check has no options"),
        ("example_check.windw=3", "did you mean window?"),
        ("example_check.window=soon", "example_check.window=soon"),
        ("example_check.window=0", "greater than or equal to 1"),
        ("example_check.operator=ray", "=ray: choose one of jobset, lws"),
    ],
)
def test_what_cannot_be_set_is_said_with_the_way_out(word: str, told: str) -> None:
    with pytest.raises(BadChoice, match=told.replace("?", r"\?")):
        options.parse([word])


def test_an_earlier_name_still_sets_the_option_and_the_new_one_is_told() -> None:
    told: list[str] = []
    (given,) = options.parse(["example_check.pool_limit=7"], told.append)
    assert given == Example(pool_seconds=7)
    assert told == ["--set example_check.pool_limit: the option is called example_check.pool_seconds now"]


def test_an_option_is_set_by_one_of_its_names() -> None:
    with pytest.raises(BadChoice, match="give one of them"):
        options.parse(["example_check.pool_limit=7", "example_check.pool_seconds=8"])


def test_a_check_has_one_class_of_options(monkeypatch: pytest.MonkeyPatch) -> None:
    module: Any = ModuleType("example_check")
    module.one, module.two = Example, type("Two", (Options,), {"__module__": "example_check"})
    monkeypatch.setitem(sys.modules, "example_check", module)
    with pytest.raises(TypeError, match="more than one"):
        collect("example_check", "example_check")
