"""The run as output of `go test`: the events of `go test -json`, and the log that their outputs make."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from aiconform.engine.evidence import Evidence, Report
from aiconform.reports.cases import Case, CaseOutcome, cases_of, conclusion, source
from aiconform.reports.summary import finite

PACKAGE = "aiconform"
Event = dict[str, Any]
# The words of `go test`: in its log, and as an Action.
LOG_WORDS: dict[CaseOutcome, str] = {"pass": "PASS", "fail": "FAIL", "error": "FAIL", "skip": "SKIP"}


def events(report: Report, evidence: Mapping[str, Evidence]) -> Iterator[Event]:
    """The events of test2json (https://pkg.go.dev/cmd/test2json), the package's result last."""
    cases = cases_of(report, evidence)
    yield {**_time(report.started), "Action": "start", "Package": PACKAGE}
    for line in source(report):
        yield _output("", line)
    for case in cases:
        yield from _test(case)
    for line in conclusion(report):
        yield _output("", line)
    word = _package(cases)
    yield _output("", "FAIL" if word == "fail" else "PASS")
    label = {"fail": "FAIL", "pass": "ok  ", "skip": "?   "}[word]
    yield _output("", f"{label}\t{PACKAGE}\t{finite(report.seconds):.3f}s")
    yield {
        **_time(report.ended),
        "Action": word,
        "Package": PACKAGE,
        "Elapsed": round(finite(report.seconds), 3),
    }


def render_results(report: Report, evidence: Mapping[str, Evidence]) -> str:
    """results.json: one JSON object for each line."""
    return "".join(f"{json.dumps(event, ensure_ascii=False)}\n" for event in events(report, evidence))


def render_log(report: Report, evidence: Mapping[str, Evidence]) -> str:
    """e2e.log: the outputs of the events, in their order."""
    return "".join(event["Output"] for event in events(report, evidence) if event["Action"] == "output")


def _test(case: Case) -> Iterator[Event]:
    for one in (case, *case.parts):
        yield {"Action": "run", "Package": PACKAGE, "Test": one.name}
        yield _output(one.name, f"=== RUN   {one.name}")
    yield from _outputs(case, "")
    for part in case.parts:
        yield from _outputs(part, "    ")
        yield _result(part)
    yield _result(case)


def _outputs(case: Case, indent: str) -> Iterator[Event]:
    yield _output(case.name, f"{indent}--- {LOG_WORDS[case.outcome]}: {case.name} ({case.seconds:.2f}s)")
    # The prefix keeps text from a cluster away from the start of a line, so that it cannot pass for a result.
    yield _output(case.name, f"{indent}    {PACKAGE}: {case.reason}")
    for line in case.lines:
        yield _output(case.name, f"{indent}    {PACKAGE}: {line}")


def _result(case: Case) -> Event:
    word = LOG_WORDS[case.outcome].lower()
    return {"Action": word, "Package": PACKAGE, "Test": case.name, "Elapsed": round(case.seconds, 2)}


def _output(test: str, line: str) -> Event:
    return {"Action": "output", "Package": PACKAGE, **({"Test": test} if test else {}), "Output": f"{line}\n"}


def _package(cases: tuple[Case, ...]) -> str:
    found = {case.outcome for case in cases}
    if found & {"fail", "error"}:
        return "fail"
    return "pass" if "pass" in found else "skip"


def _time(moment: str) -> Event:
    """Readers refuse a Time that they cannot parse, so an invalid one is left out."""
    try:
        parsed = datetime.fromisoformat(moment)
    except ValueError:
        return {}
    return {"Time": parsed.isoformat(timespec="milliseconds").replace("+00:00", "Z")} if parsed.tzinfo else {}
