"""gpu_sharing on the healthy lab, whose virtual functions are shares of a device; other ways: test_sharing_ways.py."""

from __future__ import annotations

import json

from support.lab import Outcome

CHECK = "gpu_sharing"


def test_the_healthy_lab_passes_by_the_virtual_functions_of_a_device(healthy: Outcome) -> None:
    assert healthy.passes(CHECK)
    records = json.loads((healthy.folder / f"observations/{CHECK}.json").read_text())["records"]
    seen = [record["observation"] for record in records if record["observation"]]
    assert {(each["strategy"], each["bound"]) for each in seen} == {("partitions-by-DRA", 2)}


def test_every_assertion_applies(healthy: Outcome) -> None:
    assert not healthy.check(CHECK)["left_out"]
