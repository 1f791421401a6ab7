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
            reason = run.reasons[item.id] if run else "no run covers it"
            built.open[item.id] = reason
            _mark(claim)
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
    kept = [e for e in evidence or [] if isinstance(e, str) and e.strip() and not _GENERATED.fullmatch(e.strip())]
    if not isinstance(evidence, CommentedSeq):
        evidence = CommentedSeq()
    del evidence[:]
    evidence.extend(dict.fromkeys([*mine, *kept]))
    evidence.fa.set_block_style()
    claim["evidence"] = evidence
    _notes(claim, _statement(item, run, verdict), layer)


def _statement(item: ChecklistItem, run: JudgedRun, verdict: str) -> str:
    simulated = " with simulated accelerators" if run.simulated else ""
    return (
        f"Run {run.run} of {run.tool} on Kubernetes {run.kubernetes}{simulated}: {verdict}, "
        f"{shortened(run.reasons[item.id], 600)}; {run.figures[item.id]}; can be recomputed."
    )


def _notes(claim: CommentedMap, statement: str, layer: str | None) -> None:
    before = " ".join(OURS.sub("", str(claim.get("notes") or "")).split())
    text = " ".join(part for part in (statement, before) if part)
    claim["notes"] = FoldedScalarString(text) if len(text) > 80 else text
    _note_layer(claim, layer)


def _note_layer(claim: CommentedMap, layer: str | None) -> None:
    if layer:
        before = re.sub(r"^Layer: [^.]*\. ?", "", str(claim.get("notes") or ""))
        claim["notes"] = FoldedScalarString(
            f"Layer: {shortened(layer, 200).rstrip('.').replace('.', ' ')}. {before}".strip()
        )
