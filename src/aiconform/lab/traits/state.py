"""Which traits are on, recorded in the lab's state folder for its helpers, its nodes and later commands."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from aiconform.lab.machines.files import write_json


def names_on(state: Path) -> tuple[str, ...]:
    """Names of the traits that the lab with this state folder has, in the order in which they were turned on."""
    try:
        return tuple(map(str, json.loads((state / "traits.json").read_bytes())))
    except (OSError, ValueError):
        return ()


def record(state: Path, names: Iterable[str], on: bool) -> None:
    """Record that traits have to be on or off. Call it within `faults.state.changing`."""
    before = names_on(state)
    after = dict.fromkeys((*before, *names)) if on else dict.fromkeys(name for name in before if name not in set(names))
    write_json(state / "traits.json", list(after))
