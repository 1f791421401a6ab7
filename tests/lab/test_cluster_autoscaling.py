"""cluster_autoscaling on Karpenter and real nodes: healthy, with each fault that has to break it, and where it cannot
decide."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.lab import Lab, Outcome, aiconform, assert_broken, succeed

from aiconform.lab.faults.registry import breaking

CHECK = "cluster_autoscaling"

FAULTS = breaking(CHECK)
# A node of the lab is ready in a few seconds, and goes half a minute after its last Pod. What does not come or go is
# not waited for any longer than that takes on a busy machine.
ENOUGH = {"node_added_seconds": 90, "node_removed_seconds": 120}
SHORT_UP = {"node_added_seconds": 45, "node_removed_seconds": 120}
LIMITS = {
    "autoscaler-at-limit": SHORT_UP,
    "autoscaled-another-kind": SHORT_UP,
    "autoscaled-never-ready": SHORT_UP,
    "no-driver": SHORT_UP,
    "autoscaler-never-removes": {"node_added_seconds": 90, "node_removed_seconds": 45},
}


def settings(limits: dict[str, int]) -> list[str]:
    return [word for name, value in limits.items() for word in ("--set", f"{CHECK}.{name}={value}")]


def check(lab: Lab, *arguments: str, limits: dict[str, int] = ENOUGH, kubeconfig: Path | None = None) -> Outcome:
    return lab.run(CHECK, *arguments, *settings(limits), kubeconfig=kubeconfig)


@pytest.fixture(scope="module", autouse=True)
def karpenter(lab: Lab) -> Iterator[None]:
    lab.install("karpenter")
    yield
    nothing_is_left(lab)


@pytest.fixture(autouse=True)
def no_ordered_node(lab: Lab) -> Iterator[None]:
    """What a broken node leaves behind is no start for the next test."""
    yield
    lab.kubectl("delete", "nodeclaims", "--all", "--timeout=90s")


def nothing_is_left(lab: Lab) -> None:
    assert "aiconform" not in lab.kubectl("get", "namespaces", "-o", "name")
    eventually(lambda: set(names(lab, "nodes")) == {"node-1", "node-2"})
    folder = Path(lab.kubeconfig).parent
    eventually(lambda: {path.name for path in (folder / "machines").iterdir()} == {"control-plane", "node-1", "node-2"})
    assert not list((folder / "autoscaled").glob("*.json"))


def names(lab: Lab, kind: str, *arguments: str) -> list[str]:
    return [line.partition("/")[2] for line in lab.kubectl("get", kind, "-o", "name", *arguments).splitlines()]


def eventually(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "not so in time"
        time.sleep(0.2)


def test_a_node_comes_from_nothing_and_goes_again(lab: Lab) -> None:
    done = check(lab)
    assert done.code == 0, done.stderr
    found = done.check(CHECK)
    assert found["verdict"] == "pass"
    assert all(entry["holds"] and entry["subjects"] for entry in found["assertions"])
    assert "had 0 nodes" in found["assertions"][0]["reason"]
    # It follows by watches: the number of requests does not grow with the time that passes.
    assert found["requests"] < 40
    for told in ("the Pod is unschedulable", "is Ready", "waiting up to 120 s until"):
        assert told in done.stderr
    succeed("judge", done.folder)
    nothing_is_left(lab)


def test_inspect_says_what_scales_and_what_would_be_ordered(lab: Lab) -> None:
    shown = json.loads(succeed("inspect", "-o", "json", kubeconfig=lab.kubeconfig))
    (entry,) = (each for each in shown["checks"] if each["id"] == CHECK)
    assert "autoscaler: Karpenter" in entry["found"]
    assert any("would scale up pool accelerators" in text for text in entry["found"])
    assert entry["missing"] == []


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_breaks_its_assertion_and_no_other(lab: Lab, fault: str) -> None:
    with lab.fault(fault):
        done = check(lab, limits=LIMITS.get(fault, ENOUGH))
    assert_broken(done, fault, CHECK)
    if fault == "autoscaler-at-limit":
        assert "its limit of 0 aiconform.dev/simulated-accelerator is reached" in done.check(CHECK)["reason"]


# What cannot be decided


def test_to_say_that_there_is_no_autoscaler_where_there_is_one_is_an_error(lab: Lab) -> None:
    done = check(lab, "--set", f"{CHECK}.none=true")
    assert done.code == 3
    assert done.check(CHECK)["verdict"] == "error"
    assert "there is Karpenter" in done.check(CHECK)["reason"]


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


def test_without_an_autoscaler_the_way_out_is_said_and_none_may_be_confirmed(lab: Lab) -> None:
    """As the last but one: it takes Karpenter out, and what Karpenter ordered goes with it."""
    succeed("lab", "up", "--name", lab.name, "--without", "karpenter")
    nothing_is_left(lab)
    done = check(lab)
    assert done.code == 3
    assert "no autoscaler of nodes was found" in done.check(CHECK)["reason"]
    assert f"{CHECK}.none=true" in done.check(CHECK)["reason"]
    done = check(lab, "--set", f"{CHECK}.none=true")
    assert done.check(CHECK)["verdict"] == "not-applicable"
    assert "cluster-autoscaler-status" in done.check(CHECK)["reason"]
    lab.install("karpenter")
