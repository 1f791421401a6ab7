"""The checks on every persona: right when it is healthy, and each defect that such hardware can have is caught.

Each persona is a node of one lab, so that a run looks at all of them, each with another fault. `--personas once`, a
part of `./dev test`, is one run in which the personas have most defects between them, and what is not defective has to
be right. `--personas all`, or some of their names, shows every defect of each, which takes long; what that shows is
recorded for docs/personas.md (support/matrix.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pytest
from support.lab import LAB, Lab, Outcome, at_node, lab_of_its_own
from support.matrix import CHECKS, Cell, checks, defects, personas

from aiconform.lab.accelerators import identities
from aiconform.lab.faults.fault import EVERY_OTHER, Fault
from aiconform.lab.faults.registry import find, rounds

NAME = f"{LAB}-personas"
# Two for each way in which a node offers them: a holder and a second one.
ACCELERATORS = 4
# Devices that change with every Pod that gets one leave nothing for a second check.
RENUMBERS = "driver-renumbers-devices"
# Fixed windows, and the limit of Pods that never start.
BRIEF = {"accelerator_metrics.load_seconds": 10, "gpu_sharing.observe_seconds": 8, "gpu_sharing.start_seconds": 40}


@dataclass(frozen=True)
class Round:
    """A run of some checks with these faults on: node -> faults."""

    checks: tuple[str, ...]
    faults: Mapping[str, tuple[Fault, ...]]


def nodes(asked: Sequence[str]) -> dict[str, str]:
    """Node -> the persona that it acts out."""
    return {f"node-{number}": persona for number, persona in enumerate(asked, start=1)}


def every_defect(asked: Sequence[str]) -> list[Round]:
    """As few runs as can show every defect of every persona."""
    found = []
    for check in CHECKS:
        of_node = {
            node: rounds(map(find, defects(persona, check)))
            for node, persona in nodes(asked).items()
            if check in checks(persona)
        }
        for number in range(max(map(len, of_node.values()), default=0)):
            found.append(Round((check,), {node: groups[number] for node, groups in of_node.items() if groups[number:]}))
    return found


def sample(asked: Sequence[str]) -> Round:
    """One run in which each persona has what can be on at once, and most of what no other has."""
    shown: set[Fault] = set()
    of_node = {}
    for node, persona in nodes(asked).items():
        possible = dict.fromkeys(
            defect for check in checks(persona) for defect in defects(persona, check) if defect != RENUMBERS
        )
        of_node[node] = max(rounds(map(find, possible)), key=lambda group: len({*group} - shown))
        shown |= {*of_node[node]}
    return Round(CHECKS, of_node)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    asked = metafunc.config.getoption("personas")
    chosen = personas() if asked in ("all", "once") else tuple(name for name in asked.split(",") if name)
    if unknown := sorted(set(chosen) - set(personas())):
        raise pytest.UsageError(f"--personas: there is no {', '.join(unknown)}; there is {', '.join(personas())}")
    if "asked" in metafunc.fixturenames:
        metafunc.parametrize("asked", [chosen] if chosen else [], ids=[f"{len(chosen)} personas"], scope="module")
    if "round_" in metafunc.fixturenames:
        found = [sample(chosen)] if asked == "once" else every_defect(chosen)
        ids = [f"{'+'.join(each.checks)}-{number}" for number, each in enumerate(found)]
        metafunc.parametrize("round_", found, ids=ids)


@pytest.fixture(scope="module")
def lab(asked: tuple[str, ...], can_have_labs: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    shape = []
    for node, persona in nodes(asked).items():
        shape += ["--identity", f"{node}={persona}"]
        shape += ["--allocation", f"{node}={identities()[persona].allocation or 'both'}"]
    counts = ("--nodes", str(len(asked)), "--accelerators", str(ACCELERATORS))
    with lab_of_its_own(
        NAME, tmp_path_factory.mktemp("runs"), *counts, *shape, "--with", "accelerator-exporter"
    ) as made:
        yield made


@dataclass(frozen=True)
class Seen:
    """A run, and the Pods that are on each node after it."""

    done: Outcome
    pods: Mapping[str, Sequence[str]]

    def broken(self, check: str, node: str) -> set[str]:
        """The assertions of a check that do not hold at a node."""
        return self.done.broken(check, node, self.pods.get(node, ()))


def looked_at(lab: Lab, *which: str, times: int = 1) -> Seen:
    """A run of these checks on every node, that many times as patient as usual."""
    brief = {name: value for name, value in BRIEF.items() if name.partition(".")[0] in which}
    # Dozens of Pods that start at once on one machine take longer than one after another.
    done = lab.look(*which, brief=brief, words=("--every-node", "--at-once", "8"), times=times)
    return Seen(done, lab.pods_by_node("-A"))


def test_healthy_personas_pass(lab: Lab, asked: tuple[str, ...], request: pytest.FixtureRequest) -> None:
    if request.config.getoption("personas") == "once":
        pytest.skip("the run with a defect of each persona shows what is right beside it")
    seen = looked_at(lab, *CHECKS)
    done = seen.done
    wrong = {}
    for node, persona in nodes(asked).items():
        for check in checks(persona):
            found = [held for entry in done.check(check)["assertions"] for held in at_node(entry, node)]
            bad = seen.broken(check, node)
            undecided = not bad and bool(done.undecided(check, node))
            right = bool(found) and not bad and not undecided
            Cell(persona, check, "", right, undecided).record()
            if not right:
                wrong[persona, check] = found
    assert not wrong, (wrong, {check: done.check(check)["reason"] for check in CHECKS})
    # It cannot decide on the nodes of which nobody knows where the driver is advertised.
    silent = not all("driver_runtime_management" in checks(persona) for persona in asked)
    expected = dict.fromkeys(CHECKS, "pass") | ({"driver_runtime_management": "error"} if silent else {})
    assert {check: done.check(check)["strict"] for check in CHECKS} == expected
    assert done.report["simulated"] is True


def missed(done: Outcome, check: str, node: str, ids: set[str], faults: Sequence[Fault]) -> dict[Fault, bool]:
    """The faults of a node that a check did not catch -> whether it could not decide."""
    left = done.undecided(check, node)
    of_check = [fault for fault in faults if check in fault.checks]
    return {fault: bool(left & fault.broken(check)) for fault in of_check if not ids & fault.broken(check)}


def test_each_defect_of_personas_is_caught_where_it_is(lab: Lab, asked: tuple[str, ...], round_: Round) -> None:
    with lab.faults_at({node: [fault.name for fault in faults] for node, faults in round_.faults.items()}):
        first = looked_at(lab, *round_.checks)
        latest = dict.fromkeys(round_.checks, first.done)
        broken = {(check, node): first.broken(check, node) for check in round_.checks for node in nodes(asked)}
        # Dozens of Pods start at once: what the machine was too busy for is asked again, alone and more patiently.
        for check in round_.checks:
            if any(
                True in missed(first.done, check, node, broken[check, node], on).values()
                for node, on in round_.faults.items()
            ):
                again = looked_at(lab, check, times=3)
                latest[check] = again.done
                for node in nodes(asked):
                    broken[check, node] |= again.broken(check, node)
    wrong = []
    for (check, node), ids in broken.items():
        persona, faults = nodes(asked)[node], round_.faults.get(node, ())
        if check not in checks(persona) or any(
            {check, EVERY_OTHER} & fault.disturbs - fault.checks for fault in faults
        ):
            continue
        not_caught = missed(latest[check], check, node, ids, faults)
        for fault in faults:
            if check in fault.checks:
                Cell(persona, check, str(fault.name), fault not in not_caught, not_caught.get(fault, False)).record()
        wrong += [
            f"{persona}: {fault.name} is not caught by {check}{': it could not decide' if open_ else ''}"
            for fault, open_ in not_caught.items()
        ]
        explained = {name for fault in faults for name in fault.broken(check)}
        explained |= {name.rpartition("/")[2] for fault in faults for name in fault.may_break}
        wrong += [f"{persona}: {check}/{name} is broken without a fault" for name in sorted(ids - explained)]
    assert not wrong, ("\n".join(wrong), {check: latest[check].check(check)["reason"] for check in round_.checks})
