"""What changed between two runs: pure functions over what both observed, judged by the same release.

A step is named by what it means to who relies on the platform. worse: it fails now and did not before. undecided: it
was decided before and could not be decided now, which is no failure. better: it holds now. changed: another result
that is neither, such as one that does not apply any more.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from aiconform.engine.evidence import AskedBy, AssertionResult, CheckResult
from aiconform.engine.finished import Finished

Step = Literal["worse", "undecided", "better", "changed", "same"]
STEPS: tuple[Step, ...] = ("worse", "undecided", "better", "changed", "same")
"""What matters most comes first."""
HOLDS = ("pass", "holds", "conformant")
FAILS = ("fail", "broken", "not-conformant")
OPEN = ("error", "not-run", "undecided", "undetermined", "")
"""Results that decide nothing; "" is that of what was not looked at."""
HELD = {True: "holds", False: "broken", None: "undecided"}
LEFT_OUT = "left out"


class CannotCompare(Exception):
    """The text says what the two runs do not have in common, and the way out."""


@dataclass(frozen=True)
class AssertionStep:
    """before, after: `holds`, `broken`, `undecided`, `left out`, or "" where there is no result."""

    id: str
    asked_by: AskedBy
    step: Step
    before: str
    after: str
    reason: str


@dataclass(frozen=True)
class RequirementStep:
    """A requirement that both runs looked at. verdict: the step of its verdict and of its strict one.

    assertions: those whose result is another one.
    """

    id: str
    verdict: Step
    before: CheckResult
    after: CheckResult
    assertions: tuple[AssertionStep, ...]

    @property
    def step(self) -> Step:
        return most_important([self.verdict, *(each.step for each in self.assertions)])


@dataclass(frozen=True)
class Difference:
    """Of the run as a whole: a version, an accelerator, an option. "" where one run has nothing of it."""

    what: str
    before: str
    after: str


@dataclass(frozen=True)
class Between:
    """requirements: those that both runs looked at, in the order of the later one.

    only: ids that only one run looked at, (before, after).
    """

    before: Finished
    after: Finished
    requirements: tuple[RequirementStep, ...]
    only: tuple[tuple[str, ...], tuple[str, ...]]
    unread: tuple[str, ...]
    """Ids of what this release cannot recompute in one of the runs, and so does not compare."""
    run: tuple[Difference, ...]

    @property
    def unknown(self) -> tuple[str, ...]:
        """Ids of which nobody can say whether they got worse, since only one of the runs has something to compare.

        The later run did not look at what was decided before, or found failing what was not looked at before.
        """
        before, after = ({check.id: check for check in run.report.checks} for run in (self.before, self.after))
        gone = (id_ for id_ in self.only[0] if id_ in self.before.unread or _any(before[id_], (*HOLDS, *FAILS)))
        come = (id_ for id_ in self.only[1] if id_ in self.after.unread or _any(after[id_], FAILS))
        return (*self.unread, *gone, *come)

    @property
    def step(self) -> Step:
        """The most important one of all requirements; what is unknown is undecided."""
        unknown: list[Step] = ["undecided"] if self.unknown else []
        return most_important([*(each.step for each in self.requirements), *unknown])


def most_important(steps: Sequence[Step]) -> Step:
    return min(steps, key=STEPS.index, default="same")


def step(before: str, after: str) -> Step:
    """From one result to the next, of a verdict or of an assertion."""
    if before == after:
        return "same"
    if after in FAILS:
        return "worse"
    if after in OPEN:
        return "undecided" if before in HOLDS or before in FAILS else "changed"
    return "better" if after in HOLDS and (before in FAILS or before in OPEN) else "changed"


def between(before: Finished, after: Finished, *, any_version: bool = False) -> Between:
    """Raises CannotCompare for runs without a requirement in common, and for different versions of the standard.

    any_version: the latter are compared, too.
    """
    versions = before.info.standard, after.info.standard
    if versions[0] != versions[1] and not any_version:
        raise CannotCompare(
            f"{before.path} is a run for {versions[0]} and {after.path} one for {versions[1]}, which asks for other "
            f"things (`aiconform spec diff {versions[0]} {versions[1]}`): --any-version compares what both looked at"
        )
    old, new = ({check.id: check for check in run.report.checks} for run in (before, after))
    for id_ in [*old, *new]:
        if all(not_looked_at(each.get(id_), run) for each, run in ((old, before), (new, after))):
            old.pop(id_, None)
            new.pop(id_, None)
    if not old.keys() & new.keys():
        raise CannotCompare(
            f"{before.path} and {after.path} looked at no requirement in common, so nothing can be compared: name runs "
            "of the same requirements (`aiconform report RUN` lists them)"
        )
    unread = tuple(dict.fromkeys(each for each in (*before.unread, *after.unread) if each in old and each in new))
    compared = [requirement_step(old[id_], check) for id_, check in new.items() if id_ in old and id_ not in unread]
    only = tuple(id_ for id_ in old if id_ not in new), tuple(id_ for id_ in new if id_ not in old)
    return Between(before, after, tuple(compared), only, unread, tuple(_of_the_runs(before, after)))


def not_looked_at(check: CheckResult | None, run: Finished) -> bool:
    """Whether a run has nothing of a requirement, such as one that the suite has no check for."""
    return check is None or (check.verdict == "not-run" and check.id not in run.unread)


def requirement_step(before: CheckResult, after: CheckResult) -> RequirementStep:
    """From one result of a requirement to the next, both by the same release."""
    assertions = tuple(_assertions(before, after))
    verdict = most_important([step(before.verdict, after.verdict), step(before.strict, after.strict)])
    return RequirementStep(after.id, verdict, before, after, assertions)


def _assertions(before: CheckResult, after: CheckResult) -> Iterator[AssertionStep]:
    old, new = _results(before), _results(after)
    asked = {each.id: each.asked_by for each in (*before.assertions, *after.assertions)}
    for id_ in dict.fromkeys((*new, *old)):
        (was, _), (is_, why) = old.get(id_, ("", "")), new.get(id_, ("", ""))
        if was != is_:
            yield AssertionStep(id_, asked.get(id_, "programme"), step(was, is_), was, is_, why)


def _any(check: CheckResult, of: Sequence[str]) -> bool:
    """Whether a verdict or an assertion is one of these results."""
    return any(each in of for each in (check.verdict, check.strict, *(held for held, _ in _results(check).values())))


def _results(check: CheckResult) -> dict[str, tuple[str, str]]:
    """Assertion -> (its result, the reason)."""
    judged: Mapping[str, AssertionResult] = {each.id: each for each in check.assertions}
    return {
        **{id_: (HELD[each.holds], each.reason) for id_, each in judged.items()},
        **{id_: (LEFT_OUT, why) for id_, why in check.left_out.items()},
    }


def _of_the_runs(before: Finished, after: Finished) -> Iterator[Difference]:
    old, new = _facts(before), _facts(after)
    for what in dict.fromkeys((*old, *new)):
        if old.get(what, "") != new.get(what, ""):
            yield Difference(what, old.get(what, ""), new.get(what, ""))
    # Releases differ in what can be set: only what both know was chosen otherwise.
    was, is_ = _options(before.info.options), _options(after.info.options)
    for name in was:
        if name in is_ and was[name] != is_[name]:
            yield Difference(f"option {name}", was[name], is_[name])


def _facts(run: Finished) -> dict[str, str]:
    info, report = run.info, run.report
    facts: dict[str, str] = {}
    if not run.unread:
        facts = {"verdict": report.verdict, "strict verdict": report.strict}
    facts |= {
        "scope": "all requirements" if info.chosen is None else "chosen requirements",
        "standard": info.standard,
        "edition of the standard": info.standard_digest,
        "Kubernetes": info.kubernetes,
        "release": f"{info.tool.name} {info.tool.version}",
        "suite": info.suite,
        "cluster": info.cluster.get("uid", ""),
        "server": info.cluster.get("server", ""),
    }
    facts |= {f"extension {each.id}": f"{each.distribution} {each.version} ({each.digest})" for each in info.extensions}
    for each in info.accelerators:
        simulated = ", simulated" if each.simulated else ""
        facts[f"{each.name} on {each.node} ({each.way})"] = f"{each.total} {each.product}".strip() + simulated
    facts |= {f"passed over: {text}": "yes" for text in info.passed_over}
    facts |= {f"left behind: {text}": "yes" for text in report.leaks}
    return facts


def _options(options: Mapping[str, Any]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in options.items():
        if isinstance(value, dict):
            found |= {f"{name}.{each}": str(chosen) for each, chosen in value.items()}
        else:
            found[name] = str(value)
    return found
