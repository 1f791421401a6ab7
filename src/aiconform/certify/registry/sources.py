"""Where submissions and bundles of a registry are, and what identifies their content."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from aiconform import __version__
from aiconform.certify.bundle import opened
from aiconform.certify.submission import FILE
from aiconform.certify.validate import MOST_SUBMISSIONS, SKIPPED, NothingToValidate, ValidationSettings
from aiconform.reports.plain import shortened
from aiconform.untrusted import Refused, digest
from aiconform.untrusted.archives import SUFFIXES

LONGEST_SLUG = 70
LONGEST_NAME = 300
_ODD = re.compile(r"[^a-z0-9._-]+")
# Windows keeps these names to devices, whatever follows a dot:
# https://learn.microsoft.com/en-us/windows/win32/fileio/naming-a-file
_DEVICE = re.compile(r"(con|prn|aux|nul|(com|lpt)[0-9])(\..*)?")


@dataclass(frozen=True)
class Source:
    """A submission's folder or a bundle's archive. `name`: its path below the corpus, plain and with slashes."""

    path: Path
    name: str

    @property
    def dated(self) -> Path:
        """The file whose arrival in the corpus is the submission's."""
        return self.path / FILE if self.path.is_dir() else self.path

    @contextmanager
    def product(self) -> Iterator[Path]:
        """Its PRODUCT.yaml. Raises BadBundle."""
        with opened(self.path) as folder:
            yield folder / FILE


def found(corpus: Sequence[Path]) -> list[Source]:
    """Submissions and archives below the folders, by name; links are not followed. Raises NothingToValidate."""
    every = [source for folder in corpus for source in _below(folder)]
    if not every:
        where = ", ".join(map(str, corpus))
        raise NothingToValidate(f"{where} has no {FILE} and no bundle ({', '.join(SUFFIXES)}) in it")
    if len(every) > MOST_SUBMISSIONS:
        raise NothingToValidate(f"more than {MOST_SUBMISSIONS:,} submissions: name a part of them")
    return sorted(every, key=lambda source: (source.name, source.path))


def _below(corpus: Path) -> Iterator[Source]:
    for root, folders, files in os.walk(corpus, followlinks=False):
        here = Path(root)
        folders[:] = sorted(name for name in folders if name not in SKIPPED)
        if FILE in files:
            yield Source(here, _name(here, corpus))
            folders.clear()
            continue
        for name in sorted(files):
            path = here / name
            if name.lower().endswith(SUFFIXES) and path.is_file() and not path.is_symlink():
                yield Source(path, _name(path, corpus))


def _name(path: Path, corpus: Path) -> str:
    return shortened(path.relative_to(corpus).as_posix(), LONGEST_NAME)


def slug(product: str) -> str:
    """A product's name in addresses and names of files: short, of plain letters, one for each product."""
    lower = product.lower()
    plain = _ODD.sub("-", lower).strip(".-_")
    if _DEVICE.fullmatch(plain):
        plain = f"product-{plain}"
    if plain == lower and len(plain) <= LONGEST_SLUG:
        return plain
    tail = hashlib.sha256(lower.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{plain[: LONGEST_SLUG - 1 - len(tail)] or 'product'}-{tail}"


def key(source: Source, settings: ValidationSettings) -> str:
    """Changes with the content of a source, with what it is judged by, and with the code that judges."""
    total = hashlib.sha256(
        f"{_judge(settings)}\0{source.path.parent.name}\0{source.path.name}\0".encode(errors="replace")
    )
    files = _files(source.path) if source.path.is_dir() else [source.path]
    for path in files:
        kind = path.lstat().st_mode
        name = path.relative_to(source.path).as_posix().encode(errors="surrogateescape")
        total.update(b"%d %s\0" % (stat.S_IFMT(kind), name))
        if stat.S_ISLNK(kind):
            total.update(os.fsencode(path.readlink()) + b"\0")
        elif stat.S_ISREG(kind):
            total.update(_content(path).encode())
    return total.hexdigest()


def _content(path: Path) -> str:
    try:
        return digest(path)
    except Refused:
        return f"{path.stat().st_size} bytes, not read"


def _files(folder: Path) -> Iterator[Path]:
    for root, folders, files in os.walk(folder, followlinks=False):
        folders.sort()
        yield from (
            Path(root) / name for name in sorted([*files, *(f for f in folders if (Path(root) / f).is_symlink())])
        )


@cache
def _judge(settings: ValidationSettings) -> str:
    """Identifies everything but the submission that decides about its record."""
    from aiconform.engine.plan import suite_digest
    from aiconform.spec import load_standard

    total = hashlib.sha256(f"{__version__}\0{suite_digest()}\0{load_standard().digest}\0".encode())
    for path in sorted(Path(__file__).parents[1].rglob("*")):
        if path.suffix in (".py", ".yaml"):
            total.update(path.read_bytes())
    for name in sorted(settings.members or ()):
        total.update(f"{name}\0".encode(errors="replace"))
    for path in sorted(settings.checklists.rglob("AIConformance-*.yaml")) if settings.checklists else ():
        total.update(path.read_bytes())
    return total.hexdigest()
