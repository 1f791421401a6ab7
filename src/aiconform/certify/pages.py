"""The pages of a bundle, beside its runs: the programme's test artifacts, and the README."""

from __future__ import annotations

import hashlib
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import defusedxml.ElementTree

import aiconform
from aiconform.certify.checklist import Checklist
from aiconform.certify.place import README
from aiconform.certify.readme import readme
from aiconform.certify.runs import JudgedRun
from aiconform.certify.submission import Submission
from aiconform.engine.evidence import FORMAT, Report
from aiconform.engine.plan import suite_digest
from aiconform.engine.rundir import PACKAGE, RunDirectory
from aiconform.reports.formats import ARTIFACTS, Medium, pages_of, read_evidence


def pages(submission: Submission, checklist: Checklist, runs: Sequence[JudgedRun]) -> dict[str, bytes]:
    """By name; the same runs and claims give the same pages. Raises BadRunDirectory."""
    runs = sorted(runs, key=lambda run: run.started)
    page = readme(submission, checklist, runs, maker())
    return {**_artifacts(runs), README: page.encode()}


def maker() -> str:
    """Identifies the code that makes pages: sha256 over what renders, the words of the standard, and the suite."""
    root = Path(aiconform.__file__).parent
    sources = [path for folder in ("reports", "certify", "spec") for path in (root / folder).rglob("*")]
    total = hashlib.sha256(suite_digest().encode())
    for path in sorted(path for path in sources if path.suffix in (".py", ".yaml")):
        data = path.read_bytes()
        total.update(f"{path.relative_to(root).as_posix()}\0{len(data)}\0".encode() + data)
    return f"sha256:{total.hexdigest()}"


def run_pages(run: JudgedRun) -> Iterator[tuple[str, bytes]]:
    """(path in the run's folder, content) of each page that belongs there. Raises BadRunDirectory."""
    yield from pages_of(RunDirectory(run.folder))


def of_this_release(run: JudgedRun) -> bool:
    """Raises BadRunDirectory."""
    format_ = RunDirectory(run.folder).read_info().format
    return (run.tool, run.suite, format_) == (f"{PACKAGE} {aiconform.__version__}", suite_digest(), FORMAT)


def _artifacts(runs: Sequence[JudgedRun]) -> dict[str, bytes]:
    """The three files of one run, or of several runs in sequence, each without what only other runs cover."""
    parts: dict[str, list[bytes]] = {name: [] for name in ARTIFACTS}
    for run in runs:
        directory = RunDirectory(run.folder)
        report, evidence = _without_others(directory.read_report(), run, runs), read_evidence(directory)
        for name, each in ARTIFACTS.items():
            parts[name].append(each.render(report, evidence, Medium()))
    return {name: several[0] if len(several) == 1 else _joined(name, several) for name, several in parts.items()}


def _without_others(report: Report, run: JudgedRun, runs: Sequence[JudgedRun]) -> Report:
    def elsewhere(requirement: str) -> bool:
        return any(other.verdicts.get(requirement, "not-run") != "not-run" for other in runs if other is not run)

    kept = tuple(check for check in report.checks if check.verdict != "not-run" or not elsewhere(check.id))
    return report.model_copy(update={"checks": kept})


def _joined(name: str, parts: Sequence[bytes]) -> bytes:
    if name != "junit.xml":
        return b"".join(parts)
    roots: list[Any] = [defusedxml.ElementTree.fromstring(part) for part in parts]
    whole = ET.Element("testsuites", {"name": "aiconform"})
    for root in roots:
        whole.extend(list(root))
    for count in ("tests", "failures", "errors", "skipped"):
        whole.set(count, str(sum(int(root.get(count, "0")) for root in roots)))
    joined: bytes = ET.tostring(whole, encoding="utf-8", xml_declaration=True)
    return joined
