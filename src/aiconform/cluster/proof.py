"""What a request shows to be who it is: a header, a client certificate, or both."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from aiconform.cluster.errors import NoCluster


@dataclass(frozen=True)
class Proof:
    """authorization: the header's value, or "". certificate: (certificates, key), PEM. expires: None is never."""

    authorization: str = ""
    certificate: tuple[bytes, bytes] | None = None
    expires: datetime | None = None

    @property
    def is_over(self) -> bool:
        return self.expires is not None and datetime.now(UTC) >= self.expires

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must be in no message."""
        return tuple(filter(None, (self.authorization.partition(" ")[2],)))


def header_value(text: str, what: str) -> str:
    """The text, if a header can hold it. Raises NoCluster, without the text."""
    if any((ord(char) < 32 and char != "\t") or ord(char) == 127 for char in text):
        raise NoCluster(f"{what} holds a character that no HTTP header can, such as a line break.")
    return text
