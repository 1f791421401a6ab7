"""Badges: what the registry knows of one submission, on a plain label without any mark of the programme."""

from __future__ import annotations

from typing import Any

from jinja2 import Environment

from aiconform.certify.certificate import State
from aiconform.certify.grades import TESTED

COLOURS: dict[State, str] = {
    "current": "#1b6e3c",
    "renewed": "#555f6b",
    "expired": "#555f6b",
    "undated": "#1d4ea5",
    "withdrawn": "#a3322a",
    "not-valid": "#a3322a",
}
CHARACTER = 7  # pixels, at the badge's size of letters


def lines(record: dict[str, Any]) -> tuple[str, str]:
    """Product with its version, and scope with expiry."""
    platform = record["platform"]
    product = f"{_cut(platform['platformName'], 36)} {_cut(platform['platformVersion'], 16)}".strip()
    return product, f"Kubernetes {record['version']} AI: {scope(record)}, {until(record)}"


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def words(record: dict[str, Any]) -> str:
    return ": ".join(lines(record))


def scope(record: dict[str, Any]) -> str:
    musts = record["must_grades"]
    return f"{sum(musts.get(grade, 0) for grade in TESTED)} of {sum(musts.values())} MUST by tests"


def until(record: dict[str, Any]) -> str:
    plain = {"not-valid": "rules not met", "withdrawn": f"withdrawn {record['expires']}"}
    if record["state"] in plain:
        return plain[record["state"]]
    if record["state"] == "renewed":
        return f"renewed for {record['renewed_by']}"
    if record["expires"] is None:
        return "date unknown"
    return f"{'expired' if record['state'] == 'expired' else 'until'} {record['expires']}"


def badge(env: Environment, record: dict[str, Any]) -> str:
    """The SVG: no script, no font, no address of anything outside of it."""
    both = lines(record)
    width = 26 + CHARACTER * max(map(len, both))
    return env.get_template("badge.svg").render(
        lines=both, words=words(record), width=width, colour=COLOURS[record["state"]]
    )
