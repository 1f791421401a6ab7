"""A run with the names of somebody's infrastructure taken out, so that it still can be judged.

Every value that a rule finds becomes a placeholder of the same form, the same one wherever it stands. The verdicts are
computed again from the redacted observations and must be what they were; then the run is sealed anew: its journal is
chained again, with a last line that says what was replaced and which journal it replaces.
"""

from __future__ import annotations

import ipaddress
import json
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from aiconform import __version__
from aiconform.check.registry import load_check
from aiconform.engine import journal
from aiconform.engine.evidence import Evidence, Report, RunInfo
from aiconform.engine.judge import has_no_ids, without_ids
from aiconform.engine.rundir import BadRunDirectory, RunDirectory
from aiconform.engine.verdicts import UnreadableEvidence, judge_check
from aiconform.reports.files import write_reports
from aiconform.spec import Standard, load_standard


class CannotRedact(Exception):
    """The run is none, or would not be judged as before; nothing was kept of the attempt."""


@dataclass(frozen=True)
class Redaction:
    """words: what else must not appear, such as the name of a customer."""

    words: tuple[str, ...] = ()


@dataclass(frozen=True)
class Pattern:
    """What one rule finds; `placeholder` makes the nth replacement. `group` of the match is what is replaced."""

    name: str
    regex: re.Pattern[str]
    placeholder: Callable[[int], str]
    accept: Callable[[str], bool] = lambda text: True


def _v4(number: int) -> str:
    """Of 192.0.2.0/24, 198.51.100.0/24 and 203.0.113.0/24, which belong to documentation; then of 240.0.0.0/4."""
    if number < 3 * 254:
        return f"{('192.0.2', '198.51.100', '203.0.113')[number // 254]}.{number % 254 + 1}"
    return str(ipaddress.IPv4Address((240 << 24) + number))


def _is_address(text: str) -> bool:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    return not (address.is_loopback or address.is_unspecified or address.is_multicast)


PATTERNS = (
    Pattern(
        "tokens",
        re.compile(
            r"(?P<value>eyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]*|gh[pousr]_\w{20,}|AKIA[A-Z0-9]{16}|xox[abps]-[\w-]{10,}"
            r"|glpat-[\w-]{16,})|(?i:bearer|basic) (?P<value2>[\w.~+/-]{16,}=*)"
            r"|-----BEGIN (?P<kind>[A-Z ]*PRIVATE KEY)-----(?P<value3>[^-]+)-----END"
        ),
        lambda n: f"redacted-token-{n + 1}",
    ),
    Pattern(
        "mail addresses",
        re.compile(r"(?P<value>[\w.+-]+@[\w-]+(?:\.[\w-]+)+)"),
        lambda n: f"person-{n + 1}@redacted.invalid",
    ),
    Pattern(
        "account numbers",
        re.compile(
            r"arn:[\w-]+:[\w-]*:[\w-]*:(?P<value>[0-9]{12})|(?<![\w.-])(?P<value2>[0-9]{12})(?=\.dkr\.ecr\.)"
            r"|(?i:subscriptions)/(?P<value3>[0-9a-fA-F-]{36})|(?<![\w/])projects/(?P<value4>[a-z][a-z0-9-]{4,28}[a-z0-9])(?=/)"
            r"|\b(?:ocid1\.(?:tenancy|compartment)\.[\w]*\.[\w-]*\.)(?P<value5>\w{20,})"
        ),
        lambda n: f"{n + 1:012d}",
    ),
    Pattern(
        "addresses",
        re.compile(r"(?<![\w.])(?P<value>(?:[0-9]{1,3}\.){3}[0-9]{1,3})(?![\w]|\.[0-9])"),
        _v4,
        _is_address,
    ),
    Pattern(
        "addresses",
        re.compile(
            r"(?<![\w:.])(?P<value>(?:[0-9a-fA-F]{1,4}:){2,7}(?::?[0-9a-fA-F]{1,4}){1,7}|(?:[0-9a-fA-F]{1,4}:){1,7}:)(?![\w:])"
        ),
        lambda n: f"2001:db8::{n + 1:x}",
        _is_address,
    ),
    Pattern(
        "mac addresses",
        re.compile(r"(?<![\w:])(?P<value>(?:[0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2})(?![\w:])"),
        lambda n: f"02:00:00:00:{n // 256:02x}:{n % 256:02x}",
    ),
)
_SECRET_NAME = re.compile(r"token|secret|passw|credential|api_?key|private_?key", re.IGNORECASE)
# What the suite itself wrote: the judge and the chain need it as it is.
_STRUCTURE = frozenset(
    [
        "check",
        "probe",
        "observes",
        "outcome",
        "suite",
        "standard",
        "standard_digest",
        "digest",
        "run",
        "tool",
        "event",
        "verdict",
        "strict",
        "asked_by",
        "time",
        "number",
        "previous",
        "way",
        "served_by",
        "id",
        "level",
        "kubernetes",
        "started",
        "ended",
        "journal",
        "title",
        "uid",
    ]
)
_OBSERVED = frozenset({"way", "served_by"})
_NODE_KEYS = frozenset({"node", "nodeName", "kubernetes.io/hostname", "hostname"})


@dataclass
class _Names:
    """Values and their placeholders."""

    known: dict[str, str] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    literal: re.Pattern[str] | None = None

    def placeholder(self, kind: str, value: str, make: Callable[[int], str]) -> str:
        if value not in self.known:
            self.known[value] = make(self.counts[kind])
            self.counts[kind] += 1
        return self.known[value]


class Redactor:
    """Replaces values in text and in data, each always by the same placeholder."""

    def __init__(self, nodes: Sequence[str], redaction: Redaction, hosts: Sequence[str] = ()) -> None:
        self._names = _Names()
        literals = []
        for kind, values, make in (
            ("words", redaction.words, lambda n: f"redacted-{n + 1}"),
            ("hosts", hosts, lambda n: f"host-{n + 1}.redacted.invalid"),
            ("node names", nodes, lambda n: f"redacted-node-{n + 1}"),
        ):
            for value in sorted({value for value in values if value}, key=lambda v: (-len(v), v)):
                self._names.placeholder(kind, value, make)
                literals.append(value)
        if literals:
            longest_first = "|".join(re.escape(value) for value in sorted(literals, key=len, reverse=True))
            self._names.literal = re.compile(rf"(?<![A-Za-z0-9])(?:{longest_first})(?![A-Za-z0-9])")

    @property
    def counts(self) -> dict[str, int]:
        return {kind: count for kind, count in sorted(self._names.counts.items()) if count}

    def text(self, text: str) -> str:
        if self._names.literal:
            text = self._names.literal.sub(lambda match: self._names.known[match.group()], text)
        for pattern in PATTERNS:
            text = pattern.regex.sub(partial(self._replaced, pattern), text)
        return text

    def _replaced(self, pattern: Pattern, match: re.Match[str]) -> str:
        name = next((n for n, v in match.groupdict().items() if n.startswith("value") and v), None)
        if name is None or match[name] in self._placeholders() or not pattern.accept(match[name]):
            return match.group()
        start, end = match.start(name) - match.start(), match.end(name) - match.start()
        whole = match.group()
        return whole[:start] + self._names.placeholder(pattern.name, match[name], pattern.placeholder) + whole[end:]

    def _placeholders(self) -> set[str]:
        return set(self._names.known.values())

    def data(self, data: Any, key: str = "", kept: frozenset[str] = frozenset()) -> Any:
        """The same structure. Values below a key that names a secret become placeholders whole; those below a key in
        `kept` stay."""
        if isinstance(data, dict):
            return {self.text(name): self._member(name, value, kept) for name, value in data.items()}
        if isinstance(data, list):
            return [self.data(item, key, kept) for item in data]
        if not isinstance(data, str):
            return data
        if _SECRET_NAME.search(key) and len(data) >= 8:
            return self._names.placeholder("tokens", data, lambda n: f"redacted-token-{n + 1}")
        return self.text(data)

    def _member(self, name: str, value: Any, kept: frozenset[str]) -> Any:
        if name == "observation":
            return self.data(value, name, _OBSERVED)
        plain = isinstance(value, dict | list)
        return self.data(value, name, kept) if plain or name not in kept else value


def redact(source: Path, target: Path, redaction: Redaction) -> dict[str, int]:
    """A redacted copy of a run. How many values were replaced, by kind. Raises CannotRedact."""
    standard = load_standard()
    if target.exists() and any(target.iterdir()):
        raise CannotRedact(f"{target} is not empty: name a new folder")
    try:
        work = _Work(source, standard, redaction)
        work.write(target)
    except (
        BadRunDirectory,
        journal.BrokenChain,
        UnreadableEvidence,
        ValidationError,
        OSError,
        LookupError,
        ValueError,
    ) as error:
        shutil.rmtree(target, ignore_errors=True)
        raise CannotRedact(f"{source} cannot be redacted: {str(error).splitlines()[0]}") from error
    except CannotRedact:
        shutil.rmtree(target, ignore_errors=True)
        raise
    return work.redactor.counts


class _Work:
    def __init__(self, source: Path, standard: Standard, redaction: Redaction) -> None:
        self._source, self._standard = RunDirectory(source), standard
        self._info, self._report = self._source.read_info(), self._source.read_report()
        self._evidence = {check: self._source.read_evidence(check)[0] for check in self._source.evidence_ids()}
        self._objects = list(_json_files(source / "objects"))
        self._lines = list(journal.read(self._source.journal.path))
        server = re.sub(r"^https?://|[:/].*$", "", self._info.cluster.get("server", ""))
        nodes = {entry.node for entry in self._info.accelerators}
        for evidence in self._evidence.values():
            nodes |= set(_node_names(evidence.model_dump(mode="json")))
        for _, data in self._objects:
            nodes |= set(_node_names(data))
        # A context's name may be any word ("default"): it goes from its own field, and elsewhere if it is a name.
        context = self._info.cluster.get("context", "")
        hosts = [server, context if re.search(r"[0-9._@-]", context) else ""]
        self.redactor = Redactor(sorted(nodes), redaction, [host for host in hosts if host and not _is_address(host)])

    def write(self, target: Path) -> None:
        out = RunDirectory(target)
        out.create()
        evidence = {
            check: Evidence.model_validate(self.redactor.data(found.model_dump(mode="json"), kept=_STRUCTURE))
            for check, found in self._evidence.items()
        }
        report = self._judged(evidence)
        digests = {check: out.write_evidence(found) for check, found in evidence.items()}
        for path, data in self._objects:
            place = target / "objects" / self.redactor.text(path.relative_to(self._source.path / "objects").as_posix())
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(
                json.dumps(self.redactor.data(data), indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
            )
        info = RunInfo.model_validate(self._nowhere(self._info.model_dump(mode="json")))
        head = self._journal(target, info, digests)
        out.write_info(info.model_copy(update={"journal": head}))
        out.write_report(report)
        write_reports(out)

    def _judged(self, evidence: dict[str, Evidence]) -> Report:
        """The report computed from the redacted observations. Raises CannotRedact if a verdict changes."""
        report = Report.model_validate(self._nowhere(self._report.model_dump(mode="json")))
        checks = []
        for claimed, shown in zip(self._report.checks, report.checks, strict=True):
            if claimed.id not in evidence:
                checks.append(shown)
                continue
            requirement = self._standard.requirement(claimed.id)
            computed = judge_check(requirement, self._info.standard, load_check(claimed.id), evidence[claimed.id])
            if computed.strict != claimed.strict:
                raise CannotRedact(
                    f"{claimed.id} would be {computed.strict} instead of {claimed.strict}: a rule took too much"
                )
            checks.append(without_ids(computed) if has_no_ids(claimed) else computed)
        return report.model_copy(update={"checks": tuple(checks)})

    def _nowhere(self, data: dict[str, Any]) -> dict[str, Any]:
        """Redacted, and without the context of somebody's kubeconfig."""
        redacted: dict[str, Any] = self.redactor.data(data, kept=_STRUCTURE)
        return {**redacted, "cluster": {**redacted["cluster"], "context": "redacted"}}

    def _journal(self, target: Path, info: RunInfo, digests: dict[str, str]) -> str:
        """Chains the same events again, with their own times, and a last line about the redaction."""
        chain = _Chain(target / "journal.ndjson")
        for line in self._lines:
            data = self.redactor.data(line.data, kept=_STRUCTURE)
            if line.event == "started":
                data = info.model_copy(update={"ended": "", "journal": ""}).model_dump(mode="json")
            elif line.event == "observed" and line.data.get("check") in digests:
                data = {**data, "digest": digests[line.data["check"]]}
            chain.add(line.event, data, line.time)
        what = {
            "tool": f"aiconform {__version__}",
            "placeholders": self.redactor.counts,
            "original": self._info.journal,
        }
        return chain.add("redacted", what, journal.now())


class _Chain:
    """A journal whose lines keep their times."""

    def __init__(self, path: Path) -> None:
        self._path, self._number, self._head = path, 0, journal.START

    def add(self, event: str, data: dict[str, Any], time: str) -> str:
        self._number += 1
        content = {"number": self._number, "time": time, "event": event, "data": data, "previous": self._head}
        line = json.dumps(content, ensure_ascii=False).encode()
        with self._path.open("ab") as file:
            file.write(line + b"\n")
        self._head = journal.hash_line(line)
        return self._head


def _json_files(folder: Path) -> Iterator[tuple[Path, Any]]:
    for path in sorted(folder.rglob("*.json")):
        if path.is_symlink() or not path.is_file():
            raise CannotRedact(f"{path} is a link or a special file")
        yield path, json.loads(path.read_bytes())


def _node_names(data: Any) -> Iterator[str]:
    """Values below keys that name nodes. Names that are parts of words of the suite are left."""
    stack = [data]
    while stack:
        current = stack.pop()
        if isinstance(current, dict):
            for key, value in current.items():
                if key in _NODE_KEYS and isinstance(value, str) and len(value) >= 3:
                    yield value
                else:
                    stack.append(value)
        elif isinstance(current, list):
            stack += current
