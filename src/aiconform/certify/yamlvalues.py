"""Untrusted YAML: values that know their lines, built under limits that apply before anything is built.

Scalars mean what they mean to the programme's own reader (YAML 1.2: `yes` and `on` are text), because the verdict must
be the same. Aliases are shared values, not copies, and are counted as what they stand for. `spec.yamlfile` cannot serve
here, although both read the events of one parser: it refuses aliases, merges, tags, UTF-16 and second documents, which
the programme accepts.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml

from aiconform import untrusted
from aiconform.spec.yamlfile import LOADER

LARGEST = 1 << 20  # bytes; the longest real submission has 26 kB
DEEPEST = 64  # levels; a submission has five
MOST_NODES = 100_000  # after expansion of aliases; a real submission has under 400

Kind = Literal["null", "bool", "int", "float", "timestamp", "text"]

_INT = re.compile(r"[-+]?(0b[01_]+|0o?[0-7_]+|0x[0-9a-fA-F_]+|[0-9][0-9_]*)")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9][0-9_]*(\.[0-9_]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_TIMESTAMP = re.compile(
    r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt ]+[0-9]{1,2}:[0-9]{2}:[0-9]{2}(\.[0-9]*)? *(Z|[-+][0-9]{1,2}(:?[0-9]{2})?)?)?"
)
_NULL = {"", "~", "null", "Null", "NULL"}
_BOOL = {"true", "True", "TRUE", "false", "False", "FALSE"}
_TAGS: dict[str, Kind] = {
    "tag:yaml.org,2002:str": "text",
    "tag:yaml.org,2002:null": "null",
    "tag:yaml.org,2002:bool": "bool",
    "tag:yaml.org,2002:int": "int",
    "tag:yaml.org,2002:float": "float",
    "tag:yaml.org,2002:timestamp": "timestamp",
}


class Malformed(Exception):
    """The bytes are not YAML, or exceed a limit. `line` counts from 1; `help` says what to do."""

    def __init__(self, line: int, problem: str, help: str) -> None:
        super().__init__(problem)
        self.line, self.problem, self.help = line, problem, help


@dataclass(frozen=True, slots=True)
class YamlScalar:
    text: str
    kind: Kind
    line: int


@dataclass(slots=True)
class YamlList:
    line: int
    items: list[YamlValue] = field(default_factory=list)


@dataclass(slots=True)
class YamlMapping:
    """`entries` by key; `keys` has the line of each."""

    line: int
    entries: dict[str, YamlValue] = field(default_factory=dict)
    keys: dict[str, int] = field(default_factory=dict)

    def get(self, key: str) -> YamlValue | None:
        return self.entries.get(key)


YamlValue = YamlScalar | YamlList | YamlMapping


@dataclass(frozen=True, slots=True)
class Document:
    """The first document of a file. `root` is None for an empty one.

    oddities: unusual properties of the bytes: `bom`, `utf-16`, `crlf`, `second-document`.
    """

    root: YamlValue | None
    oddities: tuple[str, ...]


@dataclass(slots=True)
class _Open:
    node: YamlList | YamlMapping
    anchor: str | None
    weight: int = 1
    key: str | None = None
    key_line: int = 0
    merges: list[YamlValue] = field(default_factory=list)


def read(path: Path, *, largest: int = LARGEST) -> Document:
    """Of a plain file. Raises Malformed, and OSError as `open` does."""
    try:
        data = untrusted.read(path, largest)
    except untrusted.Refused as error:
        raise Malformed(1, str(error), "name a plain file of a usual size") from error
    return parse(data, largest=largest)


def parse(data: bytes, *, largest: int = LARGEST, most_nodes: int = MOST_NODES) -> Document:
    """Raises Malformed."""
    if len(data) > largest:
        raise Malformed(
            1, f"the file is larger than {largest:,} bytes", "keep it short: long output belongs into evidence files"
        )
    text, oddities = _decoded(data)
    builder = _Builder(most_nodes)
    try:
        for event in yaml.parse(text, Loader=LOADER):
            if builder.done:
                if isinstance(event, yaml.DocumentStartEvent):
                    oddities.append("second-document")
                break
            builder.take(event)
            if isinstance(event, yaml.DocumentEndEvent):
                builder.done = True
    except yaml.YAMLError as error:
        # The programme does not read what follows the first document either.
        if not builder.done:
            raise _in_words(error, text) from error
        oddities.append("second-document")
    return Document(builder.root, tuple(oddities))


def _decoded(data: bytes) -> tuple[str, list[str]]:
    oddities = []
    try:
        if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            text = data.decode("utf-16")
            oddities.append("utf-16")
        else:
            if data.startswith(codecs.BOM_UTF8):
                oddities.append("bom")
            text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise Malformed(line, "a byte that is not UTF-8", "save the file as UTF-8") from error
    if "\0" in text:
        raise Malformed(
            text[: text.index("\0")].count("\n") + 1, "a NUL character", "remove it; the file may be binary or damaged"
        )
    if "\r\n" in text:
        oddities.append("crlf")
    return text, oddities


def _in_words(error: yaml.YAMLError, text: str) -> Malformed:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "not well-formed"
    line = mark.line + 1 if mark else text[: getattr(error, "position", 0) or 0].count("\n") + 1
    return Malformed(line, f"not YAML: {problem}", "correct the indentation, quotes or brackets near this line")


class _Builder:
    def __init__(self, most_nodes: int) -> None:
        self._most_nodes = most_nodes
        self.root: YamlValue | None = None
        self.done = False
        self._stack: list[_Open] = []
        self._anchors: dict[str, tuple[YamlValue, int]] = {}
        self._opened: set[str] = set()
        self._nodes = 0

    def take(self, event: Any) -> None:
        line = event.start_mark.line + 1
        if isinstance(event, yaml.ScalarEvent):
            self._scalar(event, line)
        elif isinstance(event, yaml.AliasEvent):
            self._alias(str(event.anchor), line)
        elif isinstance(event, yaml.CollectionStartEvent):
            if len(self._stack) >= DEEPEST:
                raise Malformed(line, f"nested deeper than {DEEPEST} levels", "a submission has five levels")
            self._count(1, line)
            node: YamlList | YamlMapping = (
                YamlMapping(line) if isinstance(event, yaml.MappingStartEvent) else YamlList(line)
            )
            if event.anchor:
                self._opened.add(event.anchor)
            self._stack.append(_Open(node, event.anchor))
        elif isinstance(event, yaml.CollectionEndEvent):
            self._close(line)

    def _count(self, more: int, line: int) -> None:
        self._nodes += more
        if self._nodes > self._most_nodes:
            raise Malformed(
                line,
                f"more than {self._most_nodes:,} values, aliases counted as what they stand for",
                "write the values out; a submission has some hundred values",
            )

    def _scalar(self, event: Any, line: int) -> None:
        self._count(1, line)
        node = YamlScalar(event.value, _kind(event), line)
        if event.anchor:
            self._anchors[event.anchor] = (node, 1)
        self._place(node, 1, line)

    def _alias(self, anchor: str, line: int) -> None:
        if anchor in self._opened:
            raise Malformed(line, f"the alias *{anchor} is inside what it names", "write the value out")
        if anchor not in self._anchors:
            raise Malformed(line, f"the alias *{anchor} names nothing", "write the value out")
        node, weight = self._anchors[anchor]
        self._count(weight, line)
        self._place(node, weight, line)

    def _close(self, line: int) -> None:
        closed = self._stack.pop()
        if isinstance(closed.node, YamlMapping):
            for merged in closed.merges:
                _merge(closed.node, merged, line)
        if closed.anchor:
            self._opened.discard(closed.anchor)
            self._anchors[closed.anchor] = (closed.node, closed.weight)
        self._place(closed.node, closed.weight, closed.node.line)

    def _place(self, node: YamlValue, weight: int, line: int) -> None:
        if not self._stack:
            self.root = node
            return
        top = self._stack[-1]
        top.weight += weight
        if isinstance(top.node, YamlList):
            top.node.items.append(node)
        elif top.key is None:
            top.key, top.key_line = _key(node, top.node, line), line
        elif top.key == "<<":
            top.merges.append(node)
            top.key = None
        else:
            top.node.entries[top.key] = node
            top.node.keys[top.key] = top.key_line
            top.key = None


def _key(node: YamlValue, parent: YamlMapping, line: int) -> str:
    if not isinstance(node, YamlScalar):
        raise Malformed(line, "a key that is a list or a mapping", "keys are plain words")
    if node.text in parent.entries:
        raise Malformed(
            line,
            f"the key {shown(node.text)} was given on line {parent.keys[node.text]} already",
            "remove one of the two",
        )
    return node.text


def _merge(into: YamlMapping, merged: YamlValue, line: int) -> None:
    """YAML's `<<`: the merged mapping's entries, where the mapping has none of its own."""
    for source in merged.items if isinstance(merged, YamlList) else [merged]:
        if not isinstance(source, YamlMapping):
            raise Malformed(line, "`<<` merges something that is not a mapping", "write the keys out")
        for key, node in source.entries.items():
            if key not in into.entries:
                into.entries[key] = node
                into.keys[key] = source.keys[key]


def _kind(event: Any) -> Kind:
    if event.tag:
        return _TAGS.get(event.tag, "text")
    text: str = event.value
    if not event.implicit[0]:  # quoted, or a block
        return "text"
    if text in _NULL:
        return "null"
    if text in _BOOL:
        return "bool"
    if _INT.fullmatch(text):
        return "int"
    if _FLOAT.fullmatch(text):
        return "float"
    return "timestamp" if _TIMESTAMP.fullmatch(text) else "text"


def shown(text: str, most: int = 80) -> str:
    """Untrusted text for a message: quoted, on one line, control characters escaped, shortened."""
    short = text if len(text) <= most else text[: most - 1] + "…"
    return repr(short)
