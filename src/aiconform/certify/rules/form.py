"""Findings about the file itself: encoding, spelling of keys, keys that nobody reads, entries that do not count."""

from __future__ import annotations

from collections import Counter

from aiconform.certify.evidence import Examined
from aiconform.certify.findings import Report, Rule
from aiconform.certify.nodes import shown
from aiconform.certify.submission import METADATA, snake_case

RULES = (
    Rule(
        "F-encoding",
        "note",
        "The file is plain UTF-8 with Unix line ends",
        "save it as UTF-8 without a byte order mark, lines ending in LF",
        True,
    ),
    Rule(
        "F-second-document",
        "warning",
        "The file is one document",
        "remove what follows the second `---`; nobody reads it",
    ),
    Rule(
        "F-spelling",
        "note",
        "Metadata keys are spelled one way",
        "write all of them in camelCase, as the checklist does",
        True,
    ),
    Rule(
        "F-both-spellings",
        "warning",
        "A field is given once",
        "remove the snake_case one; the camelCase one is read",
        True,
    ),
    Rule(
        "F-unknown-key",
        "warning",
        "Every key is one that is read",
        "correct the spelling or remove the key; nobody reads it",
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
        "Answers are on the version's checklist",
        "remove the entry; this version does not ask for it there",
    ),
    Rule("F-blanks", "note", "Values have no blanks around them", "remove the blanks at the ends", True),
)
_ODD = {
    "bom": "it begins with a byte order mark",
    "utf-16": "it is UTF-16",
    "crlf": "its lines end in CRLF",
}


def check(found: Examined, report: Report) -> None:
    submission = found.submission
    for oddity in submission.oddities:
        if oddity in _ODD:
            report.add("F-encoding", 1, _ODD[oddity])
        else:
            report.add("F-second-document", 1, "a second document follows the first")
    _spelling(found, report)
    for key, line in submission.unknown:
        report.add("F-unknown-key", line, f"the key {shown(key)} is not part of a submission")
    for claim in submission.every_claim():
        for key, line in claim.unknown:
            report.add("F-unknown-key", line, f"the key {shown(key)} is not part of a claim", requirement=claim.id)
    _entries(found, report)


def _spelling(found: Examined, report: Report) -> None:
    fields = found.submission.metadata or {}
    snake = [name for name in fields if fields[name].key != name]
    camel = [name for name in fields if fields[name].key == name and snake_case(name) != name]
    if snake and camel:
        report.add(
            "F-spelling",
            fields[snake[0]].line,
            f"{len(snake)} fields in snake_case ({fields[snake[0]].key}), {len(camel)} in camelCase",
        )
    for name in found.submission.both_spellings:
        report.add(
            "F-both-spellings",
            fields[name].line if name in fields else 1,
            f"{name} and {snake_case(name)} are both given",
        )
    for name in METADATA:
        given = fields.get(name)
        # Folded blocks (`>`) end in a line break, which is no fault.
        if given and given.text and given.text.rstrip("\n") != given.text.strip():
            report.add("F-blanks", given.line, f"{given.key} has blanks at its ends")


def _entries(found: Examined, report: Report) -> None:
    listed = {(item.category, item.id) for item in found.checklist.items}
    for category, claims in (found.submission.claims or {}).items():
        times = Counter(claim.id for claim in claims)
        for claim in claims:
            if times[claim.id] > 1 and claim is not found.submission.claim(category, claim.id):
                report.add(
                    "F-duplicate", claim.line, f"{shown(claim.id)} is answered again below", requirement=claim.id
                )
            elif (category, claim.id) not in listed:
                text = f"{shown(claim.id)} in {shown(category)} is not on the checklist of {found.checklist.version}"
                report.add("F-not-listed", claim.line, text, requirement=claim.id)
