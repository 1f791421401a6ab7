"""Test results in the programme's three files: junit.xml, results.json (`go test -json`), e2e.log (`go test -v`).

Files are read as streams: memory grows with the number of tests, not with the size of the file. What counts as pass,
fail and skip, and how repeated names are combined, follows the programme.
"""

from __future__ import annotations

import json
import re
import xml.sax
import xml.sax.handler
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Literal

import defusedxml.sax
from defusedxml.common import DefusedXmlException

from aiconform.untrusted import Refused, opened

TestOutcome = Literal["pass", "fail", "skip"]
Kind = Literal["junit", "gotest", "log"]
NAMES: dict[str, Kind] = {"junit.xml": "junit", "results.json": "gotest", "e2e.log": "log"}
LONGEST_LINE = 16 << 20  # bytes, the programme's limit
MOST_TESTS = 200_000  # names; the complete end-to-end suite of Kubernetes has 7,200
CHUNK = 1 << 20

_RESULT = re.compile(rb"[\t\n\f\r ]*--- (PASS|FAIL|SKIP): ([^\t\n\f\r ]+)(?: (\(0\.00s\)))?")
_NO_TIME = re.compile(r"0*\.?0+")
_WORDS: dict[bytes, TestOutcome] = {b"PASS": "pass", b"FAIL": "fail", b"SKIP": "skip"}
_ACTIONS: dict[str, TestOutcome] = {"pass": "pass", "fail": "fail", "skip": "skip"}


class BadArtifact(Exception):
    """The file is not what its name says, or exceeds a limit."""


@dataclass
class Results:
    """tests: outcome by name. failures: failed tests, or else failed packages. instant: tests of 0 s."""

    kind: Kind
    tests: dict[str, TestOutcome] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    instant: set[str] = field(default_factory=set)

    def record(self, name: str, outcome: TestOutcome) -> None:
        """A failure is kept; otherwise the last record counts."""
        if self.tests.get(name) == "fail":
            return
        if name not in self.tests and len(self.tests) >= MOST_TESTS:
            raise BadArtifact(f"it has more than {MOST_TESTS:,} tests")
        self.tests[name] = outcome
        if outcome == "fail":
            self.failures.append(name)

    def outcome(self, name: str) -> TestOutcome | None:
        """The outcome of the test, or of its sub-tests together if it has no record of its own."""
        if name in self.tests:
            return self.tests[name]
        parts = {outcome for test, outcome in self.tests.items() if test.startswith(f"{name}/")}
        if not parts:
            return None
        if "fail" in parts:
            return "fail"
        return "skip" if parts == {"skip"} else "pass"

    def top_level(self) -> set[str]:
        return {name.partition("/")[0] for name in self.tests}


def kind_of(name: str) -> Kind | None:
    """The kind of artifact as which the programme reads a file of this name, or None."""
    return NAMES.get(name.lower())


def looks_like(name: str) -> Kind | None:
    """The kind of artifact that a file of this name seems to be, although the programme does not read it."""
    lower = name.lower()
    if kind_of(lower):
        return None
    if re.fullmatch(r".*junit.*\.xml", lower):
        return "junit"
    if re.fullmatch(r".*e2e.*\.log", lower):
        return "log"
    return "gotest" if re.fullmatch(r".*results?\.(json|ndjson|jsonl)", lower) else None


def read_results(path: Path, kind: Kind) -> Results:
    """The caller has checked that `path` is inside the product's folder. Raises BadArtifact."""
    results = Results(kind)
    try:
        with opened(path) as file:
            if kind == "junit":
                _junit(file, results)
            elif kind == "gotest":
                _go_test(file, results)
            else:
                _log(file, results)
    except Refused as error:
        raise BadArtifact(str(error)) from error
    except OSError as error:
        raise BadArtifact(f"it cannot be read: {error.strerror}") from error
    return results


def _lines(file: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    number = 0
    while line := file.readline(LONGEST_LINE + 2):
        number += 1
        if len(line.rstrip(b"\r\n")) >= LONGEST_LINE:
            raise BadArtifact(f"line {number} is longer than {LONGEST_LINE >> 20} MiB")
        yield number, line


def _log(file: IO[bytes], results: Results) -> None:
    for _, line in _lines(file):
        found = _RESULT.match(line)
        if found:
            name = found.group(2).decode("utf-8", "replace")
            results.record(name, _WORDS[found.group(1)])
            if found.group(3):
                results.instant.add(name)
    if not results.tests:
        raise BadArtifact("it has no line like `--- PASS: TestName`")


def _go_test(file: IO[bytes], results: Results) -> None:
    broken_packages = []
    for number, line in _lines(file):
        if not line.strip():
            continue
        event = _event(number, line)
        outcome = _ACTIONS.get(event["Action"])
        if outcome is None:
            continue
        if event["Test"]:
            results.record(event["Test"], outcome)
            if event["Elapsed"] == "0":
                results.instant.add(event["Test"])
        elif outcome == "fail":
            broken_packages.append(event["Package"])
    if not results.failures:
        results.failures = [f"package {name}" for name in broken_packages]
    if not results.tests and not results.failures:
        raise BadArtifact("it has no event of a test")


def _event(number: int, line: bytes) -> dict[str, str]:
    """Action, Package and Test as text; like in Go, the case of keys does not matter."""
    event = {"Action": "", "Package": "", "Test": "", "Elapsed": ""}
    try:
        given = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise BadArtifact(f"line {number} is not JSON") from error
    if given is None:
        return event
    if not isinstance(given, dict):
        raise BadArtifact(f"line {number} is not a JSON object")
    for key, value in given.items():
        name = key.capitalize()
        if name == "Elapsed":
            event[name] = "0" if value == 0 else ""
        elif name in event and value is not None:
            if not isinstance(value, str):
                raise BadArtifact(f"line {number}: {name} is not text")
            event[name] = value
    return event


def _junit(file: IO[bytes], results: Results) -> None:
    handler = _JUnit(results)
    parser = defusedxml.sax.make_parser()
    parser.setContentHandler(handler)
    parser.setErrorHandler(xml.sax.handler.ErrorHandler())
    idle = 0
    try:
        while chunk := file.read(CHUNK):
            before = handler.seen
            parser.feed(chunk)
            # The parser keeps a tag or entity in memory until it ends.
            idle = idle + len(chunk) if handler.seen == before else 0
            if idle > LONGEST_LINE:
                raise BadArtifact(f"it has a tag of more than {LONGEST_LINE >> 20} MiB")
        parser.close()
    except DefusedXmlException as error:
        raise BadArtifact("it defines XML entities, which a test report does not need") from error
    except xml.sax.SAXParseException as error:
        raise BadArtifact(f"line {error.getLineNumber()} is not XML: {error.getMessage()}") from error
    except (ValueError, LookupError) as error:
        raise BadArtifact(f"it is not XML: {error}") from error
    if not results.tests:
        raise BadArtifact("it has no <testcase>")


class _JUnit(xml.sax.handler.ContentHandler):
    """Reads testcases below the root or below testsuites, and their direct children failure, error and skipped."""

    def __init__(self, results: Results) -> None:
        super().__init__()
        self._results = results
        self._depth = 0
        self._suites = 0  # how many elements from the root down are suites
        self._name: str | None = None
        self._outcome: TestOutcome = "pass"
        self.seen = 0

    def startElement(self, name: str, attrs: xml.sax.xmlreader.AttributesImpl) -> None:  # noqa: N802
        self.seen += 1
        name = name.rpartition(":")[2]
        if self._depth == self._suites and (self._depth == 0 or name == "testsuite"):
            self._suites += 1
        elif self._depth == self._suites and name == "testcase":
            self._name, self._outcome = attrs.get("name", ""), "pass"
            if _NO_TIME.fullmatch(attrs.get("time", "")):
                self._results.instant.add(self._name)
        elif self._name is not None and self._depth == self._suites + 1:
            if name in ("failure", "error"):
                self._outcome = "fail"
            elif name == "skipped" and self._outcome == "pass":
                self._outcome = "skip"
        self._depth += 1

    def endElement(self, name: str) -> None:  # noqa: N802
        self.seen += 1
        self._depth -= 1
        if self._depth < self._suites:
            self._suites -= 1
        elif self._name is not None and self._depth == self._suites:
            self._results.record(self._name, self._outcome)
            self._name = None

    def characters(self, content: str) -> None:
        self.seen += 1
