"""What a user says of the platform's accelerators and of the nodes that have them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from aiconform.platform.accelerators.nodes import Toleration
from aiconform.platform.accelerators.profiles import Profile, Profiles, load_profiles


@dataclass(frozen=True)
class AcceleratorOptions:
    """What a user adds to what the suite knows.

    accelerators, not_accelerators: patterns of DRA drivers and extended resources. own: profiles from the user's files.
    tolerated: taints of nodes that a run may tolerate besides those of accelerators.
    """

    accelerators: tuple[str, ...] = ()
    not_accelerators: tuple[str, ...] = ()
    own: tuple[Profile, ...] = ()
    tolerated: tuple[Toleration, ...] = ()

    @cached_property
    def profiles(self) -> Profiles:
        """All profiles that hold for the platform."""
        return replace(load_profiles(), own=self.own, named=self.accelerators, refused=self.not_accelerators)

    def recorded(self) -> dict[str, Any]:
        """As data, for `options` in run.json."""
        return {
            "accelerators": list(self.accelerators),
            "not_accelerators": list(self.not_accelerators),
            "accelerator_profiles": [each.model_dump(mode="json", exclude_defaults=True) for each in self.own],
            "tolerations": [str(each) for each in self.tolerated],
        }

    @classmethod
    def of(cls, recorded: Mapping[str, Any]) -> AcceleratorOptions:
        """From `options` of run.json; a run made before these were recorded had none."""
        return cls(
            tuple(recorded.get("accelerators", ())),
            tuple(recorded.get("not_accelerators", ())),
            tuple(map(Profile.model_validate, recorded.get("accelerator_profiles", ()))),
            tuple(map(Toleration.parse, recorded.get("tolerations", ()))),
        )


NOTHING_SAID = AcceleratorOptions()
