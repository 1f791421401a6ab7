"""The checks on every persona: right when it is healthy, and each defect that such hardware can have is caught.

They take hours, so they run only when they are asked for: `--personas all`, or some of their names. Each persona has a
lab of its own, one after another. What they show is recorded for docs/personas.md (support/matrix.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from support.lab import LAB, Lab, Outcome, options, succeed
from support.matrix import Cell, checks, defects, personas

from aiconform.lab.accelerators import identities
from aiconform.lab.faults.registry import find

NAME = f"{LAB}-personas"
NODES = ("node-1", "node-2", "node-3")
"""Each has one fault in a run."""
# Two for each way in which a node offers them: a holder and a second one.
ACCELERATORS = {"": 4, "dra": 2, "device-plugin": 2}
BRIEF = {"accelerator_metrics.load_seconds": 10}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    asked = metafunc.config.getoption("personas")
    chosen = personas() if asked == "all" else [name for name in asked.split(",") if name]
    if unknown := sorted(set(chosen) - set(personas())):
        raise pytest.UsageError(f"--personas: there is no {', '.join(unknown)}; there is {', '.join(personas())}")
    metafunc.parametrize("persona", chosen, scope="module")


@pytest.fixture(scope="module")
def lab(persona: str, can_have_labs: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    way = identities()[persona].allocation
    shape = ("--nodes", str(len(NODES)), "--accelerators", str(ACCELERATORS[way]), "--allocation", way or "both")
    succeed("lab", "down", "--name", NAME)
    succeed("lab", "up", "--name", NAME, "--identity", persona, *shape, "--with", "accelerator-exporter")
    yield Lab(NAME, tmp_path_factory.mktemp("runs"))
    succeed("lab", "down", "--name", NAME)


def looked_at(lab: Lab, persona: str, *which: str) -> Outcome:
    patience = ("--patience", str(30 * lab.slowness))
    done = lab.run(*(which or checks(persona)), "--every-node", *patience, *options(BRIEF))
    succeed("judge", done.folder)
    return done


def test_a_healthy_persona_passes(lab: Lab, persona: str) -> None:
    done = looked_at(lab, persona)
    right = {check: done.check(check)["strict"] == "pass" for check in checks(persona)}
    for check, passes in right.items():
        Cell(persona, check, "", passes).record()
    assert all(right.values()), {check: done.check(check)["reason"] for check, passes in right.items() if not passes}
    assert done.report["simulated"] is True


def test_each_defect_of_a_persona_is_caught(lab: Lab, persona: str) -> None:
    missed = []
    for check in checks(persona):
        found = defects(persona, check)
        for faults in (found[start : start + len(NODES)] for start in range(0, len(found), len(NODES))):
            with ExitStack() as on:
                for node, fault in zip(NODES, faults, strict=False):
                    on.enter_context(lab.fault(fault, where=("--node", node)))
                done = looked_at(lab, persona, check)
            for node, fault in zip(NODES, faults, strict=False):
                on_node = ("-A", "-o", "name", "--field-selector", f"spec.nodeName={node}")
                pods = [name.removeprefix("pod/") for name in lab.kubectl("get", "pods", *on_node).split()]
                caught = bool(done.broken(check, node, pods) & find(fault).broken(check))
                Cell(persona, check, fault, caught).record()
                missed += [] if caught else [f"{check}: {fault} at {node}: {done.check(check)['reason']}"]
    assert not missed, "\n".join(missed)
