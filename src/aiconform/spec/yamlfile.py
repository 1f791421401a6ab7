"""The project's reader of YAML: PyYAML's C parser, which is thirty times as fast as ruamel.yaml's.

`read` and `parse` take a small, strict subset and remember the line of every value. Files that people write by hand
need much less than YAML offers, and what is left out is where files go wrong: anchors and aliases, tags, several
documents, duplicate keys and the surprising scalars (`on`, `1.30`, dates) are not data there. A plain scalar is an
integer, true, false, null, or else text, as it reads.

`documents` reads all of YAML, without dates: manifests, and text from a cluster.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from aiconform import untrusted
from aiconform.spec.errors import MalformedFile

# The C loader is ten times as fast; a PyYAML without libyaml still works.
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
LARGEST_FILE = 256 * 1024  # bytes; the longest requirement is under a tenth of that
DEEPEST = 16  # levels of nesting; the model has six
DEEPEST_DOCUMENT = 100  # levels of nesting of what is not ours; CustomResourceDefinitions have under 40
MOST_ALIASED = 100_000  # values that the aliases of a file stand for

INTEGER = re.compile(r"0|-?[1-9][0-9]{0,17}")
WORDS: dict[str, bool | None] = {"true": True, "false": False, "null": None, "~": None, "": None}


class NotYaml(ValueError):
    """The text is not well-formed YAML. Attributes: problem, line (from 1, or None)."""

    def __init__(self, error: yaml.YAMLError) -> None:
        mark = getattr(error, "problem_mark", None)
        self.line: int | None = mark.line + 1 if mark else None
        self.problem: str = (
            getattr(error, "problem", None) or getattr(error, "reason", None) or str(error).splitlines()[0]
        )
        super().__init__(f"line {self.line}: {self.problem}" if mark else self.problem)


class _Plain(LOADER):  # type: ignore[misc,valid-type]
    """Safe, and with text where YAML 1.1 has dates and the value `=`."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML's own shape
        first: [(tag, pattern) for tag, pattern in resolvers if tag.rpartition(":")[2] not in ("timestamp", "value")]
        for first, resolvers in LOADER.yaml_implicit_resolvers.items()
    }


Key = str | int
Where = tuple[Key, ...]


@dataclass(frozen=True)
class Tree:
    """A file's data, and the line (from 1) on which the value at each path of keys and indexes begins."""

    path: Path
    data: Any
    lines: dict[Where, int]

    def line(self, where: Where) -> int:
        """The line of the value at `where`, or of the nearest thing around it that is in the file."""
        while where and where not in self.lines:
            where = where[:-1]
        return self.lines.get(where, 1)


@dataclass
class _Open:
    """A mapping or list whose end has not been read yet."""

    where: Where
    value: dict[str, Any] | list[Any]
    key: str | None = None
    seen: dict[str, int] = field(default_factory=dict)


def read(path: Path) -> Tree:
    """The file's data as dicts, lists, text, integers, booleans and None. Raises MalformedFile."""
    return parse(path, content(path))


def content(path: Path) -> bytes:
    """The file's bytes. Raises MalformedFile."""
    try:
        return untrusted.read(path, LARGEST_FILE)
    except untrusted.Refused as error:
        raise MalformedFile(path, None, str(error), "a file of the standard") from error
    except OSError as error:
        raise MalformedFile(path, None, f"cannot be read ({error.strerror})", "a file of the standard") from error


def documents(raw: str | bytes) -> list[Any]:
    """The data of each document. Raises NotYaml."""
    try:
        _limited(raw)
        return list(yaml.load_all(raw, Loader=_Plain))
    except yaml.YAMLError as error:
        raise NotYaml(error) from error
    except (ValueError, RecursionError) as error:  # of a value: a number of 5,000 digits
        raise NotYaml(yaml.YAMLError(f"a value that cannot be read ({error})")) from error


def _limited(raw: str | bytes) -> None:
    """Aliases stand for what they name: ten lines can be a billion values. Raises YAMLError."""
    depth, weights = 0, [0]
    sizes: dict[str, int] = {}
    anchors: list[str | None] = []
    aliased = 0
    for event in yaml.parse(raw, Loader=LOADER):
        if isinstance(event, yaml.AliasEvent):
            # An alias inside of what it names has no size yet.
            if event.anchor not in sizes:
                raise yaml.YAMLError(f"the alias *{event.anchor} names nothing that is complete")
            aliased += sizes[event.anchor]
            weights[-1] += sizes[event.anchor]
            if aliased > MOST_ALIASED:
                raise yaml.YAMLError(f"its aliases stand for more than {MOST_ALIASED:,} values")
        elif isinstance(event, yaml.ScalarEvent):
            weights[-1] += 1
            if event.anchor:
                sizes[event.anchor] = 1
        elif isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > DEEPEST_DOCUMENT:
                raise yaml.YAMLError(f"it is nested deeper than {DEEPEST_DOCUMENT} levels")
            weights.append(1)
            anchors.append(event.anchor)
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
            weight, anchor = weights.pop(), anchors.pop()
            weights[-1] += weight
            if anchor:
                sizes[anchor] = weight


def parse(path: Path, raw: bytes) -> Tree:
    """Like `read`, for bytes at hand; `path` is only named in errors."""
    if len(raw) > LARGEST_FILE:
        raise MalformedFile(path, None, f"has {len(raw)} bytes", f"at most {LARGEST_FILE}")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise MalformedFile(path, line, "is not UTF-8", "UTF-8 text") from error
    try:
        return _build(path, text)
    except yaml.YAMLError as error:
        wrong = NotYaml(error)
        raise MalformedFile(path, wrong.line, wrong.problem, "well-formed YAML") from error


def _build(path: Path, text: str) -> Tree:
    lines: dict[Where, int] = {}
    stack: list[_Open] = []
    documents = 0
    root: Any = None
    event: Any

    def add(value: Any, line: int) -> Where:
        nonlocal root
        where: Where = ()
        if not stack:
            root = value
        elif isinstance((top := stack[-1]).value, list):
            where = (*top.where, len(top.value))
            top.value.append(value)
        else:
            assert top.key is not None  # noqa: S101 - a mapping's key is always read before its value
            where = (*top.where, top.key)
            top.value[top.key], top.key = value, None
        lines[where] = line
        return where

    for event in yaml.parse(text, Loader=LOADER):
        line = event.start_mark.line + 1
        if isinstance(event, yaml.DocumentStartEvent):
            documents += 1
            if documents > 1:
                raise MalformedFile(path, line, "a second document begins", "one document in a file")
        elif isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise MalformedFile(path, line, "an anchor or alias is used", "every value written out")
        elif getattr(event, "tag", None):
            raise MalformedFile(path, line, f"the tag {event.tag} is used", "plain values without tags")
        elif isinstance(event, yaml.CollectionEndEvent):
            stack.pop()
        elif isinstance(event, (yaml.CollectionStartEvent, yaml.ScalarEvent)):
            top = stack[-1] if stack else None
            if top and isinstance(top.value, dict) and top.key is None:
                top.key = _key(path, line, event, top)
                lines[(*top.where, top.key)] = line  # a value may begin further down; its key is what one looks for
            elif isinstance(event, yaml.ScalarEvent):
                key_line = lines.get((*top.where, top.key)) if top and top.key is not None else None
                add(_scalar(event), key_line or line)
            else:
                if len(stack) >= DEEPEST:
                    raise MalformedFile(path, line, "is nested too deep", f"at most {DEEPEST} levels")
                key_line = lines.get((*top.where, top.key)) if top and top.key is not None else None
                value: dict[str, Any] | list[Any] = {} if isinstance(event, yaml.MappingStartEvent) else []
                stack.append(_Open(add(value, key_line or line), value))
    if documents == 0:
        raise MalformedFile(path, 1, "is empty", "one mapping of keys to values")
    return Tree(path, root, lines)


def _key(path: Path, line: int, event: Any, parent: _Open) -> str:
    if not isinstance(event, yaml.ScalarEvent) or not isinstance(key := _scalar(event), str):
        raise MalformedFile(path, line, "a key is not text", "keys that are plain words")
    if key in parent.seen:
        raise MalformedFile(
            path, line, f"the key {key!r} was given on line {parent.seen[key]} already", "each key once"
        )
    parent.seen[key] = line
    return key


def _scalar(event: Any) -> str | int | bool | None:
    text: str = event.value
    if not event.implicit[0]:  # quoted or a block: always text
        return text
    if text in WORDS:
        return WORDS[text]
    return int(text) if INTEGER.fullmatch(text) else text
