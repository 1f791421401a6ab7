"""Building without a lab, and bundles: `aiconform lab assets`, and `lab up --assets` with a bundle."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import httpx

from aiconform.lab.addons.registry import ADD_ONS, chosen, components_of
from aiconform.lab.build import assets as assets_of
from aiconform.lab.build import bundle
from aiconform.lab.build.components import RENDERERS, Component, components
from aiconform.lab.config import DEFAULT_KUBERNETES, KUBERNETES, LabConfig, LabError
from aiconform.lab.machines.host import Progress

_CONNECT_SECONDS = 20.0


def is_bundle(given: str) -> bool:
    """Whether a value of --assets is a bundle, not a folder of binaries."""
    return _is_url(given) or Path(given).is_file()


def build(kubernetes: str | None, add_ons: Sequence[str], progress: Progress) -> None:
    """Build what a lab with these add-ons needs. Raises LabError."""
    assets_of.make(_wanted(kubernetes, add_ons), progress)


def export(target: Path, kubernetes: str | None, add_ons: Sequence[str], progress: Progress) -> int:
    """Write a bundle of what a lab with these add-ons needs, building what is missing; its size. Raises LabError."""
    if not target.parent.is_dir():
        raise LabError(f"{target} cannot be written: there is no folder {target.parent}")
    wanted = _wanted(kubernetes, add_ons)
    assets_of.make(wanted, progress)
    progress(f"compressing {len(wanted)} components")
    return bundle.export(assets_of.folders(wanted), assets_of.go_version(), target)


def take(given: str, progress: Progress) -> None:
    """Put what a bundle (a file or a URL) has into the cache. Raises LabError."""
    every = [component for minor in KUBERNETES for component in components(minor)]
    every += [*RENDERERS.values(), *components_of(ADD_ONS)]
    folders = assets_of.folders(dict.fromkeys(every))
    if not _is_url(given):
        bundle.take(given, folders, given, progress)
        return
    assets_of.cache_folder().mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=assets_of.cache_folder(), prefix=".bundle-") as file:
        progress(f"downloading {given}")
        _download(given, Path(file.name))
        bundle.take(file.name, folders, given, progress)


def _wanted(kubernetes: str | None, add_ons: Sequence[str]) -> list[Component]:
    minor = LabConfig(kubernetes=kubernetes).kubernetes or DEFAULT_KUBERNETES
    return [*components(minor), *components_of(chosen(add_ons, minor))]


def _is_url(given: str) -> bool:
    return given.startswith(("http://", "https://"))


def _download(url: str, target: Path) -> None:
    try:
        with (
            httpx.stream("GET", url, follow_redirects=True, timeout=_CONNECT_SECONDS) as answer,
            target.open("wb") as out,
        ):
            answer.raise_for_status()
            for block in answer.iter_bytes():
                out.write(block)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise LabError(f"{url} cannot be downloaded: {error or type(error).__name__}") from error
