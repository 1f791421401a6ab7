"""Automatic corrections of a PRODUCT.yaml; comments, order and quotes stay as they are."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from aiconform.certify.checklist import Checklist, checklist_of, digest_of
from aiconform.certify.submission import (
    METADATA,
    Submission,
    Unreadable,
    read_bytes,
    read_submission,
    snake_case,
    version_of,
)

MOST_ENTRIES = 1000  # of one claim's evidence; longer lists are left alone
WIDTH = 4096  # columns, so that long strings are not wrapped again


def editor() -> YAML:
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = WIDTH
    yaml.indent(mapping=2, sequence=4, offset=2)
    return yaml


def fix(path: Path, checklists: Path | None = None) -> list[str]:
    """Correct the file and return what was changed, in words; nothing if the file cannot be read.

    Raises BadChecklists.
    """
    try:
        submission = read_submission(path)
    except Unreadable:
        return []
    checklist = checklist_of(submission.version, checklists) if submission.version else None
    data = read_bytes(path, submission.folder)
    text = data.decode("utf-16" if "utf-16" in submission.oddities else "utf-8-sig").replace("\r\n", "\n")
    done = [_CHANGES[oddity] for oddity in submission.oddities if oddity in _CHANGES]
    yaml = editor()
    try:
        tree = yaml.load(text)
    except (YAMLError, ValueError):
        return []
    edits = [*_metadata(tree, submission), *(_claims(tree, checklist) if checklist else [])]
    if edits:
        out = io.StringIO()
        yaml.dump(tree, out)
        text = out.getvalue()
    if done or edits:
        draft = path.with_name(f".{path.name}.part")
        draft.write_text(text, encoding="utf-8", newline="\n")
        draft.replace(path)
    return [*done, *edits]


_CHANGES = {
    "crlf": "line ends changed to LF",
    "bom": "byte order mark removed",
    "utf-16": "encoding changed to UTF-8",
}


def _metadata(tree: Any, submission: Submission) -> list[str]:
    fields = tree.get("metadata") if isinstance(tree, dict) else None
    if not isinstance(fields, dict):
        return []
    done = []
    for name in METADATA:
        snake = snake_case(name)
        if snake != name and snake in fields:
            if name in fields:
                del fields[snake]
                done.append(f"{snake} removed, {name} is present")
            else:
                _rename(fields, snake, name)
                done.append(f"{snake} renamed to {name}")
        value = fields.get(name)
        if isinstance(value, str) and value.rstrip("\n") != value.strip():
            fields[name] = type(value)(value.strip())
            done.append(f"whitespace around {name} removed")
    version = submission.version or version_of(submission.path)
    given = fields.get("kubernetesVersion")
    same = isinstance(given, str | float) and version and str(given).strip().removeprefix("v") + "."
    if version and same and str(given) != version and same.startswith(version.removeprefix("v") + "."):
        fields["kubernetesVersion"] = version
        done.append(f"kubernetesVersion changed from {given} to {version}")
    return done


def _rename(fields: Any, old: str, new: str) -> None:
    """Rename a key, keeping its position and comments."""
    place = list(fields).index(old)
    comments = fields.ca.items.pop(old, None)
    fields.insert(place, new, fields.pop(old))
    if comments is not None:
        fields.ca.items[new] = comments


def _claims(tree: Any, checklist: Checklist) -> list[str]:
    done: list[str] = []
    spec = tree.get("spec") if isinstance(tree, dict) else None
    for listed in spec.values() if isinstance(spec, dict) else ():
        for claim in listed if isinstance(listed, list) else ():
            item = checklist.item(str(claim.get("id"))) if isinstance(claim, dict) else None
            if item is None:
                continue
            if claim.get("level") != item.level:
                claim["level"] = item.level
                done.append(f"{item.id}: level changed to {item.level}")
            if item.description and digest_of(str(claim.get("description") or "")) not in item.digests:
                claim["description"] = item.description
                done.append(f"{item.id}: description restored")
            done += [f"{item.id}: {what}" for what in _evidence(claim)]
    return done


def _evidence(claim: Any) -> list[str]:
    evidence = claim.get("evidence")
    if not isinstance(evidence, list) or len(evidence) > MOST_ENTRIES:
        return []
    done = []
    for wanted, what in _TIDY:
        keep = wanted(list(evidence))
        for index in reversed(range(len(evidence))):
            if index not in keep:
                del evidence[index]
                done.append(what)
    return list(dict.fromkeys(done))


def _filled(entries: list[Any]) -> set[int]:
    return {index for index, entry in enumerate(entries) if not (entry is None or str(entry).strip() == "")}


def _first(entries: list[Any]) -> set[int]:
    return set({str(entry).strip(): index for index, entry in reversed(list(enumerate(entries)))}.values())


_TIDY: tuple[tuple[Callable[[list[Any]], set[int]], str], ...] = (
    (_filled, "empty evidence removed"),
    (_first, "repeated evidence removed"),
)
