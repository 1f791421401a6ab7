"""Metrics of accelerators: their names, their devices, and where they are found; pages of real exporters' shapes."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.fake_kubelet import configuration

from aiconform.checks.accelerator_metrics.options import AcceleratorMetrics, conventions
from aiconform.cluster import Forbidden, ProxyResponse, ServerFailed, TimedOut, Unreachable
from aiconform.lab.accelerators import DriverFault, devices_of, identities
from aiconform.lab.accelerators.telemetry import labels, telemetry
from aiconform.platform import monitoring
from aiconform.platform.accelerators.devices import Device
from aiconform.platform.accelerators.profiles import load_profiles
from aiconform.platform.monitoring.conventions import (
    QUANTITIES,
    Convention,
    conventions_of,
    load_conventions,
)
from aiconform.platform.monitoring.matching import Counted, count, cover, match, may_be
from aiconform.platform.monitoring.metrics import BadFormat, MetricSample, parse
from aiconform.platform.monitoring.monitors import KINDS, MonitorKind, Monitors, monitors
from aiconform.platform.monitoring.readings import Readings, by_device, each_once
from aiconform.platform.monitoring.scrape import Endpoint, endpoints, read, read_first
from aiconform.platform.selectors import selects
from aiconform.spec import yamlfile

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
    return conventions_of(parse(text), load_conventions())[0]


def read_page(text: str) -> list[Readings]:
    return by_device(parse(text), followed(text))


def test_a_vendors_page_is_read_device_by_device_in_one_unit() -> None:
    first, second = by_device(parse(DCGM), followed(DCGM))
    assert (first.label, first.value("utilization")) == ("UUID=GPU-aa00", 3)
    assert first.value("memory_used") == 2**30
    # NaN says that there is no value.
    assert second.value("memory_used") is None


def test_opentelemetrys_ratios_are_percents() -> None:
    text = (
        'hw_gpu_utilization_ratio{hw_id="x-1"} 0.5\nhw_gpu_utilization_ratio{hw_id="x-1",hw_gpu_task="encoder"} 0.1\n'
    )
    (one,) = by_device(parse(text), followed(text))
    assert one.value("utilization") == 50
    assert followed(text).opentelemetry


def test_a_comment_is_no_metric() -> None:
    assert conventions_of(parse("# DCGM_FI_DEV_GPU_UTIL is not here\nother 1\n"), load_conventions()) == []


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


def test_the_conventions_have_what_a_check_needs() -> None:
    for convention in load_conventions():
        quantities = {quantity for quantity, _ in convention.units.values()}
        assert {"utilization", "memory_used"} <= quantities, convention.name
        assert convention.device_labels
        assert not {*convention.only_in_use} - {*QUANTITIES}


def test_conventions_cite_their_sources_and_are_of_known_accelerators() -> None:
    content = yamlfile.parse(Path("metrics.yaml"), files(monitoring).joinpath("metrics.yaml").read_bytes()).data
    for entry in content["conventions"]:
        assert entry["sources"]
        assert all(url.startswith("https://") for url in entry["sources"]), entry["name"]
    known = {profile.name for profile in load_profiles().accelerators}
    assert {name for each in load_conventions() for name in each.accelerators} <= known


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


def test_a_value_that_several_readings_have_tells_none_either() -> None:
    """The only device of its kind has what the others beside it have as well: the product, the host, the driver."""
    text = DCGM.replace('device="nvidia', 'model="H100",device="nvidia')
    (found,) = match([device("gpu-0", uuid="GPU-AA00", model="H100")], by_device(parse(text), followed(text))).values()
    assert found.label == "UUID=GPU-aa00"


MIG = """
# TYPE DCGM_FI_DEV_GPU_UTIL gauge
DCGM_FI_DEV_GPU_UTIL{gpu="0",UUID="GPU-aa00",GPU_I_PROFILE="1g.10gb",GPU_I_ID="7"} 0
DCGM_FI_DEV_GPU_UTIL{gpu="0",UUID="GPU-aa00",GPU_I_PROFILE="1g.10gb",GPU_I_ID="8"} 0
DCGM_FI_DEV_GPU_UTIL{gpu="0",UUID="GPU-aa00",GPU_I_PROFILE="3g.40gb",GPU_I_ID="2"} 0
DCGM_FI_DEV_GPU_UTIL{gpu="1",UUID="GPU-bb11",GPU_I_PROFILE="1g.10gb",GPU_I_ID="7"} 0
"""


def test_a_partition_may_be_any_of_its_device_with_its_profile() -> None:
    rows = by_device(parse(MIG), followed(MIG))
    own = [device(f"mig-{n}", parentUUID="GPU-aa00", profile="1g.10gb", uuid=f"MIG-000{n}") for n in range(2)]
    assert [dict(each.labels)["GPU_I_ID"] for each in may_be(own[0], own, rows)] == ["7", "8"]


def test_a_partition_is_not_known_by_what_its_device_has() -> None:
    """Its address, its profile, its number: another partition's reading may have them, too."""
    address = "0000:07:00.0"
    ones = [device("one", index=0, parentUUID="GPU-aa00", profile="1g.10gb", pciBusID=address)]
    threes = [device("three", index=1, parentUUID="GPU-aa00", profile="3g.40gb", pciBusID=address)]
    by_uuid = 'gpu="1",UUID="GPU-aa00"'
    by_address = f'gpu="1",pci_bus_id="0000{address}"'
    for of_gpu in (by_uuid, by_address):
        one = f'{of_gpu},GPU_I_PROFILE="1g.10gb",GPU_I_ID="7"'
        three = f'{of_gpu},GPU_I_PROFILE="3g.40gb",GPU_I_ID="1"'
        assert match(ones, page_of(one)) == match(threes, page_of(one)) == {}
        assert cover(threes, [*ones, *threes], page_of(one)).missing == ("three",)
        for kind in (ones, threes):
            assert cover(kind, [*ones, *threes], page_of(one, three)).missing == ()
    own = device("one", uuid="MIG-0001", parentUUID="GPU-aa00", profile="1g.10gb")
    assert match([own], page_of(f'{by_uuid},GPU_I_ID="7",mig_uuid="MIG-0001"')).keys() == {"one"}


def test_a_device_may_be_any_where_driver_and_exporter_name_nothing_in_common() -> None:
    rows = by_device(parse(DCGM.replace(":07:00.0", "").replace(":0A:00.0", "")), followed(DCGM))
    assert len(may_be(device("a"), [device("a"), device("b")], rows)) == 2
    # UUIDs say which it is: a device whose UUID is in no label is missing.
    named = [device("a", uuid="GPU-cc22"), device("b", uuid="GPU-dd33")]
    assert may_be(named[0], named, rows) == []


@given(st.permutations(range(5)), st.integers(0, 4))
def test_matching_does_not_depend_on_the_order(order: list[int], left_out: int) -> None:
    samples = [
        MetricSample("DCGM_FI_DEV_GPU_UTIL", {"gpu": str(9 - i), "UUID": f"GPU-{i:04}"}, i)
        for i in order
        if i != left_out
    ]
    devices = [device(f"gpu-{i}", uuid=f"GPU-{i:04}") for i in range(5)]
    found = match(devices, by_device(samples, followed(DCGM)))
    assert {name: each.value("utilization") for name, each in found.items()} == {
        f"gpu-{i}": i for i in range(5) if i != left_out
    }


WHOLE = [name for name, each in identities().items() if not any(model.partitions for model in each.models)]


@pytest.mark.parametrize("identity", WHOLE)
def test_the_labs_exporter_speaks_as_each_vendor(identity: str, tmp_path: Any) -> None:
    config = configuration(tmp_path, identity=identities()[identity])
    samples = [
        MetricSample(series["name"], labels(config, devices_of(config)[sample["device"]]), 1.0)
        for series in telemetry(config)["series"]  # type: ignore[attr-defined]
        for sample in series["samples"]
    ]
    convention = conventions_of(samples, load_conventions())[0]
    devices = [
        Device("d", "n", each.name, "n", {"uuid": each.uuid, "index": each.index}) for each in devices_of(config)
    ]
    found = match(devices, by_device(samples, convention))
    assert len(found) == len(devices)
    assert all({"utilization", "memory_used"} <= each.reported for each in found.values())
    assert all(("simulated", "true") in each.labels for each in found.values())


@pytest.mark.parametrize("identity", identities())
def test_each_device_of_a_persona_is_one_in_its_metrics(identity: str, tmp_path: Any) -> None:
    reported: Any = telemetry(configuration(tmp_path, identity=identities()[identity]))
    text = "".join(
        f"{series['name']}{{{sample['labels']}}} 1\n" for series in reported["series"] for sample in series["samples"]
    )
    found = each_once(read_page(text))
    assert len({each.label for each in found}) == len(found) == len(reported["devices"])
    assert all(each.label and {"utilization", "memory_used"} <= each.reported for each in found)


def test_the_labs_defects_of_metrics(tmp_path: Any) -> None:
    def shown(*faults: DriverFault) -> dict[str, list[int]]:
        series: Any = telemetry(configuration(tmp_path, faults=faults))["series"]
        return {each["name"]: [sample["device"] for sample in each["samples"]] for each in series}

    every, but_one = [0, 1, 2, 3, 4, 5], [0, 1, 2, 3, 4]
    assert set(map(tuple, shown().values())) == {tuple(every)}
    assert set(map(tuple, shown(DriverFault.METRICS_OMIT_DEVICE).values())) == {tuple(but_one)}
    partly = shown(DriverFault.METRICS_OMIT_UTILIZATION)
    assert partly["hw_gpu_utilization_ratio"] == but_one
    assert partly["hw_gpu_memory_usage_bytes"] == every
    assert not any("memory" in name for name in shown(DriverFault.METRICS_WITHOUT_MEMORY))
    assert set(map(tuple, shown(DriverFault.METRICS_UNLABELLED).values())) == {(-1,)}
    assert telemetry(configuration(tmp_path, faults=(DriverFault.METRICS_FROZEN,)))["defect"] == "frozen"


# Units, parts and families


def rows(metric: str, *samples: tuple[str, float]) -> str:
    return "".join(f"{metric}{{{labels}}} {value}\n" for labels, value in samples)


def test_a_ratio_in_spite_of_its_help_text() -> None:
    text = "# HELP xpum_engine_ratio GPU active time of the elapsed time (in %), per GPU tile\n"
    text += rows("xpum_engine_ratio", ('uuid="a-1"', 0.99)) + rows("xpum_memory_ratio", ('uuid="a-1"', 0.5))
    (one,) = read_page(text)
    assert (one.value("utilization"), one.value("memory_used"), one.unit("memory_used")) == (99, 50, "percent")


def test_bytes_of_parts_add_up_and_the_busiest_part_counts() -> None:
    text = rows("hw_gpu_utilization_ratio", ('hw_id="a-1",hw_name="e1"', 0.2), ('hw_id="a-1",hw_name="e2"', 0.7))
    text += rows("hw_memory_usage_bytes", ('hw_id="a-1",hw_name="m0"', 3), ('hw_id="a-1",hw_name="m1"', 4))
    text += rows("hw_memory_size_bytes", ('hw_id="a-1",hw_name="m0"', 8), ('hw_id="a-1",hw_name="m1"', 8))
    (one,) = read_page(text)
    assert [one.value(of) for of in ("utilization", "memory_used", "memory_total")] == [70, 7, 16]


def test_rows_of_tiles_are_no_more_than_the_device() -> None:
    text = rows(
        "xpum_engine_ratio", ('uuid="a-1"', 0.4), ('uuid="a-1",sub_dev="0"', 0.8), ('uuid="a-1",sub_dev="1"', 0)
    )
    text += rows("xpum_memory_used_bytes", ('uuid="a-1",sub_dev="0"', 5), ('uuid="a-1",sub_dev="1"', 6))
    (one,) = read_page(text)
    assert (one.value("utilization"), one.value("memory_used")) == (40, 11)


def test_rows_of_several_pods_are_one_value() -> None:
    text = rows("DCGM_FI_DEV_GPU_UTIL", ('UUID="GPU-1",pod="a",namespace="x"', 9), ('UUID="GPU-1",pod="b"', 9))
    text += rows("DCGM_FI_DEV_FB_USED", ('UUID="GPU-1",pod="a",namespace="x"', 1), ('UUID="GPU-1",pod="b"', 1))
    (one,) = read_page(text)
    assert one.value("memory_used") == 2**20
    assert one.pods == {"x/a"}


@pytest.mark.parametrize(
    ("metric", "labels", "about"),
    [
        ("hcu_utilizationrate", 'device_id="s0",hcu_pod_name="a",hcu_pod_namespace="x"', ""),
        ("npu_chip_info_utilization", 'id="0",vdie_id="V0",pod_name="a",namespace="x",container_name="c"', ""),
        ("enflame_gcu_usage", 'uuid="GCU-1",pod_name="a",pod_namespace="x"', ""),
        ("mlu_utilization", 'uuid="MLU-1",mlu="0"', 'mlu_container{uuid="MLU-1",mlu="0",pod="a",namespace="x"} 1\n'),
    ],
)
def test_vendors_name_pods_in_labels_of_their_own(metric: str, labels: str, about: str) -> None:
    (one,) = read_page(rows(metric, (labels, 5)) + about)
    assert (one.value("utilization"), one.pods) == (5, {"x/a"})


def test_metrics_of_parts_of_memory_add_up() -> None:
    text = rows("neuroncore_utilization_ratio", ('neuroncore="0"', 0.5))
    text += rows("neuroncore_memory_usage_tensors", ('neuroncore="0"', 6))
    text += rows("neuroncore_memory_usage_constants", ('neuroncore="0"', 1))
    (one,) = read_page(text)
    assert one.value("memory_used") == 7


def test_sensors_of_other_hardware_are_no_devices() -> None:
    text = rows("hw_gpu_utilization_ratio", ('hw_id="a-1"', 0.5)) + rows(
        "hw_gpu_memory_usage_bytes", ('hw_id="a-1"', 1)
    )
    text += rows("hw_temperature_celsius", ('hw_id="cpu-0"', 50)) + rows("hw_memory_size_bytes", ('hw_id="dimm-0"', 50))
    assert [each.label for each in read_page(text)] == ["hw_id=a-1"]
    text += rows("hw_memory_usage_bytes", ('hw_id="dimm-0",hw_type="memory"', 50), ('hw_id="dimm-1"', 50))
    assert [each.label for each in read_page(text)] == ["hw_id=a-1"]
    # Memory that says whose it is needs no other metric.
    text += rows("hw_memory_usage_bytes", ('hw_id="b-2",hw_type="gpu"', 50), ('hw_id="c-3",pci_bdf="0000:01:00.0"', 5))
    assert [each.label for each in read_page(text)] == ["hw_id=a-1", "hw_id=b-2", "hw_id=c-3"]


@pytest.mark.parametrize("metric", ["hw_memory_usage_bytes", "hw_memory_size_bytes", "hw_power_watts"])
def test_a_page_of_other_hardware_follows_no_convention(metric: str) -> None:
    page = parse(rows(metric, ('hw_id="dimm-0"', 50), ('hw_id="dimm-1",hw_type="memory"', 50)))
    assert conventions_of(page, load_conventions()) == []


TPU = "4371783459163393063"


def test_containers_may_number_devices_in_their_own_way() -> None:
    ids = [f'accelerator_id="{TPU}-{n}"' for n in range(8)]
    page = rows("tensorcore_utilization_node", *((each, 0) for each in ids[:4]))
    assert len(each_once(read_page(page))) == 4
    used = page + rows("duty_cycle", *((each, 90) for each in ids[4:]))
    used += rows("memory_used", *((each, 1) for each in ids[4:]))
    assert [each.value("memory_used") for each in each_once(read_page(used))] == [1] * 4
    # One container uses one of four.
    partly = page + rows("duty_cycle", (ids[4], 90)) + rows("memory_used", (ids[4], 1))
    assert {each.label for each in each_once(read_page(partly))} == {f"accelerator_id={TPU}-{n}" for n in range(4)}


def test_what_was_set_comes_before_what_is_known() -> None:
    text = rows("DCGM_FI_DEV_GPU_UTIL", ('UUID="GPU-1"', 9)) + rows("DCGM_FI_DEV_FB_USED", ('UUID="GPU-1"', 1))
    text += rows("my_util", ('UUID="GPU-1"', 0.25))
    known = conventions(AcceleratorMetrics(utilization="my_util", utilization_unit="ratio"))
    (one,) = by_device(parse(text), conventions_of(parse(text), known)[0])
    assert (one.value("utilization"), one.value("memory_used")) == (25, 2**20)


@given(st.floats(allow_nan=False, allow_infinity=False), st.dictionaries(st.sampled_from("abc"), st.text(max_size=9)))
def test_a_kept_sample_reads_as_it_was(value: float, labels: dict[str, str]) -> None:
    sample = MetricSample("m", labels, value)
    assert parse(f"{sample}\n") == [sample]


# Which devices


def mig(instance: int, profile: str = "1g.10gb", gpu: str = "GPU-aa00") -> str:
    return f'UUID="{gpu}",GPU_I_PROFILE="{profile}",GPU_I_ID="{instance}"'


def page_of(*labels: str) -> list[Readings]:
    text = rows("DCGM_FI_PROF_GR_ENGINE_ACTIVE", *((each, 0.0) for each in labels))
    return read_page(text + rows("DCGM_FI_DEV_FB_USED", *((each, 12) for each in labels)))


def test_instances_of_one_gpu_are_told_apart_by_their_own_label() -> None:
    found = page_of(*(mig(n) for n in range(7, 14)), 'UUID="GPU-aa00"')
    assert len(found) == 7
    assert found[0].label == "UUID=GPU-aa00, GPU_I_ID=10"
    seen = count(Counted("nvidia.com/mig-1g.10gb", 7), found)
    assert (seen.expected, len(seen.readings)) == (7, 7)


def test_each_resource_counts_its_own_profile() -> None:
    found = page_of(mig(7), mig(8), mig(3, "3g.40gb"), mig(9, "1g.10gb+me"), 'UUID="GPU-bb11"')

    def number(resource: str) -> int:
        return len(count(Counted(resource, 1), found).readings)

    assert number("nvidia.com/mig-1g.10gb") == 2
    assert number("nvidia.com/mig-3g.40gb") == 1
    assert number("nvidia.com/mig-1g.10gb.me") == 1
    assert number("nvidia.com/gpu") == 1
    # With the single strategy, the plain resource counts instances.
    assert len(count(Counted("nvidia.com/gpu", 2), page_of(mig(7), mig(8))).readings) == 2


def test_amds_partitions_share_the_serial_number() -> None:
    labels = [f'serial_number="PCB1",gpu_id="{n}",gpu_partition_id="{n}"' for n in range(8)]
    found = read_page(rows("gpu_gfx_activity", *((each, 0) for each in labels)))
    assert len({each.label for each in found}) == 8
    assert {each.device for each in found} == {"serial_number=PCB1"}


@pytest.mark.parametrize(
    ("counted", "devices"),
    [
        (Counted("nvidia.com/gpu", 4, {"nvidia.com/gpu.replicas": "4"}, physical=1), 1),
        (Counted("nvidia.com/gpu.shared", 8, {"nvidia.com/gpu.replicas": "4"}), 2),
        (Counted("nvidia.com/gpu", 7, {"nvidia.com/gpu.replicas": "1"}, physical=7), 7),
        (Counted("nvidia.com/mig-1g.5gb.shared", 14, {"nvidia.com/mig-1g.5gb.replicas": "2"}), 7),
        (Counted("nvidia.com/mig-1g.5gb", 14, {"nvidia.com/mig-1g.5gb.replicas": "2"}, physical=1), 7),
        (Counted("nvidia.com/mig-1g.5gb", 14, physical=1, partitions=7), 7),
        (Counted("nvidia.com/mig-1g.5gb", 14, physical=1, partitions=7, shares=1), 14),
        (Counted("nvidia.com/gpu", 7, partitions=7), 7),
        (Counted("gpu.intel.com/i915", 20), 0),
        (Counted("gpu.intel.com/i915", 20, physical=2), 2),
        (Counted("nvidia.com/gpu", 4), 0),
        (Counted("nvidia.com/gpu", 4, physical=4, shares=2), 2),
        (Counted("habana.ai/gaudi", 8), 8),
    ],
)
def test_shares_are_no_devices(counted: Counted, devices: int) -> None:
    assert counted.devices == devices


def test_fewer_devices_than_shares_without_labels_is_not_decided() -> None:
    one = page_of('UUID="GPU-aa00"')
    seen = count(Counted("nvidia.com/gpu", 4), one)
    assert "accelerator_metrics.shares" in seen.undecided
    assert count(Counted("nvidia.com/gpu", 4, shares=4), one).expected == 1
    # Three of four are no shares: one is missing.
    three = page_of('UUID="GPU-1"', 'UUID="GPU-2"', 'UUID="GPU-3"')
    assert not count(Counted("nvidia.com/gpu", 4), three).undecided
    assert not count(Counted("habana.ai/gaudi", 4), one).undecided


def test_uuids_and_addresses_are_compared_as_what_they_are() -> None:
    text = rows("nvidia_smi_utilization_gpu_ratio", ('uuid="00aa-1"', 0), ('uuid="00aa-2"', 0))
    assert set(match([device("gpu-0", uuid="GPU-00aa-1"), device("gpu-1", uuid="GPU-00aa-2")], read_page(text))) == {
        "gpu-0",
        "gpu-1",
    }
    text = rows("DCGM_FI_DEV_GPU_UTIL", ('UUID="GPU-1",pci_bus_id="00000000:53:00.0"', 1))
    assert set(
        match([device("a", pciBusID="0000:53:00.0"), device("b", pciBusID="0000:63:00.0")], read_page(text))
    ) == {"a"}


def partition(name: str, parent: str, *, uuid: str = "", profile: str = "1g.10gb") -> Device:
    return device(name, type="mig", parentUUID=parent, profile=profile, **({"uuid": uuid} if uuid else {}))


def test_static_partitions_of_one_device_are_counted() -> None:
    devices = [device("gpu-0", uuid="GPU-aa00"), *(partition(f"m{n}", "GPU-aa00", uuid=f"MIG-{n}") for n in range(3))]
    seen = cover(devices, devices, page_of(mig(7), mig(8), mig(9)))
    assert not seen.missing
    assert "by number" in seen.counted
    missing = cover(devices, devices, page_of(mig(7), mig(8)))
    assert missing.missing == ("m2",)
    assert not missing.undecided


def test_partitions_that_can_be_made_are_no_devices() -> None:
    possible = [partition(f"m{n}", "GPU-aa00") for n in range(18)]
    whole = [device("gpu-0", uuid="GPU-aa00")]
    for devices in ([*whole, *possible], whole, possible):
        seen = cover(devices, [*whole, *possible], page_of('UUID="GPU-aa00"'))
        assert (seen.expected, seen.missing) == (1, ())
    assert cover(possible, [*whole, *possible], page_of('UUID="GPU-bb11"')).missing == ("m0",)
    # Some were made.
    assert not cover([*whole, *possible], [*whole, *possible], page_of(mig(7), mig(8))).missing


def test_devices_without_any_known_label_are_counted() -> None:
    devices = [device("gpu-1-129", card=1), device("gpu-2-130", card=2)]
    seen = cover(devices, devices, page_of('UUID="GPU-1"', 'UUID="GPU-2"'))
    assert (len(seen.readings), seen.missing) == (2, ())
    assert "UUID or the PCI address" in cover(devices, devices, page_of('UUID="GPU-1"')).undecided


def test_the_metrics_of_other_devices_are_not_counted_for_these() -> None:
    uuids = [device("gpu-0", uuid="GPU-aa00"), device("gpu-1", uuid="GPU-bb11")]
    seen = cover(uuids, uuids, page_of('UUID="GPU-cc22"', 'UUID="GPU-dd33"'))
    assert seen.missing
    assert seen.undecided
    addresses = [device("gpu-0", pciBusID="0000:07:00.0"), device("gpu-1", pciBusID="0000:0a:00.0")]
    others = page_of(*(f'UUID="GPU-cc{n}{n}",pci_bus_id="00000000:5{n}:00.0"' for n in range(2)))
    seen = cover(addresses, addresses, others)
    assert (seen.missing, seen.undecided) == (("gpu-0", "gpu-1"), "")


def test_one_missing_device_among_known_ones_is_missing() -> None:
    devices = [device("gpu-0", uuid="GPU-aa00"), device("gpu-1", uuid="GPU-bb11")]
    seen = cover(devices, devices, page_of('UUID="GPU-aa00"', 'UUID="GPU-cc22"'))
    assert (seen.missing, seen.undecided) == (("gpu-1",), "")


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 4))
def test_a_missing_device_is_never_counted_as_there(advertised: int, reported: int, shares: int) -> None:
    found = page_of(*(f'UUID="GPU-{n:04}"' for n in range(reported)))
    seen = count(Counted("nvidia.com/gpu", advertised * shares, shares=shares), found)
    assert (len(seen.readings) >= seen.expected) is (reported >= advertised)


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


class Declared:
    """A platform and its cluster, in which one object makes a monitoring system scrape. refused: nobody may list it."""

    def __init__(self, kind: MonitorKind, item: Object, refused: bool = False) -> None:
        self.cluster, self._kind, self._item, self._refused = self, kind, item, refused

    async def groups(self) -> dict[str, tuple[str, ...]]:
        return {self._kind.group: (self._kind.api_version.partition("/")[2],)}

    async def resources(self, api_version: str) -> dict[str, str]:
        assert api_version in (self._kind.api_version, "monitoring.coreos.com/v1")
        return {self._kind.kind: self._kind.plural} if api_version == self._kind.api_version else {}

    async def list(self, api_version: str, kind: str) -> Any:
        if kind == "Service":
            yield {
                "metadata": {"name": "s", "namespace": "ns", "labels": {"app": "a"}},
                "spec": {"selector": {"app": "a"}, "ports": [{"name": "web", "port": 80, "targetPort": "web"}]},
            }
            return
        assert (api_version, kind) == (self._kind.api_version, self._kind.kind)
        if self._refused:
            raise Forbidden("no", verb="list", resource=self._kind.plural)
        yield self._item


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: f"{kind.group}-{kind.kind}")
async def test_what_any_monitoring_system_scrapes_is_found(kind: MonitorKind) -> None:
    target = pod("a", ports={"web": 7000}, labels={"app": "a"})
    metadata = {"name": "m", **({"namespace": "ns"} if kind.namespaced else {})}
    spec = {"selector": {"matchLabels": {"app": "a"}}, kind.endpoints: [{"port": "web", "path": "/x"}]}
    about: Any = Declared(kind, {"metadata": metadata, "spec": spec})
    place = "ns/m" if kind.namespaced else "m"
    assert places([target], await monitors(about)) == [("ns/a:7000/x", f"{kind.kind} {place}")]
    elsewhere: Any = Declared(kind, {"metadata": {**metadata, "namespace": "other"}, "spec": spec})
    assert bool(places([target], await monitors(elsewhere))) is not kind.namespaced
    refused: Any = Declared(kind, {}, refused=True)
    if kind.optional:
        assert await monitors(refused) == Monitors(unlisted=(f"{kind.plural} of {kind.group}",))
    else:
        with pytest.raises(Forbidden):
            await monitors(refused)


def test_a_known_exporter_is_asked_by_the_scheme_that_monitoring_uses() -> None:
    target = pod("dcgm-exporter-a", ports={"metrics": 9400}, labels={"app": "dcgm"})
    monitor = {
        "metadata": {"name": "m", "namespace": "ns"},
        "spec": {"selector": {}, "endpoints": [{"port": "p", "scheme": "HTTPS"}]},
    }
    services: list[Object] = [
        {
            "metadata": {"name": name, "namespace": "ns"},
            "spec": {"selector": {"app": "dcgm"}, **({"ports": ports} if ports else {})},
        }
        for name, ports in (("s", [{"name": "p", "port": 9400, "targetPort": "metrics"}]), ("headless", []))
    ]
    (found,) = endpoints([target], Monitors(services=(monitor,), targets=tuple(services)), load_conventions())
    assert (found.exporter, found.port, found.scheme) == ("NVIDIA DCGM exporter", "9400", "https")


def test_an_endpoint_that_wants_tls_is_asked_so() -> None:
    class ByTls(Behind):
        async def proxied(self, *where: str, **how: Any) -> ProxyResponse:
            answer = await super().proxied(*where, **how)
            wanted = "Client sent an HTTP request to an HTTPS server.\n"
            return answer if where[2].startswith("https:") else ProxyResponse(400, "text/plain", wanted, True)

    plain = Endpoint("ns", "x", "n1", "9400", "/metrics", "", "its port metrics")
    cluster: Any = ByTls(ProxyResponse(200, "text/plain", DCGM, True))
    found = asyncio.run(read(cluster, plain))
    assert (found.problem, found.endpoint, len(found.samples)) == ("", plain, 4)
    closed: Any = ByTls(ProxyResponse(401, "text/plain", "Unauthorized", True))
    assert asyncio.run(read(closed, plain)).problem == "authentication"
    failing: Any = Behind(ProxyResponse(400, "text/plain", "bad request", True))
    assert asyncio.run(read(failing, plain)).problem == "unreachable"
    assert len(failing.asked) == 1


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
        (ProxyResponse(200, "text/plain", "a 1\n", False), "unreachable", "sends more than"),
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


@pytest.mark.parametrize(
    ("again", "problem"),
    [
        (Unreachable("dial tcp 10.0.0.1:9400: i/o timeout"), "unreachable"),
        (ProxyResponse(200, "text/plain", DCGM, True), ""),
        (TimedOut("no complete answer within 35 s"), "slow"),
    ],
    ids=["packets are dropped", "for a moment", "slow"],
)
def test_an_endpoint_that_nobody_reaches_is_not_slow(again: ProxyResponse | Exception, problem: str) -> None:
    class Late(Behind):
        async def proxied(self, *where: str, **how: Any) -> ProxyResponse:
            self.answer = TimedOut("no complete answer within 10 s") if not self.asked else again
            return await super().proxied(*where, **how)

    cluster: Any = Late(again)
    found = asyncio.run(read_first(cluster, ENDPOINT))
    assert (found.problem, len(cluster.asked)) == (problem, 2)


TLS = "error trying to reach service: remote error: tls: certificate required"


@pytest.mark.parametrize(
    ("answer", "told", "way_out"),
    [
        (
            ProxyResponse(401, "text/plain", "Unauthorized\n", True),
            "HTTP 401 (Unauthorized)",
            "--ignore-paths=/metrics",
        ),
        (
            ProxyResponse(403, "text/plain", "Forbidden (user=system:anonymous, verb=get, resource=)\n", True),
            "HTTP 403 (Forbidden (user=system:anonymous",
            "--ignore-paths=/metrics",
        ),
        (ProxyResponse(403, "text/html", "<html>log in</html>", True), "HTTP 403", "answer without one"),
        (ProxyResponse(302, "text/html", "", True), "it redirects elsewhere (HTTP 302)", "answer without one"),
        (ServerFailed(TLS, status=503), "it refuses TLS (certificate required)", "no client certificate"),
        (ProxyResponse(401, "", "", True), "it answers HTTP 401", "--ignore-paths=/metrics"),
    ],
)
def test_an_exporter_that_asks_who_reads_it_is_told_with_the_way_out(
    answer: ProxyResponse | Exception, told: str, way_out: str
) -> None:
    cluster: Any = Behind(answer)
    found = asyncio.run(read(cluster, ENDPOINT))
    assert found.problem == "authentication"
    assert found.message.startswith("ns/x:9400/metrics requires authentication")
    assert told in found.message
    assert way_out in found.way_out
    assert "--set accelerator_metrics.exporter=NAMESPACE/POD*" in found.way_out
    # A rule of RBAC would open the API server's own metrics, too.
    assert "unauthenticated" not in found.way_out
    assert "nonResourceURLs" not in found.way_out


PROXY = "https://10.0.0.1:6443/api/v1/namespaces/ns/pods/https:x:9400/proxy"


@pytest.mark.parametrize(
    ("location", "problem"),
    [
        ("https://10.244.0.7:8443/metrics", "unreachable"),
        (f"{PROXY}/metrics", "authentication"),
        ("https://login.example/oauth2/authorize?rd=/metrics", "authentication"),
        (f"{PROXY}/oauth2/start?rd=/metrics", "authentication"),
        ("http://10.244.0.7:8080/metrics", "authentication"),
        ("https://[/metrics", "authentication"),
        ("", "authentication"),
    ],
)
def test_a_redirect_to_https_asks_nobody_who_reads(location: str, problem: str) -> None:
    cluster: Any = Behind(ProxyResponse(301, "text/html", "", True, location))
    assert asyncio.run(read(cluster, ENDPOINT)).problem == "authentication"
    found = asyncio.run(read(cluster, replace(ENDPOINT, scheme="")))
    assert found.problem == problem
    assert ("redirects to https (HTTP 301)" in found.message) is (problem == "unreachable")
    assert ("prometheus.io/scheme: https" in found.way_out) is (problem == "unreachable")
    assert ("requires authentication" in found.message) is (problem == "authentication")


def test_missing_rights_are_said_as_such() -> None:
    cluster: Any = Behind(Forbidden("no permission to get pods/proxy", verb="get", resource="pods/proxy"))
    with pytest.raises(Forbidden):
        asyncio.run(read(cluster, ENDPOINT))
