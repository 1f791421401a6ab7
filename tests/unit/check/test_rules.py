"""Rules in CEL: what they decide, and that what cannot be computed decides nothing."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiconform.check.assertion import Finding
from aiconform.check.rules import BadRule, Observed, assertion_of
from aiconform.spec.container import CelRule


def finding(rule: dict[str, str], seen: dict[str, Any]) -> Finding:
    declared = assertion_of(CelRule(id="rule", title="A rule", **rule))
    return declared.function(Observed(seen=seen, image="image", node="node-1"))


READERS = {"readers": [{"digest": "a"}, {"digest": "a"}], "written": "a"}
SAME = "seen.readers.all(each, each.digest == seen.written)"


def test_a_rule_decides_over_as_many_subjects_as_it_says() -> None:
    found = finding({"holds": SAME, "subjects": "size(seen.readers)", "reason": '"wrote " + seen.written'}, READERS)
    assert found == Finding(True, "wrote a", 2)
    assert finding({"holds": SAME}, {**READERS, "written": "b"}) == Finding(False, f"{SAME} is false", 1)


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ({"holds": "seen.missing == 1"}, "missing"),
        ({"holds": "1 / seen.nothing == 1"}, "division by zero"),
        ({"holds": "seen.written"}, "not of type bool"),
        ({"holds": "true", "subjects": "'two'"}, "not of type int"),
        ({"holds": "true", "subjects": "true"}, "not of type int"),
        ({"holds": "true", "reason": "1"}, "not of type str"),
        ({"holds": "nobody(seen)"}, "nobody"),
    ],
)
def test_what_cannot_be_computed_decides_nothing(rule: dict[str, str], told: str) -> None:
    found = finding(rule, {**READERS, "nothing": 0})
    assert found.holds is None
    assert found.subjects == 0
    assert told in found.reason


def test_a_rule_that_does_not_parse_is_refused_before_anything_runs() -> None:
    with pytest.raises(BadRule, match="assertion rule: reason: "):
        assertion_of(CelRule(id="rule", title="A rule", holds="true", reason="seen.("))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=8) | st.sampled_from(["readers", "written"]), JSON, max_size=4))
def test_no_observation_breaks_a_rule(seen: dict[str, Any]) -> None:
    found = finding({"holds": SAME, "subjects": "size(seen.readers)"}, seen)
    assert found.holds in (True, False, None)
