"""PRODUCT.yaml with the answers that runs give; comments, order and the vendor's own words stay."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import YAMLError
from ruamel.yaml.scalarstring import FoldedScalarString

from aiconform.certify.checklist import Checklist, ChecklistItem
from aiconform.certify.fix import editor
from aiconform.certify.readme import NOT_COVERED
from aiconform.certify.rules.runs import allowed, latest
from aiconform.certify.runs import FOLDER, JudgedRun
from aiconform.reports.names import go_name
from aiconform.reports.plain import shortened

FOR_THE_VENDOR = "not shown by a run: for the vendor to answer"
OURS = re.compile(r"Run [0-9a-z]+ of aiconform [^\n]*?can be recomputed\.\s*")
_GENERATED = re.compile(r"(?:junit\.xml|results\.json|e2e\.log)(?:#.*)?|runs/[^/]+/.*")


class CannotBuild(Exception):
    """No bundle can be built; the text says what is needed."""


@dataclass
class Built:
    """shown: verdicts of the requirements that a run decided. open: the others, left to the vendor, with the reason."""

    folder: Path
    version: str
    shown: dict[str, str] = field(default_factory=dict)
    open: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def answered(
    text: str, checklist: Checklist, runs: Sequence[JudgedRun], layers: Mapping[str, str], built: Built
) -> str:
    """The file's text with what the runs decided; `built` gets what they did and did not. Raises CannotBuild."""
    yaml = editor()
    try:
        tree = yaml.load(text)
    except (YAMLError, ValueError) as error:
        raise CannotBuild(f"the product file cannot be edited: {str(error).splitlines()[0]}") from error
    if not isinstance(tree, CommentedMap):
        raise CannotBuild("the product file is not a mapping: start from `aiconform certify init`")
    if not isinstance(tree.get("spec"), CommentedMap):
        tree["spec"] = CommentedMap()
    for item in checklist.items:
        claim = _claim(tree["spec"], item)
        run = latest(item.id, runs)
        verdict = run.verdicts[item.id] if run else "not-run"
        if run is None or verdict == "error":
            _forget(claim)
            _mark(claim)
            reason = run.reasons[item.id] if run else NOT_COVERED
            own = str(claim.get("status") or "").strip()
            built.open[item.id] = f"{reason}; answered {own!r} by its own evidence" if own else reason
            if run and not allowed(str(claim.get("status") or ""), verdict):
                built.notes.append(f"{item.id}: the claim is {claim.get('status')!r}, but the run could not decide it")
            _note_layer(claim, layers.get(item.id))
            continue
        built.shown[item.id] = verdict
        _answer(claim, item, run, layers.get(item.id), built)
    out = io.StringIO()
    yaml.dump(tree, out)
    return out.getvalue()


def _claim(spec: CommentedMap, item: ChecklistItem) -> CommentedMap:
    """The last entry with the id, which is the one that counts, or a new one."""
    if not isinstance(spec.get(item.category), CommentedSeq):
        spec[item.category] = CommentedSeq()
    listed = spec[item.category]
    for claim in reversed(listed):
        if isinstance(claim, CommentedMap) and claim.get("id") == item.id:
            return claim
    claim = CommentedMap(
        {
            "id": item.id,
            "description": item.description or item.title,
            "level": item.level,
            "status": "",
            "evidence": CommentedSeq(),
            "notes": "",
        }
    )
    listed.append(claim)
    return claim


def _forget(claim: CommentedMap) -> None:
    """Take back what an earlier build answered from a run that no longer decides."""
    notes = str(claim.get("notes") or "")
    if not OURS.search(" ".join(notes.split())):
        return
    claim["status"] = ""
    claim["notes"] = _own(notes)
    claim["evidence"] = CommentedSeq(_own_evidence(claim.get("evidence")))


def _mark(claim: CommentedMap) -> None:
    if not str(claim.get("status") or "").strip():
        claim.yaml_add_eol_comment(f"# {FOR_THE_VENDOR}", "id")


def _answer(claim: CommentedMap, item: ChecklistItem, run: JudgedRun, layer: str | None, built: Built) -> None:
    verdict = run.verdicts[item.id]
    status = {"pass": "Implemented", "fail": "Not Implemented", "not-applicable": "N/A"}[verdict]
    before = str(claim.get("status") or "").strip()
    if before not in ("", status):
        built.notes.append(f"{item.id}: {before!r} was changed to {status!r}: the verdict of the run is {verdict}")
    if "id" in claim.ca.items and FOR_THE_VENDOR in str(claim.ca.items["id"]):
        claim.ca.items.pop("id")
    claim["status"] = status
    evidence = claim.get("evidence")
    mine = [f"junit.xml#{go_name(item.id)}"] if verdict == "pass" else []
    mine.append(f"{FOLDER}/{run.run}/observations/{item.id}.json")
    kept = _own_evidence(evidence)
    if not isinstance(evidence, CommentedSeq):
        evidence = CommentedSeq()
    del evidence[:]
    evidence.extend(dict.fromkeys([*mine, *kept]))
    evidence.fa.set_block_style()
    claim["evidence"] = evidence
    _notes(claim, str(statement_of(item.id, run)), layer)


@dataclass(frozen=True)
class Statement:
    """What the notes of a claim say of the run that decided it; `reason` is in words that a release may change."""

    facts: str
    reason: str
    figures: str

    def __str__(self) -> str:
        return f"{self.facts}{self.reason}{self.figures}"

    def agrees(self, text: str) -> bool:
        """Whether the text says the same of the run, with whatever reason."""
        return text.startswith(self.facts) and text.endswith(self.figures)


def statement_of(requirement: str, run: JudgedRun) -> Statement:
    simulated = " with simulated accelerators" if run.simulated else ""
    return Statement(
        f"Run {run.run} of {run.tool} on Kubernetes {run.kubernetes}{simulated}: {run.verdicts[requirement]}, ",
        shortened(run.reasons[requirement], 600),
        f"; {run.figures[requirement]}; can be recomputed.",
    )


def statements_in(notes: str) -> list[str]:
    """What notes say of runs in the words of a build."""
    return [found.strip() for found in OURS.findall(" ".join(notes.split()))]


def _own(notes: str) -> str:
    """The vendor's own words among the notes."""
    return " ".join(OURS.sub("", " ".join(notes.split())).split())


def _own_evidence(evidence: object) -> list[str]:
    entries = evidence if isinstance(evidence, list) else []
    return [e for e in entries if isinstance(e, str) and e.strip() and not _GENERATED.fullmatch(e.strip())]


def _notes(claim: CommentedMap, statement: str, layer: str | None) -> None:
    before = _own(str(claim.get("notes") or ""))
    text = " ".join(part for part in (statement, before) if part)
    claim["notes"] = FoldedScalarString(text) if len(text) > 80 else text
    _note_layer(claim, layer)


def _note_layer(claim: CommentedMap, layer: str | None) -> None:
    if layer:
        before = re.sub(r"^Layer: [^.]*\. ?", "", str(claim.get("notes") or ""))
        claim["notes"] = FoldedScalarString(
            f"Layer: {shortened(layer, 200).rstrip('.').replace('.', ' ')}. {before}".strip()
        )
