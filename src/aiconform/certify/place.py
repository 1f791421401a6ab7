"""Where a bundle is put: a new folder, or that of an earlier build, of which the vendor's own files stay."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Set
from pathlib import Path, PurePosixPath

from aiconform.certify.attestation import NotAttested, attested
from aiconform.certify.bundle import SIGNATURES, BadBundle, digests
from aiconform.certify.findings import listed
from aiconform.certify.runs import FOLDER
from aiconform.certify.submission import FILE, Submission
from aiconform.reports.formats import ARTIFACTS

README = "README.md"
ATTRIBUTES = ".gitattributes"
KEEP_BYTES = "# What is signed here is the bytes of each file: git must not convert line ends.\n* -text\n"
_MADE = frozenset({FILE, README, ATTRIBUTES, *ARTIFACTS})
_LEFTOVER = re.compile(
    r"\.DS_Store|\._.*|__MACOSX|Thumbs\.db|desktop\.ini|.*~|.*\.(?:sw[a-p]|bak|orig|rej|part|tmp)|#.*#|\.git",
    re.IGNORECASE,
)


def is_leftover(name: str) -> bool:
    """Whether a file's path names what systems, editors and git leave behind."""
    return any(_LEFTOVER.fullmatch(part) for part in PurePosixPath(name).parts)


def leftovers(names: Iterator[str] | Set[str]) -> list[str]:
    return sorted(filter(is_leftover, names))


def named_files(submission: Submission) -> frozenset[str]:
    """What evidence names that is no link, without fragments: paths below the product's folder, if they are any."""
    own = f"{submission.folder.parent.name}/{submission.folder.name}/"
    entries = (
        entry.text.strip().removeprefix("file://") for each in submission.every_claim() for entry in each.evidence
    )
    return frozenset(
        text.partition("#")[0].removeprefix("/").removeprefix(own)
        for text in entries
        if not text.startswith(("http://", "https://"))
    )


def put(draft: Path, out: Path, evidence: Set[str]) -> list[str]:
    """Move what was built to `out`. Returns what the vendor should know, in words. evidence: files that claims name.

    What an earlier build made there is replaced, everything else stays. A signature stays as long as it is of these
    files. Raises BadBundle, OSError.
    """
    before = digests(out) if out.exists() else {}
    made = digests(draft)
    own = {name: digest for name, digest in before.items() if not _is_made(name)}
    notes = list(_about(own, evidence))
    after = {**own, **made}
    if before == after:
        return [*notes, *_signature(out, after, same=True)]
    out.mkdir(parents=True, exist_ok=True)
    gone = sorted(path.name for path in (out / FOLDER).glob("*") if not (draft / FOLDER / path.name).exists())
    for name in {PurePosixPath(name).parts[0] for name in before if _is_made(name)}:
        _removed(out / name)
    for path in draft.iterdir():
        shutil.move(path, out / path.name)
    if gone:
        notes.append(f"{FOLDER}/ of the earlier build is replaced; without {listed(gone, 5, str)}")
    return [*notes, *_signature(out, after, same=False)]


def _signature(out: Path, files: dict[str, str], *, same: bool) -> Iterator[str]:
    """Remove a signature that is of other files than these."""
    there = [name for name in SIGNATURES if (out / name).exists()]
    if not there:
        return
    try:
        fits = attested(out)["subjects"] == files
    except NotAttested:
        fits = same  # signed without a key: what it is of, sigstore knows
    if fits:
        yield "nothing has changed since it was signed: the signature stays"
        return
    for name in there:
        (out / name).unlink()
    yield f"{listed(there, 3, str)} removed: it was the signature of earlier files; sign again"


def _is_made(name: str) -> bool:
    return PurePosixPath(name).parts[0] in (*_MADE, FOLDER)


def _about(own: dict[str, str], evidence: Set[str]) -> Iterator[str]:
    waste = leftovers(own.keys())
    if waste:
        yield f"left behind by a system or an editor, remove: {listed(waste, 5, str)}"
    strange = sorted(own.keys() - evidence - set(waste))
    if strange:
        yield f"no claim names these files; they will be signed all the same: {listed(strange, 5, str)}"


def _removed(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def refuse_leftovers(folder: Path) -> None:
    """Before somebody signs them. Raises BadBundle."""
    waste = leftovers(digests(folder).keys())
    if waste:
        raise BadBundle(
            f"a system or an editor left behind {listed(waste, 5, str)}: remove it, or it is part of what you sign"
        )
