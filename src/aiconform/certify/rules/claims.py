"""Rules about claims: status and notes, claims without evidence, changed text of the checklist."""

from __future__ import annotations

import re
from collections.abc import Iterator

from aiconform.certify.checklist import digest_of, normalised
from aiconform.certify.context import Context
from aiconform.certify.examined import Answer, Examined
from aiconform.certify.findings import Problem, Rule
from aiconform.certify.yamlvalues import shown

RULES = (
    Rule(
        "F-contradiction",
        "error",
        "Status and notes agree",
        "let the status say what the notes say; N/A is for what does not apply, where the programme allows it",
    ),
    Rule(
        "F-must-no-evidence",
        "error",
        "A MUST that is Implemented comes with evidence",
        "add evidence: best a run of the suite (`aiconform certify build`), at least a document about this platform",
    ),
    Rule(
        "F-no-evidence",
        "warning",
        "A SHOULD that is Implemented comes with evidence",
        "add evidence, or leave the SHOULD blank",
    ),
    Rule("F-blank-evidence", "note", "Evidence has no empty entries", "remove them; write an empty list as `[]`", True),
    Rule(
        "F-description",
        "warning",
        "Descriptions are the checklist's",
        "restore the checklist's text: the vendor is certified for the requirement as the checklist words it "
        "(`--fix` does, given --checklists)",
        True,
    ),
    Rule(
        "F-level",
        "warning",
        "Levels are the checklist's",
        "restore the checklist's level; only that level counts",
        True,
    ),
    Rule(
        "F-cpu-only",
        "warning",
        "Pods with accelerators are what is scaled",
        "show that Pods that use accelerators are scaled by a metric of their own; CPU alone is plain Kubernetes",
    ),
    Rule(
        "F-layer",
        "note",
        "A layered product names the layer of each requirement",
        "name in the notes the layer that provides it, and say that the complete product was tested",
    ),
)

_LACKS = re.compile(
    r"\b(?:does|do|did|is|are|can)(?: not|n't) (?:yet |currently |natively )?"
    r"(?P<verb>provide|support|offer|have|include|implement|run|ship|bundle)[a-z]* (?P<what>[^.;!]{0,80})",
    re.IGNORECASE,
)
_MILD = ("ship", "bundle", "include")  # what is not part of the product may still work on it
_NOT_APPLICABLE = re.compile(
    r"\b(?:is|are|was|were) (?:therefore |generally )?not applicable\b|\bnot applicable (?:in|to|for|on)\b"
    r"|\bdoes not apply\b|\bcondition (?:does |is |was )?not (?:apply|met|hold)|^\W*(?:n/?a|not applicable)\W*$",
    re.IGNORECASE,
)
_NOT_YET = re.compile(
    r"\bnot yet (?:supported|available|implemented|tested|verified|enabled)|\bcoming soon\b|\b(?:is|are) planned\b"
    r"|\bplanned for\b|\bwill be (?:supported|available|implemented|added)\b|\b(?:TBD|TODO)\b|\bonly partial(?:ly)?\b"
    r"|\bpartially (?:implemented|supported)\b",
    re.IGNORECASE,
)
_WORKS = re.compile(
    r"\b(?:is|are) fully (?:supported|implemented)\b|\bhas been (?:verified|demonstrated|tested) (?:and|to) work",
    re.IGNORECASE,
)
_CPU = re.compile(r"\bCPU\b(?:[- ]\w+)?", re.IGNORECASE)
_ACCELERATED = re.compile(
    r"\b(?:v?gpus?|[tn]pus?|accelerators?|accelerated|dcgm|inferentia|trainium|gaudi)\b|nvidia|\bcustom[- ]metric"
    r"|\bexternal[- ]metric|\bkeda\b|prometheus|\bqueue|\btokens?\b|\brequests? per",
    re.IGNORECASE,
)
_LAYERED = re.compile(r"\blayered\b", re.IGNORECASE)


def check(context: Context) -> Iterator[Problem]:
    found = context.examined
    for answer in found.answers.values():
        yield from _wording(answer)
        if answer.counts:
            yield from _contradiction(answer)
            yield from _backing(answer)
            yield from _cpu_only(answer)
    yield from _layers(found)


def _contradiction(answer: Answer) -> Iterator[Problem]:
    claim, requirement = answer.claim, answer.item.id
    notes = " ".join(claim.notes.text.split())
    if claim.status.text == "Implemented":
        denial, mild = _denial(notes, answer.item.keywords)
        if denial:
            hint = " (N/A is allowed here)" if answer.item.may_not_apply else ""
            yield Problem(
                "F-contradiction",
                claim.status.line,
                f"Implemented, but the notes say {shown(denial, 100)}{hint}",
                requirement=requirement,
                severity="warning" if mild else "error",
            )
    elif claim.status.text in ("N/A", "Not Implemented") and (works := _WORKS.search(notes)):
        yield Problem(
            "F-contradiction",
            claim.status.line,
            f"{claim.status.text}, but the notes say {shown(works.group())}",
            requirement=requirement,
            severity="warning",
        )


def _denial(notes: str, keywords: tuple[str, ...]) -> tuple[str, bool]:
    """(the words that deny what the status claims, or "", and whether they are ambiguous)."""
    plain = _NOT_APPLICABLE.search(notes)
    if plain:
        return plain.group(), False
    mild = ""
    for lack in _LACKS.finditer(notes):
        if any(keyword in lack["what"].lower() for keyword in keywords):
            hedged = lack["verb"].lower() in _MILD or " but " in notes[lack.start() : lack.end() + 40]
            if not hedged:
                return lack.group().strip(), False
            mild = mild or lack.group().strip()
    later = _NOT_YET.search(notes)
    if later and not mild:
        mild = notes[max(0, later.start() - 30) : later.end() + 30].strip()
    return mild, True


def _cpu_only(answer: Answer) -> Iterator[Problem]:
    """The notes of pod_autoscaling show it with CPU, and nothing says accelerator."""
    claim = answer.claim
    said = " ".join([claim.notes.text, *(reference.text for reference in answer.given)])
    if answer.item.id == "pod_autoscaling" and claim.status.text == "Implemented":
        cpu = _CPU.search(claim.notes.text)
        if cpu and not _ACCELERATED.search(said):
            text = f"the notes speak of {shown(cpu.group())} and of no accelerator or metric of its own"
            yield Problem("F-cpu-only", claim.notes.line, text, requirement=answer.item.id)


def _backing(answer: Answer) -> Iterator[Problem]:
    claim, requirement = answer.claim, answer.item.id
    blank = [reference for reference in answer.references if not reference.text.strip()]
    if blank:
        yield Problem(
            "F-blank-evidence", blank[0].line, f"empty entries in the evidence: {len(blank)}", requirement=requirement
        )
    if claim.status.text == "Implemented" and len(blank) == len(answer.references):
        rule = "F-must-no-evidence" if answer.item.level == "MUST" else "F-no-evidence"
        yield Problem(
            rule, claim.line, f"a {answer.item.level} is Implemented without any evidence", requirement=requirement
        )


def _wording(answer: Answer) -> Iterator[Problem]:
    item, claim = answer.item, answer.claim
    if claim.level.text.strip() != item.level:
        given = shown(claim.level.text) if claim.level else "missing"
        yield Problem(
            "F-level", claim.level.line, f"the level is {given}, the checklist says {item.level}", requirement=item.id
        )
    if item.digests and digest_of(claim.description.text) not in item.digests:
        given = normalised(claim.description.text)
        short = given and item.description and given.rstrip(".… ") in normalised(item.description)
        what = "is a part of the checklist's" if short else "is not the checklist's" if given else "is missing"
        yield Problem("F-description", claim.description.line, f"the description {what}", requirement=item.id)


def _layers(found: Examined) -> Iterator[Problem]:
    """Only for products that call themselves layered: in the description, or in the notes of two requirements."""
    naming = {r for r, a in found.answers.items() if re.search(r"\blayer\b", a.claim.notes.text, re.IGNORECASE)}
    layered = _LAYERED.search(found.submission.value("description")) or len(naming) >= 2
    if not layered:
        return
    for requirement, answer in found.answers.items():
        if answer.counts and answer.claim.status.text == "Implemented" and requirement not in naming:
            yield Problem(
                "F-layer",
                answer.claim.notes.line,
                "the product is layered; the notes name no layer",
                requirement=requirement,
            )
