"""What users can set for one check, and for all probes of a run."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from aiconform.platform.accelerators.options import NOTHING_SAID, AcceleratorOptions


@dataclass(frozen=True)
class OptionInfo:
    """What `option` declares for a field, besides its default and its description."""

    serves: tuple[str, ...] = ()
    formerly: tuple[str, ...] = ()
    choices: Callable[[], Iterable[str]] | None = None


class Options(BaseModel):
    """What users can set for one check (`--set ID.NAME=VALUE`).

    A check has at most one subclass; each of its fields is an `option`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    @field_validator("*")
    @classmethod
    def _is_a_choice(cls, value: Any, info: ValidationInfo) -> Any:
        name = info.field_name or ""
        choices = cls.info(name).choices
        if choices is None or value == cls.model_fields[name].default or value in (known := tuple(choices())):
            return value
        raise ValueError(f"choose one of {', '.join(known)}")

    @classmethod
    def info(cls, name: str) -> OptionInfo:
        """What is declared for a field."""
        extra: Any = cls.model_fields[name].json_schema_extra
        found: OptionInfo = (extra or {}).get("option", OptionInfo())
        return found


def option(
    default: Any,
    description: str,
    *,
    serves: Iterable[str] = (),
    formerly: Iterable[str] = (),
    choices: Callable[[], Iterable[str]] | None = None,
    pattern: str | None = None,
    **bounds: float,
) -> Any:
    """A field of Options. `description` is what users read in `aiconform options`; the default suits most platforms.

    serves: ids of the limits of the requirement's procedure that it sets. formerly: earlier names, which `--set` still
    takes. choices: a function that returns the valid values besides the default, from a registry.
    pattern: a regular expression that a whole text must match. bounds: ge, gt, le, lt.
    """
    field: Any = Field
    about = OptionInfo(tuple(serves), tuple(formerly), choices)
    whole = f"^(?:{pattern})$" if pattern else None
    return field(default, description=description, pattern=whole, json_schema_extra={"option": about}, **bounds)


O = TypeVar("O", bound=Options)  # noqa: E741 - the usual name for a type variable of options


@dataclass(frozen=True)
class Settings:
    """What users can set for all probes.

    every_node: use every accelerator node instead of one of each kind.
    nodes: use only accelerators of nodes with these labels (a label selector); all nodes by default.
    said: what the user says of accelerators and of taints.
    patience: the longest time until a Pod runs, in seconds, including image pull and device setup; also for how long a
    request is repeated that fails for a moment.
    at_once: how many probes work on nodes at the same time at most.
    options: one model for each check that has some set.
    """

    every_node: bool = False
    nodes: str = ""
    said: AcceleratorOptions = NOTHING_SAID
    patience: float = 120.0
    options: tuple[Options, ...] = ()
    at_once: int = 16

    def of(self, kind: type[O]) -> O:
        """The options of a check, by their class."""
        return next((each for each in self.options if isinstance(each, kind)), kind())
