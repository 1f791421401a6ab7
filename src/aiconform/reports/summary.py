"""What a report says in words, the same in every format: both verdicts, their scope, and what they leave open."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from aiconform.check.registry import extended_standard
from aiconform.engine.evidence import Accelerator, AssertionResult, CheckResult, Evidence, Report
from aiconform.engine.verdicts import counting, enters, excused
from aiconform.reports.facts import remediation_of

BEYOND = "Beyond the programme's words"
EXTENSIONS = "Extensions: never part of a version's verdict"
SIMULATED = "Accelerators were simulated: this says nothing about real hardware."
VERDICT_WORDS = {"conformant": "Conformant", "not-conformant": "Not conformant", "undetermined": "Undetermined"}
# Separates what one assertion found on each of several targets (see engine.verdicts).
SEPARATOR = " | "
# What is wrong comes first.
CHECK_WORDS = {
    "fail": "failed",
    "error": "undecided",
    "pass": "passed",
    "not-applicable": "not applicable",
    "not-run": "not run",
}


def headline(report: Report) -> str:
    """The verdict and its scope: never a bare "conformant" for a part of the version."""
    word = VERDICT_WORDS[report.verdict]
    if report.scope == "chosen":
        return f"{word} on {counted(len(report.checks), 'chosen requirement')}"
    return f"{word} with {report.standard}" if report.verdict != "undetermined" else f"{word} for {report.standard}"


def statements(report: Report) -> tuple[str, ...]:
    """Sentences on the reasons for the verdict, on what it does not cover, and on what goes beyond the programme.

    Requirements and assertions are named by their ids.
    """
    sentences = []
    checks = counting_checks(report)
    failed = [check.id for check in checks if check.verdict == "fail"]
    undecided = [check.id for check in checks if check.verdict == "error"]
    inapplicable = [check.id for check in checks if check.verdict == "not-applicable" and not _may(check)]
    missing = [check.id for check in checks if check.verdict == "not-run"]
    if report.verdict == "conformant":
        what = "chosen requirement" if report.scope == "chosen" else "requirement that counts"
        aside = any(check.verdict == "not-applicable" for check in checks)
        sentences.append(
            f"Every {what} passed{', or does not apply where the programme allows that' if aside else ''}."
        )
    if failed:
        sentences.append(f"Failed: {', '.join(failed)}.")
    if undecided:
        sentences.append(f"Could not be decided: {', '.join(undecided)}.")
    if inapplicable:
        sentences.append(f"Reported as not applicable, which the programme does not allow: {', '.join(inapplicable)}.")
    if missing:
        sentences.append(f"Not run: {', '.join(missing)}.")
    if report.verdict == "undetermined" and len(sentences) == 0:
        sentences.append("Nothing was decided.")
    unseen = [entry for entry in report.uncovered if entry not in missing]
    if unseen:
        left = counted(len(unseen), f"MUST requirement of {report.standard}", f"MUST requirements of {report.standard}")
        sentences.append(f"Says nothing about {left}: {', '.join(unseen)}.")
    return (*sentences, *filter(None, [beyond(report)]), *_extensions(report))


def counting_checks(report: Report) -> list[CheckResult]:
    """The checks that the verdict depends on."""
    return [check for check in report.checks if enters(check, chosen=report.scope == "chosen")]


def is_extension(check: CheckResult) -> bool:
    """Whether the requirement is an extension, which is never part of a version's verdict."""
    return check.level == "extension"


def going_beyond(check: CheckResult) -> tuple[AssertionResult, ...]:
    """The assertions that the strict verdict alone depends on."""
    asked = counting(check.assertions)
    return tuple(result for result in check.assertions if result not in asked)


def named(check: CheckResult, result: AssertionResult) -> str:
    """`check/assertion`; empty in reports that were made before assertions had ids."""
    return f"{check.id}/{result.id}" if result.id else ""


def beyond(report: Report) -> str:
    """What goes beyond the programme's own words, and the verdict with it; empty if nothing does."""
    checks = [check for check in report.checks if not is_extension(check)]
    added = [(check, result) for check in checks for result in going_beyond(check)]
    if not added:
        return ""
    held = sum(result.holds is True for _, result in added)
    text = f"Beyond the programme's words: {held} of {len(added)} assertions hold"
    for word, holds in (("broken", False), ("undecided", None)):
        if names := [named(check, result) for check, result in added if result.holds is holds]:
            text += f"; {word}: {', '.join(names)}"
    return f"{text}. Strict verdict: {VERDICT_WORDS[report.strict].lower()}."


def _extensions(report: Report) -> Iterator[str]:
    for verdict, word in (("fail", "failed"), ("error", "undecided")):
        others = (check for check in report.checks if is_extension(check) and check not in counting_checks(report))
        found = [check.id for check in others if check.verdict == verdict]
        if found:
            yield f"Extensions, which the verdict does not depend on, {word}: {', '.join(found)}."


def remedy(check: CheckResult) -> str:
    """What to do about a failed check, by the programme's words or beyond them; empty if it did not fail."""
    return remediation_of(check.id) if "fail" in (check.verdict, check.strict) else ""


def split(report: Report) -> tuple[tuple[CheckResult, ...], tuple[CheckResult, ...]]:
    """(the requirements of the standard, the extensions)."""
    extensions = tuple(check for check in report.checks if is_extension(check))
    return tuple(check for check in report.checks if not is_extension(check)), extensions


def check_verdict(check: CheckResult) -> str:
    """The verdict, and the strict one where that is another."""
    return check.verdict if check.strict == check.verdict else f"{check.verdict} (strict: {check.strict})"


def way(accelerator: Accelerator) -> str:
    """How the platform offers the accelerator, in words."""
    return {"dra": "DRA", "device-plugin": "device plugin"}.get(accelerator.way, accelerator.way)


def tally(checks: Sequence[CheckResult]) -> tuple[tuple[str, int], ...]:
    """(check verdict, how many), what is wrong first; verdicts that no check has are left out."""
    counts = {verdict: sum(1 for check in checks if check.verdict == verdict) for verdict in CHECK_WORDS}
    return tuple((verdict, count) for verdict, count in counts.items() if count)


def counted(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"


def finite(seconds: float) -> float:
    """JSON and XML readers refuse NaN and infinity, which a foreign report may contain."""
    return max(0.0, seconds) if math.isfinite(seconds) else 0.0


def duration(seconds: float) -> str:
    seconds = finite(seconds)
    if round(seconds, 1) < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"


def spent(check: CheckResult) -> str:
    """How long a check worked, and what it waited beside that if people would notice it."""
    waited = f" (waited {duration(check.waited)} for accelerators or its turn)" if finite(check.waited) >= 1 else ""
    return f"{duration(check.seconds)}{waited}"


def _may(check: CheckResult) -> bool:
    return excused(check, extended_standard())


def assertion_counts(check: CheckResult) -> str:
    """The results of the assertions in a few words, what goes beyond the programme apart; empty if there are none."""
    text = _tally([result.holds for result in counting(check.assertions)])
    beyond = [result.holds for result in going_beyond(check)]
    return f"{text}; beyond the programme: {_tally(beyond)}" if beyond else text


def _tally(held: Sequence[bool | None]) -> str:
    if not held:
        return ""
    open_ = held.count(None)
    text = f"{held.count(True)} of {len(held)} assertions hold"
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


def where(result: AssertionResult) -> str:
    """On which targets an assertion holds; empty if one target alone was looked at."""
    if len(result.targets) < 2:
        return ""
    found = {
        word: [target for target, held in result.targets.items() if held is holds]
        for word, holds in (("not on", False), ("undecided on", None))
    }
    others = "; ".join(f"{word} {' and '.join(names)}" for word, names in found.items() if names)
    held = list(result.targets.values()).count(True)
    return f"holds on {held} of {len(result.targets)}" + (f": {others}" if others else "")


def differing(check: CheckResult) -> str:
    """The assertions that hold on some targets of a check only, by id; empty if there are none."""
    return "; ".join(
        f"{result.id or result.title} {where(result)}"
        for result in check.assertions
        if result.holds is not True and True in result.targets.values()
    )


def targets_of(evidence: Evidence | None) -> tuple[str, ...]:
    return tuple(dict.fromkeys(record.target for record in evidence.records)) if evidence else ()
