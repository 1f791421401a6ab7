"""Which readings of two exporters are about one device, and which are of a device that only one of them names."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from aiconform.platform.accelerators.devices import Device
from aiconform.platform.monitoring.conventions import load_conventions
from aiconform.platform.monitoring.joining import join
from aiconform.platform.monitoring.metrics import parse
from aiconform.platform.monitoring.readings import Readings, by_device

DCGM, ALL_SMI, AMD = "NVIDIA DCGM exporter", "all-smi", "AMD Device Metrics Exporter"
UTILIZATION = {
    DCGM: "DCGM_FI_DEV_GPU_UTIL",
    ALL_SMI: "all_smi_gpu_utilization",
    AMD: "gpu_gfx_activity",
}


def read(name: str, *labels: str) -> list[Readings]:
    (convention,) = [each for each in load_conventions() if each.name == name]
    return by_device(parse("".join(f"{UTILIZATION[name]}{{{each}}} 0\n" for each in labels)), convention)


def joined(
    first: Sequence[Readings], second: Sequence[Readings], devices: Sequence[Device] = ()
) -> tuple[dict[str, str], list[str], list[str]]:
    """(label of the first -> that of the second about the same device, labels of more, labels apart)."""
    found = join(devices, first, second)
    pairs = {each.label: also.label for each in found.readings for also in each.also}
    return pairs, [each.label for each in found.more], [each.label for each in found.apart]


FIRST = read(DCGM, 'UUID="GPU-aaaa0000",pci_bus_id="00000000:07:00.0"')
SAME = 'uuid="aaaa0000",bus="0000:07:00.0"'
PAIR = {"UUID=GPU-aaaa0000": "uuid=aaaa0000"}


@pytest.mark.parametrize(
    ("other", "more"),
    [
        ('uuid="bbbb1111"', True),
        ('gpu_index="9",bus="0000:08:00.0"', True),
        ('gpu_index="9"', False),
        ('gpu_index="9",bus="none"', False),
    ],
)
def test_a_device_that_only_one_exporter_names_is_identified_as_others_are(other: str, more: bool) -> None:
    pairs, others, apart = joined(FIRST, read(ALL_SMI, SAME, other))
    assert (pairs, len(others), apart) == (PAIR, int(more), [])


def test_a_device_that_only_one_exporter_names_is_one_of_the_driver() -> None:
    devices = [Device("gpu.nvidia.com", "n1", f"gpu-{n}", "n1", {"index": n}) for n in (0, 9)]
    pairs, others, _ = joined(FIRST, read(ALL_SMI, SAME, 'gpu_index="9"'), devices)
    assert (pairs, others) == (PAIR, [])
    (driver_knows,) = read(ALL_SMI, 'index="9"')
    assert joined(FIRST, read(ALL_SMI, SAME, 'index="9"'), devices)[1] == [driver_knows.label]


def amd(device: int, part: int = 0, kind: str = "spx") -> str:
    return (
        f'gpu_uuid="{device:04x}aaaa",serial_number="PCB{device}",gpu_id="{10 * device + part}",'
        f'gpu_partition_id="{part}",gpu_compute_partition_type="{kind}"'
    )


WHOLE = ['uuid="0000aaaa"', 'uuid="0001aaaa"']


def test_whole_devices_that_have_labels_of_partitions_are_joined() -> None:
    one, other = read(AMD, amd(0), amd(1)), read(ALL_SMI, *WHOLE)
    pairs, more, apart = joined(one, other)
    assert (sorted(pairs.values()), more, apart) == (["uuid=0000aaaa", "uuid=0001aaaa"], [], [])
    pairs, more, apart = joined(other, one)
    assert (sorted(pairs), len(set(pairs.values())), more, apart) == (["uuid=0000aaaa", "uuid=0001aaaa"], 2, [], [])
    pairs, more, apart = joined(read(AMD, amd(0)), other)
    assert (list(pairs.values()), more, apart) == (["uuid=0000aaaa"], ["uuid=0001aaaa"], [])


@pytest.mark.parametrize("parts", [[amd(0, 0), amd(0, 1)], [amd(0, 0, "cpx")], [amd(0, 0, "CPX"), amd(0, 1, "CPX")]])
def test_what_is_reported_of_a_divided_device_is_about_none_of_its_partitions(parts: list[str]) -> None:
    assert joined(read(AMD, *parts), read(ALL_SMI, WHOLE[0])) == ({}, [], [])
    assert joined(read(ALL_SMI, WHOLE[0]), read(AMD, *parts))[0] == {}
    # The driver knows one of them.
    devices = [Device("gpu.amd.com", "n1", "gpu-0", "n1", {"index": 0})]
    assert joined(read(AMD, amd(0, 0), amd(0, 1)), read(ALL_SMI, 'index="0"', WHOLE[0]), devices)[0].keys() <= {
        "serial_number=PCB0, gpu_id=0, gpu_partition_id=0"
    }
    # One instance alone is a partition, where its label is that of partitions only.
    instance = read(DCGM, 'UUID="GPU-0000aaaa",GPU_I_ID="7",GPU_I_PROFILE="7g.80gb"')
    assert joined(instance, read(ALL_SMI, WHOLE[0])) == ({}, [], [])


def test_labels_that_the_driver_joins_are_compared_for_others_too() -> None:
    devices = [Device("gpu.nvidia.com", "n1", "gpu-0", "n1", {"uuid": "GPU-aaaa0000"})]
    pairs, others, apart = joined(FIRST, read(ALL_SMI, SAME, 'uuid="bbbb1111"'), devices)
    assert (pairs, others, apart) == (PAIR, ["uuid=bbbb1111"], [])
