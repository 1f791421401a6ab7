"""Verification of a bundle: signature, digests, journals, every verdict again, and no claim above its evidence."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiconform.certify.artifacts import NAMES, BadArtifact, Results, read_results
from aiconform.certify.attestation import NotAttested
from aiconform.certify.bundle import BadBundle, digests
from aiconform.certify.evidence import Examined
from aiconform.certify.findings import listed
from aiconform.certify.predicate import platform, runs_said
from aiconform.certify.rules.runs import latest
from aiconform.certify.runs import JudgedRun
from aiconform.certify.submission import FILE
from aiconform.certify.validate import Validated, ValidationSettings, validate

CLAIMING = ("Implemented", "N/A")
# Rules of the programme about what is offered as evidence.
EVIDENCE = frozenset(
    {"P-load", "P-version", "P-evidence-file", "P-artifact", "P-test-failed", "P-test-missing", "P-test-skipped"}
)
Attested = Callable[[Path], dict[str, Any]]


@dataclass
class Verification:
    """Empty `problems` mean that the bundle holds. `steps`: what was checked, in order, and whether it held.

    shown: requirement -> verdict of the newest run. unshown: claims that rest on something else than a run. valid: by
    the programme's rules, which is another question: an honest bundle may show that a platform is not conformant.
    """

    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    steps: dict[str, bool | None] = field(default_factory=dict)
    signed: dict[str, Any] | None = None
    shown: dict[str, str] = field(default_factory=dict)
    unshown: list[str] = field(default_factory=list)
    grades: dict[str, str] = field(default_factory=dict)
    valid: bool | None = None

    def step(self, name: str, problems: list[str]) -> None:
        self.steps[name] = not problems
        self.problems += [f"{name}: {problem}" for problem in problems]

    def as_data(self) -> dict[str, Any]:
        return {
            "verified": not self.problems,
            "valid": self.valid,
            "steps": self.steps,
            "problems": self.problems,
            "notes": self.notes,
            "signed": self.signed,
            "verdicts": self.shown,
            "claims_without_a_run": self.unshown,
            "grades": self.grades,
        }


def verify(folder: Path, attested: Attested | None, checklists: Path | None = None) -> Verification:
    """`folder`: of the bundle, resolved. `attested` returns what was signed or raises NotAttested; None: not asked for.

    Raises BadChecklists.
    """
    found = Verification()
    try:
        files = digests(folder)
    except BadBundle as error:
        found.step("files", [str(error)])
        return found
    (validated,) = validate([folder / FILE], ValidationSettings(offline=True, checklists=checklists))
    examined = validated.examined
    judged = examined.runs.every()[0] if examined else []
    if attested is None:
        found.steps["signature"] = found.steps["digests"] = None
        found.notes.append("the signature was not checked: nothing says who made this bundle, or that it is whole")
    else:
        _signature(folder, attested, files, examined, judged, found)
    _runs(examined, judged, found)
    _claims(validated, judged, found)
    _programme(validated, found)
    return found


def _programme(validated: Validated, found: Verification) -> None:
    """Evidence that does not bear what is claimed is a problem here; a platform that lacks something is not."""
    offered = [error for error in validated.errors if error.rule in EVIDENCE]
    found.step("evidence", [f"{error.rule}, line {error.line}: {error.message}" for error in offered])
    found.valid = validated.valid
    if not validated.valid:
        counted = len(validated.errors)
        found.notes.append(f"the programme's rules are not met ({counted} errors): see `aiconform certify validate`")


def _signature(
    folder: Path,
    attested: Attested,
    files: dict[str, str],
    examined: Examined | None,
    judged: list[JudgedRun],
    found: Verification,
) -> None:
    try:
        content = attested(folder)
    except NotAttested as error:
        found.step("signature", [str(error)])
        found.steps["digests"] = None
        return
    found.step("signature", [])
    found.signed = {key: content["predicate"].get(key) for key in ("by", "signed", "platform", "standard", "cluster")}
    subjects = content["subjects"]
    problems = []
    for what, names in (
        ("missing", subjects.keys() - files.keys()),
        ("not signed", files.keys() - subjects.keys()),
        ("changed", {name for name in subjects.keys() & files.keys() if subjects[name] != files[name]}),
    ):
        if names:
            problems.append(f"{what}: {listed(sorted(names))}")
    found.step("digests", problems)
    found.step("attested", _attested(content["predicate"], examined, judged))


def _attested(predicate: dict[str, Any], examined: Examined | None, judged: list[JudgedRun]) -> list[str]:
    """Whether the bundle is what the predicate says it is."""
    if examined is None:
        return [f"{FILE} cannot be compared with what was signed"]
    problems = []
    expected = {
        "platform": platform(examined.submission),
        "runs": runs_said(judged),
        "suite": judged[0].suite if judged else None,
        "cluster": judged[0].cluster.get("uid") if judged else None,
    }
    for name, value in expected.items():
        if predicate.get(name) != value:
            problems.append(f"the {name} signed for is not that of the bundle")
    version = predicate.get("standard")
    if not isinstance(version, dict) or version.get("version") != examined.checklist.version:
        problems.append(f"it was signed for another version than {examined.checklist.version}")
    return problems


def _runs(examined: Examined | None, judged: list[JudgedRun], found: Verification) -> None:
    problems = []
    broken = examined.runs.every()[1] if examined else {}
    for name, why in broken.items():
        problems.append(f"runs/{name} is no finished run: {why}")
    for run in judged:
        problems += [f"runs/{run.folder.name}: {difference}" for difference in run.problems]
        if run.folder.name != run.run:
            problems.append(f"runs/{run.folder.name} holds the run {run.run}")
        found.notes += [f"runs/{run.folder.name}: {note}" for note in run.notes]
        if run.simulated:
            found.notes.append(f"runs/{run.folder.name} looked at simulated accelerators: no hardware was shown")
        if run.redacted:
            found.notes.append(f"runs/{run.folder.name} was redacted: {run.redacted}")
    if len({run.cluster.get("uid") for run in judged}) > 1:
        problems.append("the runs are of different clusters")
    found.step("runs", problems)


def _claims(validated: Validated, judged: list[JudgedRun], found: Verification) -> None:
    examined = validated.examined
    if examined is None:
        found.step("claims", [f"{FILE} cannot be read"])
        return
    above = [f for f in validated.findings if f.rule in ("F-claim-above-run", "F-run-version")]
    problems = [f"{f.requirement or FILE}, line {f.line}: {f.message}" for f in above]
    for requirement, answer in examined.answers.items():
        run = latest(requirement, judged)
        if run:
            found.shown[requirement] = run.verdicts[requirement]
        elif answer.counts and answer.claim.status.text in CLAIMING:
            found.unshown.append(requirement)
    problems += _artifacts(examined, judged)
    found.grades = validated.grades
    found.step("claims", problems)


def _artifacts(examined: Examined, judged: list[JudgedRun]) -> list[str]:
    """Whether the artifacts say what the runs beside them say."""
    from aiconform.reports.cases import go_name

    problems = []
    for name, results in _results(examined):
        if not judged:
            continue
        for requirement in sorted({known for run in judged for known in run.verdicts}):
            run = latest(requirement, judged)
            told = results.tests.get(go_name(requirement))
            if run and told == "pass" and run.verdicts[requirement] != "pass":
                problems.append(f"{name} says pass for {requirement}, the run {run.verdicts[requirement]}")
            elif run and told in ("fail", "skip") and run.verdicts[requirement] == "pass":
                problems.append(f"{name} says {told} for {requirement}, the run pass")
    return problems


def _results(examined: Examined) -> Iterator[tuple[str, Results]]:
    """The artifacts that can be read: those named as evidence, and the usual three even where no claim names them."""
    folder = examined.submission.folder
    for artifact in examined.artifacts.values():
        if artifact.results:
            yield artifact.name, artifact.results
    for name, kind in NAMES.items():
        if folder / name not in examined.artifacts and (folder / name).is_file():
            try:
                yield name, read_results(folder / name, kind)
            except BadArtifact:
                continue  # nobody points at it
