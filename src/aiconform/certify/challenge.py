"""A reviewer's challenge: a number that nobody could know before, which a run carries into its cluster and back."""

from __future__ import annotations

import json
import re
import secrets
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from aiconform.engine.journal import moment
from aiconform.untrusted import Refused, json_value, read

if TYPE_CHECKING:
    from aiconform.certify.runs import JudgedRun

NONCE = re.compile(r"[0-9a-f]{32}")
LARGEST = 10_000  # bytes
SLACK = timedelta(minutes=5)
"""How far the clocks of the reviewer and of the vendor may be apart."""


class BadChallenge(Exception):
    """The file or text is no challenge."""


@dataclass(frozen=True)
class Challenge:
    """nonce: 32 hexadecimal digits. vendor: for whom, by vendorName, or "". issued, expires: times, or "" where only
    the nonce is known."""

    nonce: str
    vendor: str = ""
    issued: str = ""
    expires: str = ""

    def as_text(self) -> str:
        return json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n"

    def missed(self, run: JudgedRun) -> str:
        """Why the run does not answer the challenge; "" if it does."""
        if not run.challenge:
            return "carries no challenge"
        if run.challenge != self.nonce:
            return "carries another challenge"
        if self.nonce not in run.echoed:
            return "names the challenge, but no container of the cluster printed it"
        started, ended = moment(run.started), moment(run.ended)
        issued, expires = moment(self.issued), moment(self.expires)
        if issued and (started is None or started < issued - SLACK):
            return f"started ({run.started}) before the challenge was issued ({self.issued})"
        if expires and (ended is None or ended > expires + SLACK):
            return f"ended ({run.ended}) after the challenge had expired ({self.expires})"
        return ""


def new_challenge(vendor: str, days: int) -> Challenge:
    """A new challenge, from now on for so many days."""
    issued = datetime.now(UTC)
    times = (each.isoformat(timespec="seconds") for each in (issued, issued + timedelta(days=days)))
    return Challenge(secrets.token_hex(16), vendor, *times)


def read_challenge(given: str) -> Challenge:
    """From a file that `certify challenge` wrote, or the nonce itself. Raises BadChallenge."""
    if NONCE.fullmatch(given):
        return Challenge(given)
    path = Path(given)
    try:
        data = json_value(read(path, LARGEST), "it")
        challenge = Challenge(**{name: str(data[name]) for name in Challenge.__dataclass_fields__})
    except OSError as error:
        raise BadChallenge(f"{given} is neither a challenge nor a file that can be read: {error.strerror}") from error
    except Refused as error:
        raise BadChallenge(f"{given} is no challenge: {error}") from error
    except (KeyError, TypeError) as error:
        raise BadChallenge(f"{given} is no challenge of `aiconform certify challenge`") from error
    if not NONCE.fullmatch(challenge.nonce):
        raise BadChallenge(f"{given} is no challenge: a nonce has 32 hexadecimal digits")
    for name, said in (("issued", challenge.issued), ("expires", challenge.expires)):
        if not moment(said):
            raise BadChallenge(f"{given} is no challenge: {said!r} ({name}) is no time")
    return challenge
