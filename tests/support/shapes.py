"""A lab with a node for each of several shapes of hardware, which have their faults in turn."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from aiconform.lab.accelerators import Offer
from aiconform.lab.faults.fault import Fault
from support.lab import Lab, Outcome, at_node, lab_of_its_own

DEVICES = 2
"""Accelerators of each node."""


class Shape(Protocol):
    """What a node acts out. faults: those that it can have."""

    @property
    def identity(self) -> str: ...

    @property
    def offer(self) -> Offer: ...

    @property
    def faults(self) -> list[Fault]: ...


def rounds(nodes: Mapping[str, Shape], slow: Collection[str] = ()) -> dict[str, dict[str, Fault]]:
    """Name -> (node -> its fault), for each of few runs that show every fault at every node; different ones where
    possible.

    slow: faults with which a run waits for what never comes. They share runs, so that few runs wait.
    """
    found = {}
    for waits in (True, False):
        of_nodes = {
            name: [fault for fault in node.faults if (fault.name in slow) is waits] for name, node in nodes.items()
        }
        most = max(map(len, of_nodes.values()))
        for number in range(most):
            turns = [(name, of_node, (number + at) % most) for at, (name, of_node) in enumerate(of_nodes.items())]
            faults = {name: of_node[turn] for name, of_node, turn in turns if turn < len(of_node)}
            found["+".join(f"{node}={fault.name}" for node, fault in faults.items())] = faults
    return found


@contextmanager
def shaped_lab(name: str, nodes: Mapping[str, Shape], folder: Path) -> Iterator[Lab]:
    """A lab with these nodes."""
    shape = []
    for node, what in nodes.items():
        shape += ["--identity", f"{node}={what.identity}", "--allocation", f"{node}={what.offer}"]
    counts = ("--nodes", str(len(nodes)), "--accelerators", str(DEVICES))
    with lab_of_its_own(name, folder, *counts, *shape) as made:
        yield made


def found_at(done: Outcome, check: str, node: str) -> Mapping[str, bool | None]:
    """Assertion -> what it finds at a node, of those that apply there."""
    entries = done.check(check)["assertions"]
    return {entry["id"]: held[0] for entry in entries if (held := at_node(entry, node))}


def assert_broken(done: Outcome, check: str, nodes: Mapping[str, Shape], faults: Mapping[str, Fault]) -> None:
    """Each fault breaks its assertions at its node, nothing else is broken, and nothing is undecided elsewhere."""
    wrong = {}
    for name, node in nodes.items():
        fault = faults.get(name)
        broken, expected = done.broken(check, name), fault.broken(check) if fault else frozenset()
        may_break = {each.rpartition("/")[2] for each in fault.may_break} if fault else set()
        if broken - may_break != expected or (not fault and None in found_at(done, check, name).values()):
            wrong[name] = (node.identity, fault and fault.name, broken, found_at(done, check, name))
    assert not wrong, (wrong, [(each["id"], each["reason"]) for each in done.check(check)["assertions"]])
    # Each of them counts in the strict verdict.
    assert (done.code, done.check(check)["strict"]) == (1, "fail"), done.stderr
