"""What strangers do to files: changes as data, so that a case that once went wrong can be kept in tests/strangers."""

from __future__ import annotations

import json
import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from aiconform.engine.journal import BrokenChain
from aiconform.engine.rundir import BadRunDirectory
from aiconform.untrusted import CAUSED_BY_CONTENT
from support.certify_runs import sealed

Change = dict[str, Any]
"""`how` and what it needs:

value   replace the value of a JSON file (of one line of a journal) that is found by going down the indexes of `at`
bytes   put `bytes` (Latin-1) at the position `at`, over as many
cut     keep the first `at` bytes
nested  as many brackets as `at`
large   a file of `at` MiB without content on the disk
pipe, link (to a device), outside (a link to another folder's file), folder, gone
name    give it the name `name`
seal    no file: let the journal of the run record what is there now
"""

SCALAR = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**20), 10**20),
    st.floats(),
    st.text(max_size=12),
    st.sampled_from(["../../x", "/etc/passwd", "v1.37", "pass", "fail", "a" * 5000, "\ud800", "\x1b]0;x\x07", "-1"]),
)
TOO_LARGE = 1 << 30  # bytes; a file that an earlier change made larger is left as it is
VALUE = st.recursive(
    SCALAR,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=6), inner, max_size=3)),
    max_leaves=6,
)


def changes(files: list[str]) -> st.SearchStrategy[list[Change]]:
    """Some changes to files of a folder."""
    file = st.sampled_from(files)
    value = st.fixed_dictionaries(
        {
            "how": st.just("value"),
            "file": file,
            "at": st.lists(st.integers(0, 12), min_size=1, max_size=8),
            "value": VALUE,
        }
    )
    other = st.one_of(
        st.fixed_dictionaries(
            {
                "how": st.just("bytes"),
                "file": file,
                "at": st.integers(0, 4000),
                "bytes": st.text('\x00\xff[]{}",:\n-1e', max_size=6),
            }
        ),
        st.fixed_dictionaries({"how": st.just("cut"), "file": file, "at": st.integers(0, 4000)}),
        st.fixed_dictionaries({"how": st.just("nested"), "file": file, "at": st.sampled_from([90, 900, 200_000])}),
        st.fixed_dictionaries({"how": st.sampled_from(["pipe", "link", "outside", "folder", "gone"]), "file": file}),
        st.fixed_dictionaries({"how": st.just("large"), "file": file, "at": st.sampled_from([65, 70_000])}),
    )
    sealed = st.lists(st.just({"how": "seal"}), max_size=1)
    return st.builds(
        lambda some, last: [*some, *last], st.lists(st.one_of(value, value, other), min_size=1, max_size=3), sealed
    )


def apply(folder: Path, some: list[Change]) -> None:
    for change in some:
        if change["how"] == "seal":
            for run in folder.rglob("journal.ndjson"):
                _seal(run.parent)
            continue
        path = folder / change["file"]
        if path.is_file() and not path.is_symlink() and path.stat().st_size < TOO_LARGE:
            _change(path, change)


def _change(path: Path, change: Change) -> None:
    data = path.read_bytes()
    match change["how"]:
        case "value":
            path.write_bytes(_with_value(path, data, change))
        case "bytes":
            put = change["bytes"].encode("latin-1")
            at = min(change["at"], len(data))
            path.write_bytes(data[:at] + put + data[at + len(put) :])
        case "cut":
            path.write_bytes(data[: change["at"]])
        case "nested":
            path.write_bytes(b"[" * change["at"] + b"]" * change["at"] + b"\n")
        case "large":
            os.truncate(path, change["at"] << 20)
        case how:
            path.unlink()
            if how == "pipe":
                os.mkfifo(path)
            elif how == "link":
                path.symlink_to("/dev/zero")
            elif how == "outside":
                path.symlink_to("/etc/passwd")
            elif how == "folder":
                path.mkdir()
            elif how == "name":
                path.with_name(change["name"]).write_bytes(data)


def _with_value(path: Path, data: bytes, change: Change) -> bytes:
    if path.suffix == ".ndjson":
        first, *rest = change["at"]
        lines = data.splitlines()
        number = first % len(lines) if lines else 0
        return b"".join(
            (_replaced(line, rest, change["value"]) if index == number else line) + b"\n"
            for index, line in enumerate(lines)
        )
    return _replaced(data, change["at"], change["value"])


def _replaced(data: bytes, at: list[int], value: Any) -> bytes:
    try:
        tree = json.loads(data)
    except (ValueError, RecursionError):
        return data
    places: list[tuple[Any, Any]] = []
    inner = tree
    for index in at:
        keys = list(inner) if isinstance(inner, dict) else list(range(len(inner))) if isinstance(inner, list) else []
        if not keys:
            break
        key = keys[index % len(keys)]
        places.append((inner, key))
        inner = inner[key]
    if not places:
        tree = value
    else:
        holder, key = places[-1]
        holder[key] = value
    return json.dumps(tree).encode()


def _seal(run: Path) -> None:
    """Chain the journal again over the observations as they are, as somebody does who knows the format."""
    with suppress(*CAUSED_BY_CONTENT, OSError, BadRunDirectory, BrokenChain):  # nothing is left that could be sealed
        sealed(run)


def copied(folder: Path, target: Path) -> Path:
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(folder, target)
    return target
