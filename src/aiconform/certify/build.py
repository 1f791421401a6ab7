"""Build a bundle from runs: their results go into PRODUCT.yaml, their evidence beside it."""

from __future__ import annotations

import io
import re
import shutil
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import defusedxml.ElementTree
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import YAMLError
from ruamel.yaml.scalarstring import FoldedScalarString

from aiconform.certify.bundle import BadBundle, copy_plain
from aiconform.certify.checklist import Checklist, ChecklistItem, checklist_of
from aiconform.certify.fix import editor
from aiconform.certify.readme import readme
from aiconform.certify.redaction import Redaction, redact
from aiconform.certify.rules.runs import allowed, latest
from aiconform.certify.runs import FOLDER, JudgedRun, NoRun, judge_run
from aiconform.certify.submission import FILE, Unreadable, read_submission, version_of
from aiconform.engine.evidence import Report
from aiconform.engine.rundir import RunDirectory
from aiconform.reports.formats import ARTIFACTS, read_evidence, write_artifacts
from aiconform.reports.names import go_name
from aiconform.reports.plain import shortened

FOR_THE_VENDOR = "not shown by a run: for the vendor to answer"
_OURS = re.compile(r"Run [0-9a-z]+ of aiconform [^\n]*?can be recomputed\.\s*")
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


def build(
    runs: Sequence[Path],
    product: Path,
    out: Path,
    *,
    layers: Mapping[str, str],
    redaction: Redaction | None = None,
    checklists: Path | None = None,
) -> Built:
    """Raises CannotBuild, BadChecklists, CannotRedact."""
    judged = _judged(runs)
    version = judged[0].standard
    checklist = checklist_of(version, checklists)
    if checklist is None:
        raise CannotBuild(f"there is no checklist of {version}")
    if version_of(out / FILE) != version:
        raise CannotBuild(f"the runs are for {version}: use --out {version}/<product>")
    text = _product_text(product)
    _make_room(out)
    try:
        kept = []
        for run in judged:
            target = out / FOLDER / run.run
            if redaction:
                redact(run.folder, target, redaction)
            else:
                copy_plain(run.folder, target)
            kept.append(judge_run(target))
        _artifacts(kept, out)
        built = Built(out, version)
        (out / FILE).write_text(_fill(text, checklist, kept, layers, built), encoding="utf-8", newline="\n")
        (out / "README.md").write_text(
            readme(read_submission(out / FILE), checklist, kept, built.open), encoding="utf-8"
        )
    except (OSError, shutil.Error, BadBundle, NoRun, Unreadable) as error:
        raise CannotBuild(f"{out}: {error}") from error
    return built


def _judged(runs: Sequence[Path]) -> list[JudgedRun]:
    judged = []
    for path in runs:
        try:
            judged.append(judge_run(path))
        except NoRun as error:
            raise CannotBuild(f"{path} is not a finished run: {error}") from error
        wrong = judged[-1].problems or judged[-1].unread
        if wrong:
            raise CannotBuild(f"{path} does not agree with its observations ({wrong[0]}): `aiconform judge {path}`")
    judged.sort(key=lambda run: run.started)
    for name in ("standard", "run"):
        values = [getattr(run, name) for run in judged]
        if name == "standard" and len(set(values)) > 1:
            raise CannotBuild(f"the runs are for {' and '.join(sorted(set(values)))}: a bundle is for one version")
        if name == "run" and len(set(values)) < len(values):
            raise CannotBuild("the same run was given twice")
    uids = {run.cluster.get("uid") for run in judged}
    if len(uids) > 1:
        raise CannotBuild("the runs are of different clusters: a certification is for one platform on one cluster")
    return judged


def _product_text(product: Path) -> str:
    try:
        submission = read_submission(product)
        data = product.read_bytes()
    except Unreadable as error:
        raise CannotBuild(f"{product}, line {error.line}: {error.problem}; {error.help}") from error
    return data.decode("utf-16" if "utf-16" in submission.oddities else "utf-8-sig").replace("\r\n", "\n")


def _make_room(out: Path) -> None:
    """Create the folder, or accept one with nothing but a PRODUCT.yaml and a README.md."""
    try:
        there = {path.name for path in out.iterdir()} if out.exists() else set()
        if there - {FILE, "README.md"}:
            raise CannotBuild(f"{out} is not empty: use a new folder, or remove the previous bundle")
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CannotBuild(f"{out} cannot be created: {error.strerror}") from error


# Artifacts


def _artifacts(runs: Sequence[JudgedRun], out: Path) -> None:
    """The three files of one run, or of several runs in sequence, each without what only other runs cover."""
    drafts = []
    for run in runs:
        directory = RunDirectory(run.folder)
        report, evidence = directory.read_report(), read_evidence(directory)
        folder = out / f".artifacts-{run.run}"
        write_artifacts(_without_others(report, run, runs), evidence, folder)
        drafts.append(folder)
    for name in ARTIFACTS:
        parts = [folder / name for folder in drafts]
        data = parts[0].read_bytes() if len(parts) == 1 else _joined(name, parts)
        (out / name).write_bytes(data)
    for folder in drafts:
        shutil.rmtree(folder)


def _without_others(report: Report, run: JudgedRun, runs: Sequence[JudgedRun]) -> Report:
    def elsewhere(requirement: str) -> bool:
        return any(other.verdicts.get(requirement, "not-run") != "not-run" for other in runs if other is not run)

    kept = tuple(check for check in report.checks if check.verdict != "not-run" or not elsewhere(check.id))
    return report.model_copy(update={"checks": kept})


def _joined(name: str, parts: Sequence[Path]) -> bytes:
    if name != "junit.xml":
        return b"".join(part.read_bytes() for part in parts)
    roots: list[Any] = [defusedxml.ElementTree.parse(part).getroot() for part in parts]
    whole = ET.Element("testsuites", {"name": "aiconform"})
    for root in roots:
        whole.extend(list(root))
    for count in ("tests", "failures", "errors", "skipped"):
        whole.set(count, str(sum(int(root.get(count, "0")) for root in roots)))
    joined: bytes = ET.tostring(whole, encoding="utf-8", xml_declaration=True)
    return joined


# PRODUCT.yaml


def _fill(text: str, checklist: Checklist, runs: list[JudgedRun], layers: Mapping[str, str], built: Built) -> str:
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
    before = " ".join(_OURS.sub("", str(claim.get("notes") or "")).split())
    text = " ".join(part for part in (statement, before) if part)
    claim["notes"] = FoldedScalarString(text) if len(text) > 80 else text
    _note_layer(claim, layer)


def _note_layer(claim: CommentedMap, layer: str | None) -> None:
    if layer:
        before = re.sub(r"^Layer: [^.]*\. ?", "", str(claim.get("notes") or ""))
        claim["notes"] = FoldedScalarString(
            f"Layer: {shortened(layer, 200).rstrip('.').replace('.', ' ')}. {before}".strip()
        )


def read_layers(path: Path) -> dict[str, str]:
    """Requirement -> layer from a YAML mapping. Raises CannotBuild."""
    from aiconform.certify.yamlvalues import Malformed, YamlMapping, YamlScalar, parse

    try:
        root = parse(path.read_bytes()).root
    except OSError as error:
        raise CannotBuild(f"{path} cannot be read: {error.strerror}") from error
    except Malformed as error:
        raise CannotBuild(f"{path}, line {error.line}: {error}") from error
    if not isinstance(root, YamlMapping):
        raise CannotBuild(f"{path} should map requirement ids to layers")
    found: dict[str, Any] = {key: node.text for key, node in root.entries.items() if isinstance(node, YamlScalar)}
    return found
