"""Text from a cluster is untrusted: nothing in it may move a terminal's cursor, colour it or hide a line."""

from __future__ import annotations

import unicodedata


def plain(text: str) -> str:
    """One line without control, format or surrogate characters; tabs and line ends become spaces."""
    spaced = " ".join(text.split())
    return "".join(character for character in spaced if not unicodedata.category(character).startswith("C"))
