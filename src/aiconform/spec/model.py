"""The shape of a requirement. The published JSON Schema is generated from these classes.

The words are the programme's: https://github.com/cncf/k8s-ai-conformance and the requirement process (KARs) of
https://github.com/kubernetes-sigs/ai-conformance.
"""

from __future__ import annotations

import datetime
import re
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, field_validator, model_validator

ID = r"^[a-z][a-z0-9]*(_[a-z0-9]+)*$"
VERSION = r"^v1\.[1-9][0-9]*$"
# RFC 2119 gives these words their meaning only in capitals (RFC 8174).
RFC_2119 = re.compile(r"\b(MUST NOT|MUST|REQUIRED|SHALL NOT|SHALL|SHOULD NOT|SHOULD|RECOMMENDED|MAY|OPTIONAL)\b")

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Id = Annotated[str, StringConstraints(pattern=ID, max_length=60)]
Version = Annotated[str, StringConstraints(pattern=VERSION)]
Sig = Annotated[str, StringConstraints(pattern=r"^(sig|wg)-[a-z]+(-[a-z]+)*$")]
Url = Annotated[str, StringConstraints(pattern=r"^https://[^\s<>\"]+$")]


class Stage(StrEnum):
    """Where a requirement stands at the newest released version."""

    PROPOSED = "proposed"
    SHOULD = "SHOULD"
    MUST = "MUST"
    FOLDED = "folded"


class Level(StrEnum):
    """What one version asks. `folded`: base Kubernetes conformance, itself a precondition, asks for it."""

    SHOULD = "SHOULD"
    MUST = "MUST"
    FOLDED = "folded"


class Area(StrEnum):
    """The eleven areas of the founding proposal, each looked after by the SIG of that name."""

    NODE = "Node"
    SCHEDULING = "Scheduling"
    STORAGE = "Storage"
    NETWORK = "Network"
    INSTRUMENTATION = "Instrumentation"
    SECURITY = "Security"
    RELEASE = "Release & Testing"
    APPS = "Apps"
    API_MACHINERY = "API Machinery"
    ARCHITECTURE = "Architecture"
    AUTH = "Auth"


class Category(StrEnum):
    """The sections of the programme's checklist and of a PRODUCT.yaml."""

    ACCELERATORS = "accelerators"
    NETWORKING = "networking"
    SCHEDULING = "schedulingOrchestration"
    OBSERVABILITY = "observability"
    SECURITY = "security"
    OPERATOR = "operator"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Applicability(_Strict):
    """When the requirement applies, and how one can tell that it does not."""

    when: Text
    """The condition, in one or two sentences."""
    may_not_apply: bool
    """Whether a platform can be conformant with this requirement not applying to it."""
    look_at: tuple[Text, ...] = Field(min_length=1)
    """What has to be looked at before anyone says that it does not apply."""


class Step(_Strict):
    """One step of the procedure."""

    do: Text
    """What is done to the cluster."""
    observe: Text
    """What is read from it, and where."""
    holds: tuple[Text, ...] = Field(min_length=1)
    """What must hold over the observation; each is one assertion."""


class Limit(_Strict):
    """A time limit, and why it is neither shorter nor longer."""

    of: Text
    """What is limited."""
    seconds: int = Field(gt=0, le=7200)
    """The limit, in seconds."""
    why: Text
    """Why this long."""


class Procedure(_Strict):
    """How the requirement is shown on a live cluster, exact enough to be automated."""

    needs: tuple[Text, ...] = Field(min_length=1)
    """What has to be there before it starts; where it is missing the result is undecided, never a pass."""
    steps: tuple[Step, ...] = Field(min_length=1)
    limits: tuple[Limit, ...] = Field(min_length=1)
    broken_by: tuple[Text, ...] = Field(min_length=1)
    """Defects that have to make an assertion fail; the lab produces them on purpose."""


class Evidence(_Strict):
    """What shows the requirement, and what does not although it is often offered."""

    counts: tuple[Text, ...] = Field(min_length=1)
    does_not_count: tuple[Text, ...] = Field(min_length=1)


class Related(_Strict):
    """Another requirement of the standard, and what it has to do with this one."""

    id: Id
    why: Text


class EventKind(StrEnum):
    """What happened to a requirement."""

    PROPOSED = "proposed"
    ENTERED = "entered"
    PROMOTED = "promoted"
    REWORDED = "reworded"
    FOLDED = "folded"
    ANNOUNCED = "announced"
    RECORDED = "recorded"


def _as_date(value: Any) -> Any:
    # Files are read without YAML's dates; pydantic's lax mode would also take numbers for dates.
    return datetime.date.fromisoformat(value) if isinstance(value, str) else value


class Event(_Strict):
    """A step in the life of a requirement, with where one can read about it."""

    event: EventKind
    date: Annotated[datetime.date, BeforeValidator(_as_date)] | None = None
    """The day, where it is known (YYYY-MM-DD)."""
    version: Version | None = None
    """The Kubernetes version it concerns."""
    what: Text
    sources: tuple[Url, ...] = ()

    @model_validator(mode="after")
    def _placed_in_time(self) -> Self:
        if self.date is None and self.version is None:
            raise ValueError("has neither a date nor a version; one of the two is needed")
        return self


class Wording(_Strict):
    """A statement as it read through a version, before it was changed."""

    through: Version
    """The last version with this wording."""
    statement: Text


class Requirement(_Strict):
    """One requirement of the standard: what a platform offers, how that is shown, and how it came to be."""

    id: Id
    """Also the file's name, the check module's name and the programme's id."""
    kar: int | None = Field(default=None, gt=0)
    """The number of its Kubernetes AI Conformance Requirement, once it has one."""
    title: Annotated[Text, Field(max_length=80)]
    area: Area
    category: Category | None = None
    """The checklist's section. A proposal may leave it open; on a list it is needed."""
    owners: tuple[Sig, ...] = Field(min_length=1)
    """The SIGs that answer for it, the leading one first."""
    stage: Stage
    levels: dict[Version, Level] = Field(default_factory=dict)
    """The level at each Kubernetes version that lists it, and `folded` from the version that folded it."""
    statement: Text
    """What a platform does, in RFC 2119 words. Read it as: a platform that meets this requirement …"""
    earlier: tuple[Wording, ...] = ()
    """Former wordings, oldest first."""
    rationale: Text
    applicability: Applicability
    procedure: Procedure
    evidence: Evidence
    related: tuple[Related, ...] = ()
    history: tuple[Event, ...] = Field(min_length=1)
    """Oldest first."""

    @field_validator("statement")
    @classmethod
    def _uses_rfc_2119(cls, text: str) -> str:
        if not RFC_2119.search(text):
            raise ValueError("has no RFC 2119 word; say MUST, SHOULD or MAY")
        return text

    def level_at(self, version: str) -> Literal["MUST", "SHOULD", "folded"] | None:
        """What `version` ("v1.37") asks: MUST, SHOULD, folded (base conformance asks for it), or None: not listed."""
        level = self.levels.get(version)
        return level.value if level else None

    def statement_at(self, version: str) -> str:
        """The wording that held at `version`."""
        for wording in self.earlier:
            if version_key(version) <= version_key(wording.through):
                return wording.statement
        return self.statement


def version_key(version: str) -> tuple[int, ...]:
    """Orders "v1.9" before "v1.10"."""
    return tuple(int(part) for part in version.removeprefix("v").split("."))
