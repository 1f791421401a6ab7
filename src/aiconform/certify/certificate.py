"""What the programme records beside a submission: CERTIFICATE.yaml, from the merge to the end of the certification.

Vendors do not sign it and builds do not touch it: it is kept by who merges, and git keeps its history.
"""

from __future__ import annotations

from datetime import MAXYEAR, date
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from aiconform.certify.bundle import CERTIFICATE
from aiconform.certify.days import Day
from aiconform.certify.fix import editor

State = Literal["current", "renewed", "expired", "undated", "withdrawn", "not-valid"]
STATES: dict[State, str] = {
    "current": "Meets the programme's rules, and was accepted or renewed within the last year.",
    "renewed": "Was accepted more than a year ago; a newer version of the platform is certified.",
    "expired": "Meets the programme's rules, and was accepted more than a year ago.",
    "undated": "Meets the programme's rules. When it was accepted is not known here.",
    "withdrawn": "Was certified; the certification was withdrawn.",
    "not-valid": "Does not meet the programme's rules.",
}
HEAD = "# Kept by the programme: what became of this certification. Not part of what the vendor signs.\n"


class BadCertificate(Exception):
    """The file cannot be read; the text says where and why."""


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Withdrawal(_Model):
    date: Day
    by: str
    why: str


class Appeal(_Model):
    """Somebody holds that the certification, or its refusal, is wrong. about: ids of requirements; none: all of it.

    outcome: `upheld` if the programme agrees, `rejected` if not; with `decided` and `decision`, its words.
    """

    raised: Day
    by: str
    why: str
    about: tuple[str, ...] = ()
    link: str = ""
    decided: Day | None = None
    outcome: Literal["", "upheld", "rejected"] = ""
    decision: str = ""

    @model_validator(mode="after")
    def _decided_as_a_whole(self) -> Appeal:
        if len({bool(self.decided), bool(self.outcome), bool(self.decision)}) > 1:
            raise ValueError("what is decided has a day (decided), an outcome and the reason (decision)")
        if self.decided and self.decided < self.raised:
            raise ValueError("it was decided before it was raised")
        return self

    @property
    def open(self) -> bool:
        return self.decided is None


class Certificate(_Model):
    """merged: when the submission was accepted. renewed: days on which it was accepted again for the same version."""

    merged: Day | None = None
    renewed: tuple[Day, ...] = ()
    withdrawn: Withdrawal | None = None
    appeals: tuple[Appeal, ...] = ()


NONE = Certificate()


def read_certificate(folder: Path) -> Certificate:
    """Of a product's folder; an empty one where the programme has recorded nothing. Raises BadCertificate."""
    from aiconform.spec.errors import MalformedFile
    from aiconform.spec.yamlfile import read

    path = folder / CERTIFICATE
    if path.is_symlink():
        raise BadCertificate(f"{path.name} is a link: put the file itself there")
    if not path.exists():
        return NONE
    try:
        return Certificate.model_validate(read(path).data)
    except MalformedFile as error:
        raise BadCertificate(str(error)) from error
    except ValidationError as error:
        problem = error.errors()[0]
        place = ".".join(str(part) for part in problem["loc"]) or "the file"
        raise BadCertificate(f"{path.name}: {place}: {problem['msg']}") from error


def change(folder: Path, *, appeal: Appeal | None = None, withdrawal: Withdrawal | None = None) -> Path:
    """Add an appeal or the withdrawal; comments of the file stay. Returns the file. Raises BadCertificate, OSError."""
    known = read_certificate(folder)
    if withdrawal and known.withdrawn:
        raise BadCertificate(f"{folder.name} was withdrawn on {known.withdrawn.date} already")
    path, tree = _tree(folder)
    if appeal:
        tree.setdefault("appeals", []).append(_plain(appeal))
    if withdrawal:
        tree["withdrawn"] = _plain(withdrawal)
    return _written(path, tree)


def decide(folder: Path, number: int, *, outcome: str, decision: str, day: date) -> Path:
    """Say what became of an open appeal, counted from 1. Returns the file. Raises BadCertificate, OSError."""
    appeals = read_certificate(folder).appeals
    if not 1 <= number <= len(appeals) or not appeals[number - 1].open:
        raise BadCertificate(f"{folder.name} has no open appeal {number}: see `aiconform certify life`")
    said = {"decided": day, "outcome": outcome, "decision": _text(decision)}
    try:
        Appeal.model_validate({**appeals[number - 1].model_dump(), **said})
    except ValidationError as error:
        raise BadCertificate(error.errors()[0]["msg"]) from error
    path, tree = _tree(folder)
    tree["appeals"][number - 1].update(said)
    return _written(path, tree)


def _plain(record: _Model) -> dict[str, Any]:
    return {
        name: list(value) if isinstance(value, tuple) else _text(value)
        for name, value in record
        if value not in ("", ())
    }


def _text(value: Any) -> Any:
    """What a terminal gave that is no text would leave a file that nobody can read."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value


def _tree(folder: Path) -> tuple[Path, Any]:
    path = folder / CERTIFICATE
    return path, editor().load(path.read_text(encoding="utf-8")) or {} if path.is_file() else {}


def _written(path: Path, tree: Any) -> Path:
    head = "" if path.is_file() else HEAD
    draft = path.with_name(f".{path.name}.part")
    with draft.open("w", encoding="utf-8", newline="\n") as file:
        file.write(head)
        editor().dump(tree, file)
    draft.replace(path)
    return path


def expiry(accepted: date) -> date:
    """A year later: for so long a certification counts, if the programme does not say otherwise."""
    if accepted.year == MAXYEAR:
        return date.max
    try:
        return accepted.replace(year=accepted.year + 1)
    except ValueError:  # 29 February
        return date(accepted.year + 1, 3, 1)


def state_of(valid: bool, accepted: date | None, known: Certificate, today: date) -> tuple[State, date | None]:
    """(the state of one certification for itself, the last day on which it counts)."""
    begun = [day for day in (accepted or known.merged, *known.renewed) if day and day <= today]
    ends = expiry(max(begun)) if begun else None
    if known.withdrawn and known.withdrawn.date <= today:
        return "withdrawn", min(ends, known.withdrawn.date) if ends else known.withdrawn.date
    if not valid:
        return "not-valid", ends
    if ends is None:
        return "undated", None
    return ("current" if today <= ends else "expired"), ends
