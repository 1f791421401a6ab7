"""What a report says in words, the same in every format: the verdict, what it speaks of, and what it leaves open."""

from __future__ import annotations

import math
from collections.abc import Sequence

from aiconform.engine.evidence import CheckResult, Evidence, Report
from aiconform.engine.verdicts import excused
from aiconform.spec import load_standard

SIMULATED = "Accelerators were simulated: this says nothing about real hardware."
VERDICT_WORDS = {"conformant": "Conformant", "not-conformant": "Not conformant", "undetermined": "Undetermined"}
# Between what one assertion found on several targets (see engine.verdicts).
SEPARATOR = " | "
# In the order in which a reader wants them: what is wrong first.
CHECK_WORDS = {
    "fail": "failed",
    "error": "undecided",
    "pass": "passed",
    "not-applicable": "not applicable",
    "not-run": "not run",
}


def headline(report: Report) -> str:
    """The verdict with what it is about: never a bare "conformant" for a part of the version."""
    word = VERDICT_WORDS[report.verdict]
    if report.scope == "chosen":
        return f"{word} on {counted(len(report.checks), 'chosen requirement')}"
    return f"{word} with {report.standard}" if report.verdict != "undetermined" else f"{word} for {report.standard}"


def statements(report: Report) -> tuple[str, ...]:
    """Sentences that say why the verdict is what it is, and what it does not say. Requirements by their ids."""
    said = []
    counting = [check for check in report.checks if report.scope == "chosen" or check.level != "SHOULD"]
    failed = [check.id for check in counting if check.verdict == "fail"]
    undecided = [check.id for check in counting if check.verdict == "error"]
    inapplicable = [check.id for check in counting if check.verdict == "not-applicable" and not _may(check)]
    missing = [check.id for check in counting if check.verdict == "not-run"]
    if report.verdict == "conformant":
        what = "chosen requirement" if report.scope == "chosen" else "requirement that counts"
        aside = any(check.verdict == "not-applicable" for check in counting)
        said.append(f"Every {what} passed{', or does not apply where the programme allows that' if aside else ''}.")
    if failed:
        said.append(f"Failed: {', '.join(failed)}.")
    if undecided:
        said.append(f"Could not be decided: {', '.join(undecided)}.")
    if inapplicable:
        said.append(f"Said not to apply, which the programme does not allow: {', '.join(inapplicable)}.")
    if missing:
        said.append(f"Not run: {', '.join(missing)}.")
    if report.verdict == "undetermined" and len(said) == 0:
        said.append("Nothing was decided.")
    unseen = [entry for entry in report.uncovered if entry not in missing]
    if unseen:
        left = counted(len(unseen), f"MUST requirement of {report.standard}", f"MUST requirements of {report.standard}")
        said.append(f"Says nothing about {left}: {', '.join(unseen)}.")
    return (*said, *filter(None, [beyond(report)]))


def beyond(report: Report) -> str:
    """What goes beyond the programme's own words, and the verdict with it; empty if nothing does."""
    added = [(check, result) for check in report.checks for result in check.assertions if result.asked_by == "project"]
    if not added:
        return ""
    held = sum(result.holds is True for _, result in added)
    text = f"Beyond the programme's words: {held} of {counted(len(added), 'assertion')} hold"
    for word, holds in (("broken", False), ("undecided", None)):
        if names := [f"{check.id}/{result.id}" for check, result in added if result.holds is holds]:
            text += f"; {word}: {', '.join(names)}"
    return f"{text}. Strict verdict: {VERDICT_WORDS[report.strict].lower()}."


def tally(checks: Sequence[CheckResult]) -> tuple[tuple[str, int], ...]:
    """(check verdict, how many), what is wrong first; verdicts that no check has are left out."""
    counts = {verdict: sum(1 for check in checks if check.verdict == verdict) for verdict in CHECK_WORDS}
    return tuple((verdict, count) for verdict, count in counts.items() if count)


def counted(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"


def finite(seconds: float) -> float:
    """JSON and XML readers choke on NaN and infinity, which a report from elsewhere may hold."""
    return max(0.0, seconds) if math.isfinite(seconds) else 0.0


def duration(seconds: float) -> str:
    seconds = finite(seconds)
    if round(seconds, 1) < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"


def _may(check: CheckResult) -> bool:
    return excused(check, load_standard())


def findings(check: CheckResult) -> str:
    """What the assertions came to, in a few words; empty if there are none."""
    held = [result.holds for result in check.assertions]
    if not held:
        return ""
    open_ = held.count(None)
    text = f"{held.count(True)} of {counted(len(held), 'assertion')} hold"
    if False in held:
        text += f", {held.count(False)} broken"
    return text + (f", {open_} undecided" if open_ else "")


def by_target(reason: str, targets: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """(target, what was found there) of an assertion's reason; the target is empty where the reason names none."""
    parts = []
    for part in reason.split(SEPARATOR):
        # The longest first: one target's name may begin like another's.
        named = (each for each in sorted(targets, key=len, reverse=True) if part.startswith(f"{each}: "))
        target = next(named, "")
        parts.append((target, part[len(target) + 2 :] if target else part))
    return tuple(parts)


def targets_of(evidence: Evidence | None) -> tuple[str, ...]:
    return tuple(dict.fromkeys(record.target for record in evidence.records)) if evidence else ()
