"""A check without Python, in an extension's file: a container that observes, and rules that judge what it saw."""

from __future__ import annotations

from collections import Counter
from typing import Literal

from pydantic import Field, field_validator

from aiconform.spec.words import FileModel, Id, Text


class Permission(FileModel):
    """API access of the container in the Namespace that it is given, as RBAC words it."""

    group: str = ""
    """The API group; empty for the core group."""
    resource: Text
    verbs: tuple[Text, ...] = Field(min_length=1)


class CelRule(FileModel):
    """An assertion over the observation, in the Common Expression Language; `seen` is the observation."""

    id: Id
    """Stable for ever; reports name the assertion `<requirement>/<id>`."""
    title: Text
    """The sentence that people read."""
    serves: tuple[Id, ...] = ()
    """Lines of the procedure that it shows; by default the line with its own id."""
    holds: Text
    """An expression that is true or false. One that fails, because what it reads is missing, decides nothing."""
    subjects: Text = "1"
    """An expression for how many subjects were judged: a number. Zero subjects decide nothing."""
    reason: Text = "''"
    """An expression for what was seen, as text."""


class Container(FileModel):
    """The container that observes. The last line of its standard output is the observation: a JSON object."""

    image: Text
    command: tuple[Text, ...] = ()
    """The entry point, where it is not the image's."""
    args: tuple[str, ...] = ()
    env: dict[str, str] = Field(default_factory=dict)
    resources: dict[Literal["requests", "limits"], dict[str, str]] = Field(default_factory=dict)
    """What it requests and may use at most, as in a Pod; by default a little CPU and memory, and at most 8Gi."""
    seconds: int = Field(gt=0, le=7200)
    """How long it may take, in seconds, beside what the platform takes to start it."""
    security: Literal["restricted", "baseline", "privileged"] = "restricted"
    """The Pod Security level of the Namespace that it is given."""
    access: tuple[Permission, ...] = ()
    """What it may do in that Namespace."""
    assertions: tuple[CelRule, ...] = Field(min_length=1)

    @field_validator("assertions")
    @classmethod
    def _each_id_once(cls, rules: tuple[CelRule, ...]) -> tuple[CelRule, ...]:
        if twice := [name for name, count in Counter(rule.id for rule in rules).items() if count > 1]:
            raise ValueError(f"more than one assertion has the id {', '.join(twice)}; give each an id of its own")
        return rules
