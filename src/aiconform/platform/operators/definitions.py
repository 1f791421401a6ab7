"""What is known of operators for AI workloads; the data is in operators.yaml."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from aiconform.cluster import Object, conditions
from aiconform.spec import yamlfile


class BadDefinition(Exception):
    """A file of operators cannot be used; the text says where and why."""


class _Data(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ExpectedState(_Data):
    """The state that an object has to reach: a condition that is True, or a field with a value."""

    condition: str = ""
    path: tuple[str | int, ...] = ()
    equals: str | int | bool | None = None
    of: str = ""
    """The kind of the child whose state it is; empty for the object itself."""

    @model_validator(mode="after")
    def _one_of_both(self) -> ExpectedState:
        if bool(self.condition) == bool(self.path):
            raise ValueError("give a condition, or a path and the value that it equals")
        return self

    def __str__(self) -> str:
        place = f"{self.of} " if self.of else ""
        if self.condition:
            return f"{place}condition {self.condition}"
        return f"{place}{'.'.join(map(str, self.path))} = {self.equals}"

    def seen(self, obj: Object) -> str | None:
        """The current value in `obj`, in words; None if it has none yet."""
        if self.condition:
            found = conditions.find(obj, self.condition)
            return " ".join(filter(None, (found.status, found.reason, found.message))) if found else None
        value = self._value(obj)
        return None if value is None else str(value)

    def holds(self, obj: Object) -> bool:
        if self.condition:
            return conditions.is_true(obj, self.condition)
        return bool(self._value(obj) == self.equals)

    def _value(self, obj: Object) -> Any:
        value: Any = obj
        for step in self.path:
            try:
                value = value[step]
            except (KeyError, IndexError, TypeError):
                return None
        return value


class ChildKind(_Data):
    """A kind of child objects; `resource` is its name in RBAC."""

    api_version: str = Field(alias="apiVersion")
    kind: str
    resource: str

    @property
    def group(self) -> str:
        return self.api_version.rpartition("/")[0]


class OperatorChange(_Data):
    """A merge patch for the custom resource, or for the prepared object of the kind `of`, and its effect."""

    patch: dict[str, Any]
    ready: ExpectedState
    of: str = ""


class Operator(_Data):
    """What is known of one operator; operators.yaml explains the fields."""

    name: str = Field(pattern=r"^[a-z]([-a-z0-9]*[a-z0-9])?$", max_length=30)
    title: str
    crds: tuple[str, ...] = Field(min_length=1)
    versions: tuple[str, ...] = Field(min_length=1)
    controllers: tuple[str, ...] = ()
    webhook: str
    turn_on: str = ""
    everywhere: bool = False
    makes: dict[str, tuple[str, ...]]
    prepare: tuple[dict[str, Any], ...] = ()
    valid: dict[str, Any]
    invalid: dict[str, Any]
    ready: ExpectedState
    children: tuple[ChildKind, ...] = Field(min_length=1)
    change: OperatorChange

    def objects(self, *, name: str, image: str, version: str) -> Objects:
        """The objects of the operator, with all placeholders replaced."""
        values = {"$name": name, "$image": image, "$version": version}
        valid = _filled(self.valid, values)
        invalid = _filled(self.invalid, values)
        return Objects(
            prepare=tuple(_filled(obj, values) for obj in self.prepare),
            valid=valid,
            invalid=_merged(
                invalid if "kind" in invalid else _merged(valid, invalid), {"metadata": {"name": f"{name}-invalid"}}
            ),
            children=tuple(
                kind.model_copy(update={"api_version": _filled(kind.api_version, values)}) for kind in self.children
            ),
        )


@dataclass(frozen=True)
class Objects:
    """The objects that test an operator, ready to be created."""

    prepare: tuple[Object, ...]
    valid: Object
    invalid: Object
    children: tuple[ChildKind, ...]


def _filled(value: Any, values: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        for placeholder, word in values.items():
            value = value.replace(placeholder, word)
        return value
    if isinstance(value, Mapping):
        return {key: _filled(entry, values) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_filled(entry, values) for entry in value]
    return value


def _merged(obj: Any, patch: Any) -> Any:
    """A JSON merge patch (RFC 7386) that removes nothing."""
    if not isinstance(obj, Mapping) or not isinstance(patch, Mapping):
        return patch
    return {**obj, **{key: _merged(obj.get(key), entry) for key, entry in patch.items()}}


@cache
def known() -> tuple[Operator, ...]:
    """The operators that the suite knows, in order of preference."""
    return _parse(
        files("aiconform.platform.operators").joinpath("operators.yaml").read_text(encoding="utf-8"), "operators.yaml"
    )


def read(path: str) -> tuple[Operator, ...]:
    """The operators of a file like operators.yaml. Raises BadDefinition."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadDefinition(f"{path} cannot be read: {error}") from error
    return _parse(text, path)


def _parse(text: str, source: str) -> tuple[Operator, ...]:
    try:
        documents = yamlfile.documents(text)
    except yamlfile.NotYaml as error:
        raise BadDefinition(f"{source} is not YAML: {error}") from error
    content = documents[0] if len(documents) == 1 else None
    entries = content.get("operators") if isinstance(content, Mapping) else None
    if not isinstance(entries, list) or not entries:
        raise BadDefinition(f"{source} has no list `operators`")
    found = []
    for entry in entries:
        try:
            found.append(Operator.model_validate(entry))
        except ValidationError as error:
            problem = error.errors()[0]
            place = ".".join(map(str, problem["loc"]))
            name = entry.get("name", "an operator") if isinstance(entry, Mapping) else "an entry"
            raise BadDefinition(f"{source}: {name}: {place}: {problem['msg']}") from error
    return tuple(found)
