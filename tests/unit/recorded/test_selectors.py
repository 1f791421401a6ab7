"""Selectors of recorded platforms, as the API server reads them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiconform.recorded import selectors

LABELS = {"app": "server", "tier": "front", "example.com/empty": ""}
OBJECT = {"metadata": {"name": "a", "labels": LABELS}, "spec": {"hostNetwork": True}, "status": {"phase": "Running"}}


@pytest.mark.parametrize(
    ("text", "selected"),
    [
        ("", True),
        ("app=server", True),
        ("app==server,tier=front", True),
        ("app=server, tier=back", False),
        ("app!=server", False),
        ("absent!=x", True),
        ("app in (client, server)", True),
        ("app notin (client,server)", False),
        ("absent notin (x)", True),
        ("absent in (x)", False),
        ("app", True),
        ("absent", False),
        ("!absent", True),
        ("!app", False),
        ("example.com/empty=", True),
        ("example.com/empty in ()", True),
    ],
)
def test_label_selectors(text: str, selected: bool) -> None:
    assert selectors.labels(text)(OBJECT) is selected


@pytest.mark.parametrize("text", ["pool in", "a=b,", "a b", "(a)", "a=b;c=d", ","])
def test_what_is_no_label_selector_is_refused(text: str) -> None:
    with pytest.raises(selectors.BadSelector, match="unable to parse requirement"):
        selectors.labels(text)


@given(st.dictionaries(st.sampled_from("abc"), st.sampled_from("xyz")), st.sampled_from("abc"), st.sampled_from("xyz"))
def test_a_selector_and_its_opposite_part_the_objects(labels: dict[str, str], key: str, value: str) -> None:
    obj = {"metadata": {"labels": labels}}
    for one, other in ((f"{key}={value}", f"{key}!={value}"), (f"{key} in ({value})", f"{key} notin ({value})")):
        assert selectors.labels(one)(obj) is not selectors.labels(other)(obj)
    assert selectors.labels(key)(obj) is not selectors.labels(f"!{key}")(obj)


@pytest.mark.parametrize(
    ("text", "selected"),
    [
        ("", True),
        ("status.phase=Running", True),
        ("status.phase!=Running", False),
        ("metadata.name==a,status.phase!=Failed", True),
        ("spec.nodeName=", True),
        ("spec.hostNetwork=true", True),
    ],
)
def test_field_selectors(text: str, selected: bool) -> None:
    known = {"metadata.name", "status.phase", "spec.nodeName", "spec.hostNetwork"}
    assert selectors.fields(text, known)(OBJECT) is selected


def test_a_field_that_the_kind_does_not_have_is_refused() -> None:
    with pytest.raises(selectors.BadSelector, match=r"field label not supported: spec\.nodeName"):
        selectors.fields("spec.nodeName=a", {"metadata.name"})
