"""ai_service_metrics on the healthy lab, and with a query API that is none; its faults are in test_faults.py."""

from __future__ import annotations

import json

from support.lab import Outcome

CHECK = "ai_service_metrics"


def test_the_healthy_lab_passes(healthy: Outcome) -> None:
    assert healthy.passes(CHECK)


def test_a_query_api_that_is_none_is_an_error_with_its_words(undecided: Outcome) -> None:
    assert undecided.check(CHECK)["verdict"] == "error"
    assert "query API" in json.dumps(undecided.check(CHECK))
