"""Bundles: built components in one file, so that one machine builds for many.

A bundle is a tar file compressed by xz. Its first member is a manifest with the SHA-256 of every file and the key of
every component, so that a damaged bundle and one of another version are told. The digests say that nothing was
damaged, not who made it: take bundles from people you trust.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import lzma
import os
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from aiconform.lab.build.building import filling
from aiconform.lab.build.components import Component
from aiconform.lab.build.keys import key
from aiconform.lab.config import LabError
from aiconform.lab.machines.host import Progress

MANIFEST = "manifest.json"
_MOST_OF_A_MANIFEST = 1 << 20
_BLOCK = 1 << 20

_Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
"""Of a component's folder, or of a file in it: it cannot leave its folder."""


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    size: int = Field(ge=0)
    executable: bool


class _Packed(BaseModel):
    model_config = ConfigDict(extra="forbid")
    key: _Name
    files: dict[_Name, _File]
    links: dict[_Name, _Name]
    """Name -> the file of the same component that it stands for."""


class _Manifest(BaseModel):
    format: Literal[1]
    machine: str
    go: str
    """The version of Go in the keys."""
    components: dict[str, _Packed]


def export(components: Mapping[Component, Path], go_version: str, target: Path) -> int:
    """Write a bundle of these components from their folders in the cache; returns its size. Raises LabError."""
    packed = {component.name: _pack(key(component, go_version), folder) for component, folder in components.items()}
    manifest = _Manifest(format=1, machine=os.uname().machine, go=go_version, components=packed)
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with (
            lzma.open(draft, "wb", filters=_filters()) as compressed,
            tarfile.open(fileobj=compressed, mode="w|") as tar,
        ):
            content = manifest.model_dump_json().encode()
            _add(tar, MANIFEST, len(content), io.BytesIO(content))
            for component, folder in components.items():
                for name, file in packed[component.name].files.items():
                    with (folder / name).open("rb") as source:
                        _add(tar, f"{packed[component.name].key}/{name}", file.size, source)
        draft.replace(target)
    except OSError as error:
        raise LabError(f"{target} cannot be written: {error}") from error
    finally:
        draft.unlink(missing_ok=True)
    return target.stat().st_size


def take(source: str | Path, folders: Mapping[Component, Path], what: str, progress: Progress) -> None:
    """Put a bundle's components into their folders of the cache; all of them, or none. Raises LabError.

    `folders` has all components that this version of the project knows. `what` names the bundle in messages.
    """
    try:
        with lzma.open(source, "rb") as compressed, tarfile.open(fileobj=compressed, mode="r|") as tar:
            manifest = _manifest(tar, what)
            by_key = {key(component, manifest.go): folder for component, folder in folders.items()}
            known = {each.key: each for each in manifest.components.values() if each.key in by_key}
            other = sorted(name for name, each in manifest.components.items() if each.key not in by_key)
            with contextlib.ExitStack() as all_or_none:
                places: dict[str, Path] = {}
                for name in sorted(known):
                    if place := all_or_none.enter_context(filling(by_key[name], name, progress)):
                        places[name] = place[1]
                for member, content in _members(tar):
                    _unpack(member, content, known, places, what)
                _complete(known, places, what)
    except (lzma.LZMAError, EOFError, tarfile.TarError) as error:
        raise LabError(f"{what} is damaged or incomplete, or no bundle ({error}); nothing was taken from it") from error
    except OSError as error:
        raise LabError(f"{what} cannot be read: {error}") from error
    names = [name for name, each in manifest.components.items() if each.key in places]
    progress(f"{what}: took {', '.join(names) or 'nothing that is not here already'}")
    if other:
        progress(f"{what}: of another version, and built here if needed: {', '.join(other)}")


def _pack(name: str, folder: Path) -> _Packed:
    files, links = {}, {}
    for entry in sorted(folder.iterdir()):
        if entry.is_symlink():
            links[entry.name] = str(entry.readlink())
        else:
            with entry.open("rb") as content:
                digest = hashlib.file_digest(content, "sha256").hexdigest()
            executable = os.access(entry, os.X_OK)
            files[entry.name] = _File(sha256=digest, size=entry.stat().st_size, executable=executable)
    return _Packed(key=name, files=files, links=links)


def _filters() -> list[dict[str, Any]]:
    """The branch filter makes programs for x86 a few percent smaller."""
    branches = [{"id": lzma.FILTER_X86}] if os.uname().machine == "x86_64" else []
    return [*branches, {"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME}]


def _add(tar: tarfile.TarFile, name: str, size: int, content: IO[bytes]) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, 0o644
    tar.addfile(info, content)


def _members(tar: tarfile.TarFile) -> Iterator[tuple[str, IO[bytes]]]:
    for member in tar:
        content = tar.extractfile(member) if member.isreg() else None
        if content is None:
            raise tarfile.TarError(f"{member.name} is no file")
        yield member.name, content


def _manifest(tar: tarfile.TarFile, what: str) -> _Manifest:
    name, content = next(_members(tar), ("", io.BytesIO()))
    try:
        if name != MANIFEST:
            raise ValueError(f"its first member is not {MANIFEST}")
        manifest = _Manifest.model_validate(json.loads(content.read(_MOST_OF_A_MANIFEST)))
    except ValueError as error:
        reason = str(error).replace("\n", " ")
        raise LabError(f"{what} is no bundle of `aiconform lab assets export`: {reason}") from error
    if manifest.machine != (here := os.uname().machine):
        raise LabError(f"{what} is for {manifest.machine}, and this machine is {here}")
    return manifest


def _unpack(
    member: str, content: IO[bytes], known: Mapping[str, _Packed], places: Mapping[str, Path], what: str
) -> None:
    """Write one file of a component that is wanted. Raises LabError if it is not what the manifest says."""
    folder, _, name = member.partition("/")
    if folder not in known:
        return
    expected = known[folder].files.get(name)
    if expected is None:
        raise LabError(f"{what}: {member!r} is not in its manifest; nothing was taken from it")
    digest = hashlib.sha256()
    target = places.get(folder)
    with (target / name).open("wb") if target else contextlib.nullcontext() as out:
        while block := content.read(_BLOCK):
            digest.update(block)
            if out:
                out.write(block)
    if digest.hexdigest() != expected.sha256:
        raise LabError(f"{what}: {member} is not what its manifest says (SHA-256); nothing was taken from it")
    if target and expected.executable:
        (target / name).chmod(0o755)


def _complete(known: Mapping[str, _Packed], places: Mapping[str, Path], what: str) -> None:
    for name, folder in places.items():
        if missing := _absent(known[name].files, folder):
            raise LabError(f"{what} lacks {name}/{missing[0]}; nothing was taken from it")
        for link, file in known[name].links.items():
            (folder / link).symlink_to(file)


def _absent(files: Iterable[str], folder: Path) -> list[str]:
    return [file for file in files if not (folder / file).exists()]
