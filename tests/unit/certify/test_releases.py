"""A year later: what only another release can recompute, that release judges in an environment of its own."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from support.certify_material import certify, product, write
from support.certify_runs import CHECK, change_json, make_run, sealed
from support.release import write_release

from aiconform import __version__


def of_release(tmp_path: Path, version: str = "99.1.0", *, newer_format: bool = False) -> Path:
    """A signed bundle, whose run another release has made: an observation has a field that this one does not know."""
    start = product(**{CHECK: {"status": "", "evidence": [], "notes": ""}})
    folder = write(tmp_path, start).parent
    assert certify("build", make_run(tmp_path / "run"), "--out", folder).exit_code == 0
    run = folder / "runs/0a1b2c3d"
    for page in folder.glob("*.*"):
        text = page.read_text().replace(f"aiconform {__version__}", f"aiconform {version}")
        page.write_text(re.sub(r"(made by aiconform .*, `sha256:)[0-9a-f]{8}", r"\g<1>00000000", text))
    for name in ("run.json", "report.json"):
        change_json(run / name, "suite", value="sha256:other")
        change_json(run / name, "tool", "version", value=version)
    change_json(run / f"observations/{CHECK}.json", "records", 0, "observation", "new_field", value=1)
    sealed(run)
    if newer_format:
        change_json(run / "run.json", "format", value=99)
    return folder


def verified(folder: Path, *options: str) -> tuple[int, dict[str, Any]]:
    done = certify("verify", folder, "--unsigned", "-o", "json", *options)
    assert done.exit_code in (0, 1, 3), done.output
    return done.exit_code, json.loads(done.stdout)


def index(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, version: str = "99.1.0", answer: str = "{}") -> None:
    for name, value in write_release(tmp_path / "index", version, answer).items():
        monkeypatch.setenv(name, value)
    # uv takes a moment, where there is one.
    if "UV" in os.environ:
        monkeypatch.setenv("PATH", f"{Path(os.environ['UV']).parent}{os.pathsep}{os.environ['PATH']}")


@pytest.mark.parametrize("newer_format", [False, True])
def test_the_release_that_made_a_run_judges_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, newer_format: bool
) -> None:
    folder = of_release(tmp_path, newer_format=newer_format)
    index(monkeypatch, tmp_path)
    assert verified(folder)[0] == 3
    code, found = verified(folder, "--fetch")
    assert (code, found["consistent"]) == (0, "yes"), found
    assert found["verdicts"] == {CHECK: "pass"}
    assert found["grades"][CHECK] == "executed"
    assert any("recomputed by aiconform 99.1.0, from the package index" in note for note in found["notes"])


def test_what_it_finds_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = of_release(tmp_path)
    index(monkeypatch, tmp_path, answer='{"agrees": false, "differences": ["the report lies"]}')
    code, found = verified(folder, "--fetch")
    assert (code, found["consistent"]) == (1, "no")
    assert any("the report lies" in problem for problem in found["problems"])


@pytest.mark.parametrize(
    ("answer", "words"),
    [('{"report": {}}', "its files cannot be read"), ('{"agrees": false, "unread": ["too new"]}', "too new")],
)
def test_what_it_cannot_say_stays_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str, words: str
) -> None:
    folder = of_release(tmp_path)
    index(monkeypatch, tmp_path, answer=answer)
    code, found = verified(folder, "--fetch")
    assert (code, found["consistent"]) == (3, "another-release")
    assert any(words in text for text in found["cannot_be_recomputed"])


@pytest.mark.parametrize(
    ("version", "words"),
    [
        ("98.0.0", "aiconform 98.0.0 cannot be installed"),
        ("1.0 --index-url=http://elsewhere.test", "which is no release of aiconform"),
        ("https://elsewhere.test/x.whl", "which is no release of aiconform"),
        (__version__, "it names this release"),
    ],
)
def test_nothing_else_is_ever_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, words: str
) -> None:
    folder = of_release(tmp_path, version)
    index(monkeypatch, tmp_path)
    code, found = verified(folder, "--fetch")
    assert (code, found["consistent"]) == (3, "another-release")
    assert any(words in text for text in found["cannot_be_recomputed"]), found


def test_nothing_is_fetched_without_being_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = of_release(tmp_path)
    monkeypatch.setattr("subprocess.run", lambda *_, **__: pytest.fail("a program was started"))
    assert verified(folder)[0] == 3


def test_without_uv_what_comes_with_python_does_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = of_release(tmp_path)
    index(monkeypatch, tmp_path)
    monkeypatch.setattr("aiconform.certify.releases.shutil", SimpleNamespace(which=lambda _: None))
    code, found = verified(folder, "--fetch")
    assert (code, found["consistent"]) == (0, "yes"), found
