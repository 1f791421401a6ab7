"""A copy of a run without the names of its infrastructure, which can still be judged.

Only a run that agrees with itself is copied: sealing an edited one again would hide the edit. The verdicts are computed
again from the redacted observations and must not change. Then the run is sealed again: its journal is chained anew, and
its last line says what was replaced and which journal it stands for.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from aiconform import __version__
from aiconform.certify.redaction.patterns import is_address
from aiconform.certify.redaction.redactor import STRUCTURE, Redaction, Redactor
from aiconform.check.registry import extended_standard, load_check
from aiconform.engine import journal
from aiconform.engine.evidence import Evidence, Identity, Report, RunInfo, digest, encode_record
from aiconform.engine.judge import has_no_ids, judge, without_ids
from aiconform.engine.rundir import IDENTITY, BadRunDirectory, RunDirectory
from aiconform.engine.verdicts import UnreadableEvidence, judge_check
from aiconform.reports.formats import read_evidence, write_reports
from aiconform.spec import SpecError, Standard
from aiconform.untrusted import CAUSED_BY_CONTENT, Refused, json_value, plain_files, read

# Random numbers: they tell clusters and machines apart and name nobody.
_RANDOM = frozenset({"authority", "namespace_uid", "pod_uid", "said"})
_NODE_KEYS = frozenset({"node", "nodeName", "kubernetes.io/hostname", "hostname"})


class CannotRedact(Exception):
    """The folder is no run or differs from itself, or its copy would be judged differently; there is no target."""


def redact(source: Path, target: Path, redaction: Redaction) -> dict[str, int]:
    """Write a redacted copy of a run. Returns how many values were replaced, by kind. Raises CannotRedact."""
    standard = extended_standard()
    if target.exists() and any(target.iterdir()):
        raise CannotRedact(f"{target} is not empty: name a new folder")
    try:
        _agrees(source, standard)
        redacted = _RedactedRun(source, standard, redaction)
        redacted.write(target)
        _agrees(target, standard)
    except (
        BadRunDirectory,
        journal.BrokenChain,
        UnreadableEvidence,
        SpecError,
        ValidationError,
        OSError,
        *CAUSED_BY_CONTENT,
    ) as error:
        shutil.rmtree(target, ignore_errors=True)
        why = (str(error).splitlines() or [type(error).__name__])[0]
        raise CannotRedact(f"{source} cannot be redacted: {why[:500]}") from error
    except CannotRedact:
        shutil.rmtree(target, ignore_errors=True)
        raise
    return redacted.redactor.counts


def _agrees(run: Path, standard: Standard) -> None:
    """Raises CannotRedact if the run differs from what its own files say, and BadRunDirectory."""
    judged = judge(run, standard)
    differences = judged.differences or judged.unread
    if differences:
        raise CannotRedact(f"{run} does not agree with itself ({differences[0]}): `aiconform judge {run}`")


class _RedactedRun:
    """One run on its way from source to target."""

    def __init__(self, source: Path, standard: Standard, redaction: Redaction) -> None:
        self._source, self._standard = RunDirectory(source), standard
        self._info, self._report = self._source.read_info(), self._source.read_report()
        self._evidence = read_evidence(self._source)
        self._identity = self._source.read_identity()
        self._objects = list(_json_files(source / "objects"))
        self._lines = list(journal.read(self._source.journal.path))
        server = re.sub(r"^https?://|[:/].*$", "", self._info.cluster.get("server", ""))
        nodes = {entry.node for entry in self._info.accelerators}
        nodes |= {node.name for node in self._identity.nodes} if self._identity else set()
        for evidence in self._evidence.values():
            nodes |= set(_node_names(evidence.model_dump(mode="json")))
        for _, data in self._objects:
            nodes |= set(_node_names(data))
        # A context's name can be any word ("default"): outside of its own field it is removed if it looks like a name.
        context = self._info.cluster.get("context", "")
        hosts = [server, context if re.search(r"[0-9._@-]", context) else ""]
        self.redactor = Redactor(sorted(nodes), redaction, [host for host in hosts if host and not is_address(host)])

    def write(self, target: Path) -> None:
        out = RunDirectory(target)
        out.create()
        evidence = {
            check: Evidence.model_validate(self.redactor.data(found.model_dump(mode="json"), kept=STRUCTURE))
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
        out.write_report(report)
        if self._identity:
            out.write_identity(self._hashed(self._identity))
        self._journal(out, info, digests, evidence)
        # The page of a run shows times of its journal.
        write_reports(out)
        self._seal(out)
        out.write_info(info.model_copy(update={"journal": out.journal.head}))

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
                    f"{claimed.id} would be {computed.strict} instead of {claimed.strict}: a pattern took too much"
                )
            checks.append(without_ids(computed) if has_no_ids(claimed) else computed)
        return report.model_copy(update={"checks": tuple(checks)})

    def _hashed(self, identity: Identity) -> Identity:
        """What names machines and accounts as digests, which can still be compared; node names as everywhere."""
        nodes = (
            {**node.model_dump(), "name": self.redactor.text(node.name), "provider_id": _digest(node.provider_id)}
            for node in identity.nodes
        )
        redacted: dict[str, Any] = self.redactor.data(identity.model_dump(mode="json"), kept=STRUCTURE | _RANDOM)
        return Identity.model_validate({**redacted, "nodes": list(nodes)})

    def _nowhere(self, data: dict[str, Any]) -> dict[str, Any]:
        """Redacted, and without the context of the kubeconfig."""
        redacted: dict[str, Any] = self.redactor.data(data, kept=STRUCTURE)
        return {**redacted, "cluster": {**redacted["cluster"], "context": "redacted"}}

    def _journal(
        self, out: RunDirectory, info: RunInfo, digests: dict[str, str], evidence: dict[str, Evidence]
    ) -> None:
        """Chain the same events again, with their original times."""
        records = {
            digest(encode_record(record)): digest(encode_record(redacted))
            for check, found in self._evidence.items()
            for record, redacted in zip(found.records, evidence[check].records, strict=True)
        }
        for line in self._lines:
            data = self.redactor.data(line.data, kept=STRUCTURE)
            if line.event == "started":
                data = info.model_copy(update={"ended": "", "journal": ""}).model_dump(mode="json")
            elif line.event == "observed" and line.data.get("check") in digests:
                data = {**data, "digest": digests[line.data["check"]]}
            elif line.event == "recorded":
                # That of the original would tell whoever guesses what was redacted that the guess is right.
                data = {**data, "digest": records.get(str(line.data.get("digest")), "")}
            elif line.event == "identified":
                data = {"digest": out.digests()[IDENTITY]}
            data.pop("files", None)  # the last line has those of the copy
            out.journal.append(line.event, data, line.time)

    def _seal(self, out: RunDirectory) -> None:
        """Add a last line about the redaction, with the digests of all files."""
        what = {
            "tool": f"aiconform {__version__}",
            "placeholders": self.redactor.counts,
            "original": self._info.journal,
            "files": out.digests(),
        }
        out.journal.append("redacted", what)


def same_but_for_the_time(one: Path, other: Path) -> bool:
    """Whether two redacted copies of a run differ in nothing but when they were made."""
    sealed = ("run.json", "journal.ndjson")
    try:
        files = [{path.relative_to(each).as_posix(): path for path in plain_files(each)} for each in (one, other)]
        if files[0].keys() != files[1].keys():
            return False
        if any(read(path) != read(files[1][name]) for name, path in files[0].items() if name not in sealed):
            return False
        lines = [list(journal.read(each / "journal.ndjson")) for each in (one, other)]
        last = [each.pop() for each in lines]
        heads = [RunDirectory(each).read_info().model_copy(update={"journal": ""}) for each in (one, other)]
    except (OSError, Refused, BadRunDirectory, journal.BrokenChain, IndexError):
        return False
    events = [(line.number, line.event, line.data) for line in last]
    return lines[0] == lines[1] and events[0] == events[1] and heads[0] == heads[1] and last[0].event == "redacted"


def _digest(value: str) -> str:
    return digest(value.encode()) if value else ""


def _json_files(folder: Path) -> Iterator[tuple[Path, Any]]:
    for path in plain_files(folder) if folder.is_dir() else ():
        if path.suffix == ".json":
            yield path, json_value(read(path), path.name)


def _node_names(data: Any) -> Iterator[str]:
    """Values under keys that name nodes. Very short names are left out: they occur inside other words."""
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
