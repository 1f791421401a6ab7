"""cluster_autoscaling on Karpenter and real nodes, and where it cannot decide; its faults are in test_faults.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.lab import Lab, Outcome, aiconform

CHECK = "cluster_autoscaling"


def test_a_node_comes_from_nothing_and_goes_again(lab: Lab, healthy: Outcome) -> None:
    assert healthy.passes(CHECK)
    found = healthy.check(CHECK)
    assert "had 0 nodes" in found["assertions"][0]["reason"]
    # It follows by watches: the number of requests does not grow with the time that passes.
    assert found["requests"] < 40
    for told in ("the Pod is unschedulable", "is Ready", "waiting up to 1800 s until"):
        assert told in healthy.stderr
    state = Path(lab.kubeconfig).parent
    assert {path.name for path in (state / "machines").iterdir()} == {"control-plane", *lab.nodes}
    assert not list((state / "autoscaled").glob("*.json"))


def test_inspect_says_what_scales_and_what_would_be_ordered(inspected: dict[str, dict[str, Any]]) -> None:
    assert "autoscaler: Karpenter" in inspected[CHECK]["found"]
    assert any("would scale up pool accelerators" in text for text in inspected[CHECK]["found"])
    assert inspected[CHECK]["missing"] == []


def test_to_say_that_there_is_no_autoscaler_where_there_is_one_is_an_error(undecided: Outcome) -> None:
    assert undecided.check(CHECK)["verdict"] == "error"
    assert "there is Karpenter" in undecided.check(CHECK)["reason"]


def test_a_pool_at_its_limit_is_no_defect_of_its_autoscaler(lab: Lab) -> None:
    with lab.traits("full-pool"):
        done = lab.run(CHECK)
    assert done.code == 3, done.stderr
    found = done.check(CHECK)
    assert found["verdict"] == "error"
    for words in ("no pool with accelerators may grow (accelerators", "its limit of 0 cpu is reached", "Raise the max"):
        assert words in found["reason"]


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("pool=gpu", "String should match pattern"),
        ("node_added_seconds=0", "greater than 0"),
        ("resource=gpu", "should match"),
    ],
)
def test_options_that_cannot_be_are_refused(lab: Lab, word: str, told: str) -> None:
    done = aiconform("run", CHECK, "--set", f"{CHECK}.{word}", kubeconfig=lab.kubeconfig)
    assert done.returncode == 2
    assert told in done.stderr
