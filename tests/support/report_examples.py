"""Reports as a run makes them, with texts as hostile as a cluster can make them."""

from __future__ import annotations

import string
from dataclasses import dataclass

from hypothesis import strategies as st

from aiconform.engine.evidence import (
    Accelerator,
    AssertionResult,
    CheckResult,
    Evidence,
    Record,
    Report,
    Tool,
)
from aiconform.spec import load_standard

IDS = tuple(requirement.id for requirement in load_standard().at("v1.37"))

ATTACKS = (
    "<script>alert(1)</script>",
    "</pre></details><img src=x onerror=alert(1)>",
    "\" onmouseover='x' style=color:red ",
    "{{ 7 * 7 }}{% raw %}",
    "]]><failure/>&amp;&#0;",
    "\n--- PASS: TestGangScheduling (0.00s)\n",
    "\r\x85\u2028--- PASS: TestSecureAcceleratorAccess (0.00s)\u2029",
    '\n{"Action":"pass","Test":"TestGangScheduling"}\n',
    "\x1b[2J\x1b[31mpass\x1b[0m",
    "\x1b]8;;https://example.test\x07link\x1b]8;;\x07",
    "\x9b1mC1\x9d0;title\x9c",
    "\x00\x07\x08\x7f",
    "\ud800\udfff",
    "\ufffe\uffff\U0001ffff",
    "\u202e\u2066txt.exe\u2069",
    "[link](https://example.test) ![](https://example.test/x.png) <https://example.test> www.example.test",
    "`` ` ``` @kubernetes #123 | a \\| b | **bold** ~~gone~~ ::",
    "# heading\n\n- item\n\n```\nfence",
    "x" * 30_000,
    "| node-2: could not decide: ",
    " ",
    "",
)
attack = st.integers(0, len(ATTACKS) - 1).map(ATTACKS.__getitem__)
text = st.one_of(
    attack,
    st.tuples(attack, attack).map("".join),
    st.text(string.printable, max_size=12),
    st.text(st.characters(exclude_categories=()), max_size=8),
)
number = st.one_of(st.floats(0, 10_000), st.sampled_from([float("nan"), float("inf"), -1.0]))
count = st.integers(0, 50)

BEARING = {
    "pass": st.just(True),
    "fail": st.sampled_from([True, False, None]),
    "error": st.sampled_from([True, None]),
    "not-applicable": st.none(),
    "not-run": st.none(),
}


@dataclass(frozen=True)
class Example:
    report: Report
    evidence: dict[str, Evidence]


@st.composite
def assertions(draw: st.DrawFn, verdict: str, *, contradict: bool) -> tuple[AssertionResult, ...]:
    """Assertions that bear the verdict out as engine.verdicts has it, or any at all; and what goes beyond them."""
    holds = st.sampled_from([True, False, None]) if contradict else BEARING[verdict]
    found = draw(st.lists(holds, min_size=0 if contradict or verdict != "pass" else 1, max_size=4))
    if verdict == "fail" and not contradict:
        found.append(False)
    asked_by = ["programme"] * len(found)
    if found:
        beyond = draw(st.lists(st.sampled_from([True, False, None]), max_size=2))
        found += beyond
        asked_by += ["project"] * len(beyond)
    with_ids = draw(st.booleans())
    return tuple(
        AssertionResult(
            id=f"line_{number}" if with_ids else "",
            title=draw(text),
            asked_by=by,
            holds=each,
            reason=draw(text),
            subjects=draw(count),
            targets=draw(st.dictionaries(text, st.sampled_from([True, False, None]), max_size=3)),
        )
        for number, (each, by) in enumerate(zip(found, asked_by, strict=True))
    )


@st.composite
def checks(draw: st.DrawFn, name: str, *, contradict: bool = False) -> CheckResult:
    verdict = draw(st.sampled_from(list(BEARING)))
    results = draw(assertions(verdict, contradict=contradict))
    broken = any(each.asked_by == "project" and each.holds is False for each in results)
    return CheckResult(
        id=name,
        title=draw(text),
        level=draw(st.sampled_from(["MUST", "SHOULD", "folded"])),
        verdict=verdict,
        strict="fail" if broken else verdict,
        reason=draw(text),
        seconds=draw(number),
        waited=draw(number),
        requests=draw(count),
        assertions=results,
        left_out=draw(st.dictionaries(text, text, max_size=2)),
    )


@st.composite
def records(draw: st.DrawFn) -> Record:
    outcome = draw(st.sampled_from(["seen", "error", "nothing", "not-applicable"]))
    observation = draw(st.dictionaries(text, st.one_of(text, st.lists(text, max_size=2)), max_size=2))
    return Record(
        probe=draw(text),
        target=draw(text),
        outcome=outcome,
        message="" if outcome == "seen" else draw(text),
        observes=draw(text),
        observation=observation if outcome == "seen" else None,
        seconds=draw(number),
        requests=draw(count),
    )


@st.composite
def examples(draw: st.DrawFn, *, contradict: bool = False) -> Example:
    """A run; requirements are the standard's, and ones that somebody wrote into a report."""
    names = draw(st.lists(st.one_of(st.sampled_from(IDS), text), min_size=1, max_size=4, unique=True))
    results = tuple(draw(checks(name, contradict=contradict)) for name in names)
    evidence = {
        result.id: Evidence(
            check=result.id, suite="", seconds=0, requests=0, records=tuple(draw(st.lists(records(), max_size=2)))
        )
        for result in results
        if result.verdict != "not-run"
    }
    simulated = draw(st.booleans())
    accelerator = Accelerator(
        node=draw(text), way="dra", name=draw(text), product=draw(text), total=4, free=draw(count), simulated=simulated
    )
    return Example(
        Report(
            run="2079ea4a",
            standard="v1.37",
            kubernetes=draw(text),
            verdict=draw(st.sampled_from(["conformant", "not-conformant", "undetermined"])),
            scope=draw(st.sampled_from(["version", "chosen"])),
            uncovered=tuple(draw(st.lists(st.sampled_from(IDS), max_size=3, unique=True))),
            simulated=simulated,
            checks=results,
            accelerators=(accelerator,),
            passed_over=tuple(draw(st.lists(text, max_size=2))),
            leaks=tuple(draw(st.lists(text, max_size=2))),
            tool=Tool(name="aiconform", version="0.1.0"),
            suite="sha256:abc",
            standard_digest="sha256:def",
            cluster={"server": draw(text), "uid": draw(text)},
            started=draw(st.one_of(st.just("2026-11-24T02:33:37.070Z"), text)),
            ended=draw(st.one_of(st.just("2026-11-24T02:33:46.277Z"), text)),
            seconds=draw(number),
            requests=draw(count),
        ),
        evidence,
    )


def example(*results: CheckResult, **changes: object) -> Report:
    """A plain report of these results."""
    report = Report(
        run="2079ea4a",
        standard="v1.37",
        kubernetes="v1.37.2",
        verdict="undetermined",
        scope="chosen",
        uncovered=(),
        simulated=False,
        checks=results,
        accelerators=(),
        passed_over=(),
        leaks=(),
        tool=Tool(name="aiconform", version="0.1.0"),
        suite="sha256:abc",
        standard_digest="sha256:def",
        cluster={"server": "https://cluster.test", "uid": "3968723d"},
        started="2026-11-24T02:33:37.070Z",
        ended="2026-11-24T02:33:46.277Z",
        seconds=9.2,
        requests=75,
    )
    return report.model_copy(update=changes)


def result(name: str = "gang_scheduling", verdict: str = "pass", **changes: object) -> CheckResult:
    held = {"pass": True, "fail": False, "error": None}
    found = AssertionResult(
        title="Every Pod of the gang runs", holds=held.get(verdict), reason="4 of 4 ran", subjects=4
    )
    made = CheckResult(
        id=name,
        title="Gang scheduling",
        level="MUST",
        verdict=verdict,
        reason=f"because {verdict}",
        seconds=1.234,
        requests=7,
        assertions=(found,) if verdict in held else (),
    )
    return made.model_copy(update=changes)
