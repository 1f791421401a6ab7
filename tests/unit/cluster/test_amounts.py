"""Every container has requests and limits, and they are within what a Namespace's LimitRanges allow."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from aiconform.cluster.amounts import LARGE, LIMITS, REQUESTS, with_amounts, within
from aiconform.cluster.quantity import number


def limit_range(kind: str, **bounds: Any) -> dict[str, Any]:
    return {"kind": "LimitRange", "spec": {"limits": [{"type": kind, **bounds}]}}


def test_what_a_container_names_itself_stays() -> None:
    assert with_amounts(None) == {"requests": REQUESTS, "limits": LIMITS}
    assert with_amounts({}, LARGE)["limits"] == LARGE
    accelerator = with_amounts({"limits": {"example.com/gpu": "4"}, "claims": [{"name": "device"}]})
    assert accelerator["limits"] == {"example.com/gpu": "4", **LIMITS}
    assert accelerator["requests"] == REQUESTS
    assert accelerator["claims"] == [{"name": "device"}]
    one_side = with_amounts({"limits": {"memory": "1Mi"}, "requests": {"cpu": "3"}})
    assert (one_side["requests"]["memory"], one_side["limits"]["cpu"]) == ("1Mi", "3")
    assert with_amounts(one_side) == one_side


def test_amounts_follow_a_limit_range() -> None:
    spec = {"containers": [{"name": "a", "resources": {"limits": {"example.com/gpu": "2"}}}, {"name": "b"}]}
    ranges = [
        limit_range("Container", min={"cpu": "50m"}, max={"memory": "128Mi"}, maxLimitRequestRatio={"cpu": "4"}),
        limit_range("Pod", max={"memory": "100Mi"}),
        limit_range("PersistentVolumeClaim", max={"storage": "1Gi"}),
    ]
    first, second = within(spec, ranges)["containers"]
    assert first["resources"]["requests"] == {**REQUESTS, "cpu": "250m"}
    assert first["resources"]["limits"] == {"example.com/gpu": "2", **LIMITS, "memory": str(50 * 1024 * 1024)}
    assert second["resources"]["requests"] == first["resources"]["requests"]


def test_without_limit_ranges_nothing_is_changed_that_is_there() -> None:
    whole = within({"containers": [{"name": "a"}], "initContainers": [{"name": "b"}], "volumes": []})
    assert [each["resources"] for key in ("containers", "initContainers") for each in whole[key]] == [
        {"requests": REQUESTS, "limits": LIMITS}
    ] * 2
    assert within(whole) == whole


@given(
    st.sampled_from(["cpu", "memory"]),
    st.integers(1, 4),
    st.integers(1, 2000),
    st.integers(1, 2000),
    st.integers(1, 100),
    st.sampled_from(["Container", "Pod"]),
)
def test_whatever_a_limit_range_allows_is_found(
    name: str, count: int, low: int, more: int, ratio: int, kind: str
) -> None:
    unit = "m" if name == "cpu" else "Mi"
    bounds = {"min": {name: f"{low}{unit}"}, "max": {name: f"{low + more}{unit}"}}
    bounds["maxLimitRequestRatio"] = {name: str(ratio)}
    made = within({"containers": [{"name": str(each)} for each in range(count)]}, [limit_range(kind, **bounds)])
    amounts = [each["resources"] for each in made["containers"]]
    requests = [number(each["requests"][name]) for each in amounts]
    limits = [number(each["limits"][name]) for each in amounts]
    if kind == "Pod":
        requests, limits = [sum(requests)], [sum(limits)]
    # A thousandth of a CPU for each container is what rounding may cost.
    slack = count * 0.001 if name == "cpu" else count * 1.0
    for request, limit in zip(requests, limits, strict=True):
        assert number(bounds["min"][name]) <= request + slack
        assert request <= limit + 1e-9
        assert limit <= number(bounds["max"][name]) + slack
        assert limit <= request * ratio + 1e-9
