"""The folder of a recorded platform.

objects.yaml   API objects, one a document; Lists are taken apart
api.yaml       optional. version: of Kubernetes. serves: kinds without objects, each {version, kind, plural,
               namespaced}. complete: true if nothing else is served, as in a recording. refuses: what the credentials
               may not do, each as "VERB RESOURCE[.GROUP]"
metrics/       what Pods answer at /metrics: NAMESPACE__POD__PORT.txt
answers.yaml   optional. Other answers of Pods and Services through the API server's proxy, each {namespace, pod or
               service, port, path, query, status, type, body}

`docs/recorded-platforms.md` explains it to users.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args
from uuid import NAMESPACE_URL, uuid5

from aiconform.cluster import Object, Resource
from aiconform.recorded import kinds
from aiconform.spec import yamlfile
from aiconform.untrusted import CAUSED_BY_CONTENT, Refused, read

OBJECTS, API, METRICS, ANSWERS = "objects.yaml", "api.yaml", "metrics", "answers.yaml"
DEFAULT_VERSION = "v1.37.0"
LARGEST = 256 << 20  # bytes of a file; 5,000 Nodes with 40,000 Pods have 150 MB
TEXT = "text/plain; version=0.0.4; charset=utf-8"
_BEGUN = "2026-01-01T00:00:00Z"

Behind = Literal["pods", "services"]


class BadFolder(ValueError):
    """The folder is not that of a recorded platform; the text names the file and what is wrong with it."""


@dataclass(frozen=True)
class Place:
    """What is asked for through the proxy. `port` is a number or a Service's name for it; `query` is sorted."""

    kind: Behind
    namespace: str
    name: str
    port: str
    path: str = "/metrics"
    query: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Page:
    """What was answered. `type` is the Content-Type."""

    body: str
    status: int = 200
    type: str = TEXT


@dataclass(frozen=True)
class RecordedPlatform:
    """What a platform's API server answered. `refuses` are (verb, resource with its group)."""

    version: str = DEFAULT_VERSION
    objects: tuple[Object, ...] = ()
    served: tuple[Resource, ...] = ()
    pages: dict[Place, Page] = field(default_factory=dict)
    refuses: frozenset[tuple[str, str]] = frozenset()

    @classmethod
    def read(cls, folder: Path) -> RecordedPlatform:
        """Raises BadFolder."""
        if not (folder / OBJECTS).is_file():
            raise BadFolder(f"{folder} has no {OBJECTS}: it is not the folder of a recorded platform")
        try:
            return cls._read(folder)
        except BadFolder:
            raise
        except CAUSED_BY_CONTENT as error:
            raise BadFolder(f"{folder}: an object or an entry without its fields ({error!r:.200})") from error

    @classmethod
    def _read(cls, folder: Path) -> RecordedPlatform:
        objects = [_checked(obj, folder) for obj in _items(_documents(folder / OBJECTS))]
        api = _one(folder / API, {})
        version = str(api.get("version", DEFAULT_VERSION))
        served = [
            Resource(entry["version"], entry["kind"], entry["plural"], entry["namespaced"], kinds.READS)
            for entry in api.get("serves") or []
        ]
        refuses = frozenset((verb, name) for verb, name in (each.split(" ") for each in api.get("refuses") or []))
        pages = {**dict(_pages(folder / METRICS)), **dict(_answer(entry) for entry in _one(folder / ANSWERS, []))}
        if not api.get("complete"):
            objects += list(_implied(objects))
            served += [*kinds.own(version), *kinds.defined(objects), *kinds.shown(objects)]
        return cls(version, tuple(map(_filled, objects)), _distinct(served), pages, refuses)


def _distinct(served: list[Resource]) -> tuple[Resource, ...]:
    """The first of each version and kind."""
    found: dict[tuple[str, str], Resource] = {}
    for each in served:
        found.setdefault((each.api_version, each.kind), each)
    return tuple(found.values())


def _documents(path: Path) -> list[Any]:
    try:
        return [each for each in yamlfile.documents(_read(path)) if each is not None]
    except yamlfile.NotYaml as error:
        raise BadFolder(f"{path}: {error}") from error


def _read(path: Path) -> bytes:
    try:
        return read(path, LARGEST, inside=path.parent)
    except (Refused, OSError, RuntimeError) as error:
        raise BadFolder(f"{path}: {error}") from error


def _one(path: Path, default: Any) -> Any:
    """The file's only document; the default without the file."""
    found = _documents(path) if path.exists() else []
    if len(found) > 1 or (found and not isinstance(found[0], type(default))):
        raise BadFolder(f"{path}: one {'mapping' if isinstance(default, dict) else 'list'} is expected")
    return found[0] if found else default


def _items(documents: list[Any]) -> Iterator[Any]:
    for document in documents:
        if isinstance(document, dict) and str(document.get("kind", "")).endswith("List") and "items" in document:
            yield from document["items"]
        else:
            yield document


def _checked(obj: Any, folder: Path) -> Object:
    if not isinstance(obj, dict) or not all(isinstance(obj.get(key), str) for key in ("apiVersion", "kind")):
        raise BadFolder(f"{folder / OBJECTS}: a document is no API object with apiVersion and kind")
    if not isinstance(obj.get("metadata"), dict) or not isinstance(obj["metadata"].get("name"), str):
        raise BadFolder(f"{folder / OBJECTS}: a {obj['kind']} has no metadata.name")
    return obj


def _implied(objects: list[Object]) -> Iterator[Object]:
    """The Namespaces that every cluster has, and those of the objects, which nobody should have to write."""
    there = {obj["metadata"]["name"] for obj in objects if obj["kind"] == "Namespace"}
    named = {obj["metadata"]["namespace"] for obj in objects if obj["metadata"].get("namespace")}
    for name in sorted({"default", "kube-system", *named} - there):
        yield {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": name, "labels": {"kubernetes.io/metadata.name": name}},
            "status": {"phase": "Active"},
        }


def _filled(obj: Object) -> Object:
    """With what every stored object has. The UID follows from the name, so that it is the same each time."""
    about = obj["metadata"]
    identity = "/".join((obj["apiVersion"], obj["kind"], about.get("namespace", ""), about["name"]))
    filled = {"uid": str(uuid5(NAMESPACE_URL, identity)), "creationTimestamp": _BEGUN, **about, "resourceVersion": "1"}
    parts: Object = {"spec": {}, "status": {}} if obj["kind"] in ("Node", "Pod") else {}
    return {**parts, **obj, "metadata": filled}


def _pages(folder: Path) -> Iterator[tuple[Place, Page]]:
    for path in sorted(folder.glob("*.txt")):
        parts = path.stem.split("__")
        if len(parts) != 3:
            raise BadFolder(f"{path}: its name is not NAMESPACE__POD__PORT.txt")
        namespace, pod, port = parts
        try:
            yield Place("pods", namespace, pod, port), Page(_read(path).decode())
        except UnicodeDecodeError as error:
            raise BadFolder(f"{path} is not UTF-8") from error


def _answer(entry: dict[str, Any]) -> tuple[Place, Page]:
    kind: Behind = "pods" if "pod" in entry else "services"
    name = entry["pod" if kind == "pods" else "service"]
    query = tuple(sorted((str(key), str(value)) for key, value in (entry.get("query") or {}).items()))
    place = Place(kind, entry["namespace"], name, str(entry["port"]), str(entry.get("path", "/metrics")), query)
    return place, Page(entry.get("body", ""), int(entry.get("status", 200)), entry.get("type", TEXT))


BEHIND: tuple[Behind, ...] = get_args(Behind)
