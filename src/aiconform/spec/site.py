"""The standard as a static site: plain files that work from a folder, without a server or outside resources."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markdown_it import MarkdownIt
from markdown_it.common.utils import escapeHtml
from markdown_it.token import Token
from markupsafe import Markup

from aiconform.spec.changes import changes
from aiconform.spec.errors import SpecError
from aiconform.spec.model import RFC_2119, Requirement
from aiconform.spec.schema import schema_text
from aiconform.spec.standard import HERE, Standard
from aiconform.spec.words import Area

PAGES = HERE / "pages"
STATIC = ("style.css", "site.js")
# Written into the site, so that a later rendering knows a folder of its own from one that it must not fill.
MARK = "search-index.js"
GITHUB = re.compile(r"https://github\.com/([^/]+/[^/]+)/(issues|pull)/(\d+)")

LEVEL_WORDS = {
    "MUST": "Needed for conformance.",
    "SHOULD": "Recommended, and reported.",
    "folded": "Base Kubernetes conformance, a precondition, asks for it.",
}


class CannotRender(SpecError):
    """The site cannot be written there."""


def render_site(standard: Standard, folder: Path, *, checks: Collection[str] = ()) -> int:
    """Write the site into `folder` and return the number of its pages.

    checks: ids with a check in the suite. Pages that a former rendering left are removed; a folder with other files is
    refused. Raises CannotRender.
    """
    try:
        _make_way(folder)
        pages = _pages(standard, checks)
        for name, text in pages.items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise CannotRender(f"cannot write the site to {folder}: {error.strerror}") from error
    return sum(name.endswith(".html") for name in pages)


def _make_way(folder: Path) -> None:
    if folder.is_dir() and any(folder.iterdir()) and not (folder / MARK).exists():
        raise CannotRender(f"{folder} has other files in it; name an empty or a new folder")
    folder.mkdir(parents=True, exist_ok=True)
    for old in [*folder.glob("*.html"), *folder.glob("versions/*.html"), *folder.glob("requirements/*.html")]:
        old.unlink()


def _pages(standard: Standard, checks: Collection[str]) -> dict[str, str]:
    """File name -> text."""
    env = environment()

    def page(template: str, root: str, **values: Any) -> str:
        return env.get_template(template).render(standard=standard, root=root, checks=checks, **values)

    listed = list(standard.at(standard.newest))
    listed += [r for r in standard.requirements if r.levels and r not in listed]  # only on the announced list
    proposed = [r for r in standard.requirements if not r.levels]
    process, contents = _document(_process_text())
    pages = {
        "index.html": page("index.html", "", listed=listed, proposed=proposed, by_area=_by_area(standard)),
        "proposals.html": page("proposals.html", "", by_area=_by_area(standard, proposed)),
        "process.html": page("process.html", "", body=process, contents=contents),
        "schema.html": page("schema.html", "", schema=json.loads(schema_text())),
        "requirement.schema.json": schema_text(),
        MARK: f"window.aiconformIndex = {_search_index(standard, _process_text())};\n",
        **{name: (PAGES / name).read_text(encoding="utf-8") for name in STATIC},
    }
    for position, release in enumerate(standard.releases):
        before = standard.versions[position - 1] if position else None
        difference = changes(standard, before, release.version) if before else None
        on_list = standard.at(release.version)
        levels = [(level, [r for r in on_list if r.level_at(release.version) == level]) for level in LEVEL_WORDS]
        name = f"versions/{release.version}.html"
        pages[name] = page("version.html", "../", release=release, levels=levels, before=before, changes=difference)
    for requirement in standard.requirements:
        named_by = [r for r in standard.requirements if any(x.id == requirement.id for x in r.related)]
        name = f"requirements/{requirement.id}.html"
        pages[name] = page("requirement.html", "../", requirement=requirement, named_by=named_by)
    return pages


def environment(*folders: Path) -> Environment:
    """Templates of the site. Those in `folders`, for other sites of the same form, come before these."""
    env = Environment(
        loader=FileSystemLoader([*folders, PAGES]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.filters.update(inline=inline, prose=prose, source_name=source_name, duration=duration)
    env.globals.update(level_words=LEVEL_WORDS, areas=list(Area))
    return env


# Text


def _markdown() -> MarkdownIt:
    """CommonMark without raw HTML and images: what a file says never becomes markup of its own or loads anything."""
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")
    markdown.add_render_rule("text", _render_text)
    return markdown


def _render_text(renderer: Any, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
    """Escaped, with RFC 2119 words marked."""
    return RFC_2119.sub(r'<strong class="rfc">\1</strong>', escapeHtml(tokens[index].content))


def inline(text: str) -> Markup:
    """One line of text: code spans and RFC 2119 words are marked, everything else is escaped."""
    return Markup(_markdown().renderInline(" ".join(text.split())))  # noqa: S704 - rendered without raw HTML


def prose(text: str) -> Markup:
    """Paragraphs of text."""
    return Markup(_markdown().render(text))  # noqa: S704 - rendered without raw HTML


def _document(text: str) -> tuple[Markup, list[tuple[str, str]]]:
    """(the document's HTML without its title, [(anchor, heading)] of its second level)."""
    markdown = _markdown()
    tokens = markdown.parse(text)
    contents = []
    for token, following in itertools.pairwise(tokens):
        if token.type == "heading_open":
            anchor = re.sub(r"[^a-z0-9]+", "-", following.content.lower()).strip("-")
            token.attrSet("id", anchor)
            if token.tag == "h2":
                contents.append((anchor, following.content))
    if tokens and tokens[0].tag == "h1":
        tokens = tokens[3:]
    html = markdown.renderer.render(tokens, markdown.options, {})
    numbers = itertools.count(1)
    html = re.sub(
        r"<table>(.*?)</table>",
        lambda table: (
            f'<div class="scroll" role="region" aria-label="Table {next(numbers)}" tabindex="0">{table[0]}</div>'
        ),
        html,
        flags=re.DOTALL,
    )
    return Markup(html), contents  # noqa: S704 - rendered without raw HTML


def _process_text() -> str:
    """docs/process.md, which a wheel carries beside this module."""
    for place in (HERE / "process.md", HERE.parents[2] / "docs" / "process.md"):
        if place.exists():
            return place.read_text(encoding="utf-8")
    raise CannotRender("docs/process.md is missing; reinstall aiconform, or render from a checkout")


def source_name(url: str) -> str:
    """A short name for a link: "kubernetes-sigs/ai-conformance issue 53"."""
    match = GITHUB.match(url)
    if match:
        repository, kind, number = match.groups()
        return f"{repository} {'issue' if kind == 'issues' else 'pull request'} {number}"
    return url.removeprefix("https://").rstrip("/")


def duration(seconds: int) -> str:
    """90 -> "90 s", 600 -> "10 min"."""
    return f"{seconds // 60} min" if seconds >= 120 and seconds % 60 == 0 else f"{seconds} s"


def _by_area(standard: Standard, chosen: Sequence[Requirement] | None = None) -> list[tuple[Area, list[Requirement]]]:
    return [
        (area, [r for r in (standard.requirements if chosen is None else chosen) if r.area == area]) for area in Area
    ]


def _search_index(standard: Standard, process: str) -> str:
    """What the search looks through, as JSON: title, address, a line to show, and words."""
    entries = []
    for r in standard.requirements:
        words = [r.id, r.id.replace("_", " "), f"KAR-{r.kar}" if r.kar else "", r.area, r.category or "", *r.owners]
        words += [r.statement, r.rationale, r.applicability.when]
        words += [
            f"{step.do} {step.observe} {' '.join(f'{line.id} {line.text}' for line in step.holds)}"
            for step in r.procedure.steps
        ]
        entries.append(
            {
                "title": r.title,
                "at": f"requirements/{r.id}.html",
                "line": f"{r.id} · {r.area} · {r.stage}",
                "words": " ".join(" ".join(words).split()),
            }
        )
    for release in standard.releases:
        line = "released list" if release.released else "announced list"
        at = f"versions/{release.version}.html"
        entries.append({"title": f"Kubernetes {release.version}", "at": at, "line": line, "words": release.note})
    for title, at, line, text in (
        ("Process", "process.html", "how a requirement is proposed, reviewed, promoted and folded", process),
        ("Schema", "schema.html", "the shape of a requirement file", "yaml json keys"),
        ("Proposals", "proposals.html", "requirements that are on no list yet", "proposed"),
    ):
        entries.append({"title": title, "at": at, "line": line, "words": " ".join(text.split())})
    return json.dumps(entries, ensure_ascii=False, separators=(",", ":"))
