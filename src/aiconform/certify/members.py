"""The list of CNCF members, from a file: one name per line, or the landscape's YAML."""

from __future__ import annotations

from pathlib import Path

from aiconform.certify.yamlvalues import Malformed, YamlList, YamlMapping, YamlScalar, YamlValue
from aiconform.certify.yamlvalues import parse as parse_yaml
from aiconform.untrusted import Refused, read

LARGEST = 64 << 20  # bytes; landscape.yml has about 2 MB


class BadMembers(Exception):
    """The file has no list of members."""


def read_members(path: Path) -> frozenset[str]:
    """Raises BadMembers."""
    try:
        data = read(path, LARGEST)
        text = data.decode("utf-8-sig")
    except Refused as error:
        raise BadMembers(f"{error}: this is not a list of members") from error
    except OSError as error:
        raise BadMembers(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise BadMembers(f"{path} is not UTF-8") from error
    if path.suffix in (".yml", ".yaml"):
        names = _of_landscape(path, data)
    else:
        names = {_name(line) for line in text.splitlines() if not line.startswith("#")}
    names.discard("")
    if not names:
        raise BadMembers(f"{path} names no member: write one name per line, or use the landscape's landscape.yml")
    return frozenset(names)


def _of_landscape(path: Path, data: bytes) -> set[str]:
    try:
        root = parse_yaml(data, largest=LARGEST, most_nodes=5_000_000).root
    except Malformed as error:
        raise BadMembers(f"{path}, line {error.line}: {error}") from error
    for category in _items(root, "landscape"):
        if _text(category, "name") == "CNCF Members":
            return {
                _name(_text(item, "name"))
                for part in _items(category, "subcategories")
                for item in _items(part, "items")
            }
    raise BadMembers(f"{path} has no category CNCF Members")


def _items(node: YamlValue | None, key: str) -> list[YamlValue]:
    listed = node.get(key) if isinstance(node, YamlMapping) else None
    return listed.items if isinstance(listed, YamlList) else []


def _text(node: YamlValue, key: str) -> str:
    value = node.get(key) if isinstance(node, YamlMapping) else None
    return value.text if isinstance(value, YamlScalar) else ""


def _name(text: str) -> str:
    return text.removesuffix(" (member)").removesuffix(" (supporter)").strip()
