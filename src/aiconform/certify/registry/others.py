"""Evidence of others: conformance reports of the Gateway API and its inference extension, and JUnit of upstream suites.

A report is about an implementation, not about a platform: it shows what can be expected of a thing that a vendor names.
Its form: https://github.com/kubernetes-sigs/gateway-api/blob/main/conformance/apis/v1/conformancereport.go, and
https://github.com/kubernetes-sigs/gateway-api-inference-extension/tree/main/conformance/reports, which adds one field.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from aiconform.certify.examined import Examined
from aiconform.certify.registry.mentions import solutions, words_of
from aiconform.certify.submission import Unreadable, read_bytes
from aiconform.certify.yamlvalues import LARGEST, Malformed, YamlList, YamlMapping, YamlScalar, YamlValue, parse
from aiconform.reports.plain import shortened

MOST_REPORTS = 5_000  # files in a folder of reports; the Gateway API's has about 500
MOST_LISTED = 8  # reports in one submission, and profiles of one report
_INFERENCE = "gatewayapiinferenceextensionversion"
_UPSTREAM = ("[sig-", "[aiconformance]", "[conformance]")  # marks in the names of Kubernetes' end-to-end tests


class NoReport(Exception):
    """The file is no conformance report."""


class UnreadableReport(NoReport):
    """Nobody can say what the file is."""


def reports_in(folder: Path) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Of the reports below a folder, such as conformance/reports of the Gateway API, the newest of each implementation.

    Second, the names of files that cannot be read, with the reason.
    """
    unread: dict[str, str] = {}
    newest: dict[tuple[str, str, str], dict[str, Any]] = {}
    for path in _files(folder):
        try:
            report = read_report(path, folder)
        except UnreadableReport as error:
            unread[path.relative_to(folder).as_posix()] = str(error)
            continue
        except NoReport:
            continue
        key = report["kind"], words_of(report["organization"]), words_of(report["project"])
        if key not in newest or report["date"] > newest[key]["date"]:
            newest[key] = report
    return [newest[key] for key in sorted(newest)], unread


def _files(folder: Path) -> Iterator[Path]:
    count = 0
    for root, folders, files in os.walk(folder, followlinks=False):
        folders.sort()
        for name in sorted(files):
            if name.lower().endswith((".yaml", ".yml")):
                count += 1
                if count > MOST_REPORTS:
                    return
                yield Path(root) / name


def of_submission(examined: Examined) -> list[dict[str, Any]]:
    """What files named as evidence say that others wrote, by requirement."""
    found: list[dict[str, Any]] = []
    seen: set[Path] = set()
    for answer in examined.answers.values():
        for reference in answer.given:
            path = reference.path
            if path is None or path in seen:
                continue
            seen.add(path)
            report = None
            if reference.artifact and reference.artifact.results and reference.artifact.results.kind == "junit":
                report = _upstream(reference.artifact.name, reference.artifact.results.tests)
            elif path.suffix.lower() in (".yaml", ".yml"):
                try:
                    report = read_report(path, examined.submission.folder)
                except NoReport:
                    continue
            if report:
                found.append({**report, "requirement": answer.item.id})
    return found[:MOST_LISTED]


def _upstream(name: str, tests: dict[str, Any]) -> dict[str, Any] | None:
    """Counts of a JUnit file of Kubernetes' own suite; None if it is another one's."""
    ours = [outcome for test, outcome in tests.items() if any(mark in test.lower() for mark in _UPSTREAM)]
    if not ours:
        return None
    counts = {
        f"{outcome}ed" if outcome != "skip" else "skipped": ours.count(outcome) for outcome in ("pass", "fail", "skip")
    }
    return {"kind": "kubernetes-e2e", "source": shortened(name, 120), "outcome": _outcome("", counts), **counts}


def read_report(path: Path, folder: Path) -> dict[str, Any]:
    """A conformance report as plain, bounded facts. Raises NoReport, or UnreadableReport."""
    try:
        root = parse(read_bytes(path, folder.resolve(), LARGEST)).root
    except (Unreadable, Malformed) as error:
        raise UnreadableReport(str(error)) from error
    top = _lower(root)
    if _text(top.get("kind")) != "ConformanceReport":
        raise NoReport("it is of another kind")
    about = _lower(top.get("implementation"))
    profiles = [_profile(each) for each in _items(top.get("profiles"))[:MOST_LISTED]]
    project, organization = (_text(about.get(name)) for name in ("project", "organization"))
    return {
        "kind": "inference-extension" if _INFERENCE in top else "gateway-api",
        "source": shortened(path.relative_to(folder).as_posix() if path.is_relative_to(folder) else path.name, 120),
        "organization": organization,
        "project": project,
        "version": _text(about.get("version")),
        "url": _text(about.get("url"), 300),
        "date": _text(top.get("date"), 10),
        "api_version": _text(top.get(_INFERENCE) or top.get("gatewayapiversion")),
        "channel": _text(top.get("gatewayapichannel")),
        "profiles": profiles,
        "outcome": _together([each["outcome"] for each in profiles]),
        "solutions": _named(organization, project),
    }


def _named(organization: str, project: str) -> list[str]:
    """Our ids of an implementation, by its name alone or behind the organization's."""
    names = {words_of(project), words_of(f"{organization} {project}")}
    return [each.id for each in solutions() if names & set(each.project)]


def _profile(node: YamlValue) -> dict[str, Any]:
    found = _lower(node)
    parts = {name: _lower(found.get(name)) for name in ("core", "extended")}
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    for part in parts.values():
        statistics = _lower(part.get("statistics"))
        for name in counts:
            counts[name] += _number(statistics.get(name))
    results = {_text(part.get("result")).lower() for part in parts.values() if part}
    return {
        "name": _text(found.get("name")),
        "core": _text(parts["core"].get("result")),
        "extended": _text(parts["extended"].get("result")),
        "features": len(_items(parts["extended"].get("supportedfeatures"))),
        "outcome": _outcome("failure" if "failure" in results else "partial" if "partial" in results else "", counts),
        **counts,
    }


def _outcome(result: str, counts: dict[str, int]) -> str:
    """In our words, from the counts first: a report that calls no passed test a success shows nothing."""
    if counts["failed"] or result == "failure":
        return "failed"
    if not counts["passed"]:
        return "nothing passed"
    return "partly passed" if result == "partial" else "passed"


def _together(outcomes: list[str]) -> str:
    order = ("failed", "nothing passed", "partly passed", "passed")
    return min(outcomes, key=order.index, default="nothing passed")


def _lower(node: YamlValue | None) -> dict[str, YamlValue]:
    """Entries by key in lower case: reports of different releases differ in it."""
    return {key.lower(): value for key, value in node.entries.items()} if isinstance(node, YamlMapping) else {}


def _items(node: YamlValue | None) -> list[YamlValue]:
    return node.items if isinstance(node, YamlList) else []


def _text(node: YamlValue | None, limit: int = 60) -> str:
    return shortened(node.text.strip(), limit) if isinstance(node, YamlScalar) and node.kind != "null" else ""


def _number(node: YamlValue | None) -> int:
    text = node.text if isinstance(node, YamlScalar) else ""
    return int(text) if text.isdecimal() and len(text) < 8 else 0
