"""The files of a run as models: the observations of a check, and the report computed from them."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, StringConstraints, model_validator

ProbeOutcome = Literal["seen", "error", "nothing", "not-applicable"]
CheckVerdict = Literal["pass", "fail", "error", "not-applicable", "not-run"]
RunVerdict = Literal["conformant", "not-conformant", "undetermined"]
WHOLE_CLUSTER = "cluster"
"""The target of what is about the platform as a whole."""
ReportLevel = Literal["MUST", "SHOULD", "folded", "extension"]
AskedBy = Literal["programme", "project"]
FORMAT = 2
"""The format of run directories that this release writes. It rises with every field or file that is new, so that an
earlier release can say that it does not know them. 2: the journal records every file."""
RunId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]
"""Also the name of a folder in a bundle, so nothing that could lead elsewhere."""


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Record(_Model):
    """One probe on one target. `observation` is set if the outcome is `seen`; otherwise `message` gives the reason.

    Outcomes: seen · error (it broke, was refused, ran out of time) · nothing (the platform offers nothing to try) ·
    not-applicable. `seconds` and `requests` include the clean-up.
    """

    probe: str
    target: str
    outcome: ProbeOutcome
    message: str
    observes: str
    observation: dict[str, Any] | None
    seconds: float
    requests: int


class Evidence(_Model):
    """The file `observations/<check>.json`, from which the check's verdict is computed.

    `seconds`: how long at least one of its probes worked. `waited`: how long all of them only waited for accelerators
    that others held, or for their turn; 0 in runs made before it was recorded.
    """

    check: str
    suite: str
    seconds: float
    waited: float = 0.0
    requests: int
    records: tuple[Record, ...]


class _Judged(_Model):
    """A result with two verdicts: by the programme's own words, and a strict one over all assertions."""

    @model_validator(mode="before")
    @classmethod
    def _one_verdict(cls, data: Any) -> Any:
        """Reports made before there were two verdicts have one, over all assertions."""
        if isinstance(data, dict) and "strict" not in data and "verdict" in data:
            return {**data, "strict": data["verdict"]}
        return data


class AssertionResult(_Model):
    """One assertion over all its observations. `holds` is None if it could not be decided.

    `asked_by` says whether the public programme's own words ask for it at this version, or this project does. `id` is
    empty in reports made before assertions had ids.
    """

    id: str = ""
    title: str
    asked_by: AskedBy = "programme"
    holds: bool | None
    reason: str
    subjects: int
    targets: dict[str, bool | None] = {}
    """Whether it holds for each target, such as a node; empty in reports made before it was recorded."""


class CheckResult(_Judged):
    """The result of one requirement: `verdict` by the assertions that the programme asks for, `strict` by all.

    `left_out`: the assertions that do not apply to what was observed, by id, with the reason. `seconds` and `waited` as
    in Evidence.
    """

    id: str
    title: str
    level: ReportLevel
    verdict: CheckVerdict
    strict: CheckVerdict
    reason: str
    seconds: float
    waited: float = 0.0
    requests: int
    assertions: tuple[AssertionResult, ...]
    left_out: dict[str, str] = {}


class Accelerator(_Model):
    """A kind of accelerator on one node, as the run found it."""

    node: str
    way: str
    name: str
    product: str
    total: int
    free: int
    simulated: bool


class Tool(_Model):
    name: str
    version: str


class ExtensionInfo(_Model):
    """Where the check of an extension came from; `digest` identifies its code."""

    id: str
    distribution: str
    version: str
    digest: str


class RunInfo(_Model):
    """The file `run.json`. `chosen` is None when every requirement of the version was to be run.

    `extensions`: the checks of this run that are not this project's own; `suite` identifies the code of all others.

    `others` are further ways to ask for hardware that is among the `accelerators`.

    `passed_over` says what looked like an accelerator and could not be used: on a node that is not Ready, in an
    incomplete pool, an unknown resource.

    Until a run has ended `ended` and `journal` (hash of the journal's last line) are empty. `tool` names the release
    that made the run, `format` the form of its files: 1 if the run does not say it. `challenge`:
    what a reviewer gave the run to carry, or "".
    """

    run: RunId
    tool: Tool
    suite: str
    standard: str
    standard_digest: str
    kubernetes: str
    cluster: dict[str, str]
    accelerators: tuple[Accelerator, ...]
    passed_over: tuple[str, ...]
    chosen: tuple[str, ...] | None
    options: dict[str, Any]
    started: str
    extensions: tuple[ExtensionInfo, ...] = ()
    ended: str = ""
    journal: str = ""
    format: int = 1
    challenge: str = ""
    others: tuple[Accelerator, ...] = ()


class NodeIdentity(_Model):
    """A Node by what its cluster, its machine and its cloud call it; "" for what is not known."""

    name: str
    uid: str
    created: str
    machine_id: str
    system_uuid: str
    boot_id: str
    provider_id: str


class Echo(_Model):
    """A Pod with the run's challenge as an annotation. `said`: what its container printed: the challenge, and the boot
    id of the kernel it ran on. `problem`: why it printed nothing. `namespace_uid`: of the run's first Namespace, or ""
    where it works in one that is given."""

    namespace_uid: str
    pod_uid: str
    node: str
    said: tuple[str, ...]
    problem: str = ""


class Identity(_Model):
    """The file `identity.json`: what is hard to copy about the cluster.

    `authority`: sha256 of the certificates that Pods trust the API server by. `nodes`: those with accelerators that the
    run knew of, or a few. `echo` is None without a challenge. `problems`: what could not be read.
    """

    authority: str
    nodes: tuple[NodeIdentity, ...]
    echo: Echo | None = None
    problems: tuple[str, ...] = ()


class Report(_Judged):
    """The file `report.json`, also what `-o json` prints.

    `verdict` is by the programme's own words, `strict` over all assertions.
    `scope`: `version` if every requirement of the version was to be run, `chosen` if some were named: then the verdict
    speaks of those alone. `uncovered`: MUST requirements of the version that this run says nothing about.
    `simulated`: at least one accelerator had no hardware. `leaks`: what could not be deleted.
    """

    run: RunId
    standard: str
    kubernetes: str
    verdict: RunVerdict
    strict: RunVerdict
    scope: Literal["version", "chosen"]
    uncovered: tuple[str, ...]
    simulated: bool
    checks: tuple[CheckResult, ...]
    accelerators: tuple[Accelerator, ...]
    passed_over: tuple[str, ...]
    leaks: tuple[str, ...]
    tool: Tool
    suite: str
    standard_digest: str
    cluster: dict[str, str]
    started: str
    ended: str
    seconds: float
    requests: int


def encode(model: BaseModel) -> bytes:
    """The bytes of a file in the run directory: readable JSON, the same bytes for the same content."""
    return encode_text(json.dumps(model.model_dump(mode="json"), indent=1, ensure_ascii=False) + "\n")


def encode_record(record: Record) -> bytes:
    """The line of a record until its check is finished; the journal keeps its digest."""
    return encode_text(json.dumps(record.model_dump(mode="json"), ensure_ascii=False))


def encode_text(text: str) -> bytes:
    """UTF-8. An unpaired surrogate, which JSON from a cluster can contain and UTF-8 cannot, becomes a question mark."""
    return text.encode("utf-8", "replace")


def digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"
