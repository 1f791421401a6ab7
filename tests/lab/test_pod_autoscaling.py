"""pod_autoscaling on Prometheus and its adapter: healthy by both APIs, with each fault, and where it cannot decide."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.accelerator_pods import IMAGE, STAY
from support.lab import Lab, Outcome, aiconform, assert_broken, succeed

from aiconform.lab.faults.registry import breaking

CHECK = "pod_autoscaling"

FAULTS = breaking(CHECK)
# The lab's autoscaler looks every five seconds.
ENOUGH = {"scale_seconds": 90, "observe_seconds": 12, "interval_seconds": 5, "window_seconds": 20}
# What does not come is not waited for any longer than the lab's own path takes, with some to spare.
SHORT = {"scale_seconds": 50, "observe_seconds": 5, "interval_seconds": 5, "window_seconds": 20}
LIMITS = {
    "metrics-creep": SHORT,
    "metrics-constant": SHORT,
    "metrics-of-another": SHORT,
    "metrics-down": {**SHORT, "scale_seconds": 10},
    "autoscaler-of-pods-capped": SHORT,
    "autoscaler-of-pods-never-shrinks": SHORT,
    "scaled-without-accelerators": SHORT,
}


def check(lab: Lab, limits: dict[str, int], *arguments: str, kubeconfig: Path | None = None) -> Outcome:
    given = [word for name, value in limits.items() for word in ("--set", f"{CHECK}.{name}={value}")]
    return lab.run(CHECK, *arguments, *given, kubeconfig=kubeconfig)


def records(done: Outcome) -> list[dict[str, Any]]:
    """What the probe saw, for each node."""
    found: list[dict[str, Any]] = json.loads((done.folder / f"observations/{CHECK}.json").read_text())["records"]
    return found


@pytest.fixture(scope="module", autouse=True)
def metrics_path(lab: Lab) -> Iterator[None]:
    lab.install("prometheus-adapter")
    yield
    assert "aiconform" not in lab.kubectl("get", "namespaces", "-o", "name")


# On every node: one gives accelerators by DRA, the other by a device plugin.
@pytest.mark.parametrize(("api", "arguments"), [("custom", ("--every-node",)), ("external", ())])
def test_pods_with_accelerators_come_and_go_with_their_metric(lab: Lab, api: str, arguments: tuple[str, ...]) -> None:
    done = check(lab, ENOUGH, "--set", f"{CHECK}.api={api}", *arguments)
    assert done.code == 0, done.stderr
    found = done.check(CHECK)
    assert found["verdict"] == "pass"
    assert all(entry["holds"] and entry["subjects"] for entry in found["assertions"])
    assert f"by the {api} metrics API of monitoring/prometheus-adapter" in found["assertions"][0]["reason"]
    # It follows by watches: the number of requests does not grow with the time that passes.
    assert found["requests"] < (120 if arguments else 60)
    ways = {record["observation"]["way"] for record in records(done)}
    assert ways == {"dra", "device-plugin"} if arguments else len(ways) == 1
    for told in ("the metric is set to 30", "wants 3", "waiting for one Pod"):
        assert told in done.stderr
    succeed("judge", done.folder)
    assert "aiconform" not in lab.kubectl("get", "namespaces", "-o", "name")


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_breaks_its_assertion_and_no_other(lab: Lab, fault: str) -> None:
    with lab.fault(fault):
        done = check(lab, LIMITS.get(fault, ENOUGH))
    assert_broken(done, fault, CHECK)


def test_inspect_says_what_serves_the_metric(lab: Lab) -> None:
    shown = json.loads(succeed("inspect", "-o", "json", kubeconfig=lab.kubeconfig))
    (entry,) = (each for each in shown["checks"] if each["id"] == CHECK)
    assert "custom.metrics.k8s.io by monitoring/prometheus-adapter" in entry["found"]
    assert any("PodMonitor" in text for text in entry["found"])
    assert entry["missing"] == []


def test_a_metric_that_nobody_has_is_an_error_with_the_way_out(lab: Lab) -> None:
    done = check(lab, {**SHORT, "scale_seconds": 10}, "--set", f"{CHECK}.metric=nobody_has_this")
    assert done.code == 3
    assert done.check(CHECK)["verdict"] == "error"
    assert f"--set {CHECK}.collection" in done.check(CHECK)["reason"]


def test_who_takes_the_accelerators_is_named(lab: Lab, tmp_path: Path) -> None:
    container = {
        "name": "busy",
        "image": IMAGE,
        "command": ["sh", "-c", STAY],
        "resources": {"limits": {"aiconform.dev/simulated-accelerator": "2"}},
    }
    spec = {"nodeName": "node-2", "terminationGracePeriodSeconds": 1, "containers": [container]}
    manifest = tmp_path / "busy.json"
    manifest.write_text(json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "busy"}, "spec": spec}))
    lab.kubectl("create", "-f", str(manifest))
    lab.kubectl("cordon", "node-1")
    try:
        done = check(lab, SHORT)
    finally:
        lab.kubectl("uncordon", "node-1")
        lab.kubectl("delete", "pod", "busy")
    assert (done.code, done.check(CHECK)["verdict"]) == (3, "error")
    assert "node-2: 2 of 4 free" in done.check(CHECK)["reason"]
    assert "held by default/busy (2)" in done.check(CHECK)["reason"]


@pytest.mark.parametrize(
    ("word", "told"), [("api=other", "custom, external"), ("window_seconds=31", "two periods of the autoscaler")]
)
def test_options_that_cannot_be_are_refused(lab: Lab, word: str, told: str) -> None:
    done = aiconform("run", CHECK, "--set", f"{CHECK}.{word}", kubeconfig=lab.kubeconfig)
    assert done.returncode == 2
    assert told in done.stderr


def test_without_a_metrics_api_the_way_out_is_said(lab: Lab) -> None:
    """The last one: it takes the adapter out."""
    succeed("lab", "up", "--name", lab.name, "--without", "prometheus-adapter")
    done = check(lab, SHORT)
    assert done.code == 3
    assert "neither custom.metrics.k8s.io nor external.metrics.k8s.io" in done.check(CHECK)["reason"]
    assert "custom.metrics" not in lab.kubectl("get", "apiservices", "-o", "name")
