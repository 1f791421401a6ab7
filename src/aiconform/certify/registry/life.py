"""When a submission was accepted, until when it counts, and what that makes of it today."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from aiconform.certify.certificate import Certificate, state_of
from aiconform.certify.registry.sources import Source, slug
from aiconform.certify.yamlvalues import Malformed, YamlMapping, YamlScalar, read

# Nothing that a repository's own configuration says may run a program or fetch anything.
_GIT = ("-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "-c", "log.showSignature=false")


class BadDates(Exception):
    """The file of dates cannot be used."""


def read_dates(path: Path) -> dict[str, date]:
    """Dates by version and slug, from a YAML or JSON mapping of `vX.Y/<product>`. Raises BadDates."""
    try:
        root = read(path, largest=16 << 20).root
    except OSError as error:
        raise BadDates(f"{path} cannot be read: {error.strerror}") from error
    except Malformed as error:
        raise BadDates(f"{path}, line {error.line}: {error}; {error.help}") from error
    if not isinstance(root, YamlMapping):
        raise BadDates(f"{path} is not a mapping of vX.Y/<product> to dates (2026-01-31)")
    dates = {}
    for name, node in root.entries.items():
        try:
            version, _, product = name.partition("/")
            dates[f"{version}/{slug(product)}"] = date.fromisoformat(
                node.text[:10] if isinstance(node, YamlScalar) else ""
            )
        except ValueError as error:
            raise BadDates(f"{path}, line {root.keys[name]}: write a date such as 2026-01-31") from error
    return dates


def merged(corpus: Path, sources: Sequence[Source]) -> dict[str, date]:
    """By the name of a source, when its file came into the history of the corpus; nothing without a git history."""
    git = shutil.which("git")
    if not git:
        return {}
    asked = [git, *_GIT, "-C", str(corpus)]
    top = _output([*asked, "rev-parse", "--show-toplevel"])
    if not top:
        return {}
    form = ("--first-parent", "-m", "--no-renames", "--diff-filter=A", "--format=%x00%cs", "--name-only", "-z")
    log = _output([*asked, "log", *form, "--no-ext-diff", "--no-textconv", "--relative", "--", "."])
    wanted = {
        source.dated.relative_to(corpus).as_posix(): source.name
        for source in sources
        if source.path.is_relative_to(corpus)
    }
    dates: dict[str, date] = {}
    day: date | None = None
    for part in log.replace("\n", "\0").split("\0"):
        if len(part) == 10 and part[4:5] == "-":
            day = _day(part) or day
        elif part in wanted and day:
            dates[wanted[part]] = day  # the newest commit is first: the last one to set it is the oldest
    return dates


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _output(command: list[str]) -> str:
    alone = {"GIT_ALLOW_PROTOCOL": "none", "GIT_NO_LAZY_FETCH": "1", "GIT_OPTIONAL_LOCKS": "0"}
    try:
        done = subprocess.run(command, capture_output=True, timeout=300, check=False, env=os.environ | alone)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else ""


def dated(record: dict[str, Any], accepted: Mapping[str, date], today: date) -> dict[str, Any]:
    """The record with `accepted`, `expires` (ISO dates or None) and `state`, one of STATES.

    What the programme recorded and nobody can read may be a withdrawal: until it is mended, nothing is `current`.
    """
    known = Certificate.model_validate(record["certificate"] or {})
    day = accepted.get(f"{record['version']}/{record['slug']}") or accepted.get(record["source"]) or known.merged
    day = day if record["certificate"] is not None else None
    state, ends = state_of(record["valid"], day, known, today)
    return {
        **record,
        "accepted": day.isoformat() if day else None,
        "expires": ends.isoformat() if ends else None,
        "state": state,
        "renewed_by": None,
    }


def renewed(versions: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The dated records of one platform, newest version first. What expired lives on in a newer one that is current."""
    found: list[dict[str, Any]] = []
    newer: str | None = None
    for record in versions:
        if record["state"] == "expired" and newer:
            record = {**record, "state": "renewed", "renewed_by": newer}
        elif record["state"] == "current":
            newer = record["version"]
        found.append(record)
    return found
