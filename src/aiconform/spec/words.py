"""The values that files of the standard have: levels, stages, areas, ids, and the model that all their parts are."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints

WORDS = r"[a-z][a-z0-9]*(_[a-z0-9]+)*"
ID = rf"^{WORDS}$"
ANY_ID = rf"^{WORDS}(\.{WORDS})*$"

SIG = r"^(sig|wg)-[a-z]+(-[a-z]+)*$"
VERSION = r"^v1\.[1-9][0-9]*$"

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Id = Annotated[str, StringConstraints(pattern=ID, max_length=60)]
RequirementId = Annotated[str, StringConstraints(pattern=ANY_ID, max_length=60)]
Version = Annotated[str, StringConstraints(pattern=VERSION)]
Owner = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$")]
Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Url = Annotated[str, StringConstraints(pattern=r"^https://[^\s<>\"]+$")]


class FileModel(BaseModel):
    """A part of a file of the standard: unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


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


class EventKind(StrEnum):
    """What happened to a requirement."""

    PROPOSED = "proposed"
    ENTERED = "entered"
    PROMOTED = "promoted"
    REWORDED = "reworded"
    FOLDED = "folded"
    ANNOUNCED = "announced"
    RECORDED = "recorded"
