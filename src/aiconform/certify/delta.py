"""From one certification to the next: what has to be run again, what to answer anew, and what may be carried over.

A run, a log or a test result is of one version and one day; it shows nothing of another. A document about the product
may say the same of both, if the list asks for the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

from aiconform.certify.answered import OURS
from aiconform.certify.checklist import Checklist, ChecklistItem, digest_of
from aiconform.certify.examined import Answer, Examined, Reference
from aiconform.certify.findings import listed
from aiconform.certify.rules.evidence import kubernetes_versions
from aiconform.certify.rules.runs import latest
from aiconform.certify.submission import METADATA
from aiconform.check.registry import has_check
from aiconform.reports.facts import requirement_of

What = Literal["run", "show", "answer", "carry", "gone"]
TITLES: dict[What, str] = {
    "run": "to run again",
    "show": "to show again",
    "answer": "to answer anew",
    "carry": "may be carried over",
    "gone": "no longer on the list",
}
NEW_FOR_EACH_VERSION = ("kubernetesVersion", "k8sConformanceUrl")


@dataclass(frozen=True)
class Step:
    """One requirement on the way to the next certification. status, evidence, notes: what may be carried over."""

    requirement: str
    level: str
    what: What
    why: str
    status: str = ""
    evidence: tuple[str, ...] = ()
    notes: str = ""

    def as_data(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Delta:
    """steps: by requirement. metadata: what has to be given anew, with the reason. carried: the other metadata."""

    old: str
    product: str
    new: str
    steps: tuple[Step, ...]
    metadata: dict[str, str]
    carried: dict[str, str]

    def as_data(self) -> dict[str, Any]:
        steps = [step.as_data() for step in self.steps]
        return {
            "product": self.product,
            "from": self.old,
            "to": self.new,
            "requirements": steps,
            "metadata": self.metadata,
            "carried_metadata": self.carried,
        }


def delta(old: Examined, new: Checklist) -> Delta:
    """old: the certified submission. new: the list of the next version, or of the same one after a year."""
    submission = old.submission
    steps = [_step(old, item, new.version) for item in new.items]
    gone = [item for item in old.checklist.items if new.item(item.id) is None]
    steps += [Step(item.id, item.level, "gone", _where(item.id, new.version)) for item in gone]
    same = old.checklist.version == new.version
    metadata = {"kubernetesVersion": f"it is {new.version}"}
    if not same:
        metadata["k8sConformanceUrl"] = f"the base has to be Certified Kubernetes for {new.version} first"
    metadata["platformVersion"] = "it is the version that is tested now"
    carried = {name: submission.value(name) for name in METADATA if submission.value(name)}
    for name in NEW_FOR_EACH_VERSION if not same else NEW_FOR_EACH_VERSION[:1]:
        carried.pop(name, None)
    return Delta(old.checklist.version, submission.product, new.version, tuple(steps), metadata, carried)


def _where(id_: str, version: str) -> str:
    known = requirement_of(id_)
    folded = known is not None and known.level_at(version) == "folded"
    return f"base conformance covers it from {version} on" if folded else f"{version} does not list it"


def _step(old: Examined, item: ChecklistItem, version: str) -> Step:
    before, answer = old.checklist.item(item.id), old.answers.get(item.id)
    if before is None:
        what: What = "run" if item.level == "MUST" and has_check(item.id) else "answer"
        return Step(item.id, item.level, what, f"it is new on the list of {version}")
    if answer is None or not answer.counts:
        why = "it was not answered" if item.level == "SHOULD" else "it is a MUST now, and was not answered"
        return Step(item.id, item.level, "run" if item.level == "MUST" and has_check(item.id) else "answer", why)
    kept = " ".join(OURS.sub("", answer.claim.notes.text).split())
    if item.level == "MUST" and has_check(item.id):
        return Step(item.id, item.level, "run", _why_run(old, answer, version), notes=kept)
    if changed := _changed(before, item, old.checklist.version, version):
        return Step(item.id, item.level, "answer", changed, notes=kept)
    if answer.claim.status.text != "Implemented":
        why = f"it was {answer.claim.status.text!r}: say again whether and why that is so"
        return Step(item.id, item.level, "answer", why, notes=kept)
    bound = [reference for reference in answer.given if _bound(reference, version)]
    if bound or not answer.given:
        what = "run" if has_check(item.id) else "show"
        why = f"{listed([each.text.strip() for each in bound], 3)} is of {old.checklist.version}" if bound else ""
        return Step(item.id, item.level, what, why or "nothing was shown", notes=kept)
    text = f"the list asks the same, and documents about the product show it: read again what they say of {version}"
    evidence = tuple(reference.text.strip() for reference in answer.given)
    return Step(item.id, item.level, "carry", text, answer.claim.status.text, evidence, kept)


def _why_run(old: Examined, answer: Answer, version: str) -> str:
    run = latest(answer.item.id, old.runs.every()[0])
    if run:
        of = "a year later" if old.checklist.version == version else f"of {version}"
        return f"run {run.run} is of {run.kubernetes} on {run.started[:10]}: it shows nothing {of}"
    if any(True for _ in answer.artifacts()):
        return f"its test results are of {old.checklist.version}"
    return "documents alone showed it; the suite has a check for it"


def _changed(before: ChecklistItem, item: ChecklistItem, old: str, new: str) -> str:
    """Why an answer for the old list does not answer the new one; "" if it does."""
    if before.level != item.level:
        return f"it was a {before.level} and is a {item.level} now"
    known = requirement_of(item.id)
    if known and known.programme_lines(old) != known.programme_lines(new):
        return "the programme asks for more lines of it than before"
    if known and known.statement_at(old) != known.statement_at(new):
        return "the words of the requirement changed"
    if before.description and item.description and digest_of(before.description) != digest_of(item.description):
        return "the words of the checklist changed"
    return ""


def _bound(reference: Reference, version: str) -> bool:
    """Whether a piece of evidence is of one version: a file, a result, or a link that names another version."""
    if reference.kind != "link":
        return True
    named = kubernetes_versions(reference.bare)
    return bool(named) and version.removeprefix("v") not in named


def lines(found: Delta) -> Iterator[str]:
    counts = Counter(step.what for step in found.steps)
    total = ", ".join(f"{counts[what]} {title}" for what, title in TITLES.items() if counts[what])
    yield f"{found.product} to {found.new}: {total}"
    for what, title in TITLES.items():
        of_it = [step for step in found.steps if step.what == what]
        if of_it:
            yield f"{title}:"
        yield from (f"  {step.level:<6} {step.requirement}: {step.why}" for step in of_it)
    yield "metadata to give anew:"
    yield from (f"  {name}: {why}" for name, why in found.metadata.items())
