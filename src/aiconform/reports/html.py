"""The page of a run: one file without scripts and without external resources.

Every string in it may come from a cluster or from a foreign report. Three things keep it text: each value is made plain
and is escaped on its way into the template, and the page's policy lets a browser load and run nothing.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from aiconform.engine.evidence import CheckResult, Evidence, Report
from aiconform.engine.times import Times
from aiconform.engine.verdicts import counting
from aiconform.reports.minute import minute
from aiconform.reports.pictures import Pictures, pictures, run_timeline
from aiconform.reports.plain import plain, shortened
from aiconform.reports.summary import (
    BEYOND,
    CHECK_WORDS,
    VERDICT_WORDS,
    assertion_counts,
    counted,
    duration,
    going_beyond,
    headline,
    is_extension,
    remedy,
    spent,
    tally,
    targets_of,
    way,
)
from aiconform.reports.views import (
    REASON_LIMIT,
    About,
    AssertionView,
    RecordView,
    about,
    assertion_views,
    left_out_views,
    record_views,
)

EXTENSIONS_NOTE = "They are never part of a version's verdict."
OURS = ("checks", "extensions", "timeline", "accelerators", "run", "leaks")
"""Anchors of the page's own parts."""
UNKNOWN = Times()


@dataclass(frozen=True)
class CheckView:
    """A check as the page shows it. `anchor` is empty where its row in the table already shows everything.

    assertions: what the verdict follows; beyond: what the strict verdict follows as well, which is `strict` (in words)
    where it is another; left_out: what does not apply.
    """

    anchor: str
    id: str
    title: str
    level: str
    verdict: str
    word: str
    strict: str
    found: str
    reason: str
    about: About
    remedy: str
    extension: bool
    seconds: float
    spent: str
    requests: int
    assertions: tuple[AssertionView, ...]
    beyond: tuple[AssertionView, ...]
    left_out: tuple[AssertionView, ...]
    records: tuple[RecordView, ...]
    pictures: Pictures


def render_html(report: Report, evidence: Mapping[str, Evidence], times: Times = UNKNOWN) -> str:
    """The complete page, which can always be encoded as UTF-8. `evidence` is by check id."""
    style = files("aiconform.reports").joinpath("templates/report.css").read_text(encoding="utf-8")
    anchors = _anchors(report)
    checks = tuple(
        _check(anchor, each, evidence.get(each.id), times) for anchor, each in zip(anchors, report.checks, strict=True)
    )
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            report=report,
            style=Markup(style),  # noqa: S704 - our own file
            policy=_policy(style),
            word=VERDICT_WORDS[report.verdict],
            about=headline(report).removeprefix(VERDICT_WORDS[report.verdict]),
            minute=minute(report, evidence),
            tally=[(verdict, CHECK_WORDS[verdict], count) for verdict, count in tally(report.checks)],
            checks=checks,
            timeline=run_timeline([evidence[each.id] for each in report.checks if each.id in evidence], times),
            groups=[
                ("checks", "Requirements", "", [each for each in checks if not each.extension]),
                ("extensions", "Extensions", EXTENSIONS_NOTE, [each for each in checks if each.extension]),
            ],
            beyond=BEYOND,
            accelerators=[(entry, way(entry)) for entry in report.accelerators],
        )
    )


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("aiconform.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_plain,
    )
    environment.filters.update(duration=duration, counted=counted)
    return environment


def _plain(value: Any) -> Any:
    return plain(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _policy(style: str) -> str:
    """A browser takes this one style sheet and nothing else."""
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


def _anchors(report: Report) -> list[str]:
    """What links to each check begin with: its id, unless a foreign report has one that no link could name."""
    anchors: list[str] = []
    for number, check in enumerate(report.checks, start=1):
        usual = re.fullmatch(r"[A-Za-z0-9_.-]{1,80}", check.id) and check.id not in (*OURS, *anchors)
        anchors.append(check.id if usual else f"check:{number}")
    return anchors


def _check(anchor: str, check: CheckResult, evidence: Evidence | None, times: Times) -> CheckView:
    targets = targets_of(evidence)
    unlike = frozenset(name for each in check.assertions for name, held in each.targets.items() if held is not True)
    assertions = assertion_views(check, counting(check.assertions), anchor, targets)
    records = record_views(evidence.records if evidence else (), unlike)
    return CheckView(
        anchor=anchor if assertions or records or check.verdict != "not-run" else "",
        id=check.id,
        title=check.title,
        level=check.level,
        verdict=check.verdict,
        word=CHECK_WORDS[check.verdict],
        strict=CHECK_WORDS[check.strict] if check.strict != check.verdict else "",
        found=assertion_counts(check),
        reason=shortened(check.reason, REASON_LIMIT),
        about=about(check.id),
        remedy=remedy(check),
        extension=is_extension(check),
        seconds=check.seconds,
        spent=spent(check),
        requests=check.requests,
        assertions=assertions,
        beyond=assertion_views(check, going_beyond(check), anchor, targets),
        left_out=left_out_views(check),
        records=records,
        pictures=pictures(evidence, times, unlike) if evidence else Pictures(),
    )
