"""What accelerator_metrics finds on platforms with vendors' exporters: made-up pages of their shapes."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest
from support.exporters import CHECK, DCGM, WELL, Object, Served, dcgm, exporter, node, page, published, seen, verdicts

from aiconform.check import NothingToLookAt, Settings
from aiconform.check.registry import load_check
from aiconform.check.testing import findings
from aiconform.checks.accelerator_metrics import probes
from aiconform.checks.accelerator_metrics.options import AcceleratorMetrics
from aiconform.cluster import ProxyResponse
from aiconform.platform import Platform
from aiconform.platform.images import Images
from aiconform.platform.monitoring.conventions import load_conventions
from aiconform.platform.monitoring.exporters import find
from aiconform.platform.monitoring.sources import NodeSources


def gpu(index: int, **attributes: str) -> Object:
    about = {"type": "gpu", "productName": "H100", "uuid": f"GPU-00{index}", **attributes}
    return {"name": f"gpu-{index}", "attributes": {name: {"string": value} for name, value in about.items()}}


def test_the_same_devices_by_device_plugin_and_by_dra_are_one_set() -> None:
    labels = {"nvidia.com__gpu.count": "2"}
    objects = [node({"nvidia.com/gpu": 2}, **labels), published("gpu.nvidia.com", gpu(0), gpu(1)), exporter(*DCGM)]
    found = seen(objects, {"ns/dcgm-exporter-a:9400": dcgm('UUID="GPU-000"', 'UUID="GPU-001"')})
    assert verdicts(found) == WELL
    # One that is in neither is missing in both.
    missing = seen(objects, {"ns/dcgm-exporter-a:9400": dcgm('UUID="GPU-000"')})
    assert verdicts(missing)["every_device"] is False


def test_mig_instances_are_devices() -> None:
    ids = [f'UUID="GPU-1",GPU_I_PROFILE="1g.10gb",GPU_I_ID="{n}"' for n in range(7, 14)]
    objects = [node({"nvidia.com/gpu": 0, "nvidia.com/mig-1g.10gb": 7}), exporter(*DCGM)]
    text = dcgm(*ids, utilization="DCGM_FI_PROF_GR_ENGINE_ACTIVE")
    assert verdicts(seen(objects, {"ns/dcgm-exporter-a:9400": text})) == WELL
    text = dcgm(*ids[1:], utilization="DCGM_FI_PROF_GR_ENGINE_ACTIVE")
    assert verdicts(seen(objects, {"ns/dcgm-exporter-a:9400": text}))["every_device"] is False


def test_time_slices_are_one_device() -> None:
    objects = [
        node({"nvidia.com/gpu": 4}, **{"nvidia.com__gpu.count": "1", "nvidia.com__gpu.replicas": "4"}),
        exporter(*DCGM),
    ]
    found = seen(objects, {"ns/dcgm-exporter-a:9400": dcgm('UUID="GPU-1"')})
    assert verdicts(found) == WELL
    assert found.nodes[0].expected == 1
    assert found.nodes[0].devices[0].samples == (
        'DCGM_FI_DEV_GPU_UTIL{UUID="GPU-1"} 0',
        'DCGM_FI_DEV_FB_USED{UUID="GPU-1"} 0',
    )


def test_the_names_of_one_hardware_are_each_covered() -> None:
    resources = {f"aws.amazon.com/{name}": 2 for name in ("neuron", "neurondevice")} | {"aws.amazon.com/neuroncore": 4}
    ids = [f'neuron_device_index="{n // 2}",neuroncore="{n}"' for n in range(4)]
    text = page(
        {name: dict.fromkeys(ids, 0.1) for name in ("neuroncore_utilization_ratio", "neuroncore_memory_usage_total")}
    )
    objects = [node(resources), exporter("neuron-monitor-a", "neuron-monitor:1", 8000)]
    found = seen(objects, {"ns/neuron-monitor-a:8000": text})
    assert verdicts(found) == WELL
    assert found.nodes[0].expected == 2
    # A node that offers cores alone: nobody says how many a device has.
    cores = [node({"aws.amazon.com/neuroncore": 4}), *objects[1:]]
    found = seen(cores, {"ns/neuron-monitor-a:8000": text})
    assert verdicts(found)["every_device"] is None
    assert "accelerator_metrics.shares" in found.nodes[0].undecided


def test_ratios_of_intels_exporter() -> None:
    ids = [f'uuid="0100-{n}",pci_bdf="0000:0{n}:00.0"' for n in (4, 5)]
    text = page({"xpum_engine_ratio": {ids[0]: 0.99, ids[1]: 0.0}, "xpum_memory_used_bytes": dict.fromkeys(ids, 3.1e7)})
    devices = [
        {
            "name": f"0000-0{n}-00-0-0xe211",
            "attributes": {"model": {"string": "Flex"}, "pciAddress": {"string": f"0000:0{n}:00.0"}},
        }
        for n in (4, 5)
    ]
    objects = [node({}), published("gpu.intel.com", *devices), exporter("xpum", "intel/xpumanager:V1.3.1", 29999)]
    found = seen(objects, {"ns/xpum:29999": text})
    assert verdicts(found) == WELL
    assert sorted(each.utilization or 0 for each in found.nodes[0].devices) == [0, 99]


def test_newer_names_of_intels_exporter() -> None:
    ids = [f'hw_id="0100-{n}",hw_name="memory-0",pci_bdf="0000:0{n}:00.0"' for n in (4, 5)]
    text = page(
        {
            "hw_gpu_utilization_ratio": {each.replace("memory-0", "engine-copy"): 0.0 for each in ids},
            "hw_memory_usage_bytes": dict.fromkeys(ids, 3.1e7),
            "hw_memory_size_bytes": dict.fromkeys(ids, 1.7e10),
        }
    )
    devices = [{"name": f"d{n}", "attributes": {"pciAddress": {"string": f"0000:0{n}:00.0"}}} for n in (4, 5)]
    objects = [node({}), published("gpu.intel.com", *devices), exporter("xpumd-z", "ghcr.io/intel/xpumd:2.0.0", 8080)]
    found = seen(objects, {"ns/xpumd-z:8080": text})
    assert verdicts(found) == WELL
    assert found.nodes[0].opentelemetry


def test_a_named_exporter_is_tried_at_every_port_it_declares() -> None:
    ids = [f'uuid="0000000{n}-1111"' for n in range(2)]
    names = ("nvidia_smi_utilization_gpu_ratio", "nvidia_smi_memory_used_bytes")
    pages = {"ns/gpu-numbers-q:9835": page({name: dict.fromkeys(ids, 0.0) for name in names})}
    objects = [node({"nvidia.com/gpu": 2}), exporter("gpu-numbers-q", "registry.example/gpu-numbers", 9835, "http")]
    assert verdicts(seen(objects, pages, exporter="ns/gpu-numbers*")) == WELL
    told = ""
    try:
        seen(objects, {}, exporter="ns/gpu-numbers*")
    except NothingToLookAt as reason:
        told = str(reason)
    assert "ns/gpu-numbers-q:9835/metrics: connection refused" in told
    try:
        seen(objects, pages, exporter="ns/other*")
    except NothingToLookAt as reason:
        told = str(reason)
    assert "no Pod on n1 is called ns/other*" in told


def test_an_idle_tpu_host_has_no_memory_to_show() -> None:
    ids = [f'accelerator_id="43717-{n}"' for n in range(4)]
    objects = [node({"google.com/tpu": 4}), exporter("tpu-device-plugin-ab", "gke.gcr.io/tpu-device-plugin:v1", 2112)]
    found = seen(
        objects, {"ns/tpu-device-plugin-ab:2112": page({"tensorcore_utilization_node": dict.fromkeys(ids, 0.0)})}
    )
    assert verdicts(found) == {**WELL, "memory_reported": None}
    assert (found.nodes[0].advertised, found.nodes[0].counted) == (4, "")
    assert "only of devices in use" in findings(CHECK, found)["memory_reported"].reason


def test_an_exporter_of_another_vendor_decides_nothing() -> None:
    objects = [
        node({"nvidia.com/gpu": 1, "amd.com/gpu": 1}),
        exporter(*DCGM),
        exporter("numbers", "registry.example/numbers", 5000),
    ]
    amd = page({name: {'serial_number="PCB1",gpu_id="0"': 0.0} for name in ("gpu_gfx_activity", "gpu_used_vram")})
    pages = {"ns/dcgm-exporter-a:9400": dcgm('UUID="GPU-1"')}
    found = seen(objects, pages)
    assert verdicts(found)["every_device"] is False
    assert [each.endpoint for each in found.nodes if each.name == "amd.com/gpu"] == [""]
    # The exporter of the one does not keep that of the other from being found.
    assert verdicts(seen(objects, {**pages, "ns/numbers:5000": amd})) == WELL


def test_without_a_known_exporter_of_the_vendor_nothing_is_missing() -> None:
    objects = [node({"nvidia.com/gpu": 1, "qualcomm.com/qaic": 4}), exporter(*DCGM)]
    found = seen(objects, {"ns/dcgm-exporter-a:9400": dcgm('UUID="GPU-1"')})
    assert verdicts(found)["every_device"] is None
    assert "accelerator_metrics.exporter" in findings(CHECK, found)["every_device"].reason


def test_an_exporter_that_does_not_run_at_the_moment_is_not_decided() -> None:
    other = {**node({"nvidia.com/gpu": 1}), "metadata": {"name": "n2"}}
    starting = exporter("dcgm-exporter-b", DCGM[1], 9400)
    starting["spec"]["nodeName"] = "n2"
    starting["status"] = {"phase": "Pending"}
    objects = [node({"nvidia.com/gpu": 1}), other, exporter(*DCGM)]
    pages = {"ns/dcgm-exporter-a:9400": dcgm('UUID="GPU-000"')}
    assert verdicts(seen(objects, pages))["every_device"] is False
    found = seen([*objects, starting], pages)
    assert verdicts(found) == {**WELL, "standard_format": None}
    assert "ns/dcgm-exporter-b, known as NVIDIA DCGM exporter, does not run: Pending" in found.nodes[1].message


def test_an_exporter_that_runs_outside_of_pods_is_not_decided() -> None:
    there, managed = node({"nvidia.com/gpu": 1}), node({"nvidia.com/gpu": 1})
    managed["metadata"]["name"] = "n2"
    labels = managed["metadata"]["labels"]
    objects, pages = [there, managed, exporter("dcgm-exporter-a", DCGM[1], 9400)], {}
    pages["ns/dcgm-exporter-a:9400"] = of_nodes(n1="a")
    assert verdicts(seen(objects, pages))["every_device"] is False
    labels["kubernetes.azure.com/dcgm-exporter"] = "enabled"
    found = seen(objects, pages)
    assert verdicts(found) == {**WELL, "standard_format": None}
    assert "runs on n2 outside of Pods" in found.nodes[1].message
    assert "accelerator_metrics.exporter=NAMESPACE/POD*" in found.nodes[1].way_out
    # Whoever names Pods is heard, and a collector may have its metrics.
    assert verdicts(seen(objects, pages, exporter="ns/dcgm*"))["every_device"] is False
    pages["ns/dcgm-exporter-a:9400"] = of_nodes(n1="a", n2="b")
    assert verdicts(seen(objects, pages)) == WELL
    labels["kubernetes.azure.com/dcgm-exporter"] = "disabled"
    pages["ns/dcgm-exporter-a:9400"] = of_nodes(n1="a")
    assert verdicts(seen(objects, pages))["every_device"] is False


def test_where_every_exporter_runs_outside_of_pods_it_is_said() -> None:
    there = node({"nvidia.com/gpu": 1}, **{"kubernetes.azure.com__dcgm-exporter": "enabled"})
    with pytest.raises(NothingToLookAt, match=r"cannot be read: .* outside of Pods .*A run reads only") as told:
        seen([there], {})
    assert "Install" not in str(told.value)


@pytest.mark.parametrize(
    ("product", "holds"), [("NVIDIA-GB10", None), ("NVIDIA-GB10-SHARED", None), ("NVIDIA-GB100", False), ("", False)]
)
def test_a_device_whose_memory_is_the_hosts_may_have_none_to_report(product: str, holds: bool | None) -> None:
    there = node({"nvidia.com/gpu": 1}, **{"nvidia.com__gpu.product": product})
    place, label = "ns/dcgm-exporter-a:9400", 'UUID="GPU-1"'
    found = seen([there, exporter(*DCGM)], {place: page({"DCGM_FI_DEV_GPU_UTIL": {label: 3.0}})})
    assert verdicts(found) == {**WELL, "memory_reported": holds}
    if holds is None:
        assert f"the memory of {product} is the host's" in findings(CHECK, found)["memory_reported"].reason
    # An exporter that has the host's in its place is believed.
    both = page({"DCGM_FI_DEV_GPU_UTIL": {label: 3.0}, "DCGM_FI_DEV_FB_USED": {label: 4.0}})
    assert verdicts(seen([there, exporter(*DCGM)], {place: both})) == WELL


@pytest.mark.parametrize(
    ("name", "holds"),
    [
        ("amd_gpu_use_percent", None),
        ("tegra_gr3d_load_percent", None),
        # Model servers and machines have these, with accelerators or without.
        ("vllm:gpu_cache_usage_perc", False),
        ("gpu_memory_usage_bytes", False),
        ("node_load1", False),
        ("http_requests_total", False),
    ],
)
def test_an_exporter_with_names_of_its_own_may_have_the_devices(name: str, holds: bool | None) -> None:
    other = {**node({"nvidia.com/gpu": 1}), "metadata": {"name": "n2"}}
    own = exporter("own-a", "example.com/own:1", 9000, "metrics")
    own["spec"]["nodeName"] = "n2"
    pages = {"ns/dcgm-exporter-a:9400": dcgm('UUID="GPU-000"'), "ns/own-a:9000": page({name: {'card="0"': 3.0}})}
    found = seen([node({"nvidia.com/gpu": 1}), other, exporter(*DCGM), own], pages)
    assert verdicts(found) == {**WELL, "every_device": holds}
    told = findings(CHECK, found)["every_device"].reason
    assert (f"ns/own-a:9000/metrics has {name}, which may be the utilization: say so" in told) is (holds is None)
    with pytest.raises(NothingToLookAt) as nothing:
        seen([other, own], pages)
    assert (f"by a name that is known, but {name}" in str(nothing.value)) is (holds is None)


def test_a_vendors_workloads_are_no_exporters() -> None:
    job = exporter("train-0", "vault.habana.ai/gaudi-docker/pytorch:1", 8000, "http")
    plugin = exporter("habanalabs-device-plugin-x", "vault.habana.ai/docker-k8s-device-plugin:1", 1)
    try:
        seen([node({"habana.ai/gaudi": 1}), job, plugin], {})
    except NothingToLookAt as reason:
        assert "known as" not in str(reason)  # noqa: PT017 - both ways out are looked at
        assert "train-0" not in str(reason)  # noqa: PT017
    else:
        raise AssertionError("there is an exporter")


CORES = (
    'neuron_hardware_info{neuron_device_count="4",neuroncore_per_device_count="2"} 1\n',
    "",
)


@pytest.mark.parametrize(
    ("information", "cores", "holds"),
    [(CORES[0], 8, True), (CORES[0], 4, None), (CORES[1], 8, None), (CORES[1], 4, None)],
)
def test_cores_are_not_counted_as_devices(information: str, cores: int, holds: bool | None) -> None:
    rows = {f'neuroncore="{n}",runtime_tag="1"': 0.5 for n in range(cores)}
    text = information + page({"neuroncore_utilization_ratio": rows, "neuroncore_memory_usage_total": rows})
    objects = [node({"aws.amazon.com/neuron": 4}), exporter("neuron-monitor-a", "neuron-monitor:1", 8000)]
    found = seen(objects, {"ns/neuron-monitor-a:8000": text})
    assert verdicts(found)["every_device"] is holds
    assert verdicts(found)["utilization_reported"] is True


def labelled(count: int, labels: str, **values: float) -> str:
    return page(
        {name.replace("__", ":"): {labels.format(n): value for n in range(count)} for name, value in values.items()}
    )


VENDORS = [
    ("furiosa.ai/rngd", ("furiosa-metrics-exporter-a", "furiosaai/furiosa-metrics-exporter:1", 6254),
     'core="0-7",device="npu{0}",uuid="A{0}"', {"furiosa_npu_core_utilization": 5, "furiosa_npu_dram_usage": 1 << 20}),
    ("rebellions.ai/ATOM", ("rbln-metrics-exporter-a", "rebellions/rbln-metrics-exporter:0.3", 9090),
     'name="rbln{0}",uuid="A{0}"', {"rbln_npu_utilization": 5, "rbln_npu_memory_used": 1 << 20}),
    ("rebellions.ai/ATOM", ("rbln-metrics-exporter-a", "rebellions/rbln-metrics-exporter:0.2", 9090),
     'name="rbln{0}",uuid="A{0}"', {"RBLN_DEVICE_STATUS__UTILIZATION": 5, "RBLN_DEVICE_STATUS__DRAM_USED": 1 << 20}),
    ("iluvatar.com/gpu", ("ix-exporter-a", "example.com/ix-exporter:4", 32021),
     'gpu="{0}",uuid="GPU-A{0}"', {"ix_gpu_utilization": 5, "ix_mem_used": 1}),
    ("hygon.com/dcunum", ("dcu-exporter-a", "example.com/dcu-exporter:2", 16080),
     'device_id="T{0}",minor_number="{0}"', {"dcu_utilizationrate": 5, "dcu_usedmemory_bytes": 1 << 20}),
    ("nvidia.com/gpu", ("nvidia-gpu-device-plugin-a", "gke.gcr.io/nvidia-gpu-device-plugin:1", 2112),
     'make="nvidia",accelerator_index="{0}"', {"duty_cycle_gpu_node": 5, "memory_used_gpu_node": 1 << 20}),
    ("nvidia.com/gpu", ("hami-device-plugin-a", "projecthami/hami:v2.6.0", 9394),
     'deviceidx="{0}",deviceuuid="GPU-A{0}",zone="vGPU"', {"HostCoreUtilization": 5, "HostGPUMemoryUsage": 1 << 20}),
    ("nvidia.com/gpu", ("hami-device-plugin-a", "projecthami/hami:v2.7.1", 9394),
     'device_index="{0}",device_type="NVIDIA-T4",device_uuid="GPU-A{0}"',
     {"hami_host_gpu_utilization_ratio": 5, "hami_host_gpu_memory_used_bytes": 1 << 20}),
    ("hygon.com/dcunum", ("hcu-exporter-a", "example.com/hcu-exporter:1", 16080),
     'device_id="T{0}",minor_number="{0}",node="n1"', {"hcu_utilizationrate": 5, "hcu_usedmemory_bytes": 1 << 20}),
    ("cambricon.com/mlu", ("cambricon-mlu-monitor-a", "cambricon-mlu-exporter:v2.3.0", 30108),
     'mlu="{0}",model="MLU590-H8",node="n1",sn="S{0}",uuid="MLU-A{0}"',
     {"mlu_utilization": 5, "mlu_memory_used": 1 << 20, "mlu_memory_total": 1 << 36}),
    ("metax-tech.com/gpu", ("mx-exporter-a", "cr.metax-tech.com/cloud/mx-exporter:0.12", 8000),
     'Hostname="n1",deviceId="{0}",modelName="MXC500",uuid="GPU-A{0}"', {"mx_gpu_usage": 5, "mx_memory_used": 1 << 10}),
    ("enflame.com/gcu", ("gcu-exporter-a", "example.com/gcu-exporter:1.5", 9400),
     'busid="0000:4{0}:00.0",host="n1",minor_number="{0}",pod_name="",uuid="GCU-U{0}"',
     {"enflame_gcu_usage": 5, "enflame_gcu_memory_used_bytes": 1 << 20}),
    ("amd.com/gpu", ("default-metrics-exporter-a", "rocm/device-metrics-exporter:v1.0", 5000),
     'gpu_id="{0}",serial_number="PCB{0}"', {"GPU_GFX_ACTIVITY": 5, "GPU_USED_VRAM": 1}),
    ("nvidia.com/gpu", ("all-smi-a", "example.com/all-smi:0.20", 9090),
     'gpu="A100",index="{0}",instance="n1",uuid="GPU-A{0}"',
     {"all_smi_gpu_utilization": 5, "all_smi_gpu_memory_used_bytes": 1 << 20}),
    ("nvidia.com/gpu", ("gpus-a", "example.com/nvidia_gpu_prometheus_exporter:1.2", 9445),
     'minor_number="{0}",name="A10",uuid="GPU-A{0}"',
     {"nvidia_gpu_duty_cycle": 5, "nvidia_gpu_memory_used_bytes": 1 << 20}),
    ("habana.ai/gaudi", ("all-smi-a", "example.com/all-smi:0.20", 9090),
     'gpu="HL-325L",instance="n1",npu_index="{0}",npu_uuid="A{0}"',
     {"all_smi_gpu_utilization": 5, "all_smi_gpu_memory_used_bytes": 1 << 20}),
]  # fmt: skip


@pytest.mark.parametrize(("resource", "pod", "labels", "values"), VENDORS)
def test_each_vendors_exporter_is_known(
    resource: str, pod: tuple[str, str, int], labels: str, values: dict[str, float]
) -> None:
    objects = [node({resource: 3}), exporter(*pod, port_name="http")]
    place = f"ns/{pod[0]}:{pod[2]}"
    found = seen(objects, {place: labelled(3, labels, **values)})
    assert verdicts(found) == WELL
    assert {(each.utilization, each.memory_used) for each in found.nodes[0].devices} == {(5, 1 << 20)}
    assert verdicts(seen(objects, {place: labelled(2, labels, **values)}))["every_device"] is not True


def test_rows_about_other_memory_are_not_that_of_the_device() -> None:
    ids = [f'deviceId="{n}",uuid="GPU-A{n}"' for n in range(2)]
    used = [*((f'{each},type="vram"', 875520.0) for each in ids), *((f'{each},type="xtt"', 9e7) for each in ids)]
    total = [(labels, 67108864.0 if "vram" in labels else 1.0) for labels, _ in used]
    text = page({"mx_gpu_usage": dict.fromkeys(ids, 3.0), "mx_memory_used": dict(used), "mx_memory_total": dict(total)})
    objects = [node({"metax-tech.com/gpu": 2}), exporter("mx-exporter-a", "example.com/mx-exporter:1", 8000, "http")]
    found = seen(objects, {"ns/mx-exporter-a:8000": text})
    assert verdicts(found) == WELL
    assert {each.memory_used for each in found.nodes[0].devices} == {875520 << 10}
    # A collector's receiver of NVIDIA's hardware tells what is free in the same way.
    ids = [f'gpu_number="{n}",gpu_uuid="GPU-A{n}"' for n in range(2)]
    used = [
        (f'{each},gpu_memory_state="{state}"', value) for each in ids for state, value in (("used", 5.0), ("free", 9.0))
    ]
    text = page({"gpu_dcgm_utilization_ratio": dict.fromkeys(ids, 0.1), "gpu_dcgm_memory_bytes_used_bytes": dict(used)})
    objects = [node({"nvidia.com/gpu": 2}), exporter("otel-agent-x", "otel/opentelemetry-collector-contrib:1", 8889)]
    found = seen(objects, {"ns/otel-agent-x:8889": text})
    assert verdicts(found) == WELL
    assert {(each.utilization, each.memory_used) for each in found.nodes[0].devices} == {(10, 5)}


@pytest.mark.parametrize(
    "name",
    ["jmx-exporter", "zabbix-exporter", "nutanix-exporter", "matrix-exporter", "node-exporter", "kafka-exporter"],
)
def test_an_exporter_of_something_else_is_none_of_accelerators(name: str) -> None:
    for image in (f"example.com/{name}:1", f"{name}:1"):
        assert not [each.name for each in load_conventions() if each.serves([f"{name}-a", image])]


def test_names_that_other_software_may_have_count_only_with_a_device() -> None:
    objects = [node({"google.com/tpu": 4}), exporter("cache-0", "example.com/cache:1", 9121)]
    told = ""
    try:
        seen(objects, {"ns/cache-0:9121": "memory_used 5\nmemory_total 9\n"})
    except NothingToLookAt as reason:
        told = str(reason)
    assert "ns/cache-0:9121/metrics: nothing about accelerators" in told
    with_devices = labelled(4, 'accelerator_id="{0}"', duty_cycle=5, memory_used=5)
    assert verdicts(seen(objects, {"ns/cache-0:9121": with_devices})) == WELL


def test_of_two_exporters_the_one_counts_that_reports_all_there_is_to_report() -> None:
    ids = [f'uuid="A{n}"' for n in range(2)]
    names = ("nvidia_smi_utilization_gpu_ratio", "nvidia_smi_memory_used_bytes")
    beside = exporter("nvidia-gpu-exporter-a", "utkuozdemir/nvidia_gpu_exporter:1", 9835)
    pages = {
        "ns/dcgm-exporter-a:9400": page(
            {"DCGM_FI_DEV_GPU_UTIL": dict.fromkeys(['UUID="GPU-A0"', 'UUID="GPU-A1"'], 0.0)}
        ),
        "ns/nvidia-gpu-exporter-a:9835": page({name: dict.fromkeys(ids, 0.0) for name in names}),
    }
    there = node({"nvidia.com/gpu": 2})
    assert verdicts(seen([there, exporter(*DCGM), beside], pages)) == WELL
    assert verdicts(seen([there, exporter(*DCGM)], pages))["memory_reported"] is False


def of_nodes(**devices: str) -> str:
    """A page that names the node of each device."""
    rows = [f'UUID="GPU-{letter}",Hostname="{name}"' for name, letters in devices.items() for letter in letters]
    return dcgm(*rows)


def test_devices_of_other_nodes_in_a_page_are_not_this_nodes() -> None:
    there, other = (node({"nvidia.com/gpu": 2}, **{"nvidia.com__gpu.count": "2"}) for _ in range(2))
    beside = exporter("dcgm-exporter-b", DCGM[1], 9400)
    other["metadata"]["name"] = beside["spec"]["nodeName"] = "n2"
    objects = [there, other, exporter(*DCGM), beside]

    def found(own: str, of_other: str = of_nodes(n2="cd")) -> dict[str, bool | None]:
        return verdicts(seen(objects, {"ns/dcgm-exporter-a:9400": own, "ns/dcgm-exporter-b:9400": of_other}))

    assert found(of_nodes(n1="ab")) == found(of_nodes(n1="ab", n2="cd")) == WELL
    # An exporter in a Pod that is not told its node calls it as its Pod.
    assert found(of_nodes(**{"dcgm-exporter-a": "ab"})) == WELL
    assert found(of_nodes(n1="a", n2="cd"))["every_device"] is False
    # Both read the host engine of one node.
    assert found(of_nodes(n2="cd"))["every_device"] is False
    place = {f"ns/dcgm-exporter-{letter}:9400": of_nodes(n2="cd") for letter in "ab"}
    assert "of n1, but of other nodes" in seen(objects, place).nodes[0].message


def test_a_collector_may_report_the_devices_of_other_nodes() -> None:
    there, other = (node({"nvidia.com/gpu": 2}, **{"nvidia.com__gpu.count": "2"}) for _ in range(2))
    other["metadata"]["name"] = "n2"
    collector = exporter("collector-a", "otel/opentelemetry-collector-contrib:1", 8889)
    for options in ({}, {"exporter": "ns/collector*"}):
        objects, place = [there, other, collector], "ns/collector-a:8889"
        assert verdicts(seen(objects, {place: of_nodes(n1="ab", n2="cd")}, **options)) == WELL
        assert verdicts(seen(objects, {place: of_nodes(n1="ab", n2="c")}, **options))["every_device"] is False
        assert verdicts(seen(objects, {place: of_nodes(n1="ab")}, **options))["every_device"] is False
    # It runs on a node without accelerators.
    collector["spec"]["nodeName"] = "n3"
    found = seen(objects, {place: of_nodes(n1="ab", n2="cd")}, exporter="ns/collector*")
    assert verdicts(found) == WELL
    assert [{device.label for device in each.devices} for each in found.nodes] == [
        {"UUID=GPU-a", "UUID=GPU-b"},
        {"UUID=GPU-c", "UUID=GPU-d"},
    ]


def test_each_endpoint_is_asked_once_and_only_what_is_read_is_kept() -> None:
    class Counting(Served):
        asked: Counter[str]

        async def proxied(self, *args: Any, **options: Any) -> ProxyResponse:
            self.asked[args[2]] += 1
            return await super().proxied(*args, **options)

    objects: list[Object] = []
    for number in range(6):
        objects.append(node({"nvidia.com/gpu": 1}))
        objects[-1]["metadata"]["name"] = f"n{number}"
    others = page({"http_requests_total": {f'path="{number}"': 1.0 for number in range(500)}})
    pages = {}
    for number in (0, 1, 2):
        pod = exporter(f"dcgm-exporter-{number}", DCGM[1], 9400)
        pod["spec"]["nodeName"] = f"n{number}"
        objects.append(pod)
        # The last one reports a node without an exporter, too.
        reported = of_nodes(n2="c", n4="e") if number == 2 else of_nodes(**{f"n{number}": "a"})
        pages[f"ns/dcgm-exporter-{number}:9400"] = reported + others
    for only in ("", "ns/dcgm*"):
        served = Counting(objects, pages)
        served.asked = Counter()
        found = asyncio.run(_found(served, only))
        assert served.asked == {f"dcgm-exporter-{number}:9400": 1 for number in (0, 1, 2)}
        assert {name for name, each in found.items() if each.sources} == {"n0", "n1", "n2", "n4"}
        kept = [sample for each in found.values() for source in each.sources for sample in source.first.samples]
        assert len(kept) == 2 * 4


def test_the_load_finds_a_collector_on_another_node_and_the_next_one_asks_it_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []

    class Counting(Served):
        async def proxied(self, *args: Any, **options: Any) -> ProxyResponse:
            asked.append(args[2])
            return await super().proxied(*args, **options)

    objects = [node({"nvidia.com/gpu": 1}) for _ in range(5)]
    for number, there in enumerate(objects):
        there["metadata"]["name"] = f"n{number}"
    pods = [exporter(f"{name}-a", name, 8889) for name in ("collector", "web")]
    for number, pod in enumerate(pods):
        pod["spec"]["nodeName"] = f"n{number}"
    pages = {"ns/collector-a:8889": of_nodes(n0="a", n2="c", n3="d"), "ns/web-a:8889": page({"up": {'a="b"': 1}})}

    async def under_load(*args: Any) -> Any:
        return args[3]

    monkeypatch.setattr(probes, "under_load", under_load)

    async def load_each(**options: Any) -> None:
        served: Any = Counting([*objects, *pods], pages)
        platform = Platform(served, Images())
        settings = Settings(patience=60, options=(AcceleratorMetrics(**options),))
        targets = {each.node: each for each in (await platform.all_accelerators()).offered}
        anything: Any = None

        async def load(name: str) -> Any:
            asked.clear()
            return await probes.load(platform, anything, settings, targets[name])

        source: Any = await load("n2")
        assert (source.place, [each.label for each in source.devices]) == (
            "ns/collector-a:8889/metrics",
            ["UUID=GPU-c"],
        )
        source = await load("n3")
        assert ([each.label for each in source.devices], asked) == (["UUID=GPU-d"], ["collector-a:8889"])
        with pytest.raises(NothingToLookAt, match="no endpoint reports accelerators"):
            await load("n4")

    asyncio.run(load_each())
    asyncio.run(load_each(exporter="ns/*-a"))


def test_accelerators_of_two_vendors_may_be_reported_by_two_collectors_on_other_nodes() -> None:
    there, other = node({"nvidia.com/gpu": 1, "amd.com/gpu": 1}), node({"nvidia.com/gpu": 1})
    other["metadata"]["name"] = "n2"
    collectors = [exporter(f"collector-{letter}", "otel/collector:1", 8889) for letter in "ab"]
    collectors[0]["spec"]["nodeName"], collectors[1]["spec"]["nodeName"] = "n2", "n3"
    rows = page({metric: {'gpu_id="0",hostname="n1"': 1.0} for metric in ("gpu_gfx_activity", "gpu_used_vram")})
    objects, nvidia = [there, other, *collectors], {"ns/collector-a:8889": of_nodes(n1="a", n2="b")}
    assert verdicts(seen(objects, {**nvidia, "ns/collector-b:8889": rows}, exporter="ns/collector*")) == WELL
    # The other one cannot be reached: what it would say, nobody knows.
    assert verdicts(seen(objects, nvidia, exporter="ns/collector*")) == {**WELL, "standard_format": None}


async def _found(served: Any, only: str = "", conventions: Any = None) -> dict[str, NodeSources]:
    platform = Platform(served, Images())
    offered = (await platform.accelerators()).offered
    return await find(platform, offered, conventions or load_conventions(), only=only, seconds=60)


def test_a_devices_metrics_of_containers_and_of_the_node_are_not_added_up() -> None:
    of_node = labelled(2, 'make="nvidia",accelerator_index="{0}"', duty_cycle_gpu_node=0, memory_used_gpu_node=0)
    one = 'pod="p",namespace="team",make="nvidia",accelerator_id="GPU-{0}"'
    text = of_node + labelled(1, one, duty_cycle=90, memory_used=5)
    objects = [node({"nvidia.com/gpu": 2}), exporter("plugin-a", "gke.gcr.io/nvidia-gpu-device-plugin:1", 2112)]
    found = seen(objects, {"ns/plugin-a:2112": text})
    assert verdicts(found) == WELL
    assert len(found.nodes[0].devices) == 2


def amd(*numbers: int) -> str:
    ids = [f'serial_number="PCB{n}",gpu_id="{n}"' for n in numbers]
    return page({name: dict.fromkeys(ids, 0.0) for name in ("gpu_gfx_activity", "gpu_used_vram")})


AMD = exporter("amd-metrics-exporter-a", "rocm/device-metrics-exporter:1", 5000)


def radeon(index: int) -> Object:
    about = {"type": "amdgpu", "productName": "MI300X", "pciAddr": f"0000:{16 + index}:00.0"}
    return {
        "name": f"gpu-{index}-{128 + index}",
        "attributes": {name: {"string": value} for name, value in about.items()},
    }


@pytest.mark.parametrize(("reported", "holds"), [(range(4), True), (range(3), False), (range(1, 4), False)])
def test_devices_of_one_node_by_dra_and_others_by_device_plugin(reported: range, holds: bool) -> None:
    """As the lab offers a persona in both ways: no label of this exporter is one that the driver publishes."""
    simulated = {"amd.com__gpu.simulated": "true"}
    objects = [node({"amd.com/gpu": 2}, **simulated), published("gpu.amd.com", radeon(0), radeon(1)), AMD]
    objects[1]["spec"]["devices"][0]["attributes"]["simulated"] = {"bool": True}
    objects[1]["spec"]["devices"][1]["attributes"]["simulated"] = {"bool": True}
    found = seen(objects, {"ns/amd-metrics-exporter-a:5000": amd(*reported)})
    assert [each.name for each in found.nodes] == ["gpu.amd.com", "amd.com/gpu"]
    assert verdicts(found)["every_device"] is holds


def test_the_same_devices_in_two_ways_count_once_whatever_the_exporter_calls_them() -> None:
    objects = [node({"amd.com/gpu": 2}), published("gpu.amd.com", radeon(0), radeon(1)), AMD]
    assert verdicts(seen(objects, {"ns/amd-metrics-exporter-a:5000": amd(0, 1)})) == WELL


def test_partitions_are_not_counted_for_a_whole_device_beside_them() -> None:
    instances = [f'UUID="GPU-1",GPU_I_PROFILE="1g.10gb",GPU_I_ID="{n}"' for n in range(7, 14)]
    resources = {"nvidia.com/gpu": 1, "nvidia.com/mig-1g.10gb": 7}
    objects = [node(resources, **{"nvidia.com__gpu.replicas": "1"}), exporter(*DCGM)]
    name = "DCGM_FI_PROF_GR_ENGINE_ACTIVE"
    text = dcgm(*instances, 'UUID="GPU-0"', utilization=name)
    assert verdicts(seen(objects, {"ns/dcgm-exporter-a:9400": text})) == WELL
    text = dcgm(*instances, utilization=name)
    assert verdicts(seen(objects, {"ns/dcgm-exporter-a:9400": text}))["every_device"] is False


@pytest.mark.parametrize(("reported", "holds"), [(4, True), (3, None), (2, None), (1, False)])
def test_two_resources_of_which_one_may_count_parts_of_the_others_devices(reported: int, holds: bool | None) -> None:
    objects = [
        node({"huawei.com/Ascend310P": 2, "huawei.com/Ascend310P-4c": 2}),
        exporter("npu-exporter-a", "npu-exporter:1", 8082),
    ]
    names = {"npu_chip_info_utilization": 0.0, "npu_chip_info_hbm_used_memory": 0.0}
    found = seen(objects, {"ns/npu-exporter-a:8082": labelled(reported, 'id="{0}"', **names)})
    assert verdicts(found)["every_device"] is holds
    assert holds is not None or "--not-accelerator" in findings(CHECK, found)["every_device"].reason


def test_endpoints_are_asked_for_as_long_as_the_user_is_patient() -> None:
    class Slow(Served):
        async def proxied(self, *args: Any, **options: Any) -> ProxyResponse:
            await asyncio.sleep(0.3)
            return await super().proxied(*args, **options)

    objects: list[Object] = []
    pages = {}
    for number in range(20):
        there, pod = node({"nvidia.com/gpu": 1}), exporter(f"dcgm-exporter-{number}", DCGM[1], 9400)
        there["metadata"]["name"] = pod["spec"]["nodeName"] = f"n{number}"
        objects += [there, pod]
        pages[f"ns/dcgm-exporter-{number}:9400"] = dcgm('UUID="GPU-0"')
    assert verdicts(seen(objects, {}, served=Slow(objects, pages))) == WELL
    found = seen(objects, {}, served=Slow(objects, pages), patience=0.1)
    assert sorted(each.problem for each in found.nodes) == [""] * 16 + ["unreachable"] * 4
    assert verdicts(found)["standard_format"] is None
    assert "--patience" in findings(CHECK, found)["standard_format"].reason


def test_a_port_of_a_named_pod_that_was_not_asked_in_time_decides_nothing() -> None:
    pod = exporter("mine-a", "mine:1", 8080, "web")
    served: Any = Served([node({"nvidia.com/gpu": 1}), pod], {})

    async def found() -> NodeSources:
        platform = Platform(served, Images())
        offered = (await platform.accelerators()).offered
        return (await find(platform, offered, load_conventions(), only="ns/mine*", seconds=-1.0))["n1"]

    assert ["--patience" in each.message for each in asyncio.run(found()).problems] == [True]


def test_limits_follow_the_patience_of_the_user() -> None:
    for check, name, waits in (
        ("accelerator_metrics", "coverage", 1),
        ("accelerator_metrics", "load", 3),
        ("secure_accelerator_access", "isolation", 3),
    ):
        (declared,) = [each for each in load_check(check).probes if each.name == name]
        brief, long = (declared.seconds(Settings(patience=seconds)) for seconds in (10, 110))
        assert long - brief == waits * 100, name
