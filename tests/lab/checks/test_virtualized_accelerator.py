"""virtualized_accelerator on the healthy lab, whose nodes by DRA have virtual functions."""

from __future__ import annotations

import json

from support.lab import Outcome

CHECK = "virtualized_accelerator"


def test_the_healthy_lab_passes_by_all_assertions(healthy: Outcome) -> None:
    assert healthy.passes(CHECK)
    assert not healthy.check(CHECK)["left_out"]


def test_virtual_functions_are_compared_with_a_whole_device_of_their_driver(healthy: Outcome) -> None:
    records = json.loads((healthy.folder / f"observations/{CHECK}.json").read_text())["records"]
    seen = [record["observation"] for record in records]
    assert seen
    assert all(seen)
    assert {(each["other"]["what"], each["other"]["name"] == each["name"]) for each in seen} == {
        ("complete device", True)
    }
    assert {each["said"] for each in seen} == {"attribute virtual=true"}
