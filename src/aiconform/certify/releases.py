"""Another release of this tool, in an environment of its own, to judge the runs that it alone can.

It is installed by uv or pip, from the index that their environment variables name, and removed afterwards. A stranger's
run names the release, so nothing but a plain version of this project's own package is ever installed.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from aiconform import __version__
from aiconform.engine.rundir import PACKAGE, made_by
from aiconform.reports.plain import shortened

Command = list[str | Path]
_VERSION = re.compile(r"[0-9]{1,4}(?:\.[0-9]{1,4}){1,3}(?:(?:a|b|rc)[0-9]{1,3})?")
_INSTALL_SECONDS = 900
_JUDGE_SECONDS = 600


class NoRelease(Exception):
    """The release cannot be had, or does not answer; the text says why."""


class Releases:
    """What `folder` has of other releases: an environment each, made when it is first needed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made: dict[str, Path] = {}

    def judge(self, run: Path) -> tuple[str, dict[str, Any]]:
        """(the release that made the run, what its `judge -o json` says). Raises NoRelease."""
        name, version = made_by(run)
        if name != PACKAGE or not _VERSION.fullmatch(version):
            raise NoRelease(f"it was made by {name} {version}, which is no release of {PACKAGE}")
        if version == __version__:
            raise NoRelease(f"it names this release ({version}), which cannot recompute it")
        command: Command = [self._python(version), "-I", "-m", PACKAGE, "judge", run.resolve(), "-o", "json"]
        answer = self._called(command, _JUDGE_SECONDS)
        try:
            data = json.loads(answer.stdout)
            if not isinstance(data, dict):
                raise TypeError("no object")
        except (ValueError, TypeError, RecursionError) as error:
            raise NoRelease(f"{PACKAGE} {version} could not judge it: {_why(answer)}") from error
        return version, data

    def _python(self, version: str) -> Path:
        """The interpreter of the release's environment."""
        if version not in self._made:
            place = self._folder / version
            python = place / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
            for command in _steps(place, python, f"{PACKAGE}=={version}"):
                done = self._called(command, _INSTALL_SECONDS)
                if done.returncode:
                    raise NoRelease(f"{PACKAGE} {version} cannot be installed: {_why(done)}")
            self._made[version] = python
        return self._made[version]

    def _called(self, command: Command, seconds: float) -> subprocess.CompletedProcess[bytes]:
        """In the folder of the environments, so that no file beside a stranger's bundle configures anything."""
        try:
            return subprocess.run(
                command, cwd=self._folder, capture_output=True, timeout=seconds, check=False, stdin=subprocess.DEVNULL
            )
        except OSError as error:
            raise NoRelease(f"{command[0]} cannot be started: {error.strerror}") from error
        except subprocess.TimeoutExpired as error:
            raise NoRelease(f"{command[0]} did not end within {seconds:.0f} s") from error


def _steps(place: Path, python: Path, wanted: str) -> tuple[Command, Command]:
    """What makes an environment: uv, which takes a moment, or else what comes with Python."""
    uv = shutil.which("uv")
    if uv:
        alone = (uv, "--quiet", "--no-config")
        into: Command = [*alone, "pip", "install", "--python", python, wanted]
        return [*alone, "venv", "--python", sys.executable, place], into
    pip = ("-m", "pip", "--quiet", "--disable-pip-version-check")
    return [sys.executable, "-I", "-m", "venv", place], [python, "-I", *pip, "install", wanted]


@contextmanager
def releases() -> Iterator[Releases]:
    """Environments that last as long as the context."""
    with tempfile.TemporaryDirectory(prefix="aiconform-releases-") as folder:
        yield Releases(Path(folder))


def _why(done: subprocess.CompletedProcess[bytes]) -> str:
    """The last words of a program."""
    said = (done.stderr or done.stdout).decode("utf-8", "replace").strip().splitlines()
    return shortened(said[-1] if said else f"it ended with {done.returncode}", 300)
