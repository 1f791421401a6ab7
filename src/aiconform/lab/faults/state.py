"""Which faults are on, recorded in the lab's state folder so that commands and crashes do not lose it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aiconform.lab.accelerators.config import DriverFault
from aiconform.lab.machines.files import write_json


def names_on(state: Path) -> tuple[str, ...]:
    """Names of the faults that are on in the lab with this state folder, including names of other releases."""
    try:
        names = json.loads((state / "faults.json").read_bytes())
    except (OSError, ValueError):
        return ()
    return tuple(map(str, names))


def driver_faults(state: Path) -> tuple[DriverFault, ...]:
    """The faults that belong in each node's AcceleratorConfig."""
    on = names_on(state)
    return tuple(fault for fault in DriverFault if fault in on)


@contextmanager
def changing(state: Path) -> Iterator[None]:
    """Allow one change at a time, across processes."""
    # Not at the top: the list of faults also works on systems without this module.
    import fcntl

    state.mkdir(parents=True, exist_ok=True)
    with (state / "faults.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def record(state: Path, name: str, on: bool) -> None:
    """Record that a fault has to be on or off. Call it within `changing`."""
    names = [other for other in names_on(state) if other != name]
    write_json(state / "faults.json", [*names, name] if on else names)
