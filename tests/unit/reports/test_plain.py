"""What text of a cluster may still do after `plain`: nothing."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aiconform.reports.plain import plain, shortened

ANY = st.text(st.characters(exclude_categories=()) | st.sampled_from("\x1b\x9b\x9d\x07[]m;0\\P\n\r"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("node-1: 2 devices", "node-1: 2 devices"),
        ("Größe 日本 🚀", "Größe 日本 🚀"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x9b2Jgone", "gone"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]8;;https://example.test\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1bPsecret\x1b\\after", "after"),
        ("\x1b(Btext\x1bcend", "textend"),
        ("an unfinished \x1b]0;title", "an unfinished \N{REPLACEMENT CHARACTER}]0;title"),
        ("one\r\ntwo\nthree\u2028four\x85five\tsix", "one two three four five six"),
        ("nul\0", "nul\N{REPLACEMENT CHARACTER}"),
        ("\u202etxt.exe", "\N{REPLACEMENT CHARACTER}txt.exe"),
        ("\ud800", "\N{REPLACEMENT CHARACTER}"),
    ],
)
def test_examples(text: str, expected: str) -> None:
    assert plain(text) == expected


@given(ANY)
@example("\x1b\x1b[0m[31m")
@example("\x1b\x9b0m]0;x\x07")
def test_what_comes_out_is_one_line_of_characters_that_can_be_seen(text: str) -> None:
    result = plain(text)
    assert len(result.splitlines()) <= 1
    assert not any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in result)
    assert not any(unicodedata.bidirectional(c) in ("LRE", "RLE", "LRO", "RLO", "LRI", "RLI", "FSI") for c in result)
    assert result.encode().decode() == result
    assert plain(result) == result


@given(st.text(st.characters(categories=["L", "N", "P", "S", "Zs"])))
def test_what_can_be_seen_stays(text: str) -> None:
    assert plain(text) == text


@given(ANY, st.integers(1, 40))
def test_a_long_text_says_how_much_is_left_out(text: str, limit: int) -> None:
    result = shortened(text, limit)
    whole = plain(text)
    assert result == whole if len(whole) <= limit else result.endswith(f"({len(whole) - limit} more characters)")
