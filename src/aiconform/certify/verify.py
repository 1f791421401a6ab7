"""Verification of a bundle: signature, digests, journals, recomputed verdicts, and no claim above its evidence."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiconform.certify.artifacts import NAMES, BadArtifact, Results, read_results
from aiconform.certify.attestation import NotAttested
from aiconform.certify.bundle import BadBundle, digests
from aiconform.certify.examined import Examined
from aiconform.certify.findings import listed
from aiconform.certify.predicate import platform, run_claims
from aiconform.certify.rules.runs import latest
from aiconform.certify.runs import JudgedRun
from aiconform.certify.submission import FILE
from aiconform.certify.validate import Validated, ValidationSettings, validate
from aiconform.reports.summary import SIMULATED

CLAIMING = ("Implemented", "N/A")
# The programme's rules about evidence.
EVIDENCE = frozenset(
    {"P-load", "P-version", "P-evidence-file", "P-artifact", "P-test-failed", "P-test-missing", "P-test-skipped"}
)
Attested = Callable[[Path], dict[str, Any]]


@dataclass
class Verification:
    """The bundle is verified if there are no `problems`. `steps`: each check, in order, and whether it held.

    shown: requirement -> verdict of the newest run. unshown: claims that no run supports. valid: by the programme's
    rules, which is a separate question: an honest bundle may show that a platform is not conformant.
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
    """`folder`: of the bundle, resolved. `attested` returns what was signed or raises NotAttested; None: do not check.

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
        found.notes.append("the signature was not checked: the maker and the completeness of this bundle are unknown")
    else:
        _signature(folder, attested, files, examined, judged, found)
    _runs(examined, judged, found)
    _claims(validated, judged, found)
    _programme(validated, found)
    return found


def _programme(validated: Validated, found: Verification) -> None:
    """Evidence that does not support a claim is a problem here; a platform that lacks something is not."""
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
    """Where the bundle differs from what was signed."""
    if examined is None:
        return [f"{FILE} cannot be compared with what was signed"]
    problems = []
    expected = {
        "platform": platform(examined.submission),
        "runs": run_claims(judged),
        "suite": judged[0].suite if judged else None,
        "cluster": judged[0].cluster.get("uid") if judged else None,
    }
    for name, value in expected.items():
        if predicate.get(name) != value:
            problems.append(f"the signed {name} is not that of the bundle")
    version = predicate.get("standard")
    if not isinstance(version, dict) or version.get("version") != examined.checklist.version:
        problems.append(f"it was signed for a version other than {examined.checklist.version}")
    return problems


def _runs(examined: Examined | None, judged: list[JudgedRun], found: Verification) -> None:
    problems = []
    broken = examined.runs.every()[1] if examined else {}
    for name, why in broken.items():
        problems.append(f"runs/{name} is not a finished run: {why}")
    for run in judged:
        problems += [f"runs/{run.folder.name}: {difference}" for difference in run.problems]
        if run.folder.name != run.run:
            problems.append(f"runs/{run.folder.name} holds the run {run.run}")
        found.notes += [f"runs/{run.folder.name}: {note}" for note in run.notes]
        if run.simulated:
            found.notes.append(f"runs/{run.folder.name}: {SIMULATED}")
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
    above = [f for f in validated.findings if f.rule in ("F-claim-above-run", "F-run-version", "F-run-kubernetes")]
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
    """Where artifacts contradict the runs beside them."""
    from aiconform.reports.names import go_name

    problems = []
    for name, results in _results(examined):
        if not judged:
            continue
        for requirement in sorted({known for run in judged for known in run.verdicts}):
            run = latest(requirement, judged)
            outcome = results.tests.get(go_name(requirement))
            reported = run.reported.get(requirement) if run else None
            if outcome == "pass" and reported not in (None, "pass"):
                problems.append(f"{name} says pass for {requirement}, the run says {reported}")
            elif outcome in ("fail", "skip") and reported == "pass":
                problems.append(f"{name} says {outcome} for {requirement}, the run says pass")
    return problems


def _results(examined: Examined) -> Iterator[tuple[str, Results]]:
    """The readable artifacts: those named as evidence, and the usual three even if no claim names them."""
    folder = examined.submission.folder
    for artifact in examined.artifacts.values():
        if artifact.results:
            yield artifact.name, artifact.results
    for name, kind in NAMES.items():
        if folder / name not in examined.artifacts and (folder / name).is_file():
            try:
                yield name, read_results(folder / name, kind)
            except BadArtifact:
                continue  # no claim depends on it
