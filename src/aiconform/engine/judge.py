"""Recomputes every verdict of a run from its observations, without a cluster."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from aiconform.check.registry import NoSuchCheck, extension_ids, load_check, load_extension_check
from aiconform.engine import journal
from aiconform.engine.contradictions import contradictions
from aiconform.engine.evidence import AssertionResult, CheckResult, Evidence, Report, RunInfo
from aiconform.engine.integrity import unlike_the_journal
from aiconform.engine.plan import is_of, suite_digest
from aiconform.engine.rundir import BadRunDirectory, RunDirectory, of_release
from aiconform.engine.verdicts import UnreadableEvidence, judge_check, judge_run, level_of, not_run
from aiconform.spec import SpecError, Standard, UnknownRequirement, UnknownVersion


@dataclass(frozen=True)
class Judgement:
    """The recomputed report, and where it differs from the run's own.

    differences: a verdict, a finding or a file is not what it should be, or two of them cannot both be true. unread:
    what this release cannot recompute, and which one can: neither a difference nor agreement. notes: what another
    version of the suite or of the standard words differently or asks more of.
    """

    report: Report
    differences: tuple[str, ...]
    notes: tuple[str, ...]
    unread: tuple[str, ...] = ()

    @property
    def agrees(self) -> bool:
        return not self.differences and not self.unread


def judge(path: Path, standard: Standard) -> Judgement:
    """Raises BadRunDirectory if the folder is not a finished run; OfAnotherRelease if only a newer release reads it."""
    directory = RunDirectory(path)
    directory.refuse_unusual()
    info, report = directory.read_info(), directory.read_report()
    lines, differences = _lines(directory)
    if not differences:  # a journal without a line is unbroken, and unlike every run
        differences += unlike_the_journal(directory, info, report, lines)
    same_edition = info.standard_digest == standard.digest
    reworded: list[str] = []
    unread: list[str] = []
    results = []
    read: dict[str, Evidence] = {}
    for claimed in report.checks:
        try:
            computed = _again(directory, info, claimed, standard, read)
        except BadRunDirectory as error:
            differences.append(str(error))
            computed = _not_recomputed(claimed)
        except (UnreadableEvidence, NoSuchCheck, SpecError, LookupError) as error:
            results.append(_not_recomputed(claimed))
            beyond_us = _of_another_release(error, claimed.id, info, standard)
            (unread if beyond_us else differences).append(f"{claimed.id}: {beyond_us or error}")
            continue
        found = compare(claimed, computed)
        differences += found.differences
        if same_edition and _same_code(claimed.id, info):
            differences += found.wording
        else:
            reworded += found.wording
        results.append(computed)
    chosen = info.chosen is not None
    verdict = judge_run(results, standard, chosen=chosen)
    strict = judge_run(results, standard, chosen=chosen, strict=True)
    # A run made before there were two verdicts has the strict one.
    expected = strict if any(map(has_no_ids, report.checks)) else verdict
    if (report.verdict, report.strict) != (expected, strict) and not unread:
        said = " and ".join(dict.fromkeys((report.verdict, f"{report.strict} (strict)")))
        differences.append(f"the run says {said}; its observations say {expected} and {strict} (strict)")
    differences += _about(info, report, standard, read) if not unread else []
    try:
        identity = directory.read_identity()
    except BadRunDirectory as error:
        identity = None
        differences.append(str(error))
    differences += contradictions(info, report, read, identity, lines, datetime.now(UTC))
    notes = []
    if not is_of(info.kubernetes, info.standard):
        notes.append(f"the run, for {info.standard}, is of a cluster of {info.kubernetes}: it certifies nothing")
    if info.suite != suite_digest():
        notes.append(f"the run was judged by another version of the suite ({info.suite}; this is {suite_digest()})")
    if info.standard_digest != standard.digest:
        notes.append(f"the run was judged by another edition of the standard ({info.standard_digest})")
    notes += _other_extensions(info)
    if reworded:
        notes.append(f"{len(reworded)} texts of the report are worded differently; the verdicts do not depend on them")
    computed_report = report.model_copy(update={"checks": tuple(results), "verdict": verdict, "strict": strict})
    return Judgement(computed_report, tuple(differences), tuple(notes), tuple(unread))


def _lines(directory: RunDirectory) -> tuple[list[journal.JournalEntry], list[str]]:
    """(the lines of an unbroken journal, what is wrong with it)."""
    try:
        return list(journal.read(directory.journal.path)), []
    except (journal.BrokenChain, OSError) as error:
        return [], [f"the journal: {error}"]


def _again(
    directory: RunDirectory, info: RunInfo, claimed: CheckResult, standard: Standard, read: dict[str, Evidence]
) -> CheckResult:
    """The result that the observations give, which are added to `read`.

    Raises BadRunDirectory for a file that is malformed; UnreadableEvidence, NoSuchCheck, SpecError or LookupError for
    what only another release or an extension knows.
    """
    if claimed.id in directory.evidence_ids():
        read[claimed.id] = directory.read_evidence(claimed.id)[0]
    requirement = standard.requirement(claimed.id)
    level_of(requirement, info.standard)
    if claimed.id not in read:
        return not_run(requirement, info.standard, claimed.reason)
    return judge_check(requirement, info.standard, load_check(claimed.id), read[claimed.id])


def _not_recomputed(claimed: CheckResult) -> CheckResult:
    nothing = {"verdict": "not-run", "strict": "not-run", "reason": "cannot be recomputed", "assertions": ()}
    return claimed.model_copy(update=nothing)


def _of_another_release(error: Exception, check: str, info: RunInfo, standard: Standard) -> str:
    """Which release, or version of an extension, can recompute a check that this one cannot; "" if this one should."""
    brought = next((each for each in info.extensions if each.id == check), None)
    if brought:
        absent = isinstance(error, UnknownRequirement) or bool(_other_extensions(info, check))
        return f"it needs {brought.distribution} {brought.version}, which is not installed" if absent else ""
    same = info.suite == suite_digest() and info.standard_digest == standard.digest
    return "" if same else f"{error} ({of_release(info.tool)})"


def _same_code(check: str, info: RunInfo) -> bool:
    """Whether the run judged this check by the code that is installed here."""
    if "." not in check:
        return info.suite == suite_digest()
    return not _other_extensions(info, check)


def _other_extensions(info: RunInfo, check: str = "") -> list[str]:
    """Notes on the run's extensions (or on that of one check) of which another version is installed here."""
    found = []
    for then in info.extensions:
        if then.id not in extension_ids() or check not in ("", then.id):
            continue
        now = load_extension_check(then.id).origin
        if now.digest != then.digest:
            found.append(
                f"{then.id} was judged by another version of {then.distribution} ({then.version}, {then.digest}; "
                f"this is {now.distribution} {now.version}, {now.digest})"
            )
    return found


def has_no_ids(claimed: CheckResult) -> bool:
    """Whether this result was made before assertions had ids, when there was one verdict, over all assertions."""
    return bool(claimed.assertions) and not any(result.id for result in claimed.assertions)


def without_ids(computed: CheckResult) -> CheckResult:
    """The result as it was reported before assertions had ids."""
    plain = tuple(each.model_copy(update={"id": "", "asked_by": "programme"}) for each in computed.assertions)
    return computed.model_copy(update={"verdict": computed.strict, "assertions": plain})


@dataclass(frozen=True)
class Comparison:
    """differences: in a verdict or a finding. wording: only in a text."""

    differences: tuple[str, ...]
    wording: tuple[str, ...]


def compare(claimed: CheckResult, computed: CheckResult) -> Comparison:
    """Compare a reported result with the one computed from its observations."""
    without_ids = has_no_ids(claimed)
    differences, wording = [], []
    expected = computed.strict if without_ids else computed.verdict
    if claimed.verdict != expected:
        differences.append(f"{claimed.id}: the report says {claimed.verdict}; the observations say {expected}")
    if claimed.strict != computed.strict:
        differences.append(
            f"{claimed.id}: the report says {claimed.strict} (strict); the observations say {computed.strict}"
        )
    pairs, unmatched = _matched(claimed, computed)
    differences += unmatched
    for one, other in pairs:
        # Reports made before targets were recorded have none.
        if one.targets and one.targets != other.targets:
            differences.append(
                f"{claimed.id}/{other.id}: the report and the observations differ in where it holds: "
                f"{one.targets} and {other.targets}"
            )
        if (one.holds, one.subjects) != (other.holds, other.subjects):
            differences.append(
                f"{claimed.id}/{other.id}: the report says {one.holds} over {one.subjects} ({one.reason}); "
                f"the observations say {other.holds} over {other.subjects} ({other.reason})"
            )
        elif one.reason != other.reason:
            wording.append(
                f"{claimed.id}/{other.id}: the report says {one.reason}; the observations say {other.reason}"
            )
        elif one.title != other.title or (one.asked_by != other.asked_by and not without_ids):
            wording.append(f"{claimed.id}/{other.id}: the report says {one.title} (asked by the {one.asked_by})")
    if claimed.left_out and claimed.left_out != computed.left_out:
        names = [", ".join(each.left_out) or "nothing" for each in (claimed, computed)]
        left = f"{claimed.id}: the report leaves out {names[0]}; the observations leave out {names[1]}"
        (wording if claimed.left_out.keys() == computed.left_out.keys() else differences).append(left)
    said, found = ((each.seconds, each.waited, each.requests) for each in (claimed, computed))
    if said != found:
        differences.append(f"{claimed.id}: the report says {said} (seconds, waited, requests), not {found}")
    if claimed.title != computed.title:
        wording.append(f"{claimed.id}: the report says {claimed.title}; the standard says {computed.title}")
    if claimed.reason != computed.reason and not (differences or wording):
        wording.append(f"{claimed.id}: the report says {claimed.reason}; the observations say {computed.reason}")
    if claimed.level != computed.level:
        differences.append(f"{claimed.id}: the report says {claimed.level}; the standard says {computed.level}")
    return Comparison(tuple(differences), tuple(wording))


def _matched(
    claimed: CheckResult, computed: CheckResult
) -> tuple[list[tuple[AssertionResult, AssertionResult]], list[str]]:
    """(pairs of the same assertion, what has no counterpart): by id, or by title where the report has no ids."""
    left = {result.id: result for result in computed.assertions}
    pairs, unmatched = [], []
    for one in claimed.assertions:
        id_ = one.id or _id_of(claimed.id, one.title)
        if id_ in left:
            pairs.append((one, left.pop(id_)))
        else:
            unmatched.append(f"{claimed.id}/{id_ or one.title}: reported, but not computed")
    # Of an assertion that is newer than the run, nothing was observed.
    more = [id_ for id_, result in left.items() if result.holds is not None or result.targets]
    return pairs, unmatched + [f"{claimed.id}/{id_}: computed, but not reported" for id_ in more]


def _id_of(check: str, title: str) -> str:
    """The id of the assertion that has, or once had, this title; empty if none has."""
    try:
        known = load_check(check).assertions
    except NoSuchCheck:
        return ""
    return next((declared.id for declared in known if title in (declared.title, *declared.formerly)), "")


def _about(info: RunInfo, report: Report, standard: Standard, observed: Mapping[str, Evidence]) -> list[str]:
    """Differences between the report and run.json, and what was observed."""
    found = [
        f"the report's {name} differs from that of run.json"
        for name in sorted(Report.model_fields.keys() & RunInfo.model_fields.keys())
        if getattr(report, name) != getattr(info, name)
    ]
    if report.scope != ("version" if info.chosen is None else "chosen"):
        found.append("the report's scope differs from that of run.json")
    if report.simulated != any(entry.simulated for entry in info.accelerators):
        found.append("the report is wrong about whether accelerators were simulated")
    try:
        listed = standard.at(info.standard)
    except UnknownVersion as error:
        return [*found, str(error)]
    uncovered = {each.id for each in listed if level_of(each, info.standard) == "MUST" and each.id not in observed}
    # In runs of the first format this also followed from what an earlier suite had checks for.
    if info.format >= 2 and set(report.uncovered) != uncovered:
        found.append(f"the report leaves {_names(report.uncovered)} uncovered; the observations {_names(uncovered)}")
    reported = {result.id for result in report.checks}
    whole = {requirement.id for requirement in listed} | {each.id for each in info.extensions}
    expected = whole if info.chosen is None else set(info.chosen)
    if reported != expected:
        found.append(f"the report should cover {', '.join(sorted(expected))}; it covers {', '.join(sorted(reported))}")
    return found


def _names(ids: Iterable[str]) -> str:
    return ", ".join(sorted(ids)) or "nothing"
