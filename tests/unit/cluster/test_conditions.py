"""Reading the conditions of objects: what holds, and what does not say so (yet)."""

from __future__ import annotations

from typing import Any

import pytest

from aiconform.cluster import Object, conditions


def with_conditions(*entries: dict[str, Any]) -> Object:
    return {"status": {"conditions": list(entries)}}


READY = {"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "kubelet is posting ready status"}
WAITS = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/2 nodes are available"}


@pytest.mark.parametrize("obj", [{}, {"status": None}, {"status": {}}, {"status": {"conditions": None}}])
def test_an_object_without_conditions_says_nothing(obj: Object) -> None:
    assert conditions.find(obj, "Ready") is None
    assert not conditions.is_true(obj, "Ready")
    assert conditions.read(obj.get("status")) == ()


def test_a_condition_is_found_by_its_type_alone() -> None:
    obj = with_conditions(WAITS, READY)
    assert conditions.is_true(obj, "Ready")
    assert not conditions.is_true(obj, "PodScheduled")
    assert not conditions.is_true(obj, "Available")
    found = conditions.find(obj, "PodScheduled")
    assert found is not None
    assert found.is_false
    assert found.words == "Unschedulable: 0/2 nodes are available"


@pytest.mark.parametrize(
    ("reason", "message", "words", "explanation"),
    [("A", "b", "A: b", "b"), ("A", "", "A", "A"), ("", "b", "b", "b"), (None, None, "", "")],
)
def test_reason_and_message_may_be_missing(reason: Any, message: Any, words: str, explanation: str) -> None:
    (found,) = conditions.read({"conditions": [{"type": "X", "status": "True", "reason": reason, "message": message}]})
    assert (found.words, found.explanation) == (words, explanation)


@pytest.mark.parametrize(
    ("status", "observed", "decided"),
    [("True", 2, True), ("False", 2, False), ("Unknown", 2, None), ("True", 1, None), ("True", 0, True)],
)
def test_what_is_said_of_an_earlier_generation_decides_nothing(
    status: str, observed: int, decided: bool | None
) -> None:
    (found,) = conditions.read({"conditions": [{"type": "X", "status": status, "observedGeneration": observed}]})
    assert found.decided(2) is decided
