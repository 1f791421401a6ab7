"""Operators for AI workloads: what is known of each (data in operators.yaml beside this module), and which are here."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from aiconform.cluster import Cluster, NotFound, Object, conditions

CRD = ("apiextensions.k8s.io/v1", "CustomResourceDefinition")
WEBHOOKS = ("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration")


class BadDefinition(Exception):
    """A file of operators cannot be used; the text says where and why."""


class _Data(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class State(_Data):
    """What an object has to come to: a condition that is True, or a field with a value."""

    condition: str = ""
    path: tuple[str | int, ...] = ()
    equals: str | int | bool | None = None
    of: str = ""
    """The kind of a child whose state it is; of the object itself if empty."""

    @model_validator(mode="after")
    def _one_of_both(self) -> State:
        if bool(self.condition) == bool(self.path):
            raise ValueError("give a condition, or a path and the value that it equals")
        return self

    def __str__(self) -> str:
        place = f"{self.of} " if self.of else ""
        if self.condition:
            return f"{place}condition {self.condition}"
        return f"{place}{'.'.join(map(str, self.path))} = {self.equals}"

    def seen(self, obj: Object) -> str | None:
        """The value that `obj` has there, in words; None as long as it has none."""
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


class Kind(_Data):
    """A kind of objects; `resource` is its name in RBAC."""

    api_version: str = Field(alias="apiVersion")
    kind: str
    resource: str

    @property
    def group(self) -> str:
        return self.api_version.rpartition("/")[0]


class Change(_Data):
    """A merge patch on the custom resource, or on the prepared object of the kind `of`, and what comes of it."""

    patch: dict[str, Any]
    ready: State
    of: str = ""


class Operator(_Data):
    """What is known of one operator; the fields are explained at the top of operators.yaml."""

    name: str = Field(pattern=r"^[a-z]([-a-z0-9]*[a-z0-9])?$", max_length=30)
    title: str
    crds: tuple[str, ...] = Field(min_length=1)
    versions: tuple[str, ...] = Field(min_length=1)
    controllers: tuple[str, ...] = ()
    webhook: str
    everywhere: bool = False
    makes: dict[str, tuple[str, ...]]
    prepare: tuple[dict[str, Any], ...] = ()
    valid: dict[str, Any]
    invalid: dict[str, Any]
    ready: State
    children: tuple[Kind, ...] = Field(min_length=1)
    change: Change

    def objects(self, *, name: str, image: str, version: str) -> Objects:
        """Its objects with the placeholders filled in."""
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
    """What is made to try an operator, ready to be created."""

    prepare: tuple[Object, ...]
    valid: Object
    invalid: Object
    children: tuple[Kind, ...]


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
    """A JSON merge patch (RFC 7386) in which nothing is removed."""
    if not isinstance(obj, Mapping) or not isinstance(patch, Mapping):
        return patch
    return {**obj, **{key: _merged(obj.get(key), entry) for key, entry in patch.items()}}


@cache
def known() -> tuple[Operator, ...]:
    """The operators that the suite knows, in the order in which they are taken."""
    return _parse(files("aiconform.platform").joinpath("operators.yaml").read_text(encoding="utf-8"), "operators.yaml")


def read(path: str) -> tuple[Operator, ...]:
    """The operators of a file like operators.yaml. Raises BadDefinition."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadDefinition(f"{path} cannot be read: {error}") from error
    return _parse(text, path)


def _parse(text: str, source: str) -> tuple[Operator, ...]:
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise BadDefinition(f"{source} is no YAML: {error}") from error
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


# What is here


@dataclass(frozen=True)
class Webhook:
    """Where the API server has an operator's webhook from. `service` is (namespace, name), None with a URL."""

    configuration: str
    name: str
    failure_policy: str
    service: tuple[str, str] | None


@dataclass(frozen=True)
class Present:
    """An operator of which a CRD is here.

    served: versions of its first CRD that are served. version: the one that its objects are written for, empty if there
    is none. unestablished: what is wrong with its CRDs. deployments: those of its controller.
    """

    operator: Operator
    served: tuple[str, ...]
    version: str
    unestablished: tuple[str, ...]
    webhook: Webhook | None
    namesakes: tuple[str, ...]
    """Other webhook configurations that have a webhook of the same name."""
    deployments: tuple[Object, ...]

    def __str__(self) -> str:
        places = []
        for deployment in self.deployments:
            images = [container["image"] for container in deployment["spec"]["template"]["spec"]["containers"]]
            metadata = deployment["metadata"]
            places.append(f"{metadata['namespace']}/{metadata['name']} ({', '.join(images)})")
        told = f"{self.operator.title} {self.version}: {', '.join(places) or 'no controller'}"
        if self.webhook:
            told += f"; webhook {self.webhook.name} of {self.webhook.configuration}"
            told += f", on failure {self.webhook.failure_policy}"
        return told

    @property
    def missing(self) -> tuple[str, ...]:
        """What would keep it from being tried."""
        known = ", ".join(self.operator.versions)
        return tuple(
            filter(
                None,
                (
                    ""
                    if self.version
                    else f"serves {', '.join(self.served) or 'no version'}, the suite has objects for {known}",
                    ""
                    if self.webhook
                    else f"its webhook {self.operator.webhook} is in no ValidatingWebhookConfiguration",
                    "" if self.deployments else f"no Deployment {' or '.join(self.operator.controllers)}",
                ),
            )
        )


async def present(cluster: Cluster, operators: Iterable[Operator]) -> list[Present]:
    """Those of `operators` whose first CRD is here, in their order. Raises ClusterError."""
    operators = list(operators)
    definitions = await asyncio.gather(*(_definitions(cluster, operator) for operator in operators))
    here = [(operator, crds) for operator, crds in zip(operators, definitions, strict=True) if crds]
    if not here:
        return []
    configurations = [item async for item in cluster.list(*WEBHOOKS)]
    return list(await asyncio.gather(*(_present(cluster, *each, configurations) for each in here)))


async def _definitions(cluster: Cluster, operator: Operator) -> dict[str, Object]:
    """Its CRDs that are here, by name; empty without the first one. One by one: the list of all is large."""
    found = {}
    for name in operator.crds:
        try:
            found[name] = await cluster.get(*CRD, name)
        except NotFound:
            if not found:
                return {}
    return found


async def _present(
    cluster: Cluster, operator: Operator, crds: Mapping[str, Object], configurations: Sequence[Object]
) -> Present:
    wrong = [problem for name in operator.crds if (problem := _unestablished(name, crds.get(name)))]
    served = tuple(entry["name"] for entry in crds[operator.crds[0]]["spec"]["versions"] if entry["served"])
    webhooks = _webhooks(operator, configurations)
    # Another operator may have a webhook of this name, too (Kueue has one for each kind of job): what leads to the
    # controller of another one is not ours, and what leads to a controller that we know by name comes first.
    others = {name for other in known() if other.name != operator.name for name in other.controllers}
    found: list[tuple[bool, Webhook, list[Object]]] = []
    for candidate in webhooks:
        behind = await _behind(cluster, candidate)
        names = {deployment["metadata"]["name"] for deployment in behind}
        if not names & others:
            found.append((not names & set(operator.controllers), candidate, behind))
    found.sort(key=lambda entry: entry[0])
    webhook, deployments = found[0][1:] if found else (None, [])
    if not deployments:
        deployments = await _named(cluster, operator)
    return Present(
        operator=operator,
        served=served,
        version=next((version for version in operator.versions if version in served), ""),
        unestablished=tuple(wrong),
        webhook=webhook,
        namesakes=tuple(other.configuration for other in webhooks if other != webhook),
        deployments=tuple(deployments),
    )


def _unestablished(name: str, crd: Object | None) -> str:
    if crd is None:
        return f"{name} is not there"
    if conditions.is_true(crd, "Established"):
        return ""
    why = [entry.message for entry in conditions.read(crd.get("status")) if not entry.is_true and entry.message]
    return f"{name} is not established" + (f": {'; '.join(why)}" if why else "")


def _webhooks(operator: Operator, configurations: Sequence[Object]) -> list[Webhook]:
    found = []
    for configuration in configurations:
        for entry in configuration.get("webhooks") or []:
            if entry["name"] == operator.webhook:
                service = entry["clientConfig"].get("service")
                found.append(
                    Webhook(
                        configuration=configuration["metadata"]["name"],
                        name=entry["name"],
                        failure_policy=entry.get("failurePolicy", "Fail"),
                        service=(service["namespace"], service["name"]) if service else None,
                    )
                )
    return found


async def _behind(cluster: Cluster, webhook: Webhook) -> list[Object]:
    """The Deployments whose Pods the webhook's Service selects."""
    if webhook.service is None:
        return []
    namespace, name = webhook.service
    try:
        service = await cluster.get("v1", "Service", name, namespace)
    except NotFound:
        return []
    selector = (service.get("spec") or {}).get("selector") or {}
    if not selector:
        return []
    return [
        deployment
        async for deployment in cluster.list("apps/v1", "Deployment", namespace)
        if selector.items() <= (deployment["spec"]["template"]["metadata"].get("labels") or {}).items()
    ]


async def _named(cluster: Cluster, operator: Operator) -> list[Object]:
    for name in operator.controllers:
        if found := [item async for item in cluster.list("apps/v1", "Deployment", fields=f"metadata.name={name}")]:
            return found
    return []
