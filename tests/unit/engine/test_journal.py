"""The journal's chain: any change of a finished journal is found."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiconform.engine.journal import BrokenChain, Journal, hash_line, read


def written(folder: Path, count: int = 4) -> Journal:
    journal = Journal(folder / "journal.ndjson")
    journal.path.unlink(missing_ok=True)
    journal.path.touch()
    for number in range(count):
        journal.append("event", {"value": f"line {number} ü\n"})
    return journal


def test_what_was_appended_is_read(tmp_path: Path) -> None:
    lines = list(read(written(tmp_path).path))
    assert [line.number for line in lines] == [1, 2, 3, 4]
    assert lines[2].data == {"value": "line 2 ü\n"}


def test_half_a_surrogate_pair_from_a_cluster_is_no_trouble(tmp_path: Path) -> None:
    journal = written(tmp_path, 0)
    journal.append("noted", {"message": "bad \ud800 text"})
    assert [line.data for line in read(journal.path)] == [{"message": "bad ? text"}]


@given(data=st.data())
def test_a_changed_byte_is_found(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    journal = written(tmp_path_factory.mktemp("journal"))
    raw = bytearray(journal.path.read_bytes())
    place = data.draw(st.integers(0, len(raw) - 1))
    raw[place] = data.draw(st.integers(0, 255).filter(lambda value: value != raw[place]))
    journal.path.write_bytes(raw)
    try:
        list(read(journal.path))
    except BrokenChain:
        return
    # A change in the last line breaks no link: the head that run.json keeps is what finds it.
    last = bytes(raw).rstrip(b"\n").rpartition(b"\n")[2]
    assert hash_line(last) != journal.head or not bytes(raw).endswith(b"\n")


@pytest.mark.parametrize("drop", [0, 1, 2])
def test_a_removed_line_is_found(tmp_path: Path, drop: int) -> None:
    journal = written(tmp_path)
    lines = journal.path.read_bytes().splitlines(keepends=True)
    del lines[drop]
    journal.path.write_bytes(b"".join(lines))
    with pytest.raises(BrokenChain, match=f"line {drop + 1}"):
        list(read(journal.path))


def test_a_killed_writer_goes_on_after_its_last_whole_line(tmp_path: Path) -> None:
    journal = written(tmp_path)
    with journal.path.open("ab") as file:
        file.write(b'{"number": 5, "ti')
    again = Journal(journal.path)
    assert len(again.resume()) == 4
    again.append("event", {})
    assert [line.number for line in read(journal.path)] == [1, 2, 3, 4, 5]
