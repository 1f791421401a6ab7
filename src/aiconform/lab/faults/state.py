"""Which faults are on and where, recorded in the lab's state folder so that commands and crashes do not lose it."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from aiconform.lab.accelerators.config import DriverFault
from aiconform.lab.machines.files import write_json

EVERYWHERE = "*"
AUTOSCALED = "*autoscaled"
"""In place of a node's name: all nodes, also new ones; all nodes that an autoscaler orders. No node has such a name."""


def places(state: Path) -> dict[str, frozenset[str]]:
    """Name of each fault that is on in the lab with this state folder -> where; includes names of other releases."""
    try:
        found = json.loads((state / "faults.json").read_bytes())
    except (OSError, ValueError):
        return {}
    if isinstance(found, list):  # as earlier releases wrote it
        return {str(name): frozenset({EVERYWHERE}) for name in found}
    return {str(name): frozenset(map(str, nodes)) for name, nodes in found.items()}


def names_on(state: Path) -> tuple[str, ...]:
    """Names of the faults that are on anywhere in the lab."""
    return tuple(places(state))


def names_on_node(state: Path, node: str, *, autoscaled: bool = False) -> tuple[str, ...]:
    """Names of the faults that are on at this node."""
    here = {node, EVERYWHERE, *([AUTOSCALED] if autoscaled else [])}
    return tuple(name for name, nodes in places(state).items() if nodes & here)


def driver_faults(state: Path, node: str, *, autoscaled: bool = False) -> tuple[DriverFault, ...]:
    """The faults that belong in the node's AcceleratorConfig."""
    on = names_on_node(state, node, autoscaled=autoscaled)
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


def record(state: Path, where: Mapping[str, Collection[str]], on: bool, of: Collection[str]) -> None:
    """Record that faults have to be on or off. Call it within `changing`.

    where: name -> at which nodes, or everywhere if there are none. of: names of all nodes of the lab.
    """
    now = places(state)
    for name, nodes in where.items():
        now[name] = _changed(now.get(name, frozenset()), on, frozenset(nodes), frozenset(of))
    _write(state, {name: where for name, where in now.items() if where})


def _changed(before: frozenset[str], on: bool, nodes: frozenset[str], of: frozenset[str]) -> frozenset[str]:
    if not nodes:
        return frozenset({EVERYWHERE}) if on else frozenset()
    if EVERYWHERE in before:
        return before if on else (of | {AUTOSCALED}) - nodes
    return before | nodes if on else before - nodes


def _write(state: Path, now: Mapping[str, frozenset[str]]) -> None:
    write_json(state / "faults.json", {name: sorted(nodes) for name, nodes in now.items()})
