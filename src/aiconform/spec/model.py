"""The shape of a requirement. The published JSON Schema is generated from these classes.

The words are the programme's: https://github.com/cncf/k8s-ai-conformance and the requirement process (KARs) of
https://github.com/kubernetes-sigs/ai-conformance.
"""

from __future__ import annotations

import datetime
import re
from functools import cached_property
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BeforeValidator,
    Field,
    StringConstraints,
    ValidationInfo,
    field_validator,
    model_validator,
)

from aiconform.spec.container import Container
from aiconform.spec.errors import UnknownLine
from aiconform.spec.programme import Programme
from aiconform.spec.words import (
    SIG,
    Area,
    Category,
    EventKind,
    FileModel,
    Id,
    Level,
    Owner,
    RequirementId,
    Stage,
    Text,
    Url,
    Version,
)

# RFC 2119 gives these words their meaning only in capitals (RFC 8174).
RFC_2119 = re.compile(r"\b(MUST NOT|MUST|REQUIRED|SHALL NOT|SHALL|SHOULD NOT|SHOULD|RECOMMENDED|MAY|OPTIONAL)\b")


class Applicability(FileModel):
    """When the requirement applies, and how one can tell that it does not."""

    when: Text
    """The condition, in one or two sentences."""
    may_not_apply: bool
    """Whether a platform can be conformant with this requirement not applying to it."""
    look_at: tuple[Text, ...] = Field(min_length=1)
    """What has to be looked at before anyone says that it does not apply."""


class Line(FileModel):
    """One thing that must hold. Assertions cite it by its id, which stays the same when the text is reworded."""

    id: Id
    text: Text
    programme: Version | None = None
    """Since which version the public programme's own words ask for it; without it, this project asks for it."""
    not_judged: Text | None = None
    """Why no assertion judges it."""

    @property
    def asked_by(self) -> str:
        """Who asks for it, for people to read."""
        return f"asked by the programme since {self.programme}" if self.programme else "asked by this project"


class Step(FileModel):
    """One step of the procedure."""

    do: Text
    """What is done to the cluster."""
    observe: Text
    """What is read from it, and where."""
    holds: tuple[Line, ...] = Field(min_length=1)
    """What must hold over the observation."""


class Limit(FileModel):
    """A time limit, and why it is neither shorter nor longer."""

    id: Id
    """Options of a check cite the limit that they set by this id."""
    of: Text
    """What is limited."""
    seconds: int = Field(gt=0, le=7200)
    """The limit, in seconds."""
    why: Text
    """Why this long."""
    set_by: Literal["constant", "patience"] | None = None
    """What sets it where no option of the check does: a constant of the check, or the run's `--patience`."""


class Procedure(FileModel):
    """How the requirement is shown on a live cluster, exact enough to be automated."""

    needs: tuple[Text, ...] = Field(min_length=1)
    """What has to be there before it starts; where it is missing the result is undecided, never a pass."""
    steps: tuple[Step, ...] = Field(min_length=1)
    limits: tuple[Limit, ...] = Field(min_length=1)
    broken_by: tuple[Text, ...] = Field(min_length=1)
    """Defects that have to make an assertion fail; the lab produces them on purpose."""


class AcceptedEvidence(FileModel):
    """What shows the requirement, and what does not although it is often offered."""

    counts: tuple[Text, ...] = Field(min_length=1)
    does_not_count: tuple[Text, ...] = Field(min_length=1)


class LabNeeds(FileModel):
    """What the lab adds for the requirement's check."""

    add_ons: tuple[Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")], ...] = ()
    """Add-ons that `run --lab` installs."""


class Related(FileModel):
    """Another requirement of the standard, and what it has to do with this one."""

    id: RequirementId
    why: Text


def _as_date(value: Any) -> Any:
    # Files are read without YAML's dates; pydantic's lax mode would also take numbers for dates.
    return datetime.date.fromisoformat(value) if isinstance(value, str) else value


class Event(FileModel):
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


class Wording(FileModel):
    """A statement as it read through a version, before it was changed."""

    through: Version
    """The last version with this wording."""
    statement: Text


class Requirement(FileModel):
    """One requirement of the standard: what a platform offers, how that is shown, and how it came to be."""

    id: RequirementId
    """Also the check's name and, without a dot, the file's name and the programme's id. A dot marks an extension."""
    kar: int | None = Field(default=None, gt=0)
    """The number of its Kubernetes AI Conformance Requirement, once it has one."""
    title: Annotated[Text, Field(max_length=80)]
    area: Area
    category: Category | None = None
    """The checklist's section. A proposal may leave it open; on a list it is needed."""
    owners: tuple[Owner, ...] = Field(min_length=1)
    """The SIGs that answer for it, the leading one first; those of an extension may be others."""
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
    evidence: AcceptedEvidence
    programme: Programme = Programme()
    """The programme's names for it."""
    remediation: Text | None = None
    """What to do when it is not met."""
    disturbs: Text | None = None
    """What a run of its check disturbs on the platform."""
    lab: LabNeeds = LabNeeds()
    container: Container | None = None
    """Of an extension: what observes and judges, where its check is not written in Python."""
    related: tuple[Related, ...] = ()
    history: tuple[Event, ...] = Field(min_length=1)
    """Oldest first."""

    @field_validator("statement")
    @classmethod
    def _uses_rfc_2119(cls, text: str) -> str:
        if not RFC_2119.search(text):
            raise ValueError("has no RFC 2119 word; say MUST, SHOULD or MAY")
        return text

    @field_validator("owners")
    @classmethod
    def _owned_by_sigs(cls, owners: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        for owner in owners:
            if not _is_extension(info) and not re.fullmatch(SIG, owner):
                raise ValueError(f"{owner!r} is no SIG or working group; write sig-… or wg-…")
        return owners

    @field_validator("kar", "category", "levels", "programme")
    @classmethod
    def _only_in_the_standard(cls, value: Any, info: ValidationInfo) -> Any:
        if value and _is_extension(info):
            raise ValueError("an extension is on no list of the programme; remove this key")
        return value

    @field_validator("container")
    @classmethod
    def _only_in_an_extension(cls, value: Any, info: ValidationInfo) -> Any:
        if value and not _is_extension(info):
            raise ValueError("the standard's checks are written in Python; remove this key")
        return value

    @field_validator("stage")
    @classmethod
    def _stays_proposed(cls, stage: Stage, info: ValidationInfo) -> Stage:
        if stage != Stage.PROPOSED and _is_extension(info):
            raise ValueError("an extension is on no list of the programme; write `stage: proposed`")
        return stage

    @field_validator("procedure")
    @classmethod
    def _asked_by_its_author(cls, procedure: Procedure, info: ValidationInfo) -> Procedure:
        if _is_extension(info) and any(line.programme for step in procedure.steps for line in step.holds):
            raise ValueError("the programme asks for no line of an extension; remove `programme`")
        return procedure

    @property
    def is_extension(self) -> bool:
        """Whether it belongs to a package outside the standard: its id has a dot."""
        return "." in self.id

    @cached_property
    def lines(self) -> tuple[Line, ...]:
        """Everything that must hold, in the order of the procedure."""
        return tuple(line for step in self.procedure.steps for line in step.holds)

    def line(self, wanted: str) -> Line:
        """The line of that id. Raises UnknownLine."""
        found = next((line for line in self.lines if line.id == wanted), None)
        if found is None:
            raise UnknownLine(self.id, wanted, [line.id for line in self.lines])
        return found

    def programme_lines(self, version: str) -> frozenset[str]:
        """Ids of the lines that the programme's own words ask for at `version` ("v1.37")."""
        at = version_key(version)
        return frozenset(line.id for line in self.lines if line.programme and version_key(line.programme) <= at)

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


def _is_extension(info: ValidationInfo) -> bool:
    return "." in str(info.data.get("id", ""))


def version_key(version: str) -> tuple[int, ...]:
    """Orders "v1.9" before "v1.10"."""
    return tuple(int(part) for part in version.removeprefix("v").split("."))
