"""The lab's binaries: from a given folder, else from the cache, else built from Go modules pinned by version and sum.

A component is built once and kept under a name that covers all of its inputs. So a changed version, flag or toolchain
never uses an old binary, and an interrupted build continues where it stopped.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from aiconform.lab.build import golang
from aiconform.lab.build.building import Build
from aiconform.lab.build.components import KUBERNETES_BINARIES, RENDERERS, Component, components
from aiconform.lab.build.keys import key
from aiconform.lab.config import LabError
from aiconform.lab.machines.host import Progress

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
    paths = _given(minor, progress, given)
    wanted = []
    own = components(minor)
    places = folders((*own, *extra), cache)
    for component in own:
        names = component.called_by or component.binaries
        if not all(name in paths for name in names):
            wanted.append(component)
        for name in names:
            paths.setdefault(name, places[component] / name)
    make((*wanted, *extra), progress, cache)
    return Assets(paths, {component.name: place for component, place in places.items()})


def make(wanted: Iterable[Component], progress: Progress, cache: Path | None = None) -> None:
    """Build what the cache lacks of these components. Raises LabError."""
    cache = cache or cache_folder()
    missing = absent(wanted, cache)
    if missing:
        tools = {name: folders([tool], cache)[tool] / tool.binaries[0] for name, tool in RENDERERS.items()}
        Build(missing, golang.toolchain(cache), cache, progress).run(tools)


def absent(wanted: Iterable[Component], cache: Path | None = None) -> dict[Component, Path]:
    """What has to be built for these components, with the commands that render their files -> folder in the cache."""
    found: dict[Component, Path] = {}
    for component, folder in folders(wanted, cache).items():
        if not folder.exists():
            tools = [RENDERERS[render.by] for render in component.renders if render.by in RENDERERS]
            found |= {tool: place for tool, place in folders(tools, cache).items() if not place.exists()}
            found[component] = folder
    return found


def folders(wanted: Iterable[Component], cache: Path | None = None) -> dict[Component, Path]:
    """Each component -> its folder in the cache, whether it exists or not."""
    cache = cache or cache_folder()
    version = go_version(cache)
    return {component: cache / "bin" / key(component, version) for component in wanted}


def go_version(cache: Path | None = None) -> str:
    """The version of Go in the keys: of the installed one, or else of the one that would be installed."""
    go = golang.toolchain(cache or cache_folder())
    return go.version if go else f"go{golang.PACKAGED}"


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
