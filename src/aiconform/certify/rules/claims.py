"""Findings about what a claim says: status against notes, claims without evidence, changed text of the checklist."""

from __future__ import annotations

import re

from aiconform.certify.checklist import MAY_BE_NA, digest_of
from aiconform.certify.evidence import Answer, Examined
from aiconform.certify.findings import Report, Rule
from aiconform.certify.nodes import shown

RULES = (
    Rule(
        "F-contradiction",
        "error",
        "Status and notes say the same",
        "say in the status what the notes say; what does not apply is N/A, where the programme allows that",
    ),
    Rule(
        "F-must-no-evidence",
        "error",
        "A MUST that is Implemented comes with evidence",
        "add what shows it: best a run of the suite (`aiconform certify build`), at least a document of this platform",
    ),
    Rule(
        "F-no-evidence",
        "warning",
        "A SHOULD that is Implemented comes with evidence",
        "add what shows it, or leave the SHOULD blank",
    ),
    Rule("F-blank-evidence", "note", "Evidence has no empty entries", "remove them; an empty list is `[]`", True),
    Rule(
        "F-description",
        "warning",
        "Descriptions are the checklist's",
        "restore the checklist's text: a vendor is certified for the requirement, not for another reading of it "
        "(`--fix` does, given --checklists)",
        True,
    ),
    Rule(
        "F-level",
        "warning",
        "Levels are the checklist's",
        "restore the checklist's level; it is the one that counts",
        True,
    ),
    Rule(
        "F-layer",
        "note",
        "A layered product names the layer of each requirement",
        "say in the notes which layer answers for it and what was tested whole",
    ),
)

# What a requirement is about, as its vendor's notes and test names word it.
SUBJECTS = {
    "dra_support": ("dra", "dynamic resource", "resourceclaim", "resourceslice", "deviceclass"),
    "driver_runtime_management": ("driver", "runtime"),
    "gpu_sharing": ("shar", "slic", "mig", "mps", "partition", "fraction"),
    "virtualized_accelerator": ("virtual", "vgpu", "sriov", "sr-iov"),
    "ai_inference": ("gateway", "inference", "traffic", "httproute", "ingress"),
    "advanced_inference_ingress": ("inference", "gateway", "inferencepool", "gaie", "epp"),
    "high_performance_networking": ("network", "rdma", "dranet", "interface", "nic", "sriov", "infiniband"),
    "disaggregated_inference": ("disaggregat", "prefill", "decode", "inference"),
    "gang_scheduling": (
        "gang",
        "all-or-nothing",
        "allornothing",
        "podgroup",
        "kueue",
        "volcano",
        "coscheduling",
        "kai",
        "workload",
    ),
    "cluster_autoscaling": ("autoscal", "karpenter", "nodepool", "node pool", "scaleup", "scale-up"),
    "pod_autoscaling": ("hpa", "autoscal", "horizontal"),
    "accelerator_metrics": ("metric", "dcgm", "telemetry", "exporter"),
    "ai_service_metrics": ("metric", "prometheus", "monitor", "scrap"),
    "secure_accelerator_access": ("secure", "access", "isolat"),
    "workload_sandboxing": ("sandbox", "gvisor", "kata", "runtimeclass"),
    "robust_controller": ("operator", "controller", "ray", "kubeflow", "crd", "webhook", "kserve", "jobset"),
}
_LACKS = re.compile(
    r"\b(?:does|do|did|is|are|can)(?: not|n't) (?:yet |currently |natively )?"
    r"(?P<verb>provide|support|offer|have|include|implement|run|ship|bundle)[a-z]* (?P<what>[^.;!]{0,80})",
    re.IGNORECASE,
)
_MILD = ("ship", "bundle", "include")  # what is not in the box may still work
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
_LAYERED = re.compile(r"\blayered\b", re.IGNORECASE)


def check(found: Examined, report: Report) -> None:
    for answer in found.answers.values():
        _wording(answer, report)
        if answer.counts:
            _contradiction(answer, report)
            _backing(answer, report)
    _layers(found, report)


def _contradiction(answer: Answer, report: Report) -> None:
    claim, requirement = answer.claim, answer.item.id
    notes = " ".join(claim.notes.text.split())
    if claim.status.text == "Implemented":
        told, mild = _denial(notes, SUBJECTS.get(requirement, ()))
        if told:
            hint = " (N/A is allowed here)" if requirement in MAY_BE_NA else ""
            report.add(
                "F-contradiction",
                claim.status.line,
                f"Implemented, but the notes say {shown(told, 100)}{hint}",
                requirement=requirement,
                severity="warning" if mild else "error",
            )
    elif claim.status.text in ("N/A", "Not Implemented") and (works := _WORKS.search(notes)):
        report.add(
            "F-contradiction",
            claim.status.line,
            f"{claim.status.text}, but the notes say {shown(works.group())}",
            requirement=requirement,
            severity="warning",
        )


def _denial(notes: str, subjects: tuple[str, ...]) -> tuple[str, bool]:
    """(the words that deny what the status claims or "", whether they may still mean well)."""
    plain = _NOT_APPLICABLE.search(notes)
    if plain:
        return plain.group(), False
    mild = ""
    for lack in _LACKS.finditer(notes):
        if any(subject in lack["what"].lower() for subject in subjects):
            hedged = lack["verb"].lower() in _MILD or " but " in notes[lack.start() : lack.end() + 40]
            if not hedged:
                return lack.group().strip(), False
            mild = mild or lack.group().strip()
    later = _NOT_YET.search(notes)
    if later and not mild:
        mild = notes[max(0, later.start() - 30) : later.end() + 30].strip()
    return mild, True


def _backing(answer: Answer, report: Report) -> None:
    claim, requirement = answer.claim, answer.item.id
    blank = [reference for reference in answer.references if not reference.text.strip()]
    if blank:
        report.add(
            "F-blank-evidence", blank[0].line, f"empty entries in the evidence: {len(blank)}", requirement=requirement
        )
    if claim.status.text == "Implemented" and len(blank) == len(answer.references):
        rule = "F-must-no-evidence" if answer.item.level == "MUST" else "F-no-evidence"
        report.add(
            rule, claim.line, f"a {answer.item.level} is Implemented without any evidence", requirement=requirement
        )


def _wording(answer: Answer, report: Report) -> None:
    item, claim = answer.item, answer.claim
    if claim.level.text.strip() != item.level:
        given = shown(claim.level.text) if claim.level else "missing"
        report.add(
            "F-level", claim.level.line, f"the level is {given}, the checklist says {item.level}", requirement=item.id
        )
    if item.digests and digest_of(claim.description.text) not in item.digests:
        what = "is not the checklist's" if claim.description else "is missing"
        report.add("F-description", claim.description.line, f"the description {what}", requirement=item.id)


def _layers(found: Examined, report: Report) -> None:
    """Only where the product says itself that it is layered: its description, or the notes of some requirement."""
    told = {r for r, a in found.answers.items() if re.search(r"\blayer\b", a.claim.notes.text, re.IGNORECASE)}
    layered = _LAYERED.search(found.submission.value("description")) or len(told) >= 2
    if not layered:
        return
    for requirement, answer in found.answers.items():
        if answer.counts and answer.claim.status.text == "Implemented" and requirement not in told:
            report.add(
                "F-layer",
                answer.claim.notes.line,
                "the product is layered; the notes name no layer",
                requirement=requirement,
            )
