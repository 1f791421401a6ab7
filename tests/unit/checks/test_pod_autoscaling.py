"""pod_autoscaling judges made-up observations, and reads its options."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator
from math import ceil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiconform.check import NothingToLookAt
from aiconform.check.registry import load_check
from aiconform.checks.pod_autoscaling import probes, scaled_pods, scaled_workload
from aiconform.checks.pod_autoscaling.assertions import holds_at_target, metric_is_read, respects_stabilization_window
from aiconform.checks.pod_autoscaling.observations import Sample, Scaled, Scaling, near, shown
from aiconform.checks.pod_autoscaling.options import PodAutoscaling
from aiconform.checks.pod_autoscaling.probes import choose_api, settled
from aiconform.checks.pod_autoscaling.scaled_pods import first_pod, why_not_running
from aiconform.checks.pod_autoscaling.scaled_workload import TARGET, autoscaler, load
from aiconform.checks.pod_autoscaling.scaling_history import ScalingHistory, average_read, written
from aiconform.cluster import NotFound, Object, Stuck, TimedOut
from aiconform.engine.options import parse
from aiconform.engine.plan import BadChoice
from aiconform.platform.autoscaling.metrics_api import MetricsApi
from aiconform.platform.monitoring import collection


def sample(at: float, desired: int, current: int, average: float | None) -> Sample:
    return Sample(at=at, desired=desired, current=current, average=average)


GOOD = (
    sample(1, 0, 1, None),
    sample(20, 1, 1, 7),
    sample(26, 3, 1, 30),
    sample(36, 3, 3, 10),
    sample(62, 3, 3, 2.333),
    sample(107, 1, 3, 2.333),
)


def seen(**changes: Any) -> Scaling:
    fields: dict[str, Any] = {
        "api": "custom",
        "by": "monitoring/adapter",
        "metric": "load",
        "scraped": "PodMonitor",
        "way": "dra",
        "resource": "gpu.example.com",
        "simulated": False,
        "node": "node-1",
        "window": 45,
        "round": 15.0,
        "limit": 240.0,
        "hold": 30.0,
        "low": 7,
        "high": 30,
        "samples": GOOD,
        "broken": "",
        "said": "",
        "pods": tuple(Scaled(name=f"pod-{number}", devices=(f"gpu-{number}",)) for number in range(3)),
        "problem": "",
        "high_at": 21.0,
        "held_at": 28.0,
        "fall_at": 58.0,
        "end_at": 110.0,
        "left": 1,
    }
    return Scaling(**{**fields, **changes})


ASSERTIONS = tuple(entry.function for entry in load_check("pod_autoscaling").assertions)


def judged(observed: Scaling) -> list[bool | None]:
    return [judge(observed).holds for judge in ASSERTIONS]


def test_a_good_scaling_holds_with_subjects() -> None:
    for judge in ASSERTIONS:
        finding = judge(seen())
        assert finding.holds
        assert finding.subjects


def without(**changes: Any) -> Scaling:
    """One that came to nothing after the first reading."""
    nothing = {"high_at": None, "held_at": None, "fall_at": None, "end_at": None, "pods": ()}
    return seen(**{**nothing, **changes})


@pytest.mark.parametrize(
    ("observed", "broken"),
    [
        (without(samples=(sample(20, 1, 1, 25),)), 0),
        (without(samples=(), broken="no endpoints available"), 0),
        (seen(samples=(*GOOD[:2], sample(26, 3, 1, 25), sample(36, 3, 3, 8.333), *GOOD[4:])), 0),
        (seen(samples=GOOD[:2], high_at=21.0, held_at=None, fall_at=None, end_at=None, pods=()), 1),
        (seen(pods=tuple(Scaled(name=f"pod-{number}", devices=()) for number in range(3))), 2),
        (seen(pods=tuple(Scaled(name=f"pod-{number}", devices=("gpu",)) for number in range(3))), 2),
        (seen(samples=(*GOOD[:4], sample(40, 4, 3, 15), *GOOD[4:])), 3),
        (seen(samples=GOOD[:5], end_at=None, left=3), 4),
        (seen(samples=(*GOOD[:4], sample(62, 1, 3, 2.333))), 5),
    ],
)
def test_each_defect_breaks_its_assertion(observed: Scaling, broken: int) -> None:
    assert judged(observed)[broken] is False


def test_a_load_that_is_told_while_more_pods_come_is_read_as_well() -> None:
    """A pipeline that averages over time lets Pods come before it shows all of the load."""
    slow = (*GOOD[:2], sample(26, 2, 1, 15), sample(40, 3, 2, 11), sample(45, 3, 3, 10))
    assert metric_is_read(seen(samples=slow, held_at=41.0)).holds


def test_a_number_that_stays_before_the_target_was_read_is_undecided() -> None:
    assert holds_at_target(seen(samples=(*GOOD[:3], *GOOD[4:]))).holds is None
    assert settled(sample(30, 3, 3, 30)) is False
    assert settled(sample(30, 3, 3, 10)) is True
    assert settled(sample(30, 4, 3, 14)) is True
    assert settled(sample(30, 1, 1, 7)) is False


def test_a_status_that_comes_later_than_its_pods_fails_nothing() -> None:
    late = (*GOOD[:2], sample(35, 3, 1, 30), *GOOD[3:])
    assert judged(seen(samples=late)) == [True] * 6
    dropped = (*GOOD[:3], sample(27, 1, 3, 30), *GOOD[3:])
    assert holds_at_target(seen(samples=dropped)).holds is False


def test_what_was_never_reached_is_undecided() -> None:
    assert judged(without(samples=(sample(20, 1, 1, 25),))) == [False, None, None, None, None, None]


def test_pods_that_do_not_start_break_only_what_is_said_of_them() -> None:
    observed = seen(
        samples=GOOD[:4], held_at=None, fall_at=None, end_at=None, pods=seen().pods[:1], problem="pod-2: it waits"
    )
    assert judged(observed) == [True, True, False, None, None, None]


@given(st.floats(0, 600), st.integers(32, 600), st.floats(0, 15))
def test_a_shrinking_at_the_first_look_after_its_window_is_never_too_early(
    pipeline: float, window: int, late: float
) -> None:
    """It last wanted more up to a round before it read less, and looks once in a round."""
    low = 58.0 + pipeline
    after = (sample(low, 3, 3, 2.333), sample(round(low + window - 15 + late, 1), 1, 3, 2.333))
    assert respects_stabilization_window(seen(window=window, samples=(*GOOD[:4], *after))).holds


@given(st.floats(0, 600), st.integers(32, 600), st.floats(0.1, 23))
def test_a_shrinking_at_once_is_too_early_if_the_autoscaler_read_the_metric_before(
    pipeline: float, window: int, gap: float
) -> None:
    low = 58.0 + pipeline
    after = (sample(low, 3, 3, 9.99), sample(low + gap, 1, 3, 2.333))
    assert respects_stabilization_window(seen(window=window, samples=(*GOOD[:4], *after))).holds is False


@given(st.integers(32, 600), st.floats(-7, 600))
def test_a_shrinking_at_once_is_undecided_if_nothing_was_read_for_a_window(window: int, more: float) -> None:
    after = (sample(60.0, 3, 3, 9.99), sample(60.0 + window + more, 1, 3, 2.333))
    assert respects_stabilization_window(seen(window=window, samples=(*GOOD[:4], *after))).holds is None


STALLED = (
    sample(31.7, 3, 3, 30.0),
    sample(39.3, 4, 3, 14),
    sample(42.2, 4, 4, 10.5),
    sample(73.6, 4, 4, 2.449),
    sample(73.6, 1, 4, 2.449),
    sample(87.3, 1, 1, 7.0),
)


def stalled(*written: float) -> Scaling:
    samples = STALLED
    if written:
        times = zip(STALLED, written, strict=True)
        samples = tuple(each.model_copy(update={"written": moment}) for each, moment in times)
    return seen(samples=samples, fall_at=57.0, end_at=87.3, window=20, round=5.0)


def test_a_stalled_autoscaler_that_shrinks_at_its_first_low_reading_is_undecided() -> None:
    finding = respects_stabilization_window(stalled())
    assert finding.holds is None
    assert "not seen to read the metric for 31 s" in finding.reason
    assert "pod_autoscaling.window_seconds" in finding.reason


def test_statuses_that_are_received_late_count_from_when_they_were_stored() -> None:
    assert respects_stabilization_window(stalled(1, 8, 11, 30, 45, 60)).holds
    assert respects_stabilization_window(stalled(1, 8, 28, 32, 33, 60)).holds is False
    assert respects_stabilization_window(stalled(1, 8, 11, 43, 43, 60)).holds is None


def test_a_status_without_a_value_is_no_reading() -> None:
    silent = (*GOOD[:4], sample(70, 3, 3, None), sample(82, 1, 3, 2.333))
    assert respects_stabilization_window(seen(samples=silent)).holds is None


def test_when_a_status_was_stored_is_what_the_api_server_notes() -> None:
    entries = [
        {"manager": "aiconform", "time": "2026-05-04T10:00:59Z"},
        {"manager": "kube-controller-manager", "subresource": "status", "time": "2026-05-04T10:00:20Z"},
    ]
    made: Object = {"metadata": {"creationTimestamp": "2026-05-04T10:00:00Z", "managedFields": entries}}
    assert written(made) == 20
    assert written({"metadata": {**made["metadata"], "managedFields": entries[:1]}}) is None
    assert written({"metadata": {"managedFields": entries}}) is None
    assert written({}) is None


@pytest.mark.parametrize("api", ["custom", "external"])
def test_what_the_autoscaler_says_it_read_is_found_for_either_api(api: str) -> None:
    made = autoscaler("scaled", api, "load", 30)
    source = "pods" if api == "custom" else "external"
    assert made["spec"]["metrics"][0][source]["target"]["averageValue"] == "10"
    assert average_read({"currentMetrics": [{source: {"current": {"averageValue": "2333m"}}}]}) == 2.333
    assert average_read({"currentMetrics": [{"type": ""}]}) is None
    assert average_read({}) is None


@pytest.mark.parametrize("value", [0, 7, 30])
@pytest.mark.parametrize("second", range(8))
def test_a_pod_reports_what_is_set_a_little_different_each_time(value: int, second: int, tmp_path: Path) -> None:
    (tmp_path / "value").write_text(load(value)["aiconform.dev/load"])
    (tmp_path / "uptime").write_text(f"{100 + second}.99 5.0\n")
    text = scaled_workload._SERVE.partition("#!/bin/sh\n")[2].partition("END\n")[0]
    script = text.replace("/load/value", f"{tmp_path}/value").replace("/proc/uptime", f"{tmp_path}/uptime")
    done = subprocess.run(["sh", "-c", script], env={"WORKLOAD": "scaled"}, capture_output=True, text=True, check=True)
    *_, line = done.stdout.splitlines()
    assert line.startswith('aiconform_load{workload="scaled"} ')
    reported = float(line.rpartition(" ")[2])
    below = (100 + second) % 7 * 0.005 if value else 0
    assert reported == pytest.approx(value - below)
    assert near(reported, value)
    assert shown(reported) == f"{value}"
    # As many Pods as for what is set, however few of them there are.
    assert ceil(reported / TARGET) == ceil(value / TARGET)


def test_the_api_is_the_first_that_is_served_or_the_one_that_is_wanted() -> None:
    custom, external = MetricsApi("custom", "a/b"), MetricsApi("external", "c/d")
    assert choose_api([custom, external], "") is custom
    assert choose_api([custom, external], "external") is external
    dead = MetricsApi("custom", "a/b", "no endpoints available")
    assert choose_api([dead, external], "") is external
    assert choose_api([dead, external], "custom") is dead
    with pytest.raises(NothingToLookAt, match=r"no external\.metrics\.k8s\.io"):
        choose_api([custom], "external")
    with pytest.raises(NothingToLookAt, match=r"neither custom\.metrics\.k8s\.io"):
        choose_api([], "")


def test_an_api_that_serves_nothing_that_pods_report_is_no_way_to_scale_on_it() -> None:
    keda = MetricsApi("external", "keda/keda-operator-metrics-apiserver")
    custom = MetricsApi("custom", "monitoring/prometheus-adapter", "no endpoints available")
    assert choose_api([custom, keda], "") is custom
    with pytest.raises(NothingToLookAt, match=r"serves only metrics of ScaledObjects.*pod_autoscaling\.metric=NAME"):
        choose_api([keda], "")
    assert choose_api([keda], "", "s0-load") is keda


@pytest.mark.parametrize("namespace", ["keda", "datadog-cluster-agent", "cloudwatch-adapter", "stackdriver"])
def test_what_an_adapter_serves_is_told_by_its_service_not_its_namespace(namespace: str) -> None:
    adapter = MetricsApi("custom", f"{namespace}/prometheus-adapter")
    assert (adapter.only, adapter.metric("aiconform_load")) == ("", "aiconform_load")
    assert choose_api([adapter], "") is adapter


def test_a_metric_that_the_user_names_is_read_from_an_api_that_answers() -> None:
    keda = MetricsApi("external", "keda/keda-operator-metrics-apiserver")
    stale = MetricsApi("custom", "monitoring/prometheus-adapter", "no endpoints available")
    custom = MetricsApi("custom", "monitoring/prometheus-adapter")
    assert choose_api([stale, keda], "", "s0-load") is keda
    assert choose_api([custom, keda], "", "s0-load") is custom
    assert choose_api([stale, keda], "custom", "s0-load") is stale


def test_a_metric_has_the_name_that_its_adapter_gives_it_unless_the_user_says_another() -> None:
    stackdriver = MetricsApi("custom", "custom-metrics/custom-metrics-stackdriver-adapter")
    plain, named = PodAutoscaling(), PodAutoscaling(metric="mine")
    assert probes.metric_of(stackdriver, plain) == "prometheus.googleapis.com|aiconform_load|gauge"
    assert probes.metric_of(stackdriver, named) == "mine"
    assert probes.metric_of(MetricsApi("custom", "monitoring/prometheus-adapter"), plain) == "aiconform_load"


def test_the_order_of_the_assertions_is_that_of_the_procedure() -> None:
    assert [entry.id for entry in load_check("pod_autoscaling").assertions] == [
        "metric_is_read",
        "scales_up",
        "each_pod_has_accelerator",
        "holds_at_target",
        "scales_down",
        "respects_stabilization_window",
    ]


def test_earlier_names_of_options_still_set_them() -> None:
    earlier = {"limit": "90", "hold": "12", "round": "5", "window": "20", "scrape": "annotations"}
    notes: list[str] = []
    (found,) = parse([f"pod_autoscaling.{name}={value}" for name, value in earlier.items()], notes.append)
    assert found.model_dump(include={"scale_seconds", "observe_seconds", "collection"}) == {
        "scale_seconds": 90,
        "observe_seconds": 12,
        "collection": "annotations",
    }
    assert found.model_dump(include={"interval_seconds", "window_seconds"}) == {
        "interval_seconds": 5,
        "window_seconds": 20,
    }
    assert len(notes) == len(earlier)


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("api=other", "choose one of custom, external"),
        ("collection=other", f"choose one of {', '.join(collection.NAMES)}"),
        ("window_seconds=31", "two periods of the autoscaler"),
        ("metric=a b", "should match pattern"),
    ],
)
def test_values_that_cannot_be_used_are_refused(word: str, message: str) -> None:
    with pytest.raises(BadChoice, match=message):
        parse([f"pod_autoscaling.{word}"])


class Pods:
    """A history whose Pods run once somebody waits for them, and each Pod's kubelet as `blame_device` sees it."""

    def __init__(self, late: dict[str, bool]) -> None:
        self.late = late
        self.waited = False
        self.last = None
        self.pods = {
            name: {"metadata": {"name": name}, "spec": {"nodeName": "n1"}, "status": {"phase": "Pending"}}
            for name in late
        }

    def running(self) -> list[Any]:
        return [name for name, ran in self.late.items() if ran and self.waited] + ["first"]

    async def until(self, condition: Any, seconds: float) -> bool:
        self.waited = True
        return bool(condition())

    async def blame(self, _: Any, __: Any, pod: Any, ___: str) -> Any:
        return pod if self.late[pod["metadata"]["name"]] else None


@pytest.mark.parametrize(("second", "blamed"), [(True, False), (False, True)])
async def test_each_pod_that_waits_is_asked_about(monkeypatch: pytest.MonkeyPatch, second: bool, blamed: bool) -> None:
    pods: Any = Pods({"second": True, "third": second})
    monkeypatch.setattr(scaled_pods, "blame_device", pods.blame)
    said = await scaled_pods.why_not_running(pods, pods, pods, pods)
    assert bool(said) is blamed


class OneHolds:
    """A cluster of two Pods that ran, and a claim of one of them; the other is there or not."""

    def __init__(self, second: bool) -> None:
        self.cluster, self.second = self, second

    async def resource_api(self) -> str:
        return "resource.k8s.io/v1"

    async def list(self, _: str, kind: str, namespace: str = "", *, fields: str = "") -> AsyncIterator[Any]:
        if kind == "ResourceClaim":
            results = [{"driver": "gpu.example.com", "pool": "n1", "device": "gpu-0"}]
            yield {"status": {"allocation": {"devices": {"results": results}}, "reservedFor": [{"name": "first"}]}}
        else:
            yield {
                "metadata": {"name": "n1"},
                "spec": {},
                "status": {"conditions": [{"type": "Ready", "status": "True"}]},
            }

    async def get(self, _: str, kind: str, name: str, namespace: str) -> Any:
        if not self.second:
            raise NotFound(f"{kind} {name} not found")
        return pod_of_two(name)

    def running(self) -> list[Any]:
        return [pod_of_two(name) for name in ("first", "second")]


def pod_of_two(name: str) -> Any:
    return {"metadata": {"name": name, "namespace": "run"}, "spec": {"nodeName": "n1"}, "status": {"phase": "Running"}}


async def test_a_pod_without_accelerators_counts_only_if_it_still_runs() -> None:
    of_dra: Any = SimpleNamespace(way="dra")
    two: Any = OneHolds(second=True)
    held = await scaled_pods.holding(two, two, of_dra, "run")
    assert [each.devices for each in held] == [("gpu.example.com/n1/gpu-0",), ()]
    gone: Any = OneHolds(second=False)
    with pytest.raises(Stuck, match="Pod second ran; someone else deleted the Pod"):
        await scaled_pods.holding(gone, gone, of_dra, "run")


class Refusing:
    """A cluster whose quota has no room for the Pods of a ReplicaSet."""

    async def list(self, _: str, kind: str, namespace: str, *, fields: str) -> AsyncIterator[Any]:
        assert (kind, namespace, fields) == ("Event", "run", "type=Warning")
        said = 'Error creating: pods "probe-scaled-1-x" is forbidden: exceeded quota: small'
        yield {"message": said, "involvedObject": {"name": "probe-scaled-1"}}


async def test_pods_that_the_platform_refuses_are_no_failure_of_the_autoscaler() -> None:
    platform, target = SimpleNamespace(cluster=Refusing()), SimpleNamespace(members=())

    async def namespace() -> str:
        return "run"

    scratch = SimpleNamespace(namespace=namespace, tell=print)
    history = ScalingHistory(scratch, "probe-scaled")  # type: ignore[arg-type]
    told = r"exceeded quota: small\. What helps: raise the quota"
    with pytest.raises(Stuck, match=told):
        await first_pod(platform, scratch, history, target, 0.0)  # type: ignore[arg-type]
    history.samples.append(sample(30, 3, 1, 60))
    with pytest.raises(Stuck, match=told):
        await why_not_running(platform, scratch, history, target)  # type: ignore[arg-type]
    # An autoscaler that requests no further Pods fails, whatever was refused before.
    history.samples.append(sample(60, 1, 1, 60))
    assert await why_not_running(platform, scratch, history, target) == ""  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("policies", "told"), [((), "set how the Pods are scraped"), (("deny",), "NetworkPolicy deny")]
)
async def test_a_metric_that_is_not_read_is_no_verdict_and_names_a_policy_in_the_way(
    policies: tuple[str, ...], told: str
) -> None:
    class Cluster:
        async def list(self, api_version: str, kind: str, namespace: str = "") -> AsyncIterator[Object]:
            available = {"conditions": [{"type": "Available", "status": "True"}]}
            if kind == "APIService":
                yield {"spec": {"group": "custom.metrics.k8s.io", "service": {}}, "status": available}
            for name in policies if kind == "NetworkPolicy" else ():
                yield {"metadata": {"name": name}, "spec": {"podSelector": {}, "policyTypes": ["Ingress"]}}

    platform: Any = SimpleNamespace(cluster=Cluster())
    history: Any = SimpleNamespace(last=None, said="")
    settings: Any = SimpleNamespace(metric="load", scale_seconds=1.0)
    pod: Object = {"metadata": {"name": "p", "namespace": "ns"}}
    with pytest.raises(TimedOut, match=f"returned no load of the Pods in 1 s: .*; {told}"):
        await probes._why_unread(platform, MetricsApi("custom", "a/b"), history, settings, pod)
