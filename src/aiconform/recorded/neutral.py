"""Objects and pages of a platform without what tells whose it is: names, addresses, UIDs, credentials."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from aiconform.certify.redaction.redactor import Redaction, Redactor
from aiconform.cluster import Object
from aiconform.platform.accelerators.drivers import families
from aiconform.platform.accelerators.profiles import load_profiles
from aiconform.platform.autoscaling.hardware import provider_of
from aiconform.platform.autoscaling.pools import POOL_LABELS
from aiconform.platform.autoscaling.status import BadStatus, parse_status
from aiconform.spec import yamlfile

_LABEL_MAPS = frozenset({"labels", "matchLabels", "nodeSelector", "selector"})
# The cloud, at the beginning of a providerID; what follows names an account's machine.
_PROVIDER = re.compile(r"[a-z0-9]+(?:://|\.)")
_UUID = re.compile(r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b")
_SERIAL = re.compile(r"serial", re.IGNORECASE)
_SERIAL_LABEL = re.compile(r'(\w*serial\w*=")([^"]+)(")', re.IGNORECASE)
_NAME_LABEL = re.compile(r'(\b\w*(?:namespace|pod)\w*=")([^"]+)(")')
# A shorter name can stand in other words by chance: it is replaced only where a name stands.
_IN_TEXT = 4


@cache
def _rules() -> dict[str, list[str]]:
    raw = files(__package__).joinpath("neutral.yaml").read_bytes()
    found: dict[str, list[str]] = yamlfile.parse(Path("neutral.yaml"), raw).data
    return found


def _in_domain(name: str, domains: Iterable[str]) -> bool:
    return any(name == domain or name.endswith(f".{domain}") for domain in domains)


@cache
def _of_vendor(domain: str) -> bool:
    """Whether labels of this domain are read: it is Kubernetes' or a vendor's, or a cloud's that pools are known by."""
    return _in_domain(domain, _rules()["vendors"]) or domain in _read_domains() or bool(provider_of([domain]))


@cache
def _read_domains() -> frozenset[str]:
    """The domains of labels by which pools and products are known."""
    products = (label for profile in load_profiles().accelerators for label in (*profile.labels, *profile.counts))
    return frozenset(label.partition("/")[0] for label in (*POOL_LABELS, *products))


@cache
def _driver_annotations() -> frozenset[str]:
    """The annotations of nodes that can have the version of a driver or of a runtime."""
    names = (name for each in families() for name in (*each.labels, *each.runtime, *each.integration))
    return frozenset(part for name in names for part in ((name,) if isinstance(name, str) else name))


def _of_words(name: str, value: str) -> bool:
    """Whether a label without a domain says nothing of its owner: checks read it, or it is no word."""
    return name in _rules()["plain"] or value in ("true", "false") or value.isdecimal()


class Neutral:
    """Replaces names consistently. objects: all of the platform, from which the names are taken.

    kept: (namespace, name) of Pods that keep their names, because an exporter is known by its name. hosts: host names
    that must not appear.
    """

    def __init__(self, objects: Iterable[Object], kept: Iterable[tuple[str, str]], hosts: Iterable[str]) -> None:
        self._given: dict[str, str] = {}
        self._labels: dict[str, str] = {}
        self._counts: dict[str, int] = {}
        objects, kept = list(objects), set(kept)
        groups = {group for obj in objects if obj["kind"] == "ConfigMap" for group in _node_groups(obj)}
        for obj in objects:
            about = obj["metadata"]
            namespace, name = about.get("namespace", ""), about["name"]
            if obj["kind"] == "Node":
                # An autoscaler's group is found again by the beginning of its Nodes' names.
                group = max((each for each in groups if name.startswith(each)), key=len, default="")
                self._name("node", name, f"{group}-" if group else "")
            elif namespace and not known_namespace(namespace):
                self._name("namespace", namespace)
                if obj["kind"] == "Pod" and (namespace, name) not in kept:
                    self._name("pod", name)
            if obj["kind"] == "Namespace" and not known_namespace(name):
                self._name("namespace", name)
        in_text = {name: neutral for name, neutral in self._given.items() if len(name) >= _IN_TEXT}
        self._redactor = Redactor((), Redaction(), list(hosts), in_text)

    @property
    def counts(self) -> dict[str, int]:
        """How many values of each kind were replaced."""
        return {**self._redactor.counts, **self._counts}

    def object(self, obj: Object) -> Object:
        """The object as it may be shown to others."""
        shown: Object = self._data(obj, "")
        if obj["kind"] == "ConfigMap":
            # Anything can be in a ConfigMap; only an autoscaler's status is read.
            status = (obj.get("data") or {}).get("status")
            shown["data"] = {"status": self.text(status)} if status else {}
        return shown

    def text(self, text: str) -> str:
        """A text, such as a page of metrics."""
        text = _SERIAL_LABEL.sub(lambda match: match[1] + self._name("serial", match[2]) + match[3], text)
        text = _NAME_LABEL.sub(lambda match: match[1] + self.name(match[2]) + match[3], text)
        text = _UUID.sub(lambda match: self._uuid(match.group()), text)
        return self._redactor.text(text)

    def name(self, text: str) -> str:
        """A name of an object, or a text with names."""
        return self._given.get(text) or self.text(text)

    def _name(self, kind: str, value: str, prefix: str = "") -> str:
        if value not in self._given:
            self._counts[kind] = self._counts.get(kind, 0) + 1
            self._given[value] = f"{prefix}{kind}-{self._counts[kind]}"
        return self._given[value]

    def _uuid(self, value: str) -> str:
        if value not in self._given:
            self._counts["uuid"] = self._counts.get("uuid", 0) + 1
            self._given[value] = f"00000000-0000-4000-8000-{self._counts['uuid']:012x}"
        return self._given[value]

    def _data(self, data: Any, key: str) -> Any:
        if isinstance(data, list):
            return [self._data(item, key) for item in data]
        if isinstance(data, dict):
            return self._mapping(data, key)
        rules = _rules()
        if not isinstance(data, str) or key in rules["words"]:
            return data
        if key == "image":
            return self._image(data)
        if key == "key":
            return self._key(data)
        if key == "providerID":
            return found.group() if (found := _PROVIDER.match(data)) else ""
        if key in rules["hosts"]:
            return self._name("host", data)
        return self.name(data) if key in rules["names"] else self.text(data)

    def _mapping(self, data: Mapping[str, Any], key: str) -> dict[str, Any]:
        if key in _LABEL_MAPS and all(isinstance(value, str) for value in data.values()):
            return {self._key(name): self._label(name, value) for name, value in data.items()}
        if key == "annotations":
            shown = {name: self._annotation(name, text) for name, text in data.items()}
            return {name: text for name, text in shown.items() if text is not None}
        if _SERIAL.search(key) and isinstance(data.get("string"), str):
            return {"string": self._name("serial", data["string"])}
        if {"key", "operator", "values"} <= data.keys():
            values = [self._label(data["key"], str(value)) for value in data["values"] or []]
            return {**data, "key": self._key(data["key"]), "values": values}
        return {
            name: self._data(value, name)
            for name, value in data.items()
            if name not in _rules()["dropped"] and not (name == "data" and isinstance(value, dict))
        }

    def _annotation(self, name: str, text: str) -> str | None:
        """The value of an annotation; None if it is dropped."""
        rules = _rules()
        if name in rules["pairs"]:
            return ",".join(self._pair(each.strip()) for each in text.split(","))
        if any(fnmatchcase(name, pattern) for pattern in rules["keys"]):
            return self._name("value", text)
        kept = name in _driver_annotations() or any(fnmatchcase(name, pattern) for pattern in rules["annotations"])
        return self.text(text) if kept else None

    def _pair(self, text: str) -> str:
        """A label or taint in one text: KEY=VALUE, KEY=VALUE:EFFECT or KEY:EFFECT."""
        about, colon, effect = text.partition(":")
        name, equals, value = about.partition("=")
        return f"{self._key(name)}{equals}{self._label(name, value)}{colon}{effect}"

    def _key(self, name: str) -> str:
        """The key of a label or taint."""
        domain, slash, rest = name.partition("/")
        return f"{self._name('domain', domain)}.invalid/{rest}" if slash and not _of_vendor(domain) else name

    def _label(self, name: str, value: str) -> str:
        domain, slash, _ = name.partition("/")
        of_owner = any(fnmatchcase(name, pattern) for pattern in _rules()["owners"])
        if value and slash and (of_owner or not _of_vendor(domain)):
            return self._name("value", value)
        if value and not slash and value not in self._given and not _of_words(name, value):
            return self._own_label(value)
        return self.name(value)

    def _own_label(self, value: str) -> str:
        """In place of what an owner wrote at a label without a domain. Elsewhere the same word may be anybody's."""
        if value not in self._labels:
            self._counts["label"] = self._counts.get("label", 0) + 1
            self._labels[value] = f"label-{self._counts['label']}"
        return self._labels[value]

    def _image(self, image: str) -> str:
        registry, slash, path = image.partition("/")
        if not slash or not re.search(r"[.:]", registry) or _in_domain(registry, _rules()["registries"]):
            return image
        # Of a path the last part names the program.
        return f"{self._name('registry', registry)}.invalid/{path.rpartition('/')[2]}"


def _node_groups(status: Object) -> list[str]:
    """The names of node groups in the status of Cluster Autoscaler, without their paths."""
    try:
        groups = parse_status((status.get("data") or {}).get("status", ""))
    except BadStatus:
        return []
    return [group.name.rstrip("/").rpartition("/")[2] for group in groups]


def known_namespace(name: str) -> bool:
    """Whether a Namespace's name says nothing about its owner."""
    return any(fnmatchcase(name, pattern) for pattern in _rules()["namespaces"])
