"""A lab for the tests of all checks, or of one: with every add-on, and a node for each probe that needs one alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from aiconform.lab.addons.registry import needed
from aiconform.lab.config import DEFAULT_KUBERNETES
from aiconform.lab.faults.registry import FAULTS
from aiconform.spec import load_standard
from support.lab import KEPT_LAB, Lab, keeps_lab, lab_of_its_own

# They give accelerators by DRA and by a device plugin in turn, but one more by a device plugin: each probe of gangs has
# a node of its own then.
_SHAPE = ("--nodes", "4", "--allocation", "node-3=device-plugin")
# More than one solution, operator, API: which of them a check takes is a part of what is tested.
BESIDES = ("coscheduling", "workload-api", "gang-definitions", "kueue", "jobset", "lws", "trainer")


@contextmanager
def lab_of_checks(config: pytest.Config, name: str, folder: Path) -> Iterator[Lab]:
    """A lab with this name, or the one that stays up if the call asks for that."""
    keep = keeps_lab(config)
    needed_ones = add_ons(config.getoption("check"))
    with_them = ["--with", ",".join(needed_ones)] if needed_ones else []
    with lab_of_its_own(KEPT_LAB if keep else name, folder, *_SHAPE, *with_them, keep=keep) as made:
        yield made


def add_ons(check: str | None) -> list[str]:
    """What the lab needs for the tests of one check, or of all."""
    asked = load_standard().at(f"v{DEFAULT_KUBERNETES}")
    of_checks = needed(entry for entry in asked if check in (None, entry.id))
    of_faults = [name for fault in FAULTS.values() if check is None or check in fault.checks for name in fault.needs]
    besides = BESIDES if check in (None, "gang_scheduling", "robust_controller") else ()
    return list(dict.fromkeys((*of_checks, *of_faults, *besides)))
