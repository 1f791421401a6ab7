"""Which submissions of a repository differ from a commit."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from aiconform.certify.submission import FILE


class NoSuchChange(Exception):
    """git cannot compare the folder with the commit; the text says why."""


def changed_submissions(corpus: Path, ref: str) -> list[Path]:
    """The PRODUCT.yaml of every product of which a file differs from where the history parted from `ref`.

    What was not committed yet counts as well; what was removed does not. Raises NoSuchChange.
    """
    base = _git(corpus, "merge-base", "--", ref, "HEAD").decode().strip()
    # Of files that git does not track yet diff says nothing.
    names = _git(corpus, "diff", "--name-only", "-z", "--no-ext-diff", "--relative", base, "--")
    names += _git(corpus, "ls-files", "--others", "--exclude-standard", "-z")
    found = {_product(corpus, Path(os.fsdecode(name))) for name in names.split(b"\0") if name}
    return sorted(path for path in found if path)


def _product(corpus: Path, name: Path) -> Path | None:
    """The PRODUCT.yaml of the folder around a file."""
    for folder in name.parents:
        path = corpus / folder / FILE
        if path.is_file() or path.is_symlink():
            return path
    return None


def _git(folder: Path, *arguments: str) -> bytes:
    try:
        done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, check=False)
    except OSError as error:
        raise NoSuchChange(f"--changed needs git, which cannot be started: {error.strerror}") from error
    if done.returncode:
        why = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise NoSuchChange(
            f"git cannot say what changed in {folder}: {why[0] if why else 'the histories have no commit in common'}; "
            "fetch the whole history (a shallow clone lacks it)"
        )
    return done.stdout
