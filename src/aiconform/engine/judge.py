"""Every verdict of a run computed again from its observations alone, without a cluster."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from aiconform.check.registry import NoSuchCheck, load_check
from aiconform.engine import journal
from aiconform.engine.evidence import CheckResult, Report, RunInfo
from aiconform.engine.plan import suite_digest
from aiconform.engine.rundir import BadRunDirectory, RunDirectory
from aiconform.engine.verdicts import UnreadableEvidence, judge_check, judge_run, not_run
from aiconform.spec import Standard, UnknownRequirement, UnknownVersion


@dataclass(frozen=True)
class Judgement:
    """What was computed, and where it differs from what the run says.

    differences: a verdict, a finding or a file is not what it should be. notes: why a difference may be honest
    (another version of the suite or of the standard).
    """

    report: Report
    differences: tuple[str, ...]
    notes: tuple[str, ...]


def judge(path: Path, standard: Standard) -> Judgement:
    """Raises BadRunDirectory if the folder is not a finished run."""
    directory = RunDirectory(path)
    info, report = directory.read_info(), directory.read_report()
    differences = _chain(directory, info, report)
    results = []
    for claimed in report.checks:
        computed, problem = _again(directory, info, claimed, standard)
        if problem:
            differences.append(problem)
        differences += _compare(claimed, computed)
        results.append(computed)
    verdict = judge_run(results, chosen=info.chosen is not None)
    if verdict != report.verdict:
        differences.append(f"the run says {report.verdict}; its observations say {verdict}")
    differences += _about(info, report, standard)
    notes = []
    if info.suite != suite_digest():
        notes.append(f"the run was judged by another version of the suite ({info.suite}; this is {suite_digest()})")
    if info.standard_digest != standard.digest:
        notes.append(f"the run was held to another edition of the standard ({info.standard_digest})")
    computed_report = report.model_copy(update={"checks": tuple(results), "verdict": verdict})
    return Judgement(computed_report, tuple(differences), tuple(notes))


def _again(directory: RunDirectory, info: RunInfo, claimed: CheckResult, standard: Standard) -> tuple[CheckResult, str]:
    """(the result that the observations give, a problem or "")."""
    unread = claimed.model_copy(update={"verdict": "not-run", "reason": "cannot be recomputed", "assertions": ()})
    try:
        requirement = standard.requirement(claimed.id)
        level = requirement.level_at(info.standard)
    except (UnknownRequirement, UnknownVersion) as error:
        return unread, f"{claimed.id}: {error}"
    if level is None:
        return unread, f"{claimed.id}: not on the list of {info.standard}"
    if claimed.id not in directory.evidence_ids():
        return not_run(requirement, level, claimed.reason), ""
    try:
        evidence, _ = directory.read_evidence(claimed.id)
        return judge_check(requirement, level, load_check(claimed.id), evidence), ""
    except (BadRunDirectory, UnreadableEvidence, NoSuchCheck) as error:
        return unread, str(error)


def _compare(claimed: CheckResult, computed: CheckResult) -> list[str]:
    found = []
    if claimed.verdict != computed.verdict:
        found.append(f"{claimed.id}: the report says {claimed.verdict}; the observations say {computed.verdict}")
    for one, other in zip(claimed.assertions, computed.assertions, strict=False):
        if one != other:
            found.append(
                f"{claimed.id}: {one.title}: the report says {one.holds} ({one.reason}); "
                f"the observations say {other.holds} ({other.reason})"
            )
    if len(claimed.assertions) != len(computed.assertions):
        found.append(
            f"{claimed.id}: {len(claimed.assertions)} assertions reported, {len(computed.assertions)} computed"
        )
    if not found and claimed != computed:
        fields = [name for name in CheckResult.model_fields if getattr(claimed, name) != getattr(computed, name)]
        found.append(f"{claimed.id}: the report and the observations differ in {', '.join(fields)}")
    return found


def _chain(directory: RunDirectory, info: RunInfo, report: Report) -> list[str]:
    """The journal's chain, its head, and the digests of the observations that it recorded."""
    try:
        lines = list(journal.read(directory.journal.path))
    except (journal.BrokenChain, OSError) as error:
        return [f"the journal: {error}"]
    raw = directory.journal.path.read_bytes()
    found = []
    last = raw.rstrip(b"\n").rpartition(b"\n")[2]
    if not raw.endswith(b"\n") or journal.hash_line(last) != info.journal:
        found.append("the journal does not end with the line that run.json names")
    begun = next((line.data for line in lines if line.event == "started"), None)
    if begun != info.model_copy(update={"ended": "", "journal": ""}).model_dump(mode="json"):
        found.append("run.json is not what the journal says was started")
    recorded = {line.data["check"]: line.data["digest"] for line in lines if line.event == "observed"}
    for check in sorted({*recorded, *directory.evidence_ids()}):
        try:
            _, digest = directory.read_evidence(check)
        except BadRunDirectory as error:
            found.append(str(error))
            continue
        if digest != recorded.get(check):
            found.append(f"observations/{check}.json is not what the journal recorded")
    for missing in sorted({*recorded} - {result.id for result in report.checks}):
        found.append(f"{missing}: observed, but not in the report")
    verdicts = {line.data["check"]: line.data["verdict"] for line in lines if line.event == "judged"}
    for result in report.checks:
        if verdicts.get(result.id) != result.verdict:
            found.append(f"{result.id}: the journal says {verdicts.get(result.id)}, the report {result.verdict}")
    return found


def _about(info: RunInfo, report: Report, standard: Standard) -> list[str]:
    """The report's own statements about the run."""
    found = [
        f"the report's {name} is not that of run.json"
        for name in sorted(Report.model_fields.keys() & RunInfo.model_fields.keys())
        if getattr(report, name) != getattr(info, name)
    ]
    if report.scope != ("version" if info.chosen is None else "chosen"):
        found.append("the report's scope is not that of run.json")
    if report.simulated != any(entry.simulated for entry in info.accelerators):
        found.append("the report hides or invents that accelerators were simulated")
    try:
        listed = standard.at(info.standard)
    except UnknownVersion as error:
        return [*found, str(error)]
    reported = {result.id for result in report.checks}
    expected = {requirement.id for requirement in listed} if info.chosen is None else set(info.chosen)
    if reported != expected:
        found.append(
            f"the report should speak of {', '.join(sorted(expected))}; it speaks of {', '.join(sorted(reported))}"
        )
    return found
