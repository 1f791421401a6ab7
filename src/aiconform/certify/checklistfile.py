"""A version's checklist as a PRODUCT.yaml to fill in."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from aiconform.certify.checklist import Checklist, ChecklistItem
from aiconform.certify.submission import METADATA, snake_case
from aiconform.certify.yamlvalues import Malformed, YamlMapping, YamlScalar, read

TITLE_ONLY = "our title; use --checklists for the programme's text"


class BadMetadata(Exception):
    """The file with the metadata cannot be used."""


def read_metadata(path: Path) -> dict[str, str]:
    """Metadata from a YAML or JSON file: a mapping of fields, or a PRODUCT.yaml. Raises BadMetadata."""
    try:
        root = read(path).root
    except OSError as error:
        raise BadMetadata(f"{path} cannot be read: {error.strerror}") from error
    except Malformed as error:
        raise BadMetadata(f"{path}, line {error.line}: {error}; {error.help}") from error
    inner = root.get("metadata") if isinstance(root, YamlMapping) else None
    fields = inner if isinstance(inner, YamlMapping) else root
    if not isinstance(fields, YamlMapping):
        raise BadMetadata(f"{path} is not a mapping of metadata fields: {', '.join(METADATA)}")
    names = {spelled: name for name in METADATA for spelled in (name, snake_case(name))}
    unknown = sorted(fields.entries.keys() - names.keys() - {"spec"})
    if unknown:
        raise BadMetadata(f"{path}: {unknown[0]!r} is not a metadata field; the fields are {', '.join(METADATA)}")
    return {
        names[key]: node.text for key, node in fields.entries.items() if key in names and isinstance(node, YamlScalar)
    }


def folder_name(platform: str) -> str:
    """A name for the product's folder."""
    return re.sub(r"[^a-z0-9]+", "-", platform.lower()).strip("-")[:60] or "platform"


@dataclass(frozen=True)
class Carried:
    """What an earlier submission answered and still may."""

    status: str = ""
    evidence: tuple[str, ...] = ()
    notes: str = ""


def render(checklist: Checklist, metadata: Mapping[str, str], carried: Mapping[str, Carried] | None = None) -> str:
    """The file's text. Missing fields become bracketed placeholders, which validation refuses.

    carried: by requirement, what is not asked again.
    """
    lines = [
        f"# Kubernetes AI Conformance {checklist.version}: what this platform offers, and the evidence for it.",
        "# status: Implemented, Not Implemented, Partially Implemented, or N/A with notes; a SHOULD may stay blank.",
        "# `aiconform certify build` fills in the results of runs; `aiconform certify validate` checks the file.",
        "",
        "metadata:",
    ]
    for name, required in METADATA.items():
        given = {"kubernetesVersion": checklist.version, **metadata}.get(name, "")
        if given or required:
            lines.append(f"  {name}: {_quoted(given or f'[{name}]')}")
    lines += ["", "spec:"]
    for category in dict.fromkeys(item.category for item in checklist.items):
        lines.append(f"  {category}:")
        for item in checklist.items:
            if item.category == category:
                lines += entry(item, (carried or {}).get(item.id, Carried()))
    return "\n".join(lines) + "\n"


def entry(item: ChecklistItem, answer: Carried) -> list[str]:
    """The lines of a requirement with its answer."""
    described = _quoted(item.description) if item.description else f"{_quoted(item.title)}  # {TITLE_ONLY}"
    listed = [f"        - {_quoted(each)}" for each in answer.evidence]
    return [
        f"    - id: {item.id}",
        f"      description: {described}",
        f"      level: {item.level}",
        f"      status: {_quoted(answer.status)}",
        f"      evidence:{'' if listed else ' []'}",
        *listed,
        f"      notes: {_quoted(answer.notes)}",
    ]


def _quoted(text: str) -> str:
    """JSON's strings are YAML's double-quoted ones."""
    return json.dumps(" ".join(text.split()), ensure_ascii=False)
