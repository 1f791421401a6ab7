"""Metrics of accelerators: their names, their devices, and where they are found; pages of real exporters' shapes."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.fake_kubelet import configuration

from aiconform.cluster import Forbidden, ProxyResponse, TimedOut, Unreachable
from aiconform.lab.accelerators import DriverFault, devices_of, identities
from aiconform.lab.accelerators.telemetry import labels, telemetry
from aiconform.platform.accelerators.devices import Device
from aiconform.platform.monitoring.metrics import (
    BadFormat,
    Convention,
    MetricSample,
    by_device,
    convention_of,
    load_conventions,
    match,
    parse,
)
from aiconform.platform.monitoring.metrics import on_node as samples_of
from aiconform.platform.monitoring.scrape import Endpoint, Monitors, endpoints, read, selects

DCGM = """
# HELP DCGM_FI_DEV_GPU_UTIL GPU utilization (in %).
# TYPE DCGM_FI_DEV_GPU_UTIL gauge
DCGM_FI_DEV_GPU_UTIL{gpu="0",UUID="GPU-aa00",pci_bus_id="00000000:07:00.0",device="nvidia0",Hostname="n1"} 3
DCGM_FI_DEV_GPU_UTIL{gpu="1",UUID="GPU-bb11",pci_bus_id="00000000:0A:00.0",device="nvidia1",Hostname="n1"} 98
# TYPE DCGM_FI_DEV_FB_USED gauge
DCGM_FI_DEV_FB_USED{gpu="0",UUID="GPU-aa00",pci_bus_id="00000000:07:00.0",device="nvidia0",Hostname="n1"} 1024
DCGM_FI_DEV_FB_USED{gpu="1",UUID="GPU-bb11",pci_bus_id="00000000:0A:00.0",device="nvidia1",Hostname="n1"} NaN
"""
Object = dict[str, Any]


def device(name: str, **attributes: Any) -> Device:
    return Device("gpu.nvidia.com", "n1", name, "n1", attributes)


# Names


def followed(text: str) -> Convention:
    found = convention_of(parse(text), load_conventions())
    assert found
    return found


def test_a_vendors_page_is_read_device_by_device_in_one_unit() -> None:
    first, second = by_device(parse(DCGM), followed(DCGM))
    assert (first.label, first.highest("utilization")) == ("UUID=GPU-aa00", 3)
    assert first.highest("memory_used") == 2**30
    # NaN says that there is no value.
    assert second.highest("memory_used") is None


def test_opentelemetrys_ratios_are_percents() -> None:
    text = (
        'hw_gpu_utilization_ratio{hw_id="x-1"} 0.5\nhw_gpu_utilization_ratio{hw_id="x-1",hw_gpu_task="encoder"} 0.1\n'
    )
    (one,) = by_device(parse(text), followed(text))
    assert one.highest("utilization") == 50
    assert followed(text).opentelemetry


def test_a_comment_is_no_metric() -> None:
    assert convention_of(parse("# DCGM_FI_DEV_GPU_UTIL is not here\nother 1\n"), load_conventions()) is None


@pytest.mark.parametrize(
    "text", ["<html><body>metrics</body></html>", '{"status": "ok"}', "DCGM_FI_DEV_GPU_UTIL{gpu= 3", "# only words\n"]
)
def test_what_is_no_metrics_is_refused(text: str) -> None:
    with pytest.raises(BadFormat, match="not in a format for metrics"):
        parse(text)


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(BadFormat):
        parse(text)


def test_openmetrics_are_read_by_their_own_grammar() -> None:
    page = "# TYPE a gauge\na 1.0\n# EOF\n"
    assert parse(page, "application/openmetrics-text; version=1.0.0")[0].value == 1
    with pytest.raises(BadFormat):
        parse(page.replace("# EOF\n", ""), "application/openmetrics-text; version=1.0.0")


def test_samples_are_of_a_node_by_name_or_address() -> None:
    samples = [
        MetricSample("m", {"Hostname": "n1"}, 1),
        MetricSample("m", {"instance": "n1:9400"}, 2),
        MetricSample("m", {"node": "n2"}, 3),
    ]
    assert [each.value for each in samples_of(samples, "n1")] == [1, 2]


def test_the_conventions_have_what_a_check_needs() -> None:
    for convention in load_conventions():
        quantities = {quantity for quantity, _ in convention.units.values()}
        assert {"utilization", "memory_used"} <= quantities, convention.name
        assert convention.device_labels


# Devices


def test_devices_are_matched_by_what_only_they_have() -> None:
    devices = [device("gpu-0", uuid="GPU-BB11", model="H100"), device("gpu-1", uuid="GPU-AA00", model="H100")]
    found = match(devices, by_device(parse(DCGM), followed(DCGM)))
    assert {name: each.label for name, each in found.items()} == {"gpu-0": "UUID=GPU-bb11", "gpu-1": "UUID=GPU-aa00"}


def test_else_by_their_index() -> None:
    devices = [device("gpu-0", index=0), device("gpu-1", index=1), device("gpu-2", index=2)]
    found = match(devices, by_device(parse(DCGM), followed(DCGM)))
    assert {name: each.label for name, each in found.items()} == {"gpu-0": "UUID=GPU-aa00", "gpu-1": "UUID=GPU-bb11"}


def test_a_value_that_all_devices_have_tells_none() -> None:
    text = DCGM.replace('device="nvidia', 'model="H100",device="nvidia')
    devices = [device("a", model="H100"), device("b", model="H100")]
    assert match(devices, by_device(parse(text), followed(text))) == {}


@given(st.permutations(range(5)), st.integers(0, 4))
def test_matching_does_not_depend_on_the_order(order: list[int], left_out: int) -> None:
    samples = [
        MetricSample("DCGM_FI_DEV_GPU_UTIL", {"gpu": str(9 - i), "UUID": f"GPU-{i:04}"}, i)
        for i in order
        if i != left_out
    ]
    devices = [device(f"gpu-{i}", uuid=f"GPU-{i:04}") for i in range(5)]
    found = match(devices, by_device(samples, followed(DCGM)))
    assert {name: each.highest("utilization") for name, each in found.items()} == {
        f"gpu-{i}": i for i in range(5) if i != left_out
    }


WHOLE = [name for name, each in identities().items() if not any(model.partitions for model in each.models)]


# The names of xpumd are not known yet.
@pytest.mark.parametrize("identity", [name for name in WHOLE if identities()[name].metrics != "xpumd"])
def test_the_labs_exporter_speaks_as_each_vendor(identity: str, tmp_path: Any) -> None:
    config = configuration(tmp_path, identity=identities()[identity])
    samples = [
        MetricSample(series["name"], labels(config, devices_of(config)[sample["device"]]), 1.0)
        for series in telemetry(config)["series"]  # type: ignore[attr-defined]
        for sample in series["samples"]
    ]
    convention = convention_of(samples, load_conventions())
    assert convention
    devices = [
        Device("d", "n", each.name, "n", {"uuid": each.uuid, "index": each.index}) for each in devices_of(config)
    ]
    found = match(devices, by_device(samples, convention))
    assert len(found) == config.count
    assert all({"utilization", "memory_used"} <= set(each.values) for each in found.values())
    assert all(("simulated", "true") in each.labels for each in found.values())


def test_the_labs_defects_of_metrics(tmp_path: Any) -> None:
    def shown(*faults: DriverFault) -> dict[str, list[int]]:
        series: Any = telemetry(configuration(tmp_path, faults=faults))["series"]
        return {each["name"]: [sample["device"] for sample in each["samples"]] for each in series}

    every, but_one = [0, 1, 2, 3], [0, 1, 2]
    assert set(map(tuple, shown().values())) == {tuple(every)}
    assert set(map(tuple, shown(DriverFault.METRICS_OMIT_DEVICE).values())) == {tuple(but_one)}
    partly = shown(DriverFault.METRICS_OMIT_UTILIZATION)
    assert partly["hw_gpu_utilization_ratio"] == but_one
    assert partly["hw_gpu_memory_usage_bytes"] == every
    assert not any("memory" in name for name in shown(DriverFault.METRICS_WITHOUT_MEMORY))
    assert set(map(tuple, shown(DriverFault.METRICS_UNLABELLED).values())) == {(-1,)}
    assert telemetry(configuration(tmp_path, faults=(DriverFault.METRICS_FROZEN,)))["defect"] == "frozen"


# Places


def pod(name: str, *, image: str = "img", ports: dict[str, int] | None = None, **metadata: Any) -> Object:
    listed = [{"name": port, "containerPort": number} for port, number in (ports or {}).items()]
    return {
        "metadata": {"name": name, "namespace": "ns", **metadata},
        "spec": {"nodeName": "n1", "containers": [{"name": "c", "image": image, "ports": listed}]},
        "status": {"phase": "Running"},
    }


def places(pods: list[Object], found: Monitors = Monitors()) -> list[tuple[str, str]]:  # noqa: B008 - frozen
    return [(str(each), each.why) for each in endpoints(pods, found, load_conventions())]


def test_known_exporters_come_first_and_each_place_once() -> None:
    pods = [
        pod("web", ports={"http-metrics": 8080}),
        pod("x", image="nvcr.io/nvidia/k8s/dcgm-exporter:4.5", annotations={"prometheus.io/scrape": "true"}),
    ]
    assert places(pods) == [
        ("ns/x:9400/metrics", "known as NVIDIA DCGM exporter"),
        ("ns/web:8080/metrics", "its port http-metrics"),
    ]


def test_annotations_say_port_path_and_scheme() -> None:
    notes = {"prometheus.io/scrape": "true", "prometheus.io/port": "81", "prometheus.io/path": "/m"}
    (found,) = endpoints([pod("a", annotations={**notes, "prometheus.io/scheme": "https"})], Monitors(), ())
    assert (found.port, found.path, found.scheme) == ("81", "/m", "https")


def test_monitors_lead_to_pods() -> None:
    target = pod("a", ports={"web": 7000}, labels={"app": "a"})
    by_pod = {
        "metadata": {"name": "pm", "namespace": "other"},
        "spec": {
            "namespaceSelector": {"any": True},
            "selector": {"matchLabels": {"app": "a"}},
            "podMetricsEndpoints": [{"port": "web"}],
        },
    }
    assert places([target], Monitors(pods=(by_pod,))) == [("ns/a:7000/metrics", "PodMonitor other/pm")]
    by_pod["spec"]["namespaceSelector"] = {}
    assert places([target], Monitors(pods=(by_pod,))) == []
    by_service = {
        "metadata": {"name": "sm", "namespace": "ns"},
        "spec": {"selector": {"matchLabels": {"of": "a"}}, "endpoints": [{"port": "p", "path": "/x"}]},
    }
    service = {
        "metadata": {"name": "s", "namespace": "ns", "labels": {"of": "a"}},
        "spec": {"selector": {"app": "a"}, "ports": [{"name": "p", "port": 80, "targetPort": "web"}]},
    }
    found = places([target], Monitors(services=(by_service,), targets=(service,)))
    assert found == [("ns/a:7000/x", "ServiceMonitor ns/sm")]


def test_pods_that_ended_are_no_place() -> None:
    ended = pod("a", ports={"metrics": 1})
    ended["status"]["phase"] = "Pending"
    assert places([ended]) == []


@pytest.mark.parametrize(
    ("selector", "chosen"),
    [
        ({}, True),
        ({"matchLabels": {"a": "1"}}, True),
        ({"matchLabels": {"a": "2"}}, False),
        ({"matchExpressions": [{"key": "a", "operator": "In", "values": ["1", "2"]}]}, True),
        ({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["1"]}]}, False),
        ({"matchExpressions": [{"key": "b", "operator": "DoesNotExist"}]}, True),
        ({"matchExpressions": [{"key": "b", "operator": "Exists"}]}, False),
    ],
)
def test_selectors_select_as_kubernetes_does(selector: Object, chosen: bool) -> None:
    assert selects(selector, {"a": "1"}) is chosen


# Reading

ENDPOINT = Endpoint("ns", "x", "n1", "9400", "/metrics", "https", "annotated")


class Behind:
    """A cluster whose Pods answer with one thing, or fail so."""

    def __init__(self, answer: ProxyResponse | Exception) -> None:
        self.answer = answer
        self.asked: list[tuple[Any, ...]] = []

    async def proxied(self, *where: str, **_: Any) -> ProxyResponse:
        self.asked.append(where)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.mark.parametrize(
    ("answer", "problem", "told"),
    [
        (ProxyResponse(200, "text/plain", DCGM, True), "", ""),
        (ProxyResponse(401, "text/plain", "Unauthorized", True), "authentication", "requires authentication"),
        (ProxyResponse(403, "text/plain", "Forbidden", True), "authentication", "requires authentication"),
        (ProxyResponse(500, "text/plain", "oops", True), "unreachable", "answers HTTP 500"),
        (ProxyResponse(200, "text/plain", "a 1\n", False), "format", "sends more than"),
        (ProxyResponse(200, "text/html", "<html>", True), "format", "not in a format"),
        (TimedOut("no complete answer within 10 s"), "slow", "within 10 s"),
        (Unreachable("connection refused"), "unreachable", "connection refused"),
    ],
)
def test_what_comes_of_a_scrape(answer: ProxyResponse | Exception, problem: str, told: str) -> None:
    cluster: Any = Behind(answer)
    found = asyncio.run(read(cluster, ENDPOINT))
    assert (found.problem, bool(found.samples)) == (problem, not problem)
    assert told in found.message
    assert cluster.asked == [("pods", "ns", "https:x:9400", "/metrics")]


def test_missing_rights_are_said_as_such() -> None:
    cluster: Any = Behind(Forbidden("no permission to get pods/proxy", verb="get", resource="pods/proxy"))
    with pytest.raises(Forbidden):
        asyncio.run(read(cluster, ENDPOINT))
