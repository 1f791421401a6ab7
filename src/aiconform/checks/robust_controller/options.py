"""What a user can set for robust_controller."""

from __future__ import annotations

from pydantic import ValidationInfo, field_validator

from aiconform.check import Options, option
from aiconform.platform.operators import BadDefinition, Operator, known, read

ALL = "all"


class RobustControllerOptions(Options):
    definitions: str = option(
        "", "A file that defines further operators, in the form of platform/operators/operators.yaml."
    )
    operator: str = option(
        "", "The operators to test: names separated by commas, or all; by default the first fully installed one."
    )
    restart: bool = option(
        True,
        "Delete the controller's Pods once. The requirement is that an operator survives this, so the check cannot "
        "pass without it. Until the Pods are ready again, nobody can create objects that the operator's webhooks "
        "intercept.",
    )
    ready_seconds: float = option(
        300.0,
        "The longest time until a custom resource reaches its ready state.",
        serves=("resource_ready",),
        ge=1,
    )
    child_seconds: float = option(
        60.0,
        "The longest time until a deleted child is recreated, and until children are deleted after their owner.",
        serves=("child_changes",),
        ge=1,
    )
    restart_seconds: float = option(
        120.0,
        "The longest time until the controller's Pods are ready again, and then until a change is reconciled.",
        serves=("controller_restart",),
        ge=1,
    )

    @field_validator("definitions")
    @classmethod
    def _readable(cls, path: str) -> str:
        try:
            if path:
                read(path)
        except BadDefinition as error:
            raise ValueError(str(error)) from error
        return path

    @field_validator("operator")
    @classmethod
    def _known(cls, words: str, info: ValidationInfo) -> str:
        names = [entry.name for entry in defined_operators(info.data.get("definitions", ""))]
        for word in operator_names(words):
            if word not in (*names, ALL):
                raise ValueError(
                    f"there is no operator {word!r}; the suite knows {', '.join(names)}, and {ALL}; "
                    "definitions=FILE defines others"
                )
        return words


def operator_names(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def defined_operators(path: str) -> tuple[Operator, ...]:
    """The operators of the user's file, then those of the suite with other names."""
    own = read(path) if path else ()
    return (*own, *(entry for entry in known() if entry.name not in {mine.name for mine in own}))
