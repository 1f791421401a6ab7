"""Writes the folder of a recorded platform from the answers of its API server."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from aiconform.cluster import Cluster, ClusterError, Object
from aiconform.cluster.answers import Answer
from aiconform.recorded.folder import ANSWERS, API, METRICS, OBJECTS, TEXT
from aiconform.recorded.neutral import Neutral

_VERSIONED = re.compile(r"/(?:api/(?P<core>v\d+)|apis/(?P<group>[^/]+/[^/]+))(?P<rest>(?:/.*)?)")
_PROXIED = re.compile(
    r"/namespaces/(?P<namespace>[^/]+)/(?P<kind>pods|services)/(?:https?:)?(?P<name>[^/:]+):(?P<port>[^/]+)/proxy(?P<path>/.*)"
)
_REVIEWS = "selfsubjectaccessreviews"
# Never written, whoever reads them.
_NEVER = ("Secret", "ServiceAccount")


class NotEmpty(ValueError):
    """The folder has files already; the text names it."""


async def read_discovery(cluster: Cluster) -> None:
    """Ask for all that is served: a recording says what there is not, too."""
    for group, versions in (await cluster.groups()).items():
        for version in versions:
            try:
                await cluster.resources(f"{group}/{version}")
            except ClusterError:
                # An aggregated API whose server is down.
                continue


@dataclass
class _Recorded:
    """What answers show of a platform, as it was."""

    version: str = ""
    objects: dict[tuple[str, str, str, str], Object] = field(default_factory=dict)
    serves: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    refuses: set[str] = field(default_factory=set)
    pages: list[dict[str, Any]] = field(default_factory=list)

    def add(self, answer: Answer) -> None:
        match = _VERSIONED.fullmatch(answer.path)
        if answer.path == "/version":
            self.version = json.loads(answer.text)["gitVersion"]
        elif match is None:
            return
        elif answer.proxied:
            self._add_page(match["rest"], answer)
        elif answer.status == 403:
            self._refused(answer.verb, match)
        elif answer.verb == "create":
            if match["rest"] == f"/{_REVIEWS}":
                self._reviewed(json.loads(answer.text))
        else:
            self._add_content(match["core"] or match["group"], json.loads(answer.text))

    def _add_content(self, api_version: str, content: Any) -> None:
        kind = str(content.get("kind", ""))
        if kind == "APIResourceList":
            for entry in content["resources"]:
                if "/" not in entry["name"]:
                    self.serves[api_version, entry["kind"]] = {
                        "version": api_version,
                        "kind": entry["kind"],
                        "plural": entry["name"],
                        "namespaced": entry["namespaced"],
                    }
        elif "items" in content:
            for item in content["items"]:
                self._add_object({"apiVersion": api_version, "kind": kind.removesuffix("List"), **item})
        elif "metadata" in content and "name" in content["metadata"]:
            self._add_object({"apiVersion": api_version, **content})

    def _add_object(self, obj: Object) -> None:
        about = obj["metadata"]
        if obj["kind"] not in _NEVER:
            self.objects[obj["apiVersion"], obj["kind"], about.get("namespace", ""), about["name"]] = obj

    def _add_page(self, rest: str, answer: Answer) -> None:
        if match := _PROXIED.fullmatch(rest):
            self.pages.append({**match.groupdict(), "answer": answer})

    def _refused(self, verb: str, match: re.Match[str]) -> None:
        parts = match["rest"].strip("/").split("/")
        plural = parts[2] if parts[0] == "namespaces" and len(parts) > 2 else parts[0]
        subresource = "/proxy" if "proxy" in parts else ""
        self.refuses.add(_refusal(verb, plural + subresource, (match["group"] or "").partition("/")[0]))

    def _reviewed(self, review: Any) -> None:
        asked = review["spec"]["resourceAttributes"]
        if not review["status"]["allowed"]:
            name = asked["resource"] + (f"/{asked['subresource']}" if asked.get("subresource") else "")
            self.refuses.add(_refusal(asked["verb"], name, asked.get("group", "")))


def _refusal(verb: str, resource: str, group: str) -> str:
    return f"{verb} {resource}.{group}" if group else f"{verb} {resource}"


def write(folder: Path, answers: Iterable[Answer], server: str) -> dict[str, int]:
    """Write what was answered, redacted. Returns how many values were replaced, by kind. Raises NotEmpty, OSError."""
    if folder.exists() and any(folder.iterdir()):
        raise NotEmpty(f"{folder} is not empty: name a new folder")
    seen = _Recorded()
    for answer in answers:
        seen.add(answer)
    scraped = {(page["namespace"], page["name"]) for page in seen.pages}
    host = re.sub(r"^https?://|[:/].*$", "", server)
    neutral = Neutral(seen.objects.values(), scraped, [host])
    (folder / METRICS).mkdir(parents=True)
    objects = [neutral.object(obj) for _, obj in sorted(seen.objects.items())]
    api = {
        "version": seen.version,
        "complete": True,
        "serves": list(seen.serves.values()),
        "refuses": sorted(seen.refuses),
    }
    _write(folder / OBJECTS, yaml.safe_dump_all(objects, sort_keys=False, allow_unicode=True))
    _write(folder / API, yaml.safe_dump(api, sort_keys=False))
    others = list(_pages(folder, seen.pages, neutral))
    _write(folder / ANSWERS, yaml.safe_dump(others, sort_keys=False, allow_unicode=True))
    return neutral.counts


def _pages(folder: Path, pages: Iterable[dict[str, Any]], neutral: Neutral) -> Iterator[dict[str, Any]]:
    """Write the pages of metrics; yields the other answers."""
    for page in pages:
        answer: Answer = page["answer"]
        namespace, name = neutral.name(page["namespace"]), neutral.name(page["name"])
        body = neutral.text(answer.text)
        plain = answer.status == 200 and page["path"] == "/metrics" and answer.type.startswith("text/plain")
        if plain and page["kind"] == "pods":
            _write(folder / METRICS / f"{namespace}__{name}__{page['port']}.txt", body)
        else:
            yield {
                "namespace": namespace,
                "pod" if page["kind"] == "pods" else "service": name,
                "port": page["port"],
                "path": page["path"],
                "query": answer.query,
                "status": answer.status,
                "type": answer.type or TEXT,
                "body": body,
            }


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
