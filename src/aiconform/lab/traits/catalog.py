"""All traits of the lab. Each is described in the module of what it concerns; this module collects them."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path

from aiconform.lab import traits
from aiconform.lab.config import LabError
from aiconform.lab.declared import declared
from aiconform.lab.traits.state import names_on
from aiconform.lab.traits.trait import Trait

# The modules of the package that hold no traits.
_MACHINERY = ("catalog", "keeper", "registry", "state", "switch", "trait")

TRAITS: Mapping[str, Trait] = {
    trait.name: trait for group in declared(traits, "TRAITS", besides=_MACHINERY) for trait in group
}
"""Every trait, by name."""


def find(name: str) -> Trait:
    """Raises LabError with the most similar name."""
    if name in TRAITS:
        return TRAITS[name]
    close = difflib.get_close_matches(name, TRAITS, n=1, cutoff=0.4)
    hint = f"did you mean {close[0]}?" if close else "see `aiconform lab trait --list`"
    raise LabError(f"the lab has no trait {name!r}; {hint}")


def traits_on(state: Path) -> tuple[Trait, ...]:
    """The traits of the lab with this state folder; names of other releases are ignored."""
    return tuple(TRAITS[name] for name in names_on(state) if name in TRAITS)


def helpers(state: Path) -> list[str]:
    """The modules of the lab that have to run beside its control plane for the traits that are on."""
    return list(dict.fromkeys(module for trait in traits_on(state) for module in trait.helpers))
