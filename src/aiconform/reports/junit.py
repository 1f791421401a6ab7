"""The run as JUnit XML."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from typing import Any

from junitparser import Error, Failure, JUnitXml, Skipped, SystemOut, TestCase, TestSuite

from aiconform.engine.evidence import Evidence, Report
from aiconform.reports.cases import Case, cases_of, conclusion, source
from aiconform.reports.plain import plain, shortened
from aiconform.reports.summary import finite

# Viewers show the message on one line; the element's text has all of it.
MESSAGE_LIMIT = 400


def render_junit(report: Report, evidence: Mapping[str, Evidence]) -> bytes:
    """junit.xml: one suite, with a testcase for each requirement and for each of its assertions.

    What the programme does not ask for is in a class of its own.
    """
    suite = TestSuite(plain(f"Kubernetes AI Conformance {report.standard}"))
    suite.timestamp = plain(report.started)
    for name, value in properties(report).items():
        suite.add_property(name, shortened(value, MESSAGE_LIMIT))
    suite.add_testcases(list(_elements(report, evidence)))
    suite.append(SystemOut("\n".join((*source(report), *conclusion(report)))))
    suite.time = round(finite(report.seconds), 3)
    whole = JUnitXml(plain(report.tool.name))
    whole.add_testsuite(suite)
    for name in ("tests", "failures", "errors", "skipped", "time"):
        setattr(whole, name, getattr(suite, name))
    file = io.BytesIO()
    whole.write(file, pretty=True)
    return file.getvalue()


def properties(report: Report) -> dict[str, str]:
    """Where the results come from. Artifacts are published, so the API server's address is not among them."""
    return {
        "tool": report.tool.name,
        "tool.version": report.tool.version,
        "suite": report.suite,
        "standard": report.standard,
        "standard.digest": report.standard_digest,
        "kubernetes": report.kubernetes,
        "cluster.uid": report.cluster.get("uid", "unknown"),
        "run": report.run,
        "verdict": report.verdict,
        "verdict.strict": report.strict,
        "scope": report.scope,
        "uncovered": " ".join(report.uncovered),
        "accelerators.simulated": "true" if report.simulated else "false",
        "requests": str(report.requests),
    }


def _elements(report: Report, evidence: Mapping[str, Evidence]) -> Iterator[Any]:
    for case in cases_of(report, evidence):
        yield _element(case, report.tool.name)
        for part in case.parts:
            yield _element(part, report.tool.name)


def _element(case: Case, tool: str) -> Any:
    group = f"{plain(tool)}.beyond" if case.beyond else plain(tool)
    element = TestCase(case.name, group, round(case.seconds, 3))
    if case.outcome != "pass":
        kind = {"fail": Failure, "error": Error, "skip": Skipped}[case.outcome]
        result = kind(shortened(case.reason, MESSAGE_LIMIT), None if case.outcome == "skip" else case.outcome)
        if case.outcome != "skip":
            result.text = case.reason
        element.result = [result]
    element.system_out = "\n".join((case.reason, *case.lines))
    return element
