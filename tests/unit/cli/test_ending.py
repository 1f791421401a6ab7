"""Exit code 1 means "not conformant" and nothing else: whatever goes wrong in any command ends with another one."""

from __future__ import annotations

import errno
import io
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner
from support.api_server import write_kubeconfig

from aiconform.cli import COMMANDS, main
from aiconform.cli.ending import exit_code


def commands(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    if not isinstance(command, click.Group):
        yield path, command
        return
    for name in command.list_commands(context := click.Context(command)):
        found = command.get_command(context, name)
        assert found is not None
        yield from commands(found, (*path, name))


ALL = dict(commands(main))


@pytest.fixture(autouse=True)
def traces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.delenv("AICONFORM_DEBUG", raising=False)
    return tmp_path


def broken(words: tuple[str, ...], error: BaseException, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The command of these words, whose work raises this error."""

    def fails(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(ALL[words], "make_context", fails)
    return CliRunner().invoke(main, list(words))


@pytest.mark.parametrize("words", sorted(ALL), ids=" ".join)
def test_a_defect_of_any_command_ends_with_2_and_a_sentence(
    words: tuple[str, ...], traces: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = broken(words, KeyError("links"), monkeypatch)
    assert done.exit_code == 2
    assert "a defect of aiconform or of an extension" in done.stderr
    assert "KeyError: 'links'" in done.stderr
    assert "Traceback" not in done.output
    (trace,) = traces.glob("aiconform-trace-*")
    assert str(trace) in done.stderr
    assert "Traceback" in trace.read_text()
    assert trace.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (KeyboardInterrupt(), 130, "interrupted"),
        (click.Abort(), 130, "interrupted"),
        (BrokenPipeError(), 141, ""),
        (OSError(errno.ENOSPC, "No space left on device", "run.json"), 2, "No space left on device: 'run.json'"),
        (SystemExit(1), 2, "a defect"),
        (SystemExit("gone wrong"), 2, "gone wrong"),
        (SystemExit(3), 3, ""),
        (SystemExit(), 0, ""),
        (click.ClickException("no such thing"), 2, "no such thing"),
        (click.FileError("f", "unreadable"), 2, "unreadable"),
        (MemoryError(), 2, "MemoryError"),
        (RecursionError("too deep"), 2, "too deep"),
        (ExceptionGroup("several", [ValueError("a")]), 2, "several"),
        (BaseException("odd"), 2, "odd"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else None,
)
def test_every_way_to_go_wrong_has_its_code(
    error: BaseException, code: int, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = broken(("images",), error, monkeypatch)
    assert done.exit_code == code
    assert words in done.stderr
    assert not done.stdout


def test_the_trace_is_printed_where_files_are_lost(traces: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AICONFORM_DEBUG", "1")
    done = broken(("images",), KeyError("links"), monkeypatch)
    assert done.exit_code == 2
    assert "Traceback" in done.stderr
    assert not list(traces.iterdir())
    monkeypatch.delenv("AICONFORM_DEBUG")
    monkeypatch.setattr(tempfile, "tempdir", str(traces / "absent"))
    assert "Traceback" in broken(("images",), KeyError("links"), monkeypatch).stderr


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_a_command_that_cannot_be_imported_ends_with_2(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, f"aiconform.cli.{command}", None)
    done = CliRunner().invoke(main, [command, "--help"])
    assert done.exit_code == 2
    assert f"aiconform.cli.{command}" in done.stderr


def test_an_installation_without_its_libraries_ends_with_2() -> None:
    code = "import sys; sys.modules['click'] = None; from aiconform.__main__ import main; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "not installed completely" in done.stderr
    assert "Traceback" not in done.stderr


def aiconform(*words: str, **options: Any) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "aiconform", *words], stderr=subprocess.PIPE, **options)


@pytest.mark.parametrize("words", [("spec", "list"), ("options", "-o", "json"), ("--help",), ("run", "--help")])
def test_a_reader_that_goes_away_is_no_verdict(words: tuple[str, ...]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with aiconform(*words, stdout=writer) as running:
        os.close(writer)
        assert running.stderr is not None
        assert running.stderr.read() == b""
    assert running.returncode == 141


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_a_stream_that_is_closed_from_the_start_changes_no_code(closed: str) -> None:
    for words, code in (("spec list", 0), ("spec show nothing", 2)):
        command = f'exec "$0" -m aiconform {words} {closed}'
        assert (
            subprocess.run(["sh", "-c", command, sys.executable], capture_output=True, check=False).returncode == code
        )


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has a device that is always full")
def test_a_full_disk_is_no_verdict(tmp_path: Path) -> None:
    with Path("/dev/full").open("wb") as full, aiconform("spec", "list", stdout=full) as running:
        assert running.stderr is not None
        said = running.stderr.read()
    assert running.returncode == 2
    assert b"No space left on device" in said


def test_an_interrupt_while_a_command_waits_ends_with_130(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        kubeconfig = write_kubeconfig(tmp_path / "k", f"http://127.0.0.1:{silent.getsockname()[1]}")
        with aiconform("run", "--kubeconfig", str(kubeconfig), stdout=subprocess.DEVNULL) as running:
            connection, _ = silent.accept()
            running.send_signal(signal.SIGINT)
            assert running.stderr is not None
            said = running.stderr.read()
            connection.close()
    assert running.returncode == 130
    assert b"Traceback" not in said


def test_what_the_encoding_of_a_terminal_lacks_is_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names of a cluster, and of files that are no text."""
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="latin-1", errors="strict"))
    assert exit_code(lambda: click.echo("Ö™ … \udcff")) == 0
    assert written.getvalue() == b"\xd6\\u2122 \\u2026 \\udcff\n"


def test_an_argument_that_is_no_text_is_told_as_such(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code(lambda: "\udcff".encode()) == 2
    said = capsys.readouterr().err
    assert "no text ('\\udcff')" in said
    assert "defect" not in said
    assert exit_code(lambda: "ä".encode("ascii")) == 2
    assert "defect" in capsys.readouterr().err
