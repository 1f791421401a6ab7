"""What the tests ask of a lab by commands, here without one."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.lab import Lab
from support.shapes import rounds

from aiconform.lab.accelerators import Offer
from aiconform.lab.faults.fault import Fault
from aiconform.lab.faults.registry import FAULTS

SLOWNESS = 1.5
PODS = """\
node-1   exporter-a
node-2   exporter-b
node-1   holder
<none>   waiting
"""


class Commands:
    """Answers the commands of `aiconform` and kubectl, and keeps them: each as one line."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.judges = 0

    def __call__(self, words: list[str | Path], **how: object) -> subprocess.CompletedProcess[str]:
        line = " ".join(str(word) for word in words)
        self.asked.append(line.partition("-m aiconform ")[2] or line)
        answer, code = "", 0
        if "aiconform run" in line:
            answer = json.dumps({"checks": []})
        elif "aiconform judge" in line:
            code = self.judges
        elif "get pods" in line:
            answer = PODS
        return subprocess.CompletedProcess(words, code, answer, "")


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> Commands:
    made = Commands()
    monkeypatch.setattr("support.lab.subprocess.run", made)
    monkeypatch.setattr("support.lab.pace.slowness", lambda: SLOWNESS)
    return made


@pytest.fixture
def lab(commands: Commands, tmp_path: Path) -> Lab:
    made = Lab("made-up", tmp_path)
    commands.asked.clear()
    return made


@pytest.mark.parametrize(("times", "patience", "limit"), [(1, "45.0", "60.0"), (2, "90.0", "120.0")])
def test_a_look_is_as_patient_as_the_machine_is_slow(
    lab: Lab, commands: Commands, times: float, patience: str, limit: str
) -> None:
    brief = {"sharing.start_seconds": 40, "sharing.observe_seconds": 8, "sharing.restart": "false"}
    lab.look("sharing", brief=brief, words=["--every-node"], times=times)
    run, judged = commands.asked
    assert run.startswith(f"run --strict sharing --every-node --patience {patience} ")
    settings = [word for word in run.split() if word.startswith("sharing.")]
    assert settings == [f"sharing.start_seconds={limit}", "sharing.observe_seconds=8", "sharing.restart=false"]
    assert judged.partition(" ")[::2] == ("judge", run.rpartition(" ")[2])


def test_a_look_that_is_judged_to_another_verdict_fails(lab: Lab, commands: Commands) -> None:
    commands.judges = 1
    with pytest.raises(AssertionError, match="judge"):
        lab.look("sharing", brief={})


def test_pods_are_told_by_node(lab: Lab) -> None:
    found = lab.pods_by_node("-A")
    assert (found["node-1"], found["node-2"]) == (["exporter-a", "holder"], ["exporter-b"])


@dataclass
class Node:
    faults: list[Fault]
    identity: str = "simulated"
    offer: Offer = Offer.DRA


def test_rounds_show_every_fault_at_every_node_and_wait_together() -> None:
    quick, slow = [*FAULTS.values()][:4], [*FAULTS.values()][4:6]
    nodes = {
        "node-1": Node([quick[0], slow[0], quick[1], slow[1]]),
        "node-2": Node([slow[0], *quick[:2], slow[1], *quick[2:]]),
        "node-3": Node([slow[1]]),
    }
    found = rounds(nodes, [fault.name for fault in slow])
    shown = [(node, fault.name) for faults in found.values() for node, fault in faults.items()]
    assert sorted(shown) == sorted((name, fault.name) for name, node in nodes.items() for fault in node.faults)
    waiting = [{*faults.values()} <= {*slow} for faults in found.values()]
    assert waiting == [True, True, False, False, False, False]
    assert all(len({*faults.values()}) == 2 for faults in [*found.values()][:2])
    assert list(rounds({"node-1": nodes["node-1"]}).values()) == [{"node-1": each} for each in nodes["node-1"].faults]
