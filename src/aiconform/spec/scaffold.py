"""A new proposal, as a file that loads and says what is still to be written."""

from __future__ import annotations

import datetime
import re
from pathlib import Path

from aiconform.spec.errors import SpecError
from aiconform.spec.words import ANY_ID, Area

# `spec check` reports every value that still has it.
PLACEHOLDER = "FILL IN"

# The SIG that looks after each area.
LEAD = {
    Area.NODE: "sig-node",
    Area.SCHEDULING: "sig-scheduling",
    Area.STORAGE: "sig-storage",
    Area.NETWORK: "sig-network",
    Area.INSTRUMENTATION: "sig-instrumentation",
    Area.SECURITY: "sig-security",
    Area.RELEASE: "sig-testing",
    Area.APPS: "sig-apps",
    Area.API_MACHINERY: "sig-api-machinery",
    Area.ARCHITECTURE: "sig-architecture",
    Area.AUTH: "sig-auth",
}


class CannotScaffold(SpecError):
    """The id or the place for a new proposal will not do."""


def scaffold(id_: str, *, title: str, area: Area, folder: Path, today: datetime.date, with_check: bool = False) -> Path:
    """Write <folder>/<id>.yaml and return its path. Raises CannotScaffold.

    `with_check`: the ids of its line and its limit are those that the skeleton of a check serves.
    """
    line, limit = ("pod_speaks", "start") if with_check else ("what_holds", "what_is_limited")
    vendor, dot, _ = id_.partition(".")
    if not re.fullmatch(ANY_ID, id_):
        raise CannotScaffold(
            f"{id_!r} cannot be an id: use lower-case words joined by underscores; a dot marks an extension"
        )
    if not folder.is_dir():
        raise CannotScaffold(f"{folder} is not a folder; name one with --into")
    path = folder / f"{id_}.yaml"
    text = f"""\
# A proposal. Replace every "{PLACEHOLDER}", then run `aiconform spec check`.
id: {id_}
title: {_quoted(title)}
area: {area}
owners: [{vendor.replace("_", "-") if dot else LEAD[area]}]
stage: proposed
# What a platform that meets it does. RFC 2119 words (MUST, SHOULD, MAY) say what is asked for.
statement: >-
  The platform MUST {PLACEHOLDER}.
rationale: |
  {PLACEHOLDER} - who is hurt where this is missing, and why it does not show in the API.
applicability:
  when: {PLACEHOLDER} - always, or the condition.
  may_not_apply: false
  look_at:
    - {PLACEHOLDER} - what has to be looked at before anyone says that it does not apply.
procedure:
  needs:
    - {PLACEHOLDER} - what has to be there; without it the result is undecided.
  steps:
    - do: {PLACEHOLDER}
      observe: {PLACEHOLDER}
      holds:
        # The id stays the same for ever; assertions cite it.
        - id: {line}
          text: {PLACEHOLDER}
  limits:
    - id: {limit}
      of: {PLACEHOLDER}
      seconds: 120
      why: {PLACEHOLDER}
  # Defects that have to make an assertion fail. A positive case alone proves little.
  broken_by:
    - {PLACEHOLDER}
evidence:
  counts:
    - {PLACEHOLDER}
  does_not_count:
    - {PLACEHOLDER}
history:
  - event: proposed
    date: {today}
    what: {PLACEHOLDER} - by whom and why.
    sources: []
"""
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise CannotScaffold(f"{path} exists already; a requirement keeps one file for its whole life") from error
    except OSError as error:
        raise CannotScaffold(f"cannot write {path}: {error.strerror}") from error
    return path


def _quoted(text: str) -> str:
    """As a YAML scalar in single quotes."""
    return "'" + text.replace("'", "''") + "'"
