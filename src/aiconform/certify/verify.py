"""Verification of a bundle: signatures, digests, journals, recomputed verdicts, and no claim above its evidence."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aiconform.certify.answers import Shown, Verification
from aiconform.certify.attestation import NotAttested
from aiconform.certify.bundle import BadBundle, digests
from aiconform.certify.certificate import BadCertificate, read_certificate
from aiconform.certify.challenge import Challenge
from aiconform.certify.covered import covered
from aiconform.certify.differing import converted_run, differing
from aiconform.certify.examined import Examined
from aiconform.certify.findings import listed
from aiconform.certify.grades import NOT_CLAIMED
from aiconform.certify.predicate import platform, run_claims
from aiconform.certify.releases import Releases
from aiconform.certify.rules.artifacts import results_beside
from aiconform.certify.rules.runs import latest
from aiconform.certify.runs import FOLDER, JudgedRun, entries
from aiconform.certify.submission import FILE
from aiconform.certify.trust import Policy
from aiconform.certify.validate import Validated, ValidationSettings, validate
from aiconform.certify.vouching import vouched
from aiconform.engine.contradictions import SLACK
from aiconform.engine.journal import moment
from aiconform.reports.summary import SIMULATED, counted

CLAIMING = ("Implemented", "N/A")
# The programme's rules about evidence.
EVIDENCE = frozenset(
    {"P-load", "P-version", "P-evidence-file", "P-artifact", "P-test-failed", "P-test-missing", "P-test-skipped"}
)


def verify(
    folder: Path,
    policy: Policy | None,
    checklists: Path | None = None,
    challenge: Challenge | None = None,
    releases: Releases | None = None,
) -> Verification:
    """`folder`: of the bundle, resolved. policy: whom the verifier trusts; None: signatures are not checked. challenge:
    what every run has to carry. releases: what judges runs that this release cannot.

    Raises BadChecklists.
    """
    found = Verification()
    try:
        files = digests(folder)
    except BadBundle as error:
        found.step("files", [str(error)])
        return found
    settings = ValidationSettings(offline=True, checklists=checklists, releases=releases)
    (validated,) = validate([folder / FILE], settings)
    examined = validated.examined
    judged = examined.runs.every()[0] if examined else []
    if policy is None:
        found.steps["signature"] = found.steps["digests"] = None
        found.notes.append("the signature was not checked: the maker and the completeness of this bundle are unknown")
    else:
        _signature(folder, policy, files, examined, judged, found)
    _runs(folder, examined, judged, found)
    _claims(validated, judged, found)
    _pages(folder, examined, judged, found)
    _programme(validated, found)
    _certificate(folder, found)
    if challenge:
        _challenge(challenge, examined, judged, found)
    return found


def _challenge(challenge: Challenge, examined: Examined | None, judged: list[JudgedRun], found: Verification) -> None:
    missed = [f"runs/{run.folder.name} {why}" for run in judged if (why := challenge.missed(run))]
    vendor = examined.submission.value("vendorName") if examined else ""
    if challenge.vendor and challenge.vendor.casefold() != vendor.casefold():
        missed.append(f"it was made for {challenge.vendor}, the bundle is of {vendor}")
    if not judged:
        missed.append("the bundle contains no run that could carry it")
    found.step("challenge", missed)
    found.challenged = not missed


def _programme(validated: Validated, found: Verification) -> None:
    """Evidence that does not support a claim is a problem here; a platform that lacks something is not."""
    offered = [error for error in validated.errors if error.rule in EVIDENCE]
    found.step("evidence", [f"{error.rule}, line {error.line}: {error.message}" for error in offered])
    found.errors = len(validated.errors)
    if validated.errors:
        found.notes.append("the programme's rules are not met: see `aiconform certify validate`")


def _certificate(folder: Path, found: Verification) -> None:
    """What the programme recorded; nobody signs it, so it is told and decides nothing."""
    try:
        known = read_certificate(folder)
    except BadCertificate as error:
        found.notes.append(str(error))
        return
    if known.withdrawn:
        found.notes.append(f"the programme has withdrawn it on {known.withdrawn.date}: {known.withdrawn.why}")
    if count := sum(appeal.open for appeal in known.appeals):
        found.notes.append(f"{counted(count, 'appeal')} not decided: see `aiconform certify life`")


def _signature(
    folder: Path,
    policy: Policy,
    files: dict[str, str],
    examined: Examined | None,
    judged: list[JudgedRun],
    found: Verification,
) -> None:
    try:
        content = vouched(folder, policy, datetime.now(UTC))
    except NotAttested as error:
        found.step("signature", [str(error)])
        found.steps["digests"] = None
        return
    found.step("signature", [])
    found.step("policy", content.problems)
    found.vouchers = content.vouchers
    found.signed = {key: content.predicate.get(key) for key in ("by", "signed", "platform", "standard", "cluster")}
    found.step("digests", differing(folder, content.subjects, files))
    found.step("attested", _attested(content.predicate, examined, judged))


def unlike_the_statement(folder: Path, subjects: dict[str, str], predicate: dict[str, Any]) -> list[str]:
    """Where the bundle differs from a statement about it. Raises BadBundle, BadChecklists."""
    (validated,) = validate([folder / FILE], ValidationSettings(offline=True))
    judged = validated.examined.runs.every()[0] if validated.examined else []
    return differing(folder, subjects, digests(folder)) + _attested(predicate, validated.examined, judged)


def _attested(predicate: dict[str, Any], examined: Examined | None, judged: list[JudgedRun]) -> list[str]:
    """Where the bundle differs from what was signed."""
    if examined is None:
        return [f"{FILE} cannot be compared with what was signed"]
    problems = []
    expected: dict[str, Any] = {"platform": platform(examined.submission)}
    if not examined.runs.of_other_releases:
        expected |= {
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
    signed = moment(str(predicate.get("signed", "")))
    for run in judged:
        ended = moment(run.ended)
        if signed and ended and signed < ended - SLACK:
            problems.append(f"it was signed ({predicate['signed']}) before run {run.run} had ended ({run.ended})")
    return problems


def _runs(folder: Path, examined: Examined | None, judged: list[JudgedRun], found: Verification) -> None:
    problems = []
    broken = examined.runs.every()[1] if examined else {}
    for name, why in broken.items():
        if examined and name in examined.runs.of_other_releases:
            found.unread.append(f"runs/{name}: {why}")
        else:
            problems.append(f"runs/{name} is not a finished run: {why}")
    found.runs = len(judged)
    for run in judged:
        found.unread += [f"runs/{run.folder.name}: {text}" for text in run.unread]
        why = converted_run(run.folder) if run.problems else ""
        differences = (why, *run.problems) if why else run.problems
        problems += [f"runs/{run.folder.name}: {difference}" for difference in differences]
        if run.folder.name != run.run:
            problems.append(f"runs/{run.folder.name} holds the run {run.run}")
        found.notes += [f"runs/{run.folder.name}: {note}" for note in run.notes]
        if run.simulated:
            found.notes.append(f"runs/{run.folder.name}: {SIMULATED}")
        if run.redacted:
            found.notes.append(f"runs/{run.folder.name} was redacted: {run.redacted}")
    known = broken.keys() | {run.folder.name for run in judged}
    if known and (strays := sorted(entries(folder) - known)):
        problems.append(f"no run, although beside the runs: {listed([f'{FOLDER}/{name}' for name in strays])}")
    if len({run.cluster.get("uid") for run in judged}) > 1:
        problems.append("the runs are of different clusters")
    found.step("runs", problems)
    if not judged and not broken:
        found.steps["runs"] = None


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
            found.verdicts[requirement] = run.verdicts[requirement]
        elif answer.counts and answer.claim.status.text in CLAIMING:
            found.unshown.append(requirement)
    problems += _artifacts(examined, judged)
    found.grades = validated.grades
    found.shown = _shown(examined, validated.grades)
    found.step("claims", problems)


def _pages(folder: Path, examined: Examined | None, judged: list[JudgedRun], found: Verification) -> None:
    """What people read beside the runs; it can be made again only of runs that hold."""
    if examined is None or not judged or found.unread or not found.steps["runs"]:
        found.steps["pages"] = None
        return
    problems, notes = covered(folder, examined, judged)
    found.step("pages", problems)
    found.notes += notes


def _shown(examined: Examined, grades: dict[str, str]) -> Shown:
    by: dict[str, list[str]] = {"executed": [], "simulated": [], "documents": [], NOT_CLAIMED: []}
    for item in examined.checklist.items:
        if item.level == "MUST":
            grade = grades[item.id]
            by[grade if grade in by else "documents"].append(item.id)
    return Shown(*(tuple(ids) for ids in by.values()))


def _artifacts(examined: Examined, judged: list[JudgedRun]) -> list[str]:
    """Where artifacts contradict the runs beside them."""
    from aiconform.reports.names import go_name

    problems = []
    for _, name, results in results_beside(examined):
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
