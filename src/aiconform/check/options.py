"""What a user may set for a check, and for a run's probes as a whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from pydantic import BaseModel, ConfigDict


class Options(BaseModel):
    """What a user may set for one check (`--set ID.NAME=VALUE`).

    A check has at most one subclass. Each field has a default that suits most platforms, and a description: users read
    it in `aiconform options`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)


O = TypeVar("O", bound=Options)  # noqa: E741 - the usual name for a type variable of options


@dataclass(frozen=True)
class Settings:
    """What a user may set for the probes.

    every_node: look at every accelerator node instead of one of each kind.
    patience: seconds that the platform has to start a Pod (image pull and device set-up included).
    options: those of each check for which some were given.
    """

    every_node: bool = False
    patience: float = 120.0
    options: tuple[Options, ...] = ()

    def of(self, kind: type[O]) -> O:
        """The options of a check, by their class."""
        return next((each for each in self.options if isinstance(each, kind)), kind())
