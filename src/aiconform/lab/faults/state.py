"""Which faults are on: kept in the lab's state folder, so that it outlives commands and crashes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aiconform.lab.accelerators.config import DriverFault
from aiconform.lab.machines.files import write_json


def names_on(state: Path) -> tuple[str, ...]:
    """Names of the faults that are on in the lab with this state folder; those of other releases among them."""
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
    """One change at a time, also between processes."""
    # Not at the top: faults are listed on systems without it, too.
    import fcntl

    state.mkdir(parents=True, exist_ok=True)
    with (state / "faults.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def record(state: Path, name: str, on: bool) -> None:
    """Note that a fault is to be on or off. Call it inside of `changing`."""
    names = [other for other in names_on(state) if other != name]
    write_json(state / "faults.json", [*names, name] if on else names)
