"""What is judged of accelerators' metrics: made-up observations, no cluster."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiconform.check.registry import load_check
from aiconform.check.testing import findings
from aiconform.checks.accelerator_metrics.observations import Coverage, DeviceMetrics, Load, NodeMetrics
from aiconform.checks.accelerator_metrics.options import AcceleratorMetrics, conventions

CHECK = load_check("accelerator_metrics")
FORMAT = "standard_format"
EVERY = "every_device"
UTILIZATION = "utilization_reported"
MEMORY = "memory_reported"
RISES = "utilization_rises"
OTHERS = "idle_devices_stay"
FALLS = "utilization_falls"


def verdicts(seen: Any) -> dict[str, bool | None]:
    found = findings(CHECK, seen)
    assert all(entry.reason for entry in found.values())
    return {id_: entry.holds for id_, entry in found.items()}


def device(index: int, *, utilization: float | None = 0.0, used: float | None = 1.0) -> DeviceMetrics:
    return DeviceMetrics(
        device=f"gpu-{index}",
        label=f"UUID=GPU-{index}",
        utilization=utilization,
        memory_used=used,
        memory_total=9.0,
        values={},
    )


def node(*devices: DeviceMetrics, advertised: int = 2, **fields: Any) -> NodeMetrics:
    about: dict[str, Any] = {
        "node": "n1", "way": "dra", "name": "gpu.nvidia.com", "product": "H100", "simulated": False,
        "endpoint": "ns/x:9400/metrics", "found_by": "annotated", "convention": "NVIDIA DCGM exporter",
    }  # fmt: skip
    return NodeMetrics(**{**about, "advertised": advertised, "devices": devices, **fields})


def test_all_is_well() -> None:
    seen = Coverage(nodes=[node(device(0), device(1), reported=("power", "utilization"))])
    assert set(verdicts(seen).values()) == {True}
    told = findings(CHECK, seen)[EVERY].reason
    assert "not OpenTelemetry's" in told
    assert "also reported: power" in told


def test_a_device_is_missing() -> None:
    seen = Coverage(nodes=[node(device(0), missing=("gpu-1",))])
    assert verdicts(seen) == {FORMAT: True, EVERY: False, UTILIZATION: True, MEMORY: True}
    assert "gpu-1" in findings(CHECK, seen)[EVERY].reason


def test_silence_of_idle_devices_decides_nothing_but_a_reading_without_a_device_does() -> None:
    fields: dict[str, Any] = {"only_in_use": ("utilization", "memory_used"), "way": "device-plugin"}
    assert verdicts(Coverage(nodes=[node(device(0), **fields)]))[EVERY] is None
    assert verdicts(Coverage(nodes=[node(unnamed=1, **fields)]))[EVERY] is False


def test_fewer_devices_than_the_node_counts() -> None:
    assert verdicts(Coverage(nodes=[node(device(0), advertised=3, way="device-plugin")]))[EVERY] is False


def test_metrics_of_a_node_name_no_device() -> None:
    seen = Coverage(nodes=[node(missing=("gpu-0", "gpu-1"), unnamed=1)])
    assert verdicts(seen) == {FORMAT: True, EVERY: False, UTILIZATION: None, MEMORY: None}


@pytest.mark.parametrize("value", [None, -1.0, 250.0, 9.2e18])
def test_utilization_is_missing_or_out_of_range(value: float | None) -> None:
    seen = Coverage(nodes=[node(device(0), device(1, utilization=value))])
    assert [title for title, holds in verdicts(seen).items() if holds is False] == [UTILIZATION]


@pytest.mark.parametrize("value", [None, -1.0, 10.0])
def test_memory_is_missing_or_out_of_range(value: float | None) -> None:
    seen = Coverage(nodes=[node(device(0), device(1, used=value))])
    assert [title for title, holds in verdicts(seen).items() if holds is False] == [MEMORY]


@pytest.mark.parametrize(("problem", "holds"), [("slow", False), ("format", False), ("authentication", None)])
def test_an_exporter_that_cannot_be_read(problem: Any, holds: bool | None) -> None:
    bad = node(endpoint="", problem=problem, message="ns/x:9400/metrics: no", missing=("gpu-0",))
    assert verdicts(Coverage(nodes=[bad])) == {FORMAT: holds, EVERY: None, UTILIZATION: None, MEMORY: None}


def test_a_node_without_any_endpoint_fails_beside_one_that_has_one() -> None:
    bare = node(endpoint="", missing=("gpu-0", "gpu-1"), message="no endpoint for metrics on this node")
    assert verdicts(Coverage(nodes=[node(device(0), device(1)), bare]))[EVERY] is False


# Under load


def load(label: str = "a", **fields: Any) -> Load:
    about: dict[str, Any] = {
        "node": "n1", "way": "dra", "name": "d", "product": "H100", "simulated": True, "endpoint": "e", "load": "open",
        "device": "gpu-0" if label else "", "label": label, "before": {"a": 1, "b": 2, "c": 70},
        "during": {"a": 99, "b": 3, "c": 99}, "after": {"a": 0, "b": 2, "c": 99}, "idle": ("b",),
    }  # fmt: skip
    return Load(**{**about, **fields})


def test_the_used_device_alone_rises_and_falls() -> None:
    # c is busy with somebody else's work.
    assert verdicts(load()) == {RISES: True, OTHERS: True, FALLS: True}


@pytest.mark.parametrize(
    ("fields", "rises", "others", "falls"),
    [
        ({"during": {"a": 1, "b": 2, "c": 70}}, False, None, None),  # frozen
        ({"during": {"a": 1, "b": 99, "c": 70}}, False, False, None),  # another one
        ({"during": {"a": 99, "b": 99, "c": 99}}, True, False, True),  # all of them
        ({"after": {"a": 99}}, True, True, False),  # keeps its peak
        ({"after": {}}, True, True, False),  # vanishes
        ({"idle": ()}, True, None, True),
        ({"label": "", "device": "gpu-0"}, None, None, None),  # not in the metrics
        ({"problem": "no", "during": {}}, None, None, None),
        # Holding it open is no load for real hardware.
        ({"during": {"a": 1}, "simulated": False}, None, None, None),
        ({"during": {"a": 1}, "simulated": False, "load": "work"}, False, None, None),
        # Nor is what somebody else's work makes of another device.
        ({"during": {"a": 1, "b": 99}, "simulated": False}, None, None, None),
    ],
)
def test_what_else_may_be_seen(fields: Any, rises: bool | None, others: bool | None, falls: bool | None) -> None:
    assert verdicts(load(**fields)) == {RISES: rises, OTHERS: others, FALLS: falls}


def test_without_a_device_that_is_known_exactly_one_may_rise() -> None:
    after = {"a": 0, "b": 2, "c": 70}
    assert verdicts(load("", idle=("a", "b", "c"), after=after)) == {RISES: True, OTHERS: False, FALLS: True}
    one = {"a": 99, "b": 2, "c": 70}
    assert verdicts(load("", idle=("a", "b", "c"), during=one)) == {RISES: True, OTHERS: True, FALLS: True}


def test_all_devices_of_a_host_are_used_together() -> None:
    values: Any = {"before": {"a": 0, "b": 0}, "during": {"a": 90, "b": 90}, "after": {"a": 0, "b": 0}}
    assert verdicts(load("", held=2, idle=("a", "b"), **values)) == {RISES: True, OTHERS: None, FALLS: True}
    assert "no other device" in findings(CHECK, load("", held=2, **values))[OTHERS].reason
    assert verdicts(load("", idle=("a", "b"), **values))[OTHERS] is False


def test_the_only_device_of_its_kind_has_none_that_could_stay_idle() -> None:
    found = findings(CHECK, load(idle=(), of_kind=1))[OTHERS]
    assert (found.holds, found.reason) == (None, "n1 has no other device of this kind")
    assert not found.applies
    # Of two, one was not idle: that is not known to be right.
    assert findings(CHECK, load(idle=(), of_kind=2))[OTHERS].applies
    assert verdicts(load(of_kind=2))[OTHERS] is True


# Somebody else's work decides nothing.


@pytest.mark.parametrize(
    ("fields", "rises", "others", "falls"),
    [
        # Another Pod holds one device, and nobody knows which.
        ({"label": "", "foreign": 1, "idle": ("a", "b", "c")}, None, None, None),
        ({"label": "", "foreign": 1, "during": {"a": 1, "b": 2, "c": 70}}, False, None, None),
        # An idle device rises, and stays up when the load is gone.
        ({"during": {"a": 99, "b": 99}, "after": {"a": 0, "b": 99}}, True, None, True),
        ({"during": {"a": 99, "b": 99}, "after": {"a": 0, "b": 1}}, True, False, True),
        ({"during": {"a": 99, "b": 99}, "after": {"a": 0, "b": 1}, "foreign": 1}, True, None, True),
        # The same device has another holder, or gets one.
        ({"sharing": ("ns/other",)}, None, None, None),
        ({"before": {"a": 95, "b": 2}}, None, None, None),
        ({"after": {"a": 99, "b": 2}, "followed_by": ("ns/next",)}, True, True, None),
        ({"after": {"a": 0, "b": 2}, "followed_by": ("ns/next",)}, True, True, True),
    ],
)
def test_other_peoples_load(fields: Any, rises: bool | None, others: bool | None, falls: bool | None) -> None:
    assert verdicts(load(**fields)) == {RISES: rises, OTHERS: others, FALLS: falls}


def test_what_is_not_decided_says_the_way_out() -> None:
    assert "--nodes" in findings(CHECK, load(sharing=("ns/other",)))[RISES].reason


# Devices that are not counted as they are advertised


def test_shares_are_counted_as_their_device() -> None:
    seen = Coverage(
        nodes=[node(device(0), advertised=4, way="device-plugin", expected=1, counted="4 shares as 1 devices")]
    )
    assert verdicts(seen)[EVERY] is True
    assert "4 shares" in findings(CHECK, seen)[EVERY].reason


def test_devices_that_cannot_be_told_are_not_missing() -> None:
    unsure = node(device(0), advertised=4, undecided="say how many")
    assert verdicts(Coverage(nodes=[unsure]))[EVERY] is None
    assert "say how many" in findings(CHECK, Coverage(nodes=[unsure]))[EVERY].reason
    # What is certainly missing on another node decides.
    assert verdicts(Coverage(nodes=[unsure, node(device(0), missing=("gpu-1",))]))[EVERY] is False


def test_what_is_reported_only_in_use_is_not_missing_while_idle() -> None:
    idle = node(device(0, used=None), device(1, used=None), only_in_use=("memory_used",))
    assert verdicts(Coverage(nodes=[idle])) == {FORMAT: True, EVERY: True, UTILIZATION: True, MEMORY: None}
    assert "only of devices in use" in findings(CHECK, Coverage(nodes=[idle]))[MEMORY].reason
    wrong = node(device(0, used=None), device(1, used=-1.0), only_in_use=("memory_used",))
    assert verdicts(Coverage(nodes=[wrong]))[MEMORY] is False


def test_percent_of_memory_is_in_range() -> None:
    def of(used: float) -> bool | None:
        one = device(0, used=used).model_copy(update={"memory_unit": "percent", "memory_total": None})
        return verdicts(Coverage(nodes=[node(one, advertised=1)]))[MEMORY]

    assert of(99.0) is True
    assert of(180.0) is False


values = st.dictionaries(st.sampled_from("abc"), st.floats(0, 100), max_size=3)


@given(values, values, values)
def test_nothing_that_did_not_rise_is_said_to_fall(before: Any, during: Any, after: Any) -> None:
    found = verdicts(load(before=before, during=during, after=after))
    if found[FALLS] is not None:
        assert found[RISES] is True
    if found[RISES]:
        assert during["a"] - before.get("a", 0) >= 10


def test_names_that_were_set_are_a_convention_of_their_own() -> None:
    first = conventions(AcceleratorMetrics(utilization="my_util", memory="my_mem", memory_unit="bytes"))[0]
    assert first.units == {"my_util": ("utilization", "percent"), "my_mem": ("memory_used", "bytes")}
    assert "UUID" in first.device_labels


@pytest.mark.parametrize(
    "wrong", [{"load_groups": "video"}, {"load_groups": "44,"}, {"load_limits": "lots"}, {"load_limits": "cpu=1,"}]
)
def test_a_text_that_is_only_partly_what_an_option_takes_is_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        AcceleratorMetrics(**wrong)
    assert AcceleratorMetrics(load_groups="44,109", load_limits="cpu=1").groups == [44, 109]
