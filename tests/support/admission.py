"""An API server that only admits: it applies admission policies to objects, as far as the lab's policies go.

Their CEL is evaluated by another implementation than Kubernetes': what Kubernetes adds to the language is translated.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from typing import Any

import cel

from aiconform.cluster import NotFound, Rejected

Object = dict[str, Any]
_PLURALS = {"Pod": "pods", "Namespace": "namespaces", "ConfigMap": "configmaps"}


class Admission:
    """Has the Namespaces that are created, and whatever is applied."""

    def __init__(self) -> None:
        self.applied: dict[tuple[str, str], Object] = {}
        self.namespaces: dict[str, Object] = {
            "default": _namespace("default"),
            "kube-system": _namespace("kube-system"),
        }

    async def apply(self, obj: Object) -> Object:
        self.applied[obj["kind"], obj["metadata"]["name"]] = obj
        return {**obj, "status": {"conditions": [{"type": "Established", "status": "True"}]}}

    async def delete(self, obj: Object) -> None:
        self.applied.pop((obj["kind"], obj["metadata"]["name"]), None)

    async def resources(self, api_version: str) -> dict[str, str]:
        groups = [obj["spec"]["group"] for (kind, _), obj in self.applied.items() if kind == "CustomResourceDefinition"]
        return dict.fromkeys(groups, "") if api_version.partition("/")[0] in groups else {}

    async def create(self, obj: Object, *, dry_run: bool = False) -> Object:
        """The object as the policies change it. Raises Rejected with what they say."""
        made = copy.deepcopy(obj)
        if made["kind"] == "Namespace":
            # As the API server's defaults.
            made["metadata"].setdefault("labels", {})["kubernetes.io/metadata.name"] = made["metadata"]["name"]
        for policy in self._matching("MutatingAdmissionPolicy", made):
            expression = policy["spec"]["mutations"][0]["jsonPatch"]["expression"]
            for operation in self._value(expression, made):
                _patch(made, operation)
        for policy in self._matching("ValidatingAdmissionPolicy", made):
            for validation in policy["spec"]["validations"]:
                if not self._value(validation["expression"], made):
                    said = validation.get("messageExpression")
                    raise Rejected(self._value(said, made) if said else validation["message"], status=422)
        if made["kind"] == "Namespace" and not dry_run:
            self.namespaces[made["metadata"]["name"]] = made
        return made

    def _matching(self, kind: str, obj: Object) -> Iterator[Object]:
        bound = {each["spec"]["policyName"] for (of, _), each in self.applied.items() if of == f"{kind}Binding"}
        for (of, name), policy in list(self.applied.items()):
            if of != kind or name not in bound:
                continue
            spec = policy["spec"]
            resources = [plural for rule in spec["matchConstraints"]["resourceRules"] for plural in rule["resources"]]
            if (
                _PLURALS[obj["kind"]] in resources
                and _selects(spec["matchConstraints"].get("namespaceSelector"), self._labels(obj))
                # Conditions are told nothing of the Namespace.
                and all(self._value(each["expression"], obj, known=False) for each in spec["matchConditions"])
            ):
                yield policy

    def _namespace_of(self, obj: Object) -> Object:
        if obj["kind"] == "Namespace":
            return obj
        try:
            return self.namespaces[obj["metadata"]["namespace"]]
        except KeyError:
            raise NotFound(f"no Namespace {obj['metadata']['namespace']}") from None

    def _labels(self, obj: Object) -> Object:
        labels: Object = self._namespace_of(obj)["metadata"].get("labels") or {}
        return labels

    def _value(self, expression: str, obj: Object, *, known: bool = True) -> Any:
        about: Object = {"object": obj, "request": {"resource": {"resource": _PLURALS[obj["kind"]]}}}
        if known and obj["kind"] != "Namespace":
            about["namespaceObject"] = self._namespace_of(obj)
        context = cel.Context(about)
        context.add_function("split", lambda text, by: text.split(by))
        return cel.evaluate(_translated(expression), context)


def _namespace(name: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": name, "labels": {"kubernetes.io/metadata.name": name}},
    }


def _translated(expression: str) -> str:
    """Without the types and functions of Kubernetes: its objects are maps."""
    plain = re.sub(
        r"jsonpatch\.escapeKey\('([^']*)'\)",
        lambda found: repr(found[1].replace("~", "~0").replace("/", "~1")),
        expression,
    )
    plain = re.sub(r"\b(JSONPatch|Object[\w.]*)\{", "{", plain)
    return re.sub(r"([{,]\s*)(\w+):", r"\1'\2':", plain)


def _patch(obj: Object, operation: Object) -> None:
    assert operation["op"] == "add"
    *way, last = [part.replace("~1", "/").replace("~0", "~") for part in operation["path"].split("/")[1:]]
    place: Any = obj
    for part in way:
        place = place[part]
    if isinstance(place, list):
        assert last == "-"
        place.append(operation["value"])
    else:
        place[last] = operation["value"]


def _selects(selector: Object | None, labels: Object) -> bool:
    return all(
        labels.get(each["key"]) not in each["values"] if each["operator"] == "NotIn" else each["key"] not in labels
        for each in (selector or {}).get("matchExpressions", ())
    )
