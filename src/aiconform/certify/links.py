"""The links of a submission that must answer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from aiconform.certify.examined import Examined
from aiconform.certify.submission import BASE_CONFORMANCE, METADATA


@dataclass(frozen=True)
class Link:
    """A link that must answer; `what` names the metadata field, or says that it is evidence."""

    url: str
    line: int
    requirement: str | None
    what: str


def links_of(examined: Examined) -> Iterator[Link]:
    """The links that the programme's validator checks: of the metadata, then of the evidence that counts."""
    for name in METADATA:
        given = (examined.submission.metadata or {}).get(name)
        if given is None or not (given.text or "").startswith("http"):
            continue
        text = given.text or ""
        if name != "k8sConformanceUrl" or BASE_CONFORMANCE.fullmatch(text):
            yield Link(text, given.line, None, given.key)
    for answer in examined.answers.values():
        for reference in answer.references if answer.counts else ():
            if reference.kind == "link":
                yield Link(reference.text, reference.line, answer.item.id, "evidence")
