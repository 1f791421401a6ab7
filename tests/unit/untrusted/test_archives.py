"""Archives that say more of themselves than they hold, or hold more than they say."""

from __future__ import annotations

import gzip
import io
import os
import shutil
import struct
import tarfile
import tracemalloc
import zipfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aiconform.untrusted import Refused
from aiconform.untrusted.archives import unpack


def tar(*members: tuple[tarfile.TarInfo, bytes], gz: bool = False) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz" if gz else "w", format=tarfile.PAX_FORMAT) as archive:
        for info, data in members:
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def member(name: str, kind: bytes = tarfile.REGTYPE, **fields: object) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = kind
    for field, value in fields.items():
        setattr(info, field, value)
    return info


def header(kind: bytes, size: int) -> bytes:
    """The 512 bytes of a header that announces `size` bytes of more header."""
    return member("././@LongLink", kind, size=size).tobuf(tarfile.GNU_FORMAT)


def gzipped_name(kind: bytes) -> bytes:
    """A name of 64 MiB, which is 300 kB when compressed."""
    out = io.BytesIO()
    with gzip.GzipFile(fileobj=out, mode="wb", compresslevel=1) as file:
        file.write(header(kind, 64 << 20))
        for _ in range(64):
            file.write(b"a" * (1 << 20))
    return out.getvalue()


def many_headers() -> bytes:
    """Headers that refer to the next header, again and again."""
    one = b"11 a=bbbbb\n"
    return (header(tarfile.XGLTYPE, len(one)) + one.ljust(512, b"\0")) * 5000


def sparse() -> bytes:
    """A sparse file of 1 TiB with many parts."""
    info = member(
        "f", pax_headers={"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": str(1 << 40)}
    )
    return tar((info, b"100000000\n" + b"0\n" * 2_000_000))


def zip_with_large_directory() -> bytes:
    """An end record that announces a directory of 1 GiB."""
    return b"PK\x01\x02" * 1000 + struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 65535, 65535, 4000, 0, 0)


def zip_of(name: str, data: bytes = b"x", **fields: object) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        info = zipfile.ZipInfo(name)
        info.compress_type = int(str(fields.get("method", zipfile.ZIP_DEFLATED)))
        info.external_attr = int(str(fields.get("mode", 0o100644))) << 16
        archive.writestr(info, data)
    return out.getvalue()


@pytest.mark.parametrize(
    ("suffix", "data", "says"),
    [
        (".tar.gz", gzipped_name(tarfile.GNUTYPE_LONGNAME), "too large"),
        (".tar.gz", gzipped_name(tarfile.XHDTYPE), "too large"),
        (".tar", header(tarfile.GNUTYPE_LONGLINK, 1 << 33), "empty header"),
        (".tar", many_headers(), "too large"),
        (".tar", sparse(), "special file|too large"),
        (".tar", tar((member("../x"), b"")), "leads out"),
        (".tar", tar((member("/x"), b"")), "leads out"),
        (".tar", tar((member("a/" * 40 + "x"), b"")), "too deep"),
        (".tar", tar((member("a" * 300), b"")), "too long"),
        (".tar", tar((member("x", tarfile.FIFOTYPE), b"")), "special file"),
        (".tar", tar((member("x", tarfile.CHRTYPE), b"")), "special file"),
        (".tar", tar((member("x", tarfile.SYMTYPE, linkname="/etc/passwd"), b"")), "special file"),
        (".tar", tar((member("x", tarfile.LNKTYPE, linkname="y"), b"")), "special file"),
        (".tar", tar((member("x"), b"1"), (member("x"), b"2")), "twice"),
        (".tar", b"no archive at all", "cannot be unpacked"),
        (".tar.gz", b"\x1f\x8b\x08\x00garbage", "cannot be unpacked"),
        (".zip", zip_of("../x"), "leads out"),
        (".zip", zip_of("x", mode=0o120777), "special file"),
        (".zip", zip_of("x", method=zipfile.ZIP_LZMA), "unusual"),
        (".zip", zip_with_large_directory(), "a zip|archive"),
        (".zip", b"PK", "cannot be unpacked"),
    ],
)
def test_an_unusual_archive_is_refused_in_little_memory(tmp_path: Path, suffix: str, data: bytes, says: str) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(data)
    out = tmp_path / "out"
    out.mkdir()
    tracemalloc.start()
    try:
        with pytest.raises(Refused, match=says):
            unpack(path, out)
        assert tracemalloc.get_traced_memory()[1] < 32 << 20
    finally:
        tracemalloc.stop()
    assert sorted(each.name for each in tmp_path.iterdir()) == [path.name, "out"]


@pytest.mark.parametrize("gz", [False, True])
def test_a_usual_tar_is_unpacked(tmp_path: Path, gz: bool) -> None:
    long = f"v1.37/p/{'n' * 150}.txt"  # longer than a plain header holds
    path = tmp_path / "a.tar.gz"
    path.write_bytes(tar((member("v1.37/p", tarfile.DIRTYPE), b""), (member(long), b"text"), gz=gz))
    out = tmp_path / "out"
    out.mkdir()
    unpack(path, out)
    assert (out / long).read_bytes() == b"text"


def test_a_usual_zip_is_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(zip_of("v1.37/p/x", b"text" * 1000))
    out = tmp_path / "out"
    out.mkdir()
    unpack(path, out)
    assert (out / "v1.37/p/x").read_bytes() == b"text" * 1000


def test_many_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aiconform.untrusted.archives.MOST_FILES", 3)
    path = tmp_path / "a.tar"
    path.write_bytes(tar(*((member(f"{n}"), b"") for n in range(4))))
    (tmp_path / "out").mkdir()
    with pytest.raises(Refused, match="more than 3 files"):
        unpack(path, tmp_path / "out")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="POSIX")
def test_a_pipe_is_no_archive(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.tar")
    with pytest.raises(Refused, match="not a regular file"):
        unpack(tmp_path / "a.tar", tmp_path)


GOOD = tar((member("v1.37/p/a"), b"text" * 300), (member("é" * 90), b"more"), gz=False)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, len(GOOD) - 1), st.binary(max_size=30), st.sampled_from([".tar", ".zip", ".tar.gz"]))
def test_any_bytes_are_unpacked_or_refused(tmp_path: Path, at: int, put: bytes, suffix: str) -> None:
    whole = {".tar": GOOD, ".tar.gz": gzip.compress(GOOD), ".zip": zip_of("v1.37/p/a", b"text" * 300)}[suffix]
    at %= len(whole)
    path = tmp_path / f"a{suffix}"
    path.write_bytes(whole[:at] + put + whole[at + len(put) :])
    out = tmp_path / "out"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    with suppress(Refused):
        unpack(path, out)
    assert {each.name for each in tmp_path.iterdir()} <= {"a.tar", "a.zip", "a.tar.gz", "out"}
