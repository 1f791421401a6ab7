"""What rules look at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from aiconform.certify.corpus import Corpus
from aiconform.certify.examined import Examined


@dataclass(frozen=True)
class Context:
    """One submission, and what is known around it.

    corpus: all submissions of this validation. members: names of CNCF members, None without a list. unreachable: by
    address, why a link does not answer; a link that was not tried counts as answering.
    """

    examined: Examined
    corpus: Corpus
    members: frozenset[str] | None = None
    unreachable: Mapping[str, str] = field(default_factory=dict)
