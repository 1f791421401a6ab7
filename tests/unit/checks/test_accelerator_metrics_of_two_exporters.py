"""What accelerator_metrics finds where no exporter alone reports utilization and memory of every device."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiconform.check import NothingToLookAt, Settings
from aiconform.check.testing import findings
from aiconform.checks.accelerator_metrics import probes
from aiconform.checks.accelerator_metrics.observations import Coverage, Load
from aiconform.checks.accelerator_metrics.options import AcceleratorMetrics
from aiconform.cluster import Forbidden, Object, ProxyResponse
from aiconform.platform import Platform
from aiconform.platform.images import Images
from tests.support.exporters import CHECK, DCGM, WELL, Served, exporter, node, page, published, seen, verdicts

UTILIZATION, MEMORY = "utilization", "memory"
SMI = ("nvidia-gpu-exporter-b", "utkuozdemir/nvidia_gpu_exporter:1.4", 9835)
OTHER = ("monitor-b", "registry/monitor:1", 9999)
NAMES = {
    DCGM: {UTILIZATION: "DCGM_FI_DEV_GPU_UTIL", MEMORY: "DCGM_FI_DEV_FB_USED"},
    SMI: {UTILIZATION: "nvidia_smi_utilization_gpu_ratio", MEMORY: "nvidia_smi_memory_used_bytes"},
    OTHER: {UTILIZATION: "all_smi_gpu_utilization", MEMORY: "all_smi_gpu_memory_used_bytes"},
}
Reported = Mapping[int, Collection[str]]
"""Device -> the quantities that an exporter has of it."""


def by_uuid(which: tuple[str, str, int], device: int) -> str:
    uuid = f"{device:08x}-0000-4000-8000-000000000000"
    return f'UUID="GPU-{uuid}"' if which == DCGM else f'uuid="{uuid}"'


def by_address(which: tuple[str, str, int], device: int) -> str:
    if which == DCGM:
        return f'gpu="{device}",pci_bus_id="00000000:{device + 16:02X}:00.0"'
    return f'index="{device}",uuid="smi-{device}",bus="0000:{device + 16:02x}:00.0"'


def by_number(which: tuple[str, str, int], device: int) -> str:
    """Exporters number devices in their own ways."""
    return f'gpu="{device}"' if which == DCGM else f'uuid="{7 - device}",index="{7 - device}"'


def text(which: tuple[str, str, int], labels: Any, reported: Reported) -> str:
    names = NAMES[which]
    return page(
        {
            name: {labels(which, device): 0.0 for device, has in reported.items() if of in has}
            for of, name in names.items()
        }
    )


def found(count: int, labels: Any, pages: Mapping[tuple[str, str, int], Reported], **more: Any) -> Coverage:
    objects = [node({"nvidia.com/gpu": count}), *(exporter(*each) for each in pages)]
    served = {f"ns/{each[0]}:{each[2]}": text(each, labels, reported) for each, reported in pages.items()}
    return seen(objects, served, **more)


BOTH = (UTILIZATION, MEMORY)


@pytest.mark.parametrize("labels", [by_uuid, by_address, by_number])
@pytest.mark.parametrize("other", [SMI, OTHER])
def test_one_exporter_has_the_utilization_and_another_one_the_memory(labels: Any, other: tuple[str, str, int]) -> None:
    has = {0: (UTILIZATION,), 1: (UTILIZATION,)}, {0: (MEMORY,), 1: (MEMORY,)}
    for first, second in (has, has[::-1]):
        coverage = found(2, labels, {DCGM: first, other: second})
        assert verdicts(coverage) == WELL
        (of_node,) = coverage.nodes
        assert {each.utilization is None for each in of_node.devices} in ({False}, {labels is by_number})


@pytest.mark.parametrize("labels", [by_uuid, by_address])
def test_what_neither_exporter_reports_of_a_device_is_missing(labels: Any) -> None:
    coverage = found(2, labels, {DCGM: {0: (UTILIZATION,), 1: (UTILIZATION,)}, SMI: {0: (MEMORY,)}})
    assert verdicts(coverage) == {**WELL, "memory_reported": False}
    coverage = found(3, labels, {DCGM: {0: BOTH, 1: (UTILIZATION,)}, SMI: {1: (MEMORY,)}})
    assert verdicts(coverage) == {**WELL, "every_device": False}


def test_devices_of_each_exporter_count_together() -> None:
    coverage = found(3, by_uuid, {DCGM: {0: BOTH, 1: BOTH}, SMI: {1: BOTH, 2: BOTH}})
    assert verdicts(coverage) == WELL


def test_fewer_devices_that_no_label_joins_are_too_few_for_all_of_them() -> None:
    two = {0: (UTILIZATION,), 1: (UTILIZATION,)}
    assert verdicts(found(2, by_number, {DCGM: two, SMI: {0: (MEMORY,)}})) == {**WELL, "memory_reported": False}
    # The one device may be that of which the memory is missing, or the other one.
    told = found(2, by_number, {DCGM: {0: BOTH, 1: (UTILIZATION,)}, SMI: {1: (MEMORY,)}})
    assert verdicts(told) == {**WELL, "memory_reported": None}
    assert "let both exporters report the UUID or the PCI address" in findings(CHECK, told)["memory_reported"].reason
    told = found(2, by_number, {DCGM: {0: BOTH}, SMI: {1: BOTH}})
    assert verdicts(told) == {**WELL, "every_device": None}


def test_uuids_of_which_none_are_equal_may_be_of_other_devices() -> None:
    objects = [node({"nvidia.com/gpu": 1}), exporter(*DCGM), exporter(*SMI)]
    pages = {
        "ns/dcgm-exporter-a:9400": 'DCGM_FI_DEV_GPU_UTIL{UUID="GPU-11111111"} 0\n',
        "ns/nvidia-gpu-exporter-b:9835": 'nvidia_smi_memory_used_bytes{uuid="22222222"} 0\n',
    }
    assert verdicts(seen(objects, pages)) == {**WELL, "memory_reported": None}


def test_the_memory_of_a_divided_device_is_not_that_of_its_partitions() -> None:
    objects = [node({"nvidia.com/mig-1g.10gb": 2}), exporter(*DCGM), exporter(*SMI)]
    instances = {f'UUID="GPU-11111111",GPU_I_ID="{n}",GPU_I_PROFILE="1g.10gb"': 0.0 for n in (7, 8)}
    pages = {
        "ns/dcgm-exporter-a:9400": page({"DCGM_FI_PROF_GR_ENGINE_ACTIVE": instances}),
        "ns/nvidia-gpu-exporter-b:9835": 'nvidia_smi_memory_used_bytes{uuid="11111111"} 0\n',
    }
    assert verdicts(seen(objects, pages)) == {**WELL, "memory_reported": False}
    parts = {f'uuid="11111111",gpu_instance_id="{n}"': 0.0 for n in (7, 8)}
    pages["ns/nvidia-gpu-exporter-b:9835"] = page({"nvidia_smi_mig_memory_used_bytes": parts})
    assert verdicts(seen(objects, pages)) == WELL


def test_devices_of_a_driver_are_joined_by_what_each_exporter_says_of_them() -> None:
    devices = [
        {"name": f"gpu-{n}", "attributes": {"uuid": {"string": f"GPU-{n}1111111"}, "index": {"int": n}}}
        for n in range(2)
    ]
    objects = [node({}), published("gpu.nvidia.com", *devices), exporter(*DCGM), exporter(*OTHER)]
    pages = {
        "ns/dcgm-exporter-a:9400": page({"DCGM_FI_DEV_GPU_UTIL": {f'UUID="GPU-{n}1111111"': 0.0 for n in range(2)}}),
        "ns/monitor-b:9999": page({"all_smi_gpu_memory_used_bytes": {f'index="{n}"': n for n in range(2)}}),
    }
    coverage = seen(objects, pages)
    assert verdicts(coverage) == WELL
    assert [(each.device, each.memory_used) for each in coverage.nodes[0].devices] == [("gpu-0", 0.0), ("gpu-1", 1.0)]


@pytest.mark.parametrize("label", ["uuid", "index"])
@pytest.mark.parametrize(("parts", "holds"), [(1, True), (2, False)])
def test_another_exporter_adds_the_memory_of_amds_devices_and_not_of_their_partitions(
    label: str, parts: int, holds: bool
) -> None:
    amd = ("amd-metrics-exporter-a", "rocm/device-metrics-exporter:1.4", 5000)
    smi = ("all-smi-a", "all-smi:1", 9090)
    uuids = [f"{device:04x}aaaa" for device in range(2)]
    rows = {
        f'gpu_uuid="{uuid}",serial_number="PCB{device}",gpu_id="{parts * device + part}",gpu_partition_id="{part}"': 0.0
        for device, uuid in enumerate(uuids)
        for part in range(parts)
    }
    others = [f'uuid="{uuid}"' if label == "uuid" else f'index="{n}"' for n, uuid in enumerate(uuids)]
    pages = {
        "ns/amd-metrics-exporter-a:5000": page({"gpu_gfx_activity": rows}),
        "ns/all-smi-a:9090": page({"all_smi_gpu_memory_used_bytes": dict.fromkeys(others, 0.0)}),
    }
    coverage = seen([node({"amd.com/gpu": 2 * parts}), exporter(*amd), exporter(*smi)], pages, shares=1)
    assert verdicts(coverage) == {**WELL, "memory_reported": holds}


QUANTITIES = st.sets(st.sampled_from([UTILIZATION, MEMORY]))
PAGES = st.integers(1, 3).flatmap(
    lambda count: st.tuples(*(st.lists(QUANTITIES, min_size=count, max_size=count) for _ in range(2)))
)


@pytest.mark.parametrize("labels", [by_uuid, by_address, by_number])
@given(PAGES)
def test_whatever_exporters_share_no_device_passes_or_fails_wrongly(
    labels: Any, pages: tuple[list[set[str]], list[set[str]]]
) -> None:
    reported = [dict(enumerate(each)) for each in pages]
    count = len(pages[0])
    try:
        coverage = found(count, labels, dict(zip((DCGM, SMI), reported, strict=True)), shares=1)
    except NothingToLookAt:
        assert not any(map(any, pages))
        return
    together = [one | other for one, other in zip(*pages, strict=True)]
    right = {
        "every_device": all(together),
        "utilization_reported": all(UTILIZATION in each for each in together if each),
        "memory_reported": all(MEMORY in each for each in together if each),
    }
    got = verdicts(coverage)
    # What no reading is joined with has a verdict by every_device alone.
    assert got["every_device"] in (None, right["every_device"])
    assert all(holds or not right[name] for name, holds in got.items() if name in right and holds is not None)
    assert not all(got.values()) or all(right.values())
    if labels is by_uuid and any(one and other for one, other in zip(*pages, strict=True)):
        assert None not in got.values()


COLLECTOR = ("host-monitor-b", "registry/opentelemetry-gpu-collector:1", 8889)
DIMM = 'hw_memory_usage_bytes{hw_id="DIMM-A1",hw_type="memory"} 1e9\n'


def by_opentelemetry(devices: int) -> str:
    ids = [f'hw_id="GPU-{n:08x}-0000-4000-8000-000000000000"' for n in range(devices)]
    names = ("hw_gpu_utilization_ratio", "hw_gpu_memory_usage_bytes")
    return page({name: dict.fromkeys(ids, 0.0) for name in names}) + DIMM


@pytest.mark.parametrize(
    ("gpus", "reported", "labels"),
    [
        *((3, number, labels) for number in (3, 2, 0) for labels in (by_uuid, by_number)),
        (2, 2, by_uuid),
        (2, 0, by_number),
    ],
)
def test_memory_of_the_host_is_no_accelerator(gpus: int, reported: int, labels: Any) -> None:
    objects = [node({"nvidia.com/gpu": 3}), exporter(*DCGM), exporter(*COLLECTOR)]
    pages = {
        "ns/dcgm-exporter-a:9400": text(DCGM, labels, dict.fromkeys(range(gpus), BOTH)),
        "ns/host-monitor-b:8889": by_opentelemetry(reported),
    }
    coverage = seen(objects, pages, shares=1)
    assert verdicts(coverage) == {**WELL, "every_device": gpus == 3}
    assert len(coverage.nodes[0].devices) == gpus


def test_memory_of_the_host_alone_is_nothing_to_look_at() -> None:
    with pytest.raises(NothingToLookAt, match="no endpoint reports accelerators"):
        seen([node({"nvidia.com/gpu": 1}), exporter(*COLLECTOR)], {"ns/host-monitor-b:8889": DIMM})


def test_an_exporter_that_lacks_nothing_comes_before_one_that_names_more() -> None:
    # The one more is a device that no resource counts, such as the processor's own.
    for other in (SMI, OTHER):
        coverage = found(2, by_number, {DCGM: {0: BOTH, 1: BOTH}, other: {0: BOTH, 1: BOTH, 2: (MEMORY,)}})
        assert verdicts(coverage) == WELL


class Refusing(Served):
    """Answers with this status, or with a page that is none, where there is no page."""

    def __init__(self, objects: list[dict[str, Any]], pages: Mapping[str, str], status: int) -> None:
        super().__init__(objects, pages)
        self.status = status

    async def proxied(self, what: str, namespace: str, pod: str, path: str, **more: Any) -> ProxyResponse:
        if f"{namespace}/{pod}" in self.pages:
            return await super().proxied(what, namespace, pod, path, **more)
        return ProxyResponse(self.status, "text/html", "<html>Unauthorized</html>", True)


UTILIZATION_ALONE = {"ns/dcgm-exporter-a:9400": text(DCGM, by_uuid, {0: (UTILIZATION,), 1: (UTILIZATION,)})}
MEMORY_ALONE = {"ns/dcgm-exporter-a:9400": text(DCGM, by_uuid, {0: (MEMORY,), 1: (MEMORY,)})}


@pytest.mark.parametrize(("status", "holds"), [(401, None), (503, None), (200, False)])
def test_an_exporter_that_may_have_the_rest_and_cannot_be_read_decides_nothing(status: int, holds: bool | None) -> None:
    objects = [node({"nvidia.com/gpu": 2}), exporter(*DCGM), exporter(*SMI)]
    coverage = seen(objects, {}, served=Refusing(objects, UTILIZATION_ALONE, status))
    assert verdicts(coverage) == {**WELL, "memory_reported": holds}
    # What is whole needs no other exporter.
    whole = {"ns/dcgm-exporter-a:9400": text(DCGM, by_uuid, {0: BOTH, 1: BOTH})}
    assert verdicts(seen(objects, {}, served=Refusing(objects, whole, status))) == WELL
    # One device is missing.
    part = {"ns/dcgm-exporter-a:9400": text(DCGM, by_uuid, {0: BOTH})}
    coverage = seen(objects, {}, served=Refusing(objects, part, status), shares=1)
    assert verdicts(coverage) == {**WELL, "every_device": holds}


@pytest.mark.parametrize("status", [401, 503])
def test_another_port_of_an_exporter_that_is_read_decides_nothing(status: int) -> None:
    pod = exporter(*DCGM)
    pod["spec"]["containers"].append(
        {"name": "p", "image": "proxy", "ports": [{"name": "metrics-tls", "containerPort": 1}]}
    )
    objects = [node({"nvidia.com/gpu": 2}), pod]
    assert verdicts(seen(objects, {}, served=Refusing(objects, UTILIZATION_ALONE, status))) == {
        **WELL,
        "memory_reported": False,
    }
    part = {"ns/dcgm-exporter-a:9400": text(DCGM, by_uuid, {0: BOTH})}
    for options in ({}, {"exporter": "ns/dcgm*"}):
        coverage = seen(objects, {}, served=Refusing(objects, part, status), shares=1, **options)
        assert verdicts(coverage) == {**WELL, "every_device": False}
    # What is read in its Pod is of something else: nobody knows what the exporter itself says.
    other = {"ns/dcgm-exporter-a:1": text(OTHER, by_uuid, {0: (UTILIZATION,), 1: (UTILIZATION,)})}
    coverage = seen(objects, {}, served=Refusing(objects, other, status))
    assert verdicts(coverage) == {**WELL, "memory_reported": None}


def test_an_exporter_that_has_the_rest_only_in_use_decides_nothing_while_devices_are_idle() -> None:
    neuron = ("neuron-monitor-a", "public.ecr.aws/neuron/neuron-monitor:1.2", 8000)
    objects = [node({"aws.amazon.com/neuron": 1}), exporter(*neuron), exporter(*OTHER)]
    pages = {"ns/monitor-b:9999": 'all_smi_gpu_utilization{uuid="neuron-0"} 0\n', "ns/neuron-monitor-a:8000": "x 1\n"}
    coverage = seen(objects, pages)
    assert verdicts(coverage) == {**WELL, "memory_reported": None}
    assert "AWS Neuron Monitor reports it only of devices in use" in coverage.nodes[0].unsure["memory_used"]


def followed(monkeypatch: pytest.MonkeyPatch, served: Served, **fields: Any) -> Load:
    """What comes of the probe of the load, with these fields of what is seen while a Pod uses a device."""
    platform = Platform(served, Images())  # type: ignore[arg-type]

    async def under_load(_: Any, __: Any, about: Any, source: Any, *___: Any) -> Load:
        return Load(**about.target.facts, endpoint=source.place, load="work", **fields)

    async def run() -> Load:
        monkeypatch.setattr(probes, "under_load", under_load)
        (target,) = (await platform.accelerators()).offered
        settings = Settings(options=(AcceleratorMetrics(),))
        scratch: Any = None
        found = await probes.load(platform, scratch, settings, target)
        assert isinstance(found, Load)
        return found

    return asyncio.run(run())


@pytest.mark.parametrize("other", [SMI, OTHER])
def test_a_load_is_followed_at_the_exporter_that_has_the_utilization(
    monkeypatch: pytest.MonkeyPatch, other: tuple[str, str, int]
) -> None:
    objects = [node({"nvidia.com/gpu": 2}), exporter(*DCGM), exporter(*other)]
    second = {f"ns/{other[0]}:{other[2]}": text(other, by_uuid, {0: (UTILIZATION,), 1: (UTILIZATION,)})}
    load = followed(monkeypatch, Served(objects, {**MEMORY_ALONE, **second}))
    assert (load.endpoint, load.unread) == (f"ns/{other[0]}:{other[2]}/metrics", {})


def test_a_load_that_an_exporter_of_some_devices_does_not_show_decides_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    objects = [node({"nvidia.com/gpu": 3}), exporter(*DCGM), exporter(*SMI)]
    pages = {
        "ns/dcgm-exporter-a:9400": text(DCGM, by_uuid, {0: BOTH, 1: BOTH}),
        "ns/nvidia-gpu-exporter-b:9835": text(SMI, by_uuid, {2: BOTH}),
    }
    idle = {"before": {"a": 0.0, "b": 0.0}, "during": {"a": 0.0, "b": 0.0}}
    load = followed(monkeypatch, Served(objects, pages), **idle)
    assert findings(CHECK, load)["utilization_rises"].holds is None
    del pages["ns/nvidia-gpu-exporter-b:9835"]
    load = followed(monkeypatch, Served(objects[:-1], pages), **idle)
    assert findings(CHECK, load)["utilization_rises"].holds is False


def test_no_load_is_put_where_the_exporter_of_utilization_cannot_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    objects = [node({"nvidia.com/gpu": 2}), exporter(*DCGM), exporter(*SMI)]
    with pytest.raises(NothingToLookAt, match="reports no utilization, and ns/nvidia-gpu-exporter-b:9835"):
        followed(monkeypatch, Refusing(objects, MEMORY_ALONE, 401))


class Limited(Served):
    """Lets Pods of one Namespace be read, and no others."""

    async def proxied(self, what: str, namespace: str, pod: str, path: str, **more: Any) -> ProxyResponse:
        if namespace != "ns":
            raise Forbidden(f"no permission to get pods/proxy in {namespace}", verb="get", resource="pods/proxy")
        return await super().proxied(what, namespace, pod, path, **more)


def test_rights_in_the_namespace_of_the_exporter_are_enough_for_what_it_says() -> None:
    """A guessed endpoint may have what is lacking: that alone is not decided."""
    objects = [node({"nvidia.com/gpu": 2}), node({"nvidia.com/gpu": 1}), exporter(*OTHER)]
    objects += [exporter(*DCGM), exporter("dcgm-exporter-c", *DCGM[1:])]
    objects[1]["metadata"]["name"] = objects[4]["spec"]["nodeName"] = "n2"
    objects[2]["metadata"]["namespace"] = "monitoring"

    def of(first: Reported, second: Reported, **more: Any) -> Coverage:
        pages = {f"ns/dcgm-exporter-{at}:9400": text(DCGM, by_uuid, has) for at, has in (("a", first), ("c", second))}
        return seen(objects, {}, served=Limited(objects, pages), shares=1, **more)

    coverage = of({0: BOTH, 1: (UTILIZATION,)}, {4: BOTH})
    assert verdicts(coverage) == {**WELL, "memory_reported": None}
    assert "no permission to get pods/proxy in monitoring" in findings(CHECK, coverage)["memory_reported"].reason
    assert verdicts(of({0: BOTH}, {4: BOTH})) == {**WELL, "every_device": False}
    assert verdicts(of({0: BOTH, 1: BOTH}, {4: BOTH})) == WELL
    # What is lacking on a node where nothing else is tried is lacking.
    assert verdicts(of({0: BOTH, 1: BOTH}, {4: (UTILIZATION,)})) == {**WELL, "memory_reported": False}
    # The exporter itself may not be read, or nothing else reports a node.
    with pytest.raises(Forbidden):
        of({0: BOTH, 1: BOTH}, {4: BOTH}, exporter="monitoring/*")
    objects[3]["metadata"]["namespace"] = "monitoring"
    with pytest.raises(Forbidden):
        of({0: BOTH, 1: BOTH}, {4: BOTH})
    del objects[3]
    with pytest.raises(Forbidden):
        of({}, {4: BOTH})


class Unlisted(Served):
    """Serves VictoriaMetrics' kinds, of which VMPodScrapes may not be listed."""

    async def groups(self) -> dict[str, tuple[str, ...]]:
        return {**await super().groups(), "operator.victoriametrics.com": ("v1beta1",)}

    async def resources(self, api_version: str) -> dict[str, Any]:
        return {"VMPodScrape": "vmpodscrapes"} if "victoria" in api_version else {}

    async def list(self, api_version: str, kind: str, *_: str, **__: str) -> AsyncIterator[Object]:
        if kind == "VMPodScrape":
            raise Forbidden("no permission to list vmpodscrapes", verb="list", resource="vmpodscrapes")
        async for each in super().list(api_version, kind):
            yield each


HIDDEN = "vmpodscrapes of operator.victoriametrics.com may name another exporter"


def test_what_only_objects_name_that_may_not_be_listed_is_not_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    objects = [node({"nvidia.com/gpu": 2}), exporter(*DCGM)]
    both = {0: BOTH, 1: BOTH}

    def of(reported: Reported, cluster: type[Served] = Unlisted, **options: Any) -> Coverage:
        pages = {"ns/dcgm-exporter-a:9400": text(DCGM, by_uuid, reported)}
        return seen(objects, {}, served=cluster(objects, pages), shares=1, **options)

    assert verdicts(of(both)) == WELL
    for lacking, assertion in (({0: BOTH}, "every_device"), ({**both, 1: (UTILIZATION,)}, "memory_reported")):
        assert verdicts(of(lacking, Served)) == {**WELL, assertion: False}
        assert verdicts(of(lacking)) == {**WELL, assertion: None}
        reason = findings(CHECK, of(lacking))[assertion].reason
        assert HIDDEN in reason
        assert "`aiconform rbac`" in reason
        # Nothing else is looked for where a user names the exporter.
        assert verdicts(of(lacking, exporter="ns/dcgm*")) == {**WELL, assertion: False}
    with pytest.raises(NothingToLookAt, match=HIDDEN):
        seen(objects[:1], {}, served=Unlisted(objects[:1], {}))
    with pytest.raises(NothingToLookAt, match=f"reports no utilization, and {HIDDEN}"):
        followed(monkeypatch, Unlisted(objects, {"ns/dcgm-exporter-a:9400": text(DCGM, by_uuid, {0: (MEMORY,)})}))
    # A node without an exporter beside one that has one.
    objects += [node({"nvidia.com/gpu": 1})]
    objects[-1]["metadata"]["name"] = "n2"
    assert verdicts(of(both, Served)) == {**WELL, "every_device": False}
    assert verdicts(of(both)) == {**WELL, "every_device": None}


def test_inspect_says_what_is_not_decided() -> None:
    objects = [node({"nvidia.com/gpu": 2}), exporter(*DCGM), exporter(*SMI)]
    settings = Settings(options=(AcceleratorMetrics(),))

    async def inspected(served: Any) -> tuple[tuple[str, ...], tuple[str, ...]]:
        found = await probes.sources(Platform(served, Images()), settings)
        return found.found, found.problems

    uses, problems = asyncio.run(inspected(Refusing(objects, UTILIZATION_ALONE, 401)))
    assert "utilization of 2, memory of 0" in uses[0]
    assert "another exporter may report it: ns/nvidia-gpu-exporter-b:9835" in problems[0]
    memory = {"ns/nvidia-gpu-exporter-b:9835": text(SMI, by_uuid, {0: (MEMORY,), 1: (MEMORY,)})}
    uses, problems = asyncio.run(inspected(Served(objects, {**UTILIZATION_ALONE, **memory})))
    assert "dcgm-exporter-a:9400/metrics and ns/nvidia-gpu-exporter-b:9835/metrics on n1" in uses[0]
    assert ("utilization of 2, memory of 2" in uses[0], problems) == (True, ())


WAY_OUT = "let the exporter, or the proxy before it, answer without one (kube-rbac-proxy: --ignore-paths=/metrics)"


def test_an_exporter_behind_authentication_is_no_missing_exporter() -> None:
    for resources, install in (({"nvidia.com/gpu": 2}, False), ({"nvidia.com/gpu": 2, "amd.com/gpu": 1}, True)):
        objects = [node(resources), exporter(*DCGM), exporter(*SMI)]
        with pytest.raises(NothingToLookAt, match="exporters cannot be read: ns/dcgm-exporter-a:9400/metrics") as error:
            seen(objects, {}, served=Refusing(objects, {}, 401))
        assert (str(error.value).count(WAY_OUT), "Install" in str(error.value)) == (1, install)
    with pytest.raises(NothingToLookAt, match=r"HTTP 503.* Name others: --set accelerator_metrics.exporter="):
        seen(objects, {}, served=Refusing(objects, {}, 503))
    # Beside accelerators that are reported.
    amd = ("amd-metrics-exporter-a", "rocm/device-metrics-exporter:1.4", 5000)
    objects.append(exporter(*amd))
    page_of_amd = 'gpu_gfx_activity{serial_number="S1"} 0\ngpu_used_vram{serial_number="S1"} 0\n'
    served = Refusing(objects, {"ns/amd-metrics-exporter-a:5000": page_of_amd}, 401)
    told = findings(CHECK, seen(objects, {}, served=served))["standard_format"]
    assert (told.holds, told.reason.count(WAY_OUT)) == (None, 1)


def test_an_unknown_endpoint_behind_authentication_is_told_beside_the_others() -> None:
    objects = [node({"nvidia.com/gpu": 1}), exporter(*OTHER)]
    with pytest.raises(NothingToLookAt, match="ns/monitor-b:9999/metrics requires authentication") as error:
        seen(objects, {}, served=Refusing(objects, {}, 403))
    # It may be no exporter of accelerators: nobody is told to open it.
    assert "answer without one" not in str(error.value)
    assert "Install the vendor's exporter" in str(error.value)
    with pytest.raises(NothingToLookAt, match="answer without one"):
        seen(objects, {}, served=Refusing(objects, {}, 403), exporter="ns/monitor*")


@pytest.mark.parametrize("status", [401, 503])
def test_a_closed_exporter_of_another_vendor_is_not_in_the_way(status: int) -> None:
    objects = [node({"nvidia.com/gpu": 1}), exporter("amd-metrics-exporter-a", "amd:1", 5000), exporter(*OTHER)]
    with pytest.raises(NothingToLookAt, match=r"no endpoint reports accelerators \(ns/amd-metrics-exporter-a") as error:
        seen(objects, {}, served=Refusing(objects, {}, status))
    told = str(error.value)
    assert "ns/monitor-b:9999/metrics" in told
    assert (WAY_OUT in told, "Install the vendor's exporter" in told) == (False, True)


def test_a_closed_exporter_of_any_vendor_is_told_beside_the_others() -> None:
    objects = [node({"nvidia.com/gpu": 1}), exporter("all-smi-a", "all-smi:1", 9090), exporter(*DCGM)]
    served = Refusing(objects, {"ns/dcgm-exporter-a:9400": "up 1\n"}, 401)
    with pytest.raises(NothingToLookAt, match="exporters cannot be read: ns/all-smi-a:9090/metrics") as error:
        seen(objects, {}, served=served)
    told = str(error.value)
    assert told.count("ns/all-smi-a:9090/metrics") == 1
    assert "No other endpoint reports accelerators (ns/dcgm-exporter-a:9400/metrics: nothing about" in told
    assert told.index(WAY_OUT) < told.index("Install the vendor's exporter")
