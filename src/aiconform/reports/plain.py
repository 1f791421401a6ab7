"""Text from a cluster is untrusted: this module removes what could act on a terminal, a log or a page."""

from __future__ import annotations

import re

# ECMA-48: control sequences (colours, cursor), and strings that a terminal acts on (titles, links, clipboard).
_SEQUENCE = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)"
    r"|\x1b[ -/]+[0-~]"
    r"|\x1b[0-OQ-WYZ\\`-~]"
)
# Also those that only some readers take for the end of a line: str.splitlines, XML 1.1, JavaScript.
_BREAK = re.compile(r"\r\n|[\t\n\v\f\r\x1c-\x1e\x85\u2028\u2029]")
# Controls, invisible and direction-changing characters, and what neither UTF-8 nor XML can hold.
_UNSEEN = re.compile(
    r"[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ud800-\udfff\ufdd0-\ufdef\ufeff\ufff9-\ufffb"
    r"\U000e0000-\U000e0fff"
    + "".join(f"{chr(plane * 0x10000 + 0xFFFE)}{chr(plane * 0x10000 + 0xFFFF)}" for plane in range(17))
    + "]"
)
UNSEEN = "\N{REPLACEMENT CHARACTER}"


def plain(text: str) -> str:
    """The text on one line, without terminal sequences; a character that cannot be seen becomes U+FFFD.

    One line, because a line of its own could pass for one of the report's.
    """
    return _UNSEEN.sub(UNSEEN, _BREAK.sub(" ", _SEQUENCE.sub("", text)))


def shortened(text: str, limit: int) -> str:
    """Plain text of at most `limit` characters, and how many more there were."""
    text = plain(text)
    if len(text) <= limit:
        return text
    return f"{text[:limit]} … ({len(text) - limit} more characters)"
