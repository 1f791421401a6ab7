"""The certifications of a folder, each with its age and state, without building a registry."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

from aiconform.certify.registry.life import dated, merged
from aiconform.certify.registry.platforms import platforms
from aiconform.certify.registry.record import record
from aiconform.certify.registry.sources import found
from aiconform.certify.validate import ValidationSettings


def lives(corpus: Path, settings: ValidationSettings, dates: Mapping[str, date], today: date) -> list[dict[str, Any]]:
    """The dated records of all submissions at or below a folder, by platform, the newest version first.

    Raises NothingToValidate, BadChecklists.
    """
    corpus = corpus.resolve()
    sources = found([corpus])
    accepted = {**merged(corpus, sources), **dates}
    records = (record(source, settings) for source in sources)
    known = platforms(dated(each, accepted, today) for each in records if isinstance(each, dict))
    return [each for platform in known for each in platform["versions"]]


def span(life: Mapping[str, Any]) -> str:
    """Since when and until when a dated record counts, in words."""
    text = f"accepted {life['accepted'] or '(day not known)'}"
    if life["state"] in ("current", "expired", "renewed"):
        text += f", counts until {life['expires']}"
    return text + (f", renewed for {life['renewed_by']}" if life["renewed_by"] else "")
