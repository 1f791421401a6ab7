"""What a cluster asks of its guests: fields for every Pod of a run, and labels and annotations of its Namespaces.

Whatever a cluster asks, every Pod of a run has an OS selector, and every container requests and limits.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from aiconform.cluster import amounts
from aiconform.cluster.api import Object

CHALLENGE = "aiconform.dev/challenge"
"""The annotation with a reviewer's challenge."""
# What a Pod template may set, and the type of each. The rest of a Pod is what a check is about.
_METADATA: dict[str, type] = {"labels": dict, "annotations": dict}
_SPEC: dict[str, type] = {
    "imagePullSecrets": list,
    "tolerations": list,
    "nodeSelector": dict,
    "securityContext": dict,
    "priorityClassName": str,
    "runtimeClassName": str,
}
# The test images are for Linux; other nodes may be there, and policies may demand it.
_OF_EVERY_POD: Object = {"nodeSelector": {"kubernetes.io/os": "linux"}}
_WORDS = {"dict": "a map", "list": "a list", "str": "text"}


class BadTemplate(ValueError):
    """A Pod template that cannot be used; says why."""


@dataclass(frozen=True)
class Guest:
    """How a run fits in on a cluster.

    pod_template: part of a PodTemplateSpec, merged into every Pod (see `fitted`).
    namespace_labels, namespace_annotations: of every Namespace that the run makes. pull_secrets: NAMESPACE/NAME of
    Secrets that are copied there, and that every Pod pulls its images with. namespace: the one that the run works in,
    if it is to make none.
    """

    pod_template: Object = field(default_factory=dict)
    namespace_labels: Mapping[str, str] = field(default_factory=dict)
    namespace_annotations: Mapping[str, str] = field(default_factory=dict)
    pull_secrets: tuple[str, ...] = ()
    namespace: str = ""

    def pulling(self, names: Iterable[str]) -> Guest:
        """The same, and every Pod pulls its images with the Secrets of these names."""
        secrets = {"spec": {"imagePullSecrets": [{"name": name} for name in names]}}
        return replace(self, pod_template=_merged(self.pod_template, secrets))

    def recorded(self) -> dict[str, Any]:
        """Its fields that are set, as options of a run."""
        return {name: value for name, value in asdict(self).items() if value}

    @classmethod
    def of(cls, recorded: Mapping[str, Any]) -> Guest:
        """From the options of a run."""
        fields = {name: recorded[name] for name in cls.__dataclass_fields__ if name in recorded}
        return cls(**{**fields, "pull_secrets": tuple(fields.get("pull_secrets", ()))})

    @property
    def challenge(self) -> str:
        """The reviewer's challenge that it carries, or ""."""
        return self.namespace_annotations.get(CHALLENGE, "")

    def challenged(self, challenge: str) -> Guest:
        """With the challenge as an annotation of every Namespace and of every Pod."""
        mark = {CHALLENGE: challenge}
        template: Object = _merged(self.pod_template, {"metadata": {"annotations": mark}})
        return replace(self, pod_template=template, namespace_annotations={**self.namespace_annotations, **mark})

    def fitted(self, obj: Object, ranges: Sequence[Object] = ()) -> Object:
        """A Namespace with its labels and annotations; in any other `obj` each Pod, or Pod template, as it has to be.

        A Pod gets the template, an OS selector, and for its containers requests and limits that are within these
        LimitRanges. Maps are merged key by key, lists are appended to; of other values the check's own count.
        """
        if obj.get("kind") == "Namespace":
            given = {"labels": self.namespace_labels, "annotations": self.namespace_annotations}
            fitted: Object = _merged(obj, {"metadata": {name: dict(each) for name, each in given.items() if each}})
            return fitted
        made: Object = self._fitted(obj, ranges)
        return made

    def _fitted(self, value: Any, ranges: Sequence[Object]) -> Any:
        if isinstance(value, list):
            return [self._fitted(each, ranges) for each in value]
        if not isinstance(value, Mapping):
            return value
        inner = {key: self._fitted(each, ranges) for key, each in value.items()}
        if is_pod_spec(inner):
            return amounts.within(_merged(_merged(inner, self.pod_template.get("spec", {})), _OF_EVERY_POD), ranges)
        about = {name: each for name, each in self.pod_template.items() if name == "metadata"}
        return _merged(inner, about) if is_pod_spec(inner.get("spec")) else inner


def is_pod_spec(value: Any) -> bool:
    """Whether this part of an object is a PodSpec, or holds the fields of one."""
    return isinstance(value, Mapping) and isinstance(value.get("containers"), list)


def has_pods(value: Any) -> bool:
    """Whether an object is a Pod, or has a Pod template inside."""
    if isinstance(value, Mapping):
        return is_pod_spec(value) or any(has_pods(each) for each in value.values())
    return isinstance(value, list) and any(has_pods(each) for each in value)


def _merged(own: Any, given: Any) -> Any:
    if isinstance(own, Mapping) and isinstance(given, Mapping):
        return {**given, **{key: _merged(value, given[key]) if key in given else value for key, value in own.items()}}
    if isinstance(own, list) and isinstance(given, list):
        return [*own, *(each for each in given if each not in own)]
    return own


def without_user(value: Any, user: int) -> Any:
    """`value` without `runAsUser: user` in any security context inside, for clusters that choose the users of Pods."""
    if isinstance(value, Mapping):
        return {
            key: without_user(each, user) for key, each in value.items() if not (key == "runAsUser" and each == user)
        }
    return [without_user(each, user) for each in value] if isinstance(value, list) else value


def pod_template(document: Any) -> Object:
    """The document, if it is a part of a PodTemplateSpec that every Pod can have. Raises BadTemplate."""
    _check(document, {"metadata": dict, "spec": dict}, "")
    _check(document.get("metadata", {}), _METADATA, "metadata.")
    _check(document.get("spec", {}), _SPEC, "spec.")
    texts = [(f"metadata.{name}", document.get("metadata", {}).get(name, {})) for name in _METADATA]
    for where, values in (*texts, ("spec.nodeSelector", document.get("spec", {}).get("nodeSelector", {}))):
        for key, value in values.items():
            if not (isinstance(key, str) and isinstance(value, str)):
                raise BadTemplate(f"{where}: the value of {key} has to be text: put it in quotes")
    for name in ("imagePullSecrets", "tolerations"):
        if not all(isinstance(each, dict) for each in document.get("spec", {}).get(name, [])):
            raise BadTemplate(f"spec.{name} has to be a list of maps")
    try:
        json.dumps(document, allow_nan=False)
    except (TypeError, ValueError):
        raise BadTemplate("it holds a value that the API has not, such as !!binary or .nan") from None
    return dict(document)


def _check(found: Any, fields: Mapping[str, type], where: str) -> None:
    if not isinstance(found, dict):
        raise BadTemplate(f"{where.rstrip('.') or 'the template'} has to be a map")
    for name, value in found.items():
        if name not in fields:
            raise BadTemplate(f"{where}{name} cannot be set for every Pod; what can: {', '.join(fields)}")
        if not isinstance(value, fields[name]):
            raise BadTemplate(f"{where}{name} has to be {_WORDS[fields[name].__name__]}")


def pairs(entries: Iterable[str]) -> dict[str, str]:
    """Of `KEY=VALUE` entries. Raises ValueError with the entry that is none."""
    found = {}
    for entry in entries:
        key, equals, value = entry.partition("=")
        if not (key.strip() and equals):
            raise ValueError(f"{entry!r} is not KEY=VALUE")
        found[key.strip()] = value
    return found
