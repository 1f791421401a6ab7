"""Faults of single nodes break their assertions there and nowhere else: one run looks at every node.

It has a lab of its own, so that it runs beside the other tests of the checks.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pytest
from support.lab import CHECKS_LAB, KEPT_LAB, Lab, Outcome, keeps_lab, lab_of_its_own

from aiconform.lab.faults.drivers import DIFFERENCES, FROM_DRA
from aiconform.lab.faults.fault import Fault, Scope
from aiconform.lab.faults.registry import possible, rounds

LOOKED_AT = ("accelerator_metrics", "dra_support", "driver_runtime_management", "secure_accelerator_access")
"""The checks that look at every node."""
DRA = "dra_support"
NODES = ("node-1", "node-2", "node-3", "node-4", "node-5")
"""They give accelerators by DRA and by a device plugin in turn."""
FIRST = "node-5"
"""Faults come here first, such as a driver that prepares nothing: no virtual functions are waited for besides."""
# In test_nothing_installed.py. A node that publishes nothing is no accelerator node: dra_support sees it if none does.
# And devices that change with every Pod that gets one leave nothing for a second check at the node.
ELSEWHERE = ("no-driver", "driver-renumbers-devices")
BRIEF = {"accelerator_metrics.load_seconds": 10}


def placed(groups: Sequence[tuple[Fault, ...]]) -> list[dict[str, tuple[Fault, ...]]]:
    """Node -> its faults, for each of as few runs as the nodes allow; in each run a node stays healthy.

    What breaks DRA is at nodes that give accelerators by it. What shows only beside a healthy node of its kind is at
    the others, of which one stays healthy.
    """
    by_dra, others = sorted(NODES[::2], key=lambda node: node != FIRST), NODES[1::2]
    of_dra = [each for each in groups if any(DRA in fault.checks or fault.breaks & FROM_DRA for fault in each)]
    beside = [each for each in groups if any(fault.breaks & DIFFERENCES for fault in each)]
    assert not [each for each in of_dra if each in beside]
    anywhere = [each for each in groups if each not in of_dra and each not in beside]
    runs: list[dict[str, tuple[Fault, ...]]] = []
    while of_dra or beside or anywhere:
        run: dict[str, tuple[Fault, ...]] = {}
        for node in by_dra:
            if queue := of_dra or anywhere:
                run[node] = queue.pop(0)
        for node in others[1:]:
            if queue := beside or anywhere:
                run[node] = queue.pop(0)
        runs.append(run)
    return runs


@dataclass(frozen=True)
class Seen:
    """A run that looks at every node, with these faults on at these nodes, and each node's Pods of the exporter."""

    faults: Mapping[str, tuple[Fault, ...]]
    done: Outcome
    exporters: Mapping[str, Sequence[str]]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    check = metafunc.config.getoption("check")
    chosen = [
        fault
        for fault in possible().values()
        if fault.scope is Scope.NODE
        and fault.name not in ELSEWHERE
        and fault.checks & ({check} if check else set(LOOKED_AT)) & set(LOOKED_AT)
    ]
    runs = placed(rounds(chosen))
    ids = ["+".join(fault.name for members in run.values() for fault in members) for run in runs]
    metafunc.parametrize("seen", runs, indirect=True, ids=ids, scope="module")


@pytest.fixture(scope="module")
def lab(can_have_labs: None, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    name = f"{KEPT_LAB if keeps_lab(request.config) else CHECKS_LAB}-nodes"
    counts = ("--nodes", str(len(NODES)), "--identity", f"{FIRST}={json.dumps({'further': []})}")
    shape = (*counts, "--with", "accelerator-exporter")
    with lab_of_its_own(name, tmp_path_factory.mktemp("runs"), *shape, keep=keeps_lab(request.config)) as made:
        yield made


@pytest.fixture(scope="module")
def seen(lab: Lab, request: pytest.FixtureRequest) -> Seen:
    where: dict[str, tuple[Fault, ...]] = request.param
    with lab.faults_at({node: [fault.name for fault in members] for node, members in where.items()}):
        done = lab.look(*LOOKED_AT, brief=BRIEF, words=["--every-node"])
    return Seen(where, done, lab.pods_by_node("-n", "accelerator-metrics"))


def test_faults_of_nodes_break_their_assertions_there_and_nowhere_else(seen: Seen) -> None:
    for node in NODES:
        faults = seen.faults.get(node, ())
        disturbed = {check for fault in faults for check in fault.disturbs}
        may_break = {name for fault in faults for name in fault.may_break}
        for check in sorted(set(LOOKED_AT) - disturbed):
            expected = {name for fault in faults for name in fault.breaks if name.startswith(f"{check}/")}
            broken = {f"{check}/{id_}" for id_ in seen.done.broken(check, node, seen.exporters.get(node, ()))}
            assert broken - may_break == expected - may_break, (node, [fault.name for fault in faults])
