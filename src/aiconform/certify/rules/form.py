"""Rules about the file itself: encoding, spelling of keys, unknown keys, entries that do not count."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from aiconform.certify.context import Context
from aiconform.certify.examined import Examined
from aiconform.certify.findings import Problem, Rule
from aiconform.certify.submission import METADATA, snake_case
from aiconform.certify.yamlvalues import shown

RULES = (
    Rule(
        "F-encoding",
        "note",
        "The file is plain UTF-8 with Unix line ends",
        "save it as UTF-8 without a byte order mark, with LF line ends",
        True,
    ),
    Rule(
        "F-second-document",
        "warning",
        "The file is one document",
        "remove what follows the second `---`; it is not read",
    ),
    Rule(
        "F-spelling",
        "note",
        "Metadata keys are spelled one way",
        "write all of them in camelCase, as in the checklist",
        True,
    ),
    Rule(
        "F-both-spellings",
        "warning",
        "A field is given once",
        "remove the snake_case key; the camelCase key is the one that is read",
        True,
    ),
    Rule(
        "F-unknown-key",
        "warning",
        "Every key is known",
        "correct the spelling or remove the key; it is not read",
    ),
    Rule(
        "F-duplicate",
        "warning",
        "A requirement is answered once",
        "remove the earlier entries; only the last one is read",
    ),
    Rule(
        "F-not-listed",
        "note",
        "Answers are for requirements of the version's checklist",
        "remove the entry; this version does not list the requirement there",
    ),
    Rule("F-blanks", "note", "Values have no surrounding whitespace", "remove the whitespace", True),
)
_ODD = {
    "bom": "it begins with a byte order mark",
    "utf-16": "it is UTF-16",
    "crlf": "its lines end in CRLF",
}


def check(context: Context) -> Iterator[Problem]:
    found = context.examined
    submission = found.submission
    for oddity in submission.oddities:
        if oddity in _ODD:
            yield Problem("F-encoding", 1, _ODD[oddity])
        else:
            yield Problem("F-second-document", 1, "a second document follows the first")
    yield from _spelling(found)
    for key, line in submission.unknown:
        yield Problem("F-unknown-key", line, f"the key {shown(key)} is not part of a submission")
    for claim in submission.every_claim():
        for key, line in claim.unknown:
            yield Problem("F-unknown-key", line, f"the key {shown(key)} is not part of a claim", requirement=claim.id)
    yield from _entries(found)


def _spelling(found: Examined) -> Iterator[Problem]:
    fields = found.submission.metadata or {}
    snake = [name for name in fields if fields[name].key != name]
    camel = [name for name in fields if fields[name].key == name and snake_case(name) != name]
    if snake and camel:
        yield Problem(
            "F-spelling",
            fields[snake[0]].line,
            f"{len(snake)} fields in snake_case ({fields[snake[0]].key}), {len(camel)} in camelCase",
        )
    for name in found.submission.both_spellings:
        yield Problem(
            "F-both-spellings",
            fields[name].line if name in fields else 1,
            f"{name} and {snake_case(name)} are both given",
        )
    for name in METADATA:
        given = fields.get(name)
        # Folded blocks (`>`) end in a line break, which is correct.
        if given and given.text and given.text.rstrip("\n") != given.text.strip():
            yield Problem("F-blanks", given.line, f"{given.key} has whitespace at its ends")


def _entries(found: Examined) -> Iterator[Problem]:
    listed = {(item.category, item.id) for item in found.checklist.items}
    for category, claims in (found.submission.claims or {}).items():
        times = Counter(claim.id for claim in claims)
        for claim in claims:
            if times[claim.id] > 1 and claim is not found.submission.claim(category, claim.id):
                yield Problem(
                    "F-duplicate", claim.line, f"{shown(claim.id)} is answered again below", requirement=claim.id
                )
            elif (category, claim.id) not in listed:
                text = f"{shown(claim.id)} in {shown(category)} is not on the checklist of {found.checklist.version}"
                yield Problem("F-not-listed", claim.line, text, requirement=claim.id)
