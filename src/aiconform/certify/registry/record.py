"""One submission as the registry shows it: plain, bounded facts that can be kept as JSON."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from aiconform.certify.bundle import SIGNATURES, BadBundle
from aiconform.certify.certificate import BadCertificate, read_certificate
from aiconform.certify.examined import Answer, Examined
from aiconform.certify.findings import RuleFinding
from aiconform.certify.grades import GRADES
from aiconform.certify.registry import mentions, others
from aiconform.certify.registry.sources import Source, key, slug
from aiconform.certify.rules.runs import latest
from aiconform.certify.submission import Submission, version_of
from aiconform.certify.validate import Validated, ValidationSettings, validate
from aiconform.reports.plain import shortened

FORMAT = 2
LONGEST = {"name": 120, "short": 60, "text": 400, "link": 300}  # characters
MOST_LISTED = 8  # pieces of evidence, errors and runs that a record lists; it counts all
_METADATA = {
    "platformName": "name",
    "platformVersion": "short",
    "vendorName": "name",
    "description": "text",
    "websiteUrl": "link",
    "repoUrl": "link",
    "documentationUrl": "link",
    "k8sConformanceUrl": "link",
}
"""What is shown of the metadata. The contact's address is not: it is nobody's business but the programme's."""


@dataclass(frozen=True)
class LeftOut:
    """A source that is not in the registry, and why."""

    source: str
    why: str

    def as_data(self) -> dict[str, str]:
        return asdict(self)


def record(source: Source, settings: ValidationSettings, digest: str | None = None) -> dict[str, Any] | LeftOut:
    """The record of a source, or why there is none. `digest`: its key, if it is known already. Raises BadChecklists."""
    try:
        digest = digest or key(source, settings)
        with source.product() as path:
            version = version_of(path)
            if version is None:
                return LeftOut(source.name, "its path names no version: it should be vX.Y/<product>")
            (found,) = validate([path], settings)
            return {"format": FORMAT, "key": digest, "source": source.name, **_facts(found, path, version)}
    except (BadBundle, OSError) as error:
        return LeftOut(source.name, shortened(str(error), LONGEST["text"]))


def _facts(found: Validated, path: Path, version: str) -> dict[str, Any]:
    product = path.resolve().parent.name
    examined = found.examined
    platform = dict.fromkeys(_METADATA, "")
    if examined:
        platform = {name: shortened(examined.submission.value(name), LONGEST[kind]) for name, kind in _METADATA.items()}
    platform["platformName"] = platform["platformName"] or shortened(product, LONGEST["name"])
    requirements = _requirements(found, examined) if examined else {}
    musts = [facts["grade"] for facts in requirements.values() if facts["level"] == "MUST"]
    return {
        "slug": slug(product),
        "version": version,
        "platform": platform,
        "valid": found.valid,
        "errors": [_problem(error) for error in found.errors[:MOST_LISTED]],
        "error_count": len(found.errors),
        "findings": dict(sorted(Counter(finding.rule for finding in (*found.warnings, *found.findings)).items())),
        "not_checked": [shortened(text, LONGEST["text"]) for text in found.not_checked],
        "must_grades": {grade: musts.count(grade) for grade in (*GRADES, "not-claimed") if grade in musts},
        "requirements": requirements,
        "accelerators": mentions.named(_words(examined), mentions.accelerators()) if examined else [],
        "solutions": sorted({name for facts in requirements.values() for name in facts["solutions"]}),
        "runs": _runs(examined) if examined else [],
        "reports": others.of_submission(examined) if examined else [],
        "certificate": _certificate(path.parent),
        "signatures": [name for name in SIGNATURES if (path.parent / name).is_file()],
    }


def _certificate(folder: Path) -> dict[str, Any] | None:
    """What the programme recorded, with bounded texts; None where that cannot be read, as a finding says."""
    try:
        known = read_certificate(folder)
    except BadCertificate:
        return None
    appeals = known.appeals[:MOST_LISTED]
    data: dict[str, Any] = _bounded(known.model_copy(update={"appeals": appeals}).model_dump(mode="json"))
    return data


def _bounded(data: Any) -> Any:
    if isinstance(data, dict):
        return {name: _bounded(value) for name, value in data.items()}
    if isinstance(data, list):
        return [_bounded(value) for value in data[: MOST_LISTED * 2]]
    return shortened(data, LONGEST["text"]) if isinstance(data, str) else data


def _problem(error: RuleFinding) -> dict[str, Any]:
    return {"rule": error.rule, "requirement": error.requirement, "message": shortened(error.message, LONGEST["text"])}


def _requirements(found: Validated, examined: Examined) -> dict[str, dict[str, Any]]:
    judged = examined.runs.every()[0]
    facts = {}
    for item in examined.checklist.items:
        answer = examined.answers.get(item.id)
        run = latest(item.id, judged)
        evidence = [reference.text.strip() for reference in answer.given] if answer else []
        notes = " ".join(answer.claim.notes.text.split()) if answer else ""
        facts[item.id] = {
            "level": item.level,
            "status": shortened(answer.claim.status.text.strip(), LONGEST["short"]) if answer else "",
            "grade": found.grades[item.id],
            "verdict": run.verdicts[item.id] if run else None,
            "notes": shortened(notes, LONGEST["text"]),
            "notes_digest": _digest(notes),
            "evidence": [shortened(text, LONGEST["link"]) for text in evidence[:MOST_LISTED]],
            "evidence_count": len(evidence),
            "evidence_digest": _digest("\n".join(evidence)),
            "solutions": _solutions(answer) if answer else [],
        }
    return facts


def _digest(text: str) -> str:
    """Enough to see that a text changed."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _solutions(answer: Answer) -> list[str]:
    known = [each for each in mentions.solutions() if each.requirement == answer.item.id]
    return mentions.named(_said(answer), known)


def _said(answer: Answer) -> str:
    return " | ".join((answer.claim.notes.text, *(reference.text for reference in answer.given)))


def _words(examined: Examined) -> str:
    """Everything that a vendor says of the platform and its requirements."""
    submission: Submission = examined.submission
    return " | ".join((submission.value("description"), *(_said(answer) for answer in examined.answers.values())))


def _runs(examined: Examined) -> list[dict[str, Any]]:
    judged, broken = examined.runs.every()
    runs = [
        {
            "run": shortened(run.run, LONGEST["short"]),
            "standard": shortened(run.standard, LONGEST["short"]),
            "kubernetes": shortened(run.kubernetes, LONGEST["short"]),
            "verdict": run.verdict,
            "agrees": not run.problems,
            "simulated": run.simulated,
            "redacted": bool(run.redacted),
            "started": shortened(run.started, LONGEST["short"]),
            "ended": shortened(run.ended, LONGEST["short"]),
        }
        for run in judged
    ]
    runs += [{"run": shortened(name, LONGEST["short"]), "problem": shortened(why, 400)} for name, why in broken.items()]
    return runs[:MOST_LISTED]
