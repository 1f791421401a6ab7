"""A bundle: the folder of a submission with everything in it, as files and their digests.

A bundle can also be one `.tar`, `.tar.gz` or `.zip`, which is unpacked into a temporary folder, under limits.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aiconform.certify.submission import FILE
from aiconform.untrusted import Refused, digest, plain_files
from aiconform.untrusted.archives import SUFFIXES, unpack

ATTESTATION = "attestation.dsse.json"
KEYLESS = "attestation.sigstore.json"
COUNTERSIGNED = "attestation.countersigned.sigstore.jsonl"
"""Further bundles of sigstore's, one a line: each holds one signature."""
TIMESTAMPS = "attestation.timestamps.json"
SIGNATURES = (ATTESTATION, KEYLESS, COUNTERSIGNED, TIMESTAMPS)
CERTIFICATE = "CERTIFICATE.yaml"
"""What the programme records beside a submission after it was signed."""


class BadBundle(Exception):
    """The folder or archive is not a bundle, or is not safe to open."""


def digests(folder: Path) -> dict[str, str]:
    """sha256 of every file below `folder` by its path, without signatures and CERTIFICATE. Raises BadBundle."""
    found: dict[str, str] = {}
    try:
        for path in plain_files(folder):
            name = path.relative_to(folder).as_posix()
            if name not in (*SIGNATURES, CERTIFICATE):
                found[name] = digest(path)
    except (Refused, OSError) as error:
        raise BadBundle(f"the bundle cannot be read: {error}") from error
    return found


@contextmanager
def opened(path: Path) -> Iterator[Path]:
    """The bundle's folder (resolved), unpacked if it is an archive; vX.Y/<product> is kept. Raises BadBundle."""
    if path.is_dir():
        if not (path / FILE).is_file():
            raise BadBundle(f"{path} has no {FILE}: name the folder vX.Y/<product> of a bundle, or its archive")
        yield path.resolve()
        return
    if not path.is_file() or not path.name.lower().endswith(SUFFIXES):
        raise BadBundle(f"{path} is neither a folder nor an archive ({', '.join(SUFFIXES)})")
    with tempfile.TemporaryDirectory(prefix="aiconform-bundle-") as scratch:
        folder = Path(scratch).resolve()
        try:
            unpack(path, folder)
            products = [each for each in plain_files(folder) if each.name == FILE]
        except Refused as error:
            raise BadBundle(str(error)) from error
        products = [each for each in products if "runs" not in each.relative_to(folder).parts]
        if len(products) != 1:
            raise BadBundle(f"{path.name} contains {len(products)} files named {FILE}; a bundle has one")
        yield products[0].parent


def copy_plain(source: Path, target: Path) -> None:
    """Copy a folder of plain files. Raises BadBundle for links and special files."""
    try:
        plain_files(source)
    except (Refused, OSError) as error:
        raise BadBundle(f"{source.name}: {error}") from error
    shutil.copytree(source, target, symlinks=True)
