"""The rules, one module for each thing that they look at.

P-… rules are the programme's own (the errors and warnings of its validator); F-… rules go beyond them. Every module has
`RULES` and `check(context)`, which yields the problems found in one submission; `loading` also says why there may be no
context.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol

from aiconform.certify.context import Context
from aiconform.certify.findings import Problem, Rule
from aiconform.certify.rules import (
    artifacts,
    certificate,
    claims,
    evidence,
    form,
    loading,
    metadata,
    originality,
    programme,
    runs,
)


class RuleModule(Protocol):
    """What each module of rules offers."""

    @property
    def RULES(self) -> tuple[Rule, ...]: ...  # noqa: N802

    def check(self, context: Context, /) -> Iterator[Problem]: ...


MODULES: tuple[RuleModule, ...] = (
    loading,
    programme,
    form,
    metadata,
    claims,
    evidence,
    artifacts,
    runs,
    originality,
    certificate,
)
CATALOGUE: Mapping[str, Rule] = {rule.id: rule for module in MODULES for rule in module.RULES}


def check(context: Context) -> Iterator[Problem]:
    """The problems that all rules find in a submission."""
    for module in MODULES:
        yield from module.check(context)


def of_programme(rule: str) -> bool:
    """Whether the rule is the programme's own."""
    return rule.startswith("P-")
