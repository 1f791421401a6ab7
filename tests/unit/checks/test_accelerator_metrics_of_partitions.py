"""What accelerator_metrics finds of partitions, whether DRA, a device plugin or both give them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.exporters import DCGM, WELL, Object, dcgm, exporter, node, published, seen, verdicts
from support.fake_kubelet import configuration

from aiconform.lab.accelerators import Offer, identities, split
from aiconform.lab.accelerators.config import DriverFault
from aiconform.lab.accelerators.devices import by_resource
from aiconform.lab.accelerators.objects import node_labels
from aiconform.lab.accelerators.slices import describe
from aiconform.lab.accelerators.telemetry import telemetry

Gpu = tuple[str, tuple[str, ...]]
"""The way in which a GPU's partitions are given, and their profiles; none if it is given as a whole."""
PLACE = "ns/dcgm-exporter-a:9400"


def reading(gpu: int, part: int, profile: str) -> str:
    return f'gpu="{gpu}",UUID="GPU-000{gpu}",modelName="H100",GPU_I_PROFILE="{profile}",GPU_I_ID="{part}"'


def readings(gpus: Sequence[Gpu]) -> list[str]:
    found = []
    for gpu, (_, profiles) in enumerate(gpus):
        parts = [reading(gpu, part, each) for part, each in enumerate(profiles)]
        found += parts or [f'gpu="{gpu}",UUID="GPU-000{gpu}",modelName="H100"']
    return found


def device(gpu: int, part: int = 0, profile: str = "") -> Object:
    """A GPU, or a partition of it."""
    texts = {"type": "gpu", "productName": "H100", "resource.kubernetes.io/pciBusID": f"0000:{16 + gpu}:00.0"}
    if profile:
        texts |= {"type": "mig", "profile": profile, "uuid": f"MIG-{gpu}{part}0", "parentUUID": f"GPU-000{gpu}"}
    else:
        texts["uuid"] = f"GPU-000{gpu}"
    attributes: Object = {name: {"string": value} for name, value in texts.items()}
    name = f"gpu-{gpu}-mig-{part}" if profile else f"gpu-{gpu}"
    return {"name": name, "attributes": attributes | {"index": {"int": 10 * gpu + part if profile else gpu}}}


def objects(gpus: Sequence[Gpu], **labels: str) -> list[Object]:
    """A node with these GPUs, whose labels count the partitions of each kind, whoever gives them."""
    counts = Counter(profile for _, profiles in gpus for profile in profiles)
    by_plugin = Counter(profile for way, profiles in gpus if way == "device-plugin" for profile in profiles)
    labels |= {f"nvidia.com__mig-{profile}.count": str(number) for profile, number in counts.items()}
    labels |= {"nvidia.com__gpu.count": str(len(gpus)), "nvidia.com__gpu.product": "H100"}
    by_dra = [
        each
        for gpu, (way, profiles) in enumerate(gpus)
        for each in ([device(gpu, *part) for part in enumerate(profiles)] or [device(gpu)])
        if way == "dra"
    ]
    resources = {f"nvidia.com/mig-{profile}": number for profile, number in by_plugin.items()}
    resources["nvidia.com/gpu"] = gpus.count(("device-plugin", ()))
    return [node(resources, **labels), *([published("gpu.nvidia.com", *by_dra)] if by_dra else []), exporter(*DCGM)]


def every_device(there: list[Object], rows: Sequence[str]) -> bool | None:
    text = dcgm(*rows, utilization="DCGM_FI_PROF_GR_ENGINE_ACTIVE")
    return verdicts(seen(there, {PLACE: text}))["every_device"]


PROFILES = st.lists(st.sampled_from(["1g.10gb", "2g.20gb", "3g.40gb"]), max_size=4).map(tuple)
GPUS = st.lists(st.tuples(st.sampled_from(["dra", "device-plugin"]), PROFILES), min_size=1, max_size=3)


@given(GPUS, st.data())
def test_whichever_is_left_out_is_missing(gpus: list[Gpu], data: st.DataObject) -> None:
    rows = readings(gpus)
    assert every_device(objects(gpus), rows) is True
    if len(rows) > 1:
        left_out = data.draw(st.integers(0, len(rows) - 1))
        found = every_device(objects(gpus), [*rows[:left_out], *rows[left_out + 1 :]])
        # UUIDs of whole GPUs that no label has may be written otherwise there.
        undecided = found is None and ("dra", ()) in gpus
        assert found is False or undecided


def page(config: Any) -> str:
    series: Any = telemetry(config)["series"]
    return "".join(f"{each['name']}{{{sample['labels']}}} 0\n" for each in series for sample in each["samples"])


@pytest.mark.parametrize("offer", Offer)
@pytest.mark.parametrize("persona", ["nvidia-mig-mixed", "nvidia-mig-single"])
def test_personas_with_partitions(persona: str, offer: Offer) -> None:
    """Each with two GPUs in each way, as the lab has them: one partition of the largest kind on each GPU."""

    def found(*faults: DriverFault) -> dict[str, bool | None]:
        config = configuration(
            Path("/lab"), count=4, offer=offer, identity=identities()[persona], faults=faults, node_name="n1"
        )
        to_dra, to_plugin = split(config)
        there = node({name: len(ids) for name, ids in by_resource(config.identity, to_plugin).items()})
        there["metadata"]["labels"] = node_labels(config)
        slices = [published(config.identity.driver, *describe(config, to_dra))] if to_dra else []
        return verdicts(seen([there, *slices, exporter(*DCGM)], {PLACE: page(config)}))

    assert found() == WELL
    assert found(DriverFault.METRICS_OMIT_DEVICE) == {**WELL, "every_device": False}
    assert found(DriverFault.METRICS_OMIT_UTILIZATION) == {**WELL, "utilization_reported": False}


def test_without_labels_partitions_may_be_shares() -> None:
    gpus: list[Gpu] = [("device-plugin", ("3g.40gb",)), ("device-plugin", ("3g.40gb",))]
    assert every_device(objects(gpus), readings(gpus)[:1]) is False
    there = objects(gpus)
    there[0]["metadata"]["labels"].clear()
    assert every_device(there, readings(gpus)[:1]) is None
    assert every_device(there, readings(gpus)) is True


@pytest.mark.parametrize("replicas", ["2", ""])
def test_shares_of_partitions_are_as_many_devices_as_the_labels_count(replicas: str) -> None:
    gpus: list[Gpu] = [("device-plugin", ("1g.10gb", "1g.10gb"))]
    labels = {"nvidia.com__mig-1g.10gb.replicas": replicas} if replicas else {}
    for name in ("nvidia.com/mig-1g.10gb", "nvidia.com/mig-1g.10gb.shared"):
        there = objects(gpus, **labels)
        there[0]["status"]["allocatable"] = {name: "4"}
        assert every_device(there, readings(gpus)) is True
        assert every_device(there, readings(gpus)[:1]) is False


def test_time_slices_of_a_whole_gpu_beside_a_divided_one_are_one_device() -> None:
    gpus: list[Gpu] = [("device-plugin", ("1g.10gb",))]
    there = objects(gpus, **{"nvidia.com__gpu.replicas": "4"})
    there[0]["metadata"]["labels"]["nvidia.com/gpu.count"] = "2"
    there[0]["status"]["allocatable"]["nvidia.com/gpu"] = "4"
    assert every_device(there, [*readings(gpus), 'gpu="1",UUID="GPU-0001"']) is True
    assert every_device(there, readings(gpus)) is False
