"""The pages of a registry: plain files that work from a folder, in the form of the standard's site."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from aiconform import __version__
from aiconform.certify import rules
from aiconform.certify.certificate import STATES
from aiconform.certify.grades import GRADE_WORDS, GRADES, TESTED
from aiconform.certify.registry import badges, mentions
from aiconform.certify.registry.output import Output
from aiconform.reports.facts import requirement_of
from aiconform.reports.plain import shortened
from aiconform.spec.site import PAGES as STANDARD_PAGES
from aiconform.spec.site import environment

PAGES = Path(__file__).with_name("pages")
ROWS = 100  # of a list on one page
MOST_REPORTS = 8  # of others, on the page of a platform
NAME = 80  # characters of a name or an address on a page; the data has more


class Site:
    """Writes pages into `out`. summary: what registry.json says. reports: of others, about implementations."""

    def __init__(self, out: Output, summary: dict[str, Any], reports: Sequence[dict[str, Any]] = ()) -> None:
        self._out = out
        self._reports = reports
        self._summary = summary
        self._env = environment(PAGES)
        self._env.filters.update(
            web_address=web_address,
            short=lambda text: shortened(str(text), NAME),
            anchor=lambda version: version.replace(".", "-"),
            near=near,
            tested=lambda counts: sum(counts.get(grade, 0) for grade in TESTED),
            badge_words=badges.words,
            markdown_text=lambda text: re.sub(r"([\\\[\]!<>`*_])", r"\\\1", text),
        )
        known = {id_: requirement_of(id_) for id_ in summary["counts"]["requirements"]}
        titles = {id_: requirement.title if requirement else id_ for id_, requirement in known.items()}
        self._env.globals.update(
            summary=summary,
            requirements=titles,
            accelerators={each.id: each.title for each in mentions.accelerators()},
            solutions={each.id: each.title for each in mentions.solutions()},
            solution_of={each.id: each.requirement for each in mentions.solutions()},
            states=STATES,
            grade_words=GRADE_WORDS,
            grade_order=list(GRADES),
            rules={rule.id: rule.title for rule in rules.CATALOGUE.values()},
        )

    def _page(self, name: str, template: str, **values: Any) -> None:
        root = "../" * name.count("/")
        self._out.write(name, self._env.get_template(template).render(root=root, **values))

    def _pages(self, first: str, folder: str, rows: Sequence[dict[str, Any]], most: int) -> None:
        """A list in pages: first.html, folder/2.html, …"""
        last = max(1, -(-len(rows) // most))
        for number in range(1, last + 1):
            part = rows[(number - 1) * most : number * most]
            name = f"{first}.html" if number == 1 else f"{folder}/{number}.html"
            self._page(name, f"{folder}.html", rows=part, number=number, last=last, total=len(rows))

    def platform(self, platform: dict[str, Any], known: str | None) -> str:
        """Write the page and badges of a platform and return their digest. What is `known` to be there is kept."""
        names = [f"badges/{each['version']}/{each['slug']}.svg" for each in platform["versions"]]
        page = f"platforms/{platform['slug']}.html"
        said = set(platform["versions"][0]["solutions"])
        reports = [report for report in self._reports if said & set(report["solutions"])][:MOST_REPORTS]
        digest = hashlib.sha256(f"{form()}{json.dumps([platform, reports])}".encode()).hexdigest()[:16]
        there = [self._out.keep(name) for name in (page, *names)]
        if digest == known and all(there):
            return digest
        self._page(page, "platform.html", platform=platform, reports=reports)
        for name, record in zip(names, platform["versions"], strict=True):
            self._out.write(name, badges.badge(self._env, record))
        return digest

    def rest(self, rows: Sequence[dict[str, Any]]) -> None:
        """Write every page but those of platforms. rows: the whole index."""
        self._pages("index", "list", rows, ROWS)
        self._pages("evidence", "evidence", self._reports, ROWS // 2)
        for name in ("requirements", "names", "about"):
            self._page(f"{name}.html", f"{name}.html")
        solutions = self._summary["counts"]["solutions"]
        for id_, by_version in self._summary["counts"]["requirements"].items():
            known = requirement_of(id_)
            of_it = {each.id for each in mentions.solutions() if each.requirement == id_}
            self._page(
                f"requirements/{id_}.html",
                "requirement_counts.html",
                id=id_,
                by_version=by_version,
                statement=known.statement if known else "",
                named=[(name, count) for name, count in solutions.items() if name in of_it],
            )
        for folder, name in (
            (STANDARD_PAGES, "style.css"),
            (STANDARD_PAGES, "site.js"),
            (PAGES, "registry.css"),
            (PAGES, "registry.js"),
        ):
            self._out.write(name, (folder / name).read_text(encoding="utf-8"))


@cache
def form() -> str:
    """Identifies what pages are made with."""
    total = hashlib.sha256(__version__.encode())
    for path in sorted((*PAGES.iterdir(), STANDARD_PAGES / "base.html", Path(__file__), Path(badges.__file__))):
        total.update(path.read_bytes())
    return total.hexdigest()


def web_address(text: str) -> str:
    """The text as a link, if it is one of the web; else "". Nothing else may become a link of a page."""
    try:
        parts = urlsplit(text)
    except ValueError:
        return ""
    safe = parts.scheme in ("http", "https") and parts.hostname and not re.search(r"[\s\x00-\x1f\ufffd\"'<>\\…]", text)
    return text if safe else ""


def near(number: int, last: int) -> list[int | None]:
    """The pages to offer beside `number`, None where some are left out: 1 … 4 5 6 … 9."""
    offered = sorted({1, last, *(page for page in range(number - 2, number + 3) if 1 <= page <= last)})
    found: list[int | None] = []
    for page in offered:
        if found and found[-1] is not None and page > found[-1] + 1:
            found.append(None)
        found.append(page)
    return found
