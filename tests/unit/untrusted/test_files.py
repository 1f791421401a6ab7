"""Files and values of strangers: what is read, and what is refused with a reason."""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiconform.spec import yamlfile
from aiconform.untrusted import Refused, json_value, plain_files, read
from aiconform.untrusted.values import DEEPEST

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="pipes, links and devices of POSIX")


def test_a_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"text")
    assert read(tmp_path / "a", 4, inside=tmp_path) == b"text"
    assert plain_files(tmp_path) == [tmp_path / "a"]


@pytest.mark.parametrize("kind", ["large", "pipe", "device", "link", "folder"])
def test_what_is_not_a_plain_file_is_refused(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    path = folder / "a"
    (tmp_path / "b").write_text("elsewhere")
    match kind:
        case "large":
            path.write_bytes(b"12345")
        case "pipe":
            os.mkfifo(path)
        case "device":
            path.symlink_to("/dev/zero")
        case "link":
            path.symlink_to(tmp_path / "b")
        case "folder":
            path.mkdir()
    with pytest.raises(Refused, match=r"^a is "):
        read(path, 4, inside=folder)
    if kind != "folder":
        with pytest.raises(Refused):
            plain_files(folder, largest=4)


def test_a_folder_has_limits(tmp_path: Path) -> None:
    deep = tmp_path / "/".join("d" * 30)
    deep.mkdir(parents=True)
    with pytest.raises(Refused, match="folders deep"):
        plain_files(tmp_path)
    with pytest.raises(Refused, match="more than 3 files"):
        plain_files(tmp_path, most_files=3)


def test_a_folder_has_a_size(tmp_path: Path) -> None:
    for number in range(4):
        (tmp_path / f"{number}").write_bytes(b"12345")
    with pytest.raises(Refused, match="more than 12 bytes"):
        plain_files(tmp_path, most_bytes=12)


@pytest.mark.parametrize("depth", [DEEPEST + 1, 5000, 300_000])
@pytest.mark.parametrize(("left", "right"), [("[", "]"), ('{"a":', "}"), ('[{"[":', "}]")])
def test_deep_json_is_refused(depth: int, left: str, right: str) -> None:
    with pytest.raises(Refused, match="deeper"):
        json_value((left * depth + "1" + right * depth).encode(), "it")


@given(st.recursive(st.one_of(st.none(), st.text('[]{}"\\', max_size=200)), lambda inner: st.lists(inner, max_size=4)))
def test_brackets_in_text_are_no_levels(value: object) -> None:
    assert json_value(json.dumps(value).encode(), "it") == value


@given(st.binary(max_size=200))
def test_any_bytes_are_a_value_or_refused(data: bytes) -> None:
    with suppress(Refused):
        json_value(data, "it")


BOMB = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{','.join([f'*{before}'] * 10)}]\n" for before, name in zip("abcdefg", "bcdefgh", strict=True)
)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (BOMB, "aliases stand for"),
        ("[" * 900 + "]" * 900, "nested deeper"),
        ("[" * 200_000, "nested deeper"),
        ("a: &a [*a]\n", "names nothing that is complete"),
        ("a: *nothing\n", "names nothing"),
        ("1" * 6000, "cannot be read"),
    ],
)
def test_documents_have_limits(text: str, says: str) -> None:
    with pytest.raises(yamlfile.NotYaml, match=says):
        yamlfile.documents(text)


def test_usual_aliases_are_read() -> None:
    assert yamlfile.documents("a: &a {x: 1}\nb: {<<: *a, y: 2}\n") == [{"a": {"x": 1}, "b": {"x": 1, "y": 2}}]
