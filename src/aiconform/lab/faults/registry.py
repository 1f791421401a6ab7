"""All faults of the lab. Each is described in the module of what it breaks; this module collects them."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping

from aiconform.lab import faults
from aiconform.lab.accelerators.identity import DEFAULT_IDENTITY, find_identity
from aiconform.lab.addons.registry import ADD_ONS
from aiconform.lab.declared import declared
from aiconform.lab.faults.fault import Fault


class UnknownFault(LookupError):
    """No fault has this name. `nearest` is the most similar name, or None."""

    def __init__(self, name: str) -> None:
        close = difflib.get_close_matches(name, FAULTS, n=1, cutoff=0.4)
        self.nearest = close[0] if close else None
        hint = f"did you mean {self.nearest}?" if self.nearest else "see `aiconform lab fault --list`"
        super().__init__(f"there is no fault {name!r}; {hint}")

    def __str__(self) -> str:
        return str(self.args[0])


def collect(described: Iterable[Fault]) -> Mapping[str, Fault]:
    """The faults by name. Raises ValueError for a duplicate name, an unknown add-on, or a fault that breaks nothing."""
    found: dict[str, Fault] = {}
    for fault in described:
        # Names of driver faults are members of an enum.
        name = str(fault.name)
        if name in found:
            raise ValueError(f"two faults have the name {name}")
        if unknown := [each for each in fault.needs if each not in ADD_ONS]:
            raise ValueError(f"the fault {name} needs add-ons that do not exist: {', '.join(unknown)}")
        if not fault.breaks:
            raise ValueError(f"the fault {name} breaks no assertion")
        if both := sorted(fault.disturbs & fault.checks):
            raise ValueError(f"the fault {name} cannot disturb what it breaks: {', '.join(both)}")
        found[name] = fault
    return found


# The modules of the package that hold no faults.
_MACHINERY = (
    "container_config",
    "sandbox_config",
    "sandbox_runtime",
    "fault",
    "pod_networks",
    "policies",
    "registry",
    "runtime",
    "state",
    "switch",
    "workloads",
)

FAULTS: Mapping[str, Fault] = collect(
    fault for group in declared(faults, "FAULTS", besides=_MACHINERY) for fault in group
)
"""Every fault, by name."""


def find(name: str) -> Fault:
    """Raises UnknownFault."""
    try:
        return FAULTS[name]
    except KeyError:
        raise UnknownFault(name) from None


def possible(identity: str = DEFAULT_IDENTITY) -> dict[str, Fault]:
    """The faults that accelerators of this identity can have, by name."""
    made = find_identity(identity)
    return {name: fault for name, fault in FAULTS.items() if fault.suits(made)}


def breaking(check: str, identity: str = DEFAULT_IDENTITY) -> dict[str, frozenset[str]]:
    """Name of each fault that breaks assertions of one check -> ids of these assertions."""
    return {name: fault.broken(check) for name, fault in possible(identity).items() if check in fault.checks}


def together(first: Fault, second: Fault) -> bool:
    """Whether one run can show both faults while both are on at the same place: the lab, or one of its nodes."""
    return first.shows_beside(second) and second.shows_beside(first)


def rounds(faults: Iterable[Fault]) -> list[tuple[Fault, ...]]:
    """The faults in few groups, of each of which all can be on together.

    Give faults of one scope: a round is a run with all of its faults on in the lab, or at one node. Those that can be
    on beside the fewest others come first, and each goes into the first round that takes it.
    """
    given = list(faults)
    apart = {fault: sum(not together(fault, other) for other in given) for fault in given}
    found: list[list[Fault]] = []
    for fault in sorted(given, key=lambda fault: -apart[fault]):
        for members in found:
            if all(together(fault, other) for other in members):
                members.append(fault)
                break
        else:
            found.append([fault])
    return [tuple(members) for members in found]
