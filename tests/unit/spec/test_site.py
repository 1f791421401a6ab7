"""The rendered site as files: whole, linked, without outside resources, and safe from what requirements say."""

from __future__ import annotations

import dataclasses
import json
from html.parser import HTMLParser
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from aiconform.cli import main
from aiconform.spec import load_standard
from aiconform.spec.site import duration, inline, prose, render_site, source_name

STANDARD = load_standard()


class Page(HTMLParser):
    """What a page links to, loads and names."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.loads: list[str] = []
        self.tags: list[str] = []
        self.headings: list[int] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attributes}
        self.tags.append(tag)
        if "id" in values:
            self.ids.append(values["id"])
        if tag == "a":
            self.links.append(values["href"])
        if "src" in values or tag == "link":
            self.loads.append(values.get("src") or values["href"])
        if tag in ("h1", "h2", "h3", "h4"):
            self.headings.append(int(tag[1]))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rendered") / "site"
    result = CliRunner().invoke(main, ["spec", "render", str(folder)])
    assert result.exit_code == 0, result.output
    assert result.stdout.strip() == str(folder / "index.html")
    return folder


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Page]:
    return {path: Page(path.read_text(encoding="utf-8")) for path in sorted(site.rglob("*.html"))}


def test_there_is_a_page_for_each_version_and_requirement(site: Path) -> None:
    assert {path.stem for path in (site / "versions").glob("*.html")} == set(STANDARD.versions)
    assert {path.stem for path in (site / "requirements").glob("*.html")} == set(STANDARD.ids)
    assert {path.name for path in site.glob("*.html")} == {
        "index.html", "proposals.html", "process.html", "schema.html",
    }  # fmt: skip
    schema = json.loads((site / "requirement.schema.json").read_text(encoding="utf-8"))
    assert schema["title"] == "Requirement"


def test_lines_and_limits_have_anchors_and_say_who_asks(site: Path, pages: dict[Path, Page]) -> None:
    for requirement in STANDARD.requirements:
        path = site / "requirements" / f"{requirement.id}.html"
        text = " ".join(path.read_text(encoding="utf-8").split())
        assert {f"line-{line.id}" for line in requirement.lines} <= set(pages[path].ids)
        assert {f"limit-{limit.id}" for limit in requirement.procedure.limits} <= set(pages[path].ids)
        for line in requirement.lines:
            assert f"<code>{line.id}</code> {line.asked_by}" in text
        assert ("If it is not met" in text) == bool(requirement.remediation)
        assert ("What it disturbs" in text) == bool(requirement.disturbs)


def test_every_internal_link_leads_somewhere(pages: dict[Path, Page]) -> None:
    checked = 0
    for path, page in pages.items():
        for link in page.links:
            if link.startswith("https://"):
                continue
            file, _, anchor = link.partition("#")
            target = (path.parent / file).resolve() if file else path
            assert target.exists(), f"{path.name}: {link}"
            if anchor:
                assert anchor in pages[target].ids, f"{path.name}: {link}"
            checked += 1
    assert checked > 500


def test_nothing_comes_from_outside(pages: dict[Path, Page], site: Path) -> None:
    for path, page in pages.items():
        for load in page.loads:
            assert load == "data:," or (path.parent / load).resolve().is_relative_to(site), load
        assert not set(page.tags) & {"iframe", "img", "object", "embed"}
    for name in ("style.css", "site.js"):
        text = (site / name).read_text(encoding="utf-8")
        assert not any(word in text for word in ("http:", "https:", "url(", "@import", "fetch("))


def test_pages_are_well_formed(pages: dict[Path, Page]) -> None:
    for path, page in pages.items():
        assert len(page.ids) == len(set(page.ids)), path
        assert page.headings[0] == 1, path
        assert page.headings.count(1) == 1, path
        steps = zip(page.headings, page.headings[1:], strict=False)
        assert all(after <= before + 1 for before, after in steps), path


def test_rendering_again_changes_nothing_and_clears_what_is_gone(site: Path) -> None:
    before = {path: path.read_bytes() for path in site.rglob("*") if path.is_file()}
    (site / "requirements" / "gone.html").write_text("old", encoding="utf-8")
    assert CliRunner().invoke(main, ["spec", "render", str(site)]).exit_code == 0
    assert {path: path.read_bytes() for path in site.rglob("*") if path.is_file()} == before


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("mine", encoding="utf-8")
    result = CliRunner().invoke(main, ["spec", "render", str(tmp_path)])
    assert result.exit_code == 2
    assert "has other files in it" in result.stderr
    assert (tmp_path / "index.html").read_text(encoding="utf-8") == "mine"


def test_what_a_requirement_says_never_becomes_markup(tmp_path: Path) -> None:
    evil = "</p><script>alert(1)</script> <img src=x onerror=alert(1)> [a](javascript:alert(1)) ![b](https://x/y) MUST"
    changed = STANDARD.requirement("gpu_sharing").model_copy(
        update={"title": evil, "statement": evil, "rationale": evil}
    )
    others = tuple(changed if r.id == changed.id else r for r in STANDARD.requirements)
    render_site(dataclasses.replace(STANDARD, requirements=others), tmp_path / "site")
    for path in (tmp_path / "site").rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        page = Page(text)
        assert page.tags.count("script") == 2
        assert "img" not in page.tags
        assert not any(link.startswith("javascript") for link in page.links)


@settings(deadline=None)
@given(st.text(max_size=200))
def test_any_text_is_rendered_with_our_tags_only(text: str) -> None:
    ours = {"a", "code", "strong", "em", "br", "p", "ul", "ol", "li", "pre", "hr", "blockquote", "h1", "h2", "h3", "h4",
            "h5", "h6", "table", "thead", "tbody", "tr", "th", "td"}  # fmt: skip
    for html in (inline(text), prose(text)):
        page = Page(html)
        assert set(page.tags) <= ours
        assert not page.loads
        assert not any(link.lower().startswith(("javascript:", "vbscript:", "file:")) for link in page.links)


def test_words_of_rfc_2119_are_marked_but_not_in_code() -> None:
    assert inline("It MUST NOT be `MUST`.") == 'It <strong class="rfc">MUST NOT</strong> be <code>MUST</code>.'
    assert duration(90) == "90 s"
    assert duration(600) == "10 min"
    assert source_name("https://github.com/cncf/k8s-ai-conformance/pull/3") == "cncf/k8s-ai-conformance pull request 3"
