"""high_performance_networking on the healthy lab, whose nodes with accelerators have two links for it."""

from __future__ import annotations

import json

from support.lab import Outcome

CHECK = "high_performance_networking"


def test_the_healthy_lab_passes_by_all_assertions(healthy: Outcome) -> None:
    assert healthy.passes(CHECK)
    assert not healthy.check(CHECK)["left_out"]


def test_data_goes_between_two_nodes_over_interfaces_of_one_network(healthy: Outcome) -> None:
    records = json.loads((healthy.folder / f"observations/{CHECK}.json").read_text())["records"]
    (seen,) = (each["observation"] for each in records if "data" in each["observation"])
    assert seen["first"]["node"] != seen["peer"]["node"]
    assert seen["data"]["way"] == "network"
    assert {each["interface"] for each in seen["first"]["devices"]} == {
        each["interface"] for each in seen["peer"]["devices"]
    }
    assert seen["node_before"]


def test_an_interface_and_an_accelerator_of_one_root_are_in_one_pod(healthy: Outcome) -> None:
    records = json.loads((healthy.folder / f"observations/{CHECK}.json").read_text())["records"]
    (seen,) = (each["observation"] for each in records if each["probe"] == "alignment")
    assert seen["attribute"] == "resource.kubernetes.io/pcieRoot"
    assert seen["interface_root"] == seen["accelerator_root"] != ""
    assert seen["accelerator"].startswith("simulated-accelerator.aiconform.dev/")
