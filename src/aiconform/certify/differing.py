"""How the files of a bundle differ from those that were signed, and what did it where that can be told."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path

from aiconform.certify.findings import listed
from aiconform.certify.place import leftovers
from aiconform.untrusted import Refused, read

_LINE_ENDS: tuple[tuple[str, Callable[[bytes], bytes]], ...] = (
    ("CRLF", lambda data: data.replace(b"\r\n", b"\n")),
    ("LF", lambda data: data.replace(b"\n", b"\r\n")),
)
BYTES = "get the files byte for byte, for example as an archive, or clone with `git -c core.autocrlf=false clone`"


def differing(folder: Path, signed: Mapping[str, str], files: Mapping[str, str]) -> list[str]:
    """signed, files: sha256 by path, of what was signed and of what is there."""
    problems = []
    missing, more = sorted(signed.keys() - files.keys()), sorted(files.keys() - signed.keys())
    changed = sorted(name for name in signed.keys() & files.keys() if signed[name] != files[name])
    if missing:
        problems.append(f"missing: {listed(missing)}")
    waste = leftovers(set(more))
    if waste:
        problems.append(f"not signed: {listed(waste)}: left behind by a system or an editor, remove it")
    if unknown := [name for name in more if name not in waste]:
        problems.append(f"not signed: {listed(unknown)}: remove what the vendor did not give you")
    converted: dict[str, list[str]] = {}
    for name in changed:
        converted.setdefault(_converted(folder / name, signed[name]), []).append(name)
    for ends, names in sorted(converted.items()):
        what = f"changed, but only the line ends, to {ends} ({BYTES})" if ends else "changed"
        problems.append(f"{what}: {listed(names)}")
    return problems


def _converted(path: Path, digest: str) -> str:
    """The line ends that a file got since it was signed, if nothing else of it changed; else ""."""
    try:
        data = read(path, inside=path.parent)
    except (Refused, OSError):
        return ""
    return next((ends for ends, back in _LINE_ENDS if hashlib.sha256(back(data)).hexdigest() == digest), "")


def converted_run(run: Path) -> str:
    """What to say of a run whose line ends somebody converted; "" of others. This tool writes LF alone."""
    for name in ("run.json", "journal.ndjson"):
        try:
            if b"\r\n" in read(run / name, inside=run):
                return f"the lines of {name} end in CRLF, as this tool never writes them: {BYTES}"
        except (Refused, OSError):
            continue
    return ""
