"""gpu_sharing on the healthy lab, whose devices are shared by a claim; other ways: tests/lab/test_sharing_ways.py."""

from __future__ import annotations

import json

from support.lab import Outcome

CHECK = "gpu_sharing"


def test_the_healthy_lab_passes_by_a_claim_of_two_pods(healthy: Outcome) -> None:
    assert healthy.passes(CHECK)
    records = json.loads((healthy.folder / f"observations/{CHECK}.json").read_text())["records"]
    assert {record["observation"]["strategy"] for record in records if record["observation"]} == {"shared-claim"}


def test_what_has_no_bound_and_no_partitions_is_left_out(healthy: Outcome) -> None:
    assert set(healthy.check(CHECK)["left_out"]) == {
        "advertised_shares_run",
        "excess_share_stays_unscheduled",
        "partition_memory_is_its_own",
    }
