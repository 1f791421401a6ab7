"""A submission as its vendor wrote it: metadata and claims of a PRODUCT.yaml, each with its line.

It is read like the programme's validator reads it: unknown keys are ignored, a number counts as text where text is
expected (but not in the metadata), null counts as absent.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from aiconform.certify.yamlvalues import LARGEST, Malformed, YamlList, YamlMapping, YamlScalar, YamlValue, parse, shown
from aiconform.untrusted import Refused, read

FILE = "PRODUCT.yaml"
METADATA = {
    "kubernetesVersion": True,
    "platformName": True,
    "platformVersion": True,
    "vendorName": True,
    "websiteUrl": True,
    "repoUrl": False,
    "documentationUrl": True,
    "productLogoUrl": True,
    "description": True,
    "contactEmailAddress": True,
    "k8sConformanceUrl": True,
}
"""The fields, and whether the programme requires each."""
CLAIM_KEYS = ("id", "description", "level", "status", "evidence", "notes")
BASE_CONFORMANCE = re.compile(r"https://github\.com/cncf/k8s-conformance/tree/(master|main)/v[0-9]+\.[0-9]+/[^/]+/?")
"""What k8sConformanceUrl has to look like."""
_NO_EVIDENCE = {"", "n/a", "na", "none", "-"}
VERSION = re.compile(r"(?:^|/)(v[0-9]+\.[0-9]+)/")


class Unreadable(Exception):
    """The PRODUCT.yaml cannot be loaded, which is an error for the programme's validator as well."""

    def __init__(self, line: int, problem: str, help: str) -> None:
        super().__init__(problem)
        self.line, self.problem, self.help = line, problem, help


def snake_case(name: str) -> str:
    """`k8sConformanceUrl` is `k8s_conformance_url`."""
    parts = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", parts).lower()


def version_of(path: Path) -> str | None:
    """The Kubernetes version in the path: the first folder like `v1.37`, in an absolute path the last."""
    typed = VERSION.search(path.as_posix())
    if typed and not path.is_absolute():
        return typed.group(1)
    found = VERSION.findall(path.absolute().as_posix())
    return found[-1] if found else None


def is_placeholder(text: str | None) -> bool:
    """Whether a metadata value is one of the bracketed texts that a checklist starts with."""
    return bool(text) and str(text).startswith("[") and str(text).endswith("]")


@dataclass(frozen=True)
class MetadataField:
    """A metadata value. `text` is None where the value is no string; `key` is how the file spells the field."""

    key: str
    text: str | None
    line: int


@dataclass(frozen=True)
class ClaimText:
    """A value of a claim; an absent one is "" on the claim's line."""

    text: str
    line: int

    def __bool__(self) -> bool:
        return bool(self.text.strip())


@dataclass(frozen=True)
class Claim:
    """The vendor's answer for one requirement. `unknown`: unknown keys with their lines."""

    category: str
    id: str
    line: int
    description: ClaimText
    level: ClaimText
    status: ClaimText
    notes: ClaimText
    evidence: tuple[ClaimText, ...]
    unknown: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True)
class Submission:
    """A loaded PRODUCT.yaml.

    path: as the user named it. folder: of the product, resolved. version: from the path, or None.
    metadata: by canonical name, None if there is no such section. claims: by category in the file's order, duplicates
    included, None if there is no spec.
    """

    path: Path
    folder: Path
    version: str | None
    metadata: dict[str, MetadataField] | None
    claims: dict[str, tuple[Claim, ...]] | None
    unknown: tuple[tuple[str, int], ...]
    both_spellings: tuple[str, ...]
    oddities: tuple[str, ...]
    faults: tuple[Unreadable, ...] = ()
    """Values of claims that cannot be loaded. The rest is read without them."""
    lines: dict[str, int] = field(default_factory=dict)
    """Of `metadata`, `spec` and of each `spec.<category>`."""

    def claim(self, category: str, requirement: str) -> Claim | None:
        """The last one with the id counts, as in the programme."""
        return self._last.get((category, requirement))

    @cached_property
    def _last(self) -> dict[tuple[str, str], Claim]:
        return {(category, claim.id): claim for category, claims in (self.claims or {}).items() for claim in claims}

    def every_claim(self) -> Iterator[Claim]:
        for claims in (self.claims or {}).values():
            yield from claims

    def value(self, name: str) -> str:
        """A metadata value as trimmed text, "" where there is none."""
        given = (self.metadata or {}).get(name)
        return (given.text or "").strip() if given else ""

    @property
    def product(self) -> str:
        """`v1.37/name`, from the folder."""
        return f"{self.folder.parent.name}/{self.folder.name}"


def read_bytes(path: Path, folder: Path, limit: int = LARGEST) -> bytes:
    """A regular file below `folder` (resolved). Raises Unreadable."""
    try:
        return read(path, limit, inside=folder)
    except Refused as error:
        raise Unreadable(1, str(error), "put a regular file of the usual size there") from error
    except (OSError, RuntimeError, ValueError) as error:
        problem = getattr(error, "strerror", None) or str(error)
        raise Unreadable(1, f"{path.name} cannot be read: {problem}", "check the path and its permissions") from error


def read_submission(path: Path) -> Submission:
    """Raises Unreadable."""
    folder = path.parent.resolve()
    submission = load(path, read_bytes(path, folder), folder)
    if submission.faults:
        raise submission.faults[0]
    return submission


def load(path: Path, data: bytes, folder: Path) -> Submission:
    """A submission with the `faults` of its claims. Raises Unreadable if there is nothing to go on with."""
    try:
        document = parse(data)
    except Malformed as error:
        raise Unreadable(error.line, error.problem, error.help) from error
    root = document.root
    if root is None or (isinstance(root, YamlScalar) and root.kind == "null"):
        root = YamlMapping(1)
    if not isinstance(root, YamlMapping):
        raise Unreadable(root.line, "the file is not a mapping", "start from the checklist: `aiconform certify init`")
    metadata, unknown, twice = _metadata(root.get("metadata"))
    lines: dict[str, int] = {key: root.keys[key] for key in ("metadata", "spec") if key in root.keys}
    faults: list[Unreadable] = []
    claims = _spec(root.get("spec"), lines, faults)
    unknown += [(key, line) for key, line in root.keys.items() if key not in ("metadata", "spec")]
    return Submission(
        path,
        folder,
        version_of(path),
        metadata,
        claims,
        tuple(unknown),
        tuple(twice),
        document.oddities,
        tuple(faults),
        lines,
    )


def _is_null(node: YamlValue | None) -> bool:
    return node is None or (isinstance(node, YamlScalar) and node.kind == "null")


def _metadata(node: YamlValue | None) -> tuple[dict[str, MetadataField] | None, list[tuple[str, int]], list[str]]:
    if _is_null(node):
        return None, [], []
    if not isinstance(node, YamlMapping):
        raise Unreadable(node.line if node else 1, "metadata is not a mapping", "write `name: value` lines below it")
    fields, twice, known = {}, [], set()
    for name in METADATA:
        snake = snake_case(name)
        known |= {name, snake}
        if name in node.entries and snake in node.entries and snake != name:
            twice.append(name)
        key = name if name in node.entries else snake
        value = node.get(key)
        if value is None or _is_null(value):
            continue
        text = value.text if isinstance(value, YamlScalar) and value.kind == "text" else None
        fields[name] = MetadataField(key, text, value.line)
    return fields, [(key, line) for key, line in node.keys.items() if key not in known], twice


def _spec(
    node: YamlValue | None, lines: dict[str, int], faults: list[Unreadable]
) -> dict[str, tuple[Claim, ...]] | None:
    if _is_null(node):
        return None
    if not isinstance(node, YamlMapping):
        raise Unreadable(node.line if node else 1, "spec is not a mapping", "write one key for each category below it")
    claims: dict[str, tuple[Claim, ...]] = {}
    for category, listed in node.entries.items():
        lines[f"spec.{category}"] = node.keys[category]
        if _is_null(listed):
            claims[category] = ()
        elif isinstance(listed, YamlList):
            claims[category] = tuple(_claim(category, item, faults) for item in listed.items)
        else:
            raise Unreadable(listed.line, f"spec.{category} is not a list", "begin each requirement with `- id:`")
    return claims


def _claim(category: str, node: YamlValue, faults: list[Unreadable]) -> Claim:
    if _is_null(node):
        node = YamlMapping(node.line)
    if not isinstance(node, YamlMapping):
        raise Unreadable(node.line, f"an entry of {category} is not a mapping", "begin each requirement with `- id:`")
    texts = {key: _text(node, key, faults) for key in CLAIM_KEYS if key != "evidence"}
    unknown = tuple((key, line) for key, line in node.keys.items() if key not in CLAIM_KEYS)
    return Claim(
        category,
        texts["id"].text,
        node.line,
        texts["description"],
        texts["level"],
        texts["status"],
        texts["notes"],
        _evidence(node, texts["id"].text, faults),
        unknown,
    )


def _text(node: YamlMapping, key: str, faults: list[Unreadable]) -> ClaimText:
    value = node.get(key)
    if value is None or _is_null(value):
        return ClaimText("", node.keys.get(key, node.line))
    if not isinstance(value, YamlScalar):
        faults.append(Unreadable(value.line, f"{key} is not text", "write one value; quote it or use a block (`>-`)"))
        return ClaimText("", value.line)
    return ClaimText(value.text, value.line)


def _evidence(node: YamlMapping, requirement: str, faults: list[Unreadable]) -> tuple[ClaimText, ...]:
    value = node.get("evidence")
    if value is None or _is_null(value):
        return ()
    if not isinstance(value, YamlList):
        what = shown(value.text) if isinstance(value, YamlScalar) else "a mapping"
        faults.append(
            Unreadable(
                value.line, f"the evidence of {requirement} is {what}, not a list", "write a list; an empty one is `[]`"
            )
        )
        # A single link or file is what the list would hold; N/A and the like are no evidence.
        if isinstance(value, YamlScalar) and value.text.strip().lower() not in _NO_EVIDENCE:
            return (ClaimText(value.text, value.line),)
        return ()
    found = []
    for item in value.items:
        if not isinstance(item, YamlScalar):
            faults.append(
                Unreadable(item.line, f"an entry in the evidence of {requirement} is not text", "write one link a line")
            )
            continue
        found.append(ClaimText("" if item.kind == "null" else item.text, item.line))
    return tuple(found)
