"""Assertions that are written as CEL expressions in an extension's file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from aiconform.check.assertion import Assertion, Finding, holds, undecided
from aiconform.check.observation import Observation
from aiconform.spec.container import CelRule

# What the interpreter raises for an expression that cannot be computed over this observation.
_FAILED = (LookupError, ArithmeticError, RuntimeError, ValueError, TypeError)


class Observed(Observation):
    """What a container wrote: `seen` is its JSON object, `image` what ran, `node` where."""

    seen: dict[str, Any]
    image: str
    node: str


class BadRule(ValueError):
    """An expression that does not parse; the text names the rule and the place in it."""


def assertion_of(rule: CelRule) -> Assertion:
    """The assertion that a rule declares. Raises BadRule."""
    # Here, because the package imports a command line of its own, too.
    import cel

    for name in ("holds", "subjects", "reason"):
        try:
            cel.compile(getattr(rule, name))
        except ValueError as error:
            raise BadRule(f"assertion {rule.id}: {name}: {error}") from error
    judge: Callable[[Observed], Finding] = partial(_judge, rule)
    return Assertion(rule.id, rule.title, judge, Observed, rule.serves or (rule.id,))


def _judge(rule: CelRule, observed: Observed) -> Finding:
    context = {"seen": observed.seen}
    try:
        decision = _of(bool, rule.holds, context)
        subjects = _of(int, rule.subjects, context)
        reason = _of(str, rule.reason, context)
    except _FAILED as error:
        return undecided(f"the observation does not decide it: {type(error).__name__}: {error}")
    return holds(decision, reason or f"{rule.holds} is {'true' if decision else 'false'}", subjects=subjects)


def _of(kind: type[Any], expression: str, context: Mapping[str, Any]) -> Any:
    import cel

    value = cel.evaluate(expression, dict(context))
    if type(value) is not kind:
        raise TypeError(f"{expression} is {value!r}, which is not of type {kind.__name__}")
    return value
