"""The rendered standard in a real browser: search, keyboard, themes, narrow and printed, and what axe finds."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from playwright.sync_api import Browser, Page, expect
from support.browser import context_of, violations

from aiconform.cli import main
from aiconform.spec import load_standard

pytestmark = pytest.mark.browser

NARROW = {"width": 360, "height": 740}
PAGES = (
    "index.html",
    "proposals.html",
    "process.html",
    "schema.html",
    "versions/v1.36.html",
    "versions/v1.38.html",
    "requirements/dra_support.html",
    "requirements/secure_accelerator_access.html",
    "requirements/api_under_load.html",
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("rendered") / "site"
    result = CliRunner().invoke(main, ["spec", "render", str(folder)])
    assert result.exit_code == 0, result.output
    return folder.as_uri()


def background(page: Page) -> str:
    color: str = page.evaluate("getComputedStyle(document.body).backgroundColor")
    return color


@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing(page: Page, site: str, name: str) -> None:
    page.goto(f"{site}/{name}")
    assert violations(page) == []


@pytest.mark.parametrize("name", ["index.html", "requirements/dra_support.html", "versions/v1.38.html"])
def test_axe_finds_nothing_in_the_dark(page: Page, site: str, name: str) -> None:
    page.emulate_media(color_scheme="dark")
    page.goto(f"{site}/{name}")
    assert violations(page) == []


def test_axe_finds_nothing_in_an_open_search_on_a_narrow_page(page: Page, site: str) -> None:
    page.set_viewport_size(NARROW)
    page.goto(f"{site}/index.html")
    page.get_by_role("combobox", name="Search the standard").fill("gang")
    expect(page.get_by_role("listbox")).to_be_visible()
    assert violations(page) == []


def test_titles_and_headings(page: Page, site: str) -> None:
    for requirement in load_standard().requirements:
        page.goto(f"{site}/requirements/{requirement.id}.html")
        expect(page).to_have_title(f"{requirement.title} · Kubernetes AI conformance")
        expect(page.get_by_role("heading", level=1)).to_have_text(requirement.title)


def test_links_of_the_overview_can_be_followed(page: Page, site: str) -> None:
    page.goto(f"{site}/index.html")
    page.get_by_role("link", name="v1.36", exact=True).first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Kubernetes v1.36")
    changes = page.get_by_role("region", name="Changes since v1.35")
    expect(changes).to_contain_text("Dynamic Resource Allocation")
    changes.get_by_role("link", name="Dynamic Resource Allocation").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Dynamic Resource Allocation")
    page.get_by_role("link", name="Secure accelerator access").first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Secure accelerator access")


def test_search_by_keyboard(page: Page, site: str) -> None:
    page.goto(f"{site}/versions/v1.37.html")
    page.keyboard.press("/")
    search = page.get_by_role("combobox", name="Search the standard")
    expect(search).to_be_focused()
    page.keyboard.type("gang sched")
    options = page.get_by_role("option")
    expect(options.first).to_contain_text("Gang scheduling")
    page.keyboard.press("ArrowDown")
    expect(options.first).to_have_attribute("aria-selected", "true")
    expect(search).to_have_attribute("aria-activedescendant", "result-0")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Gang scheduling")


@pytest.mark.parametrize(
    ("words", "first"),
    [
        ("KAR-49", "Secure accelerator access"),
        ("dra_support", "Dynamic Resource Allocation"),
        ("v1.38", "Kubernetes v1.38"),
        ("readwritemany", "Volumes shared by many Pods"),
        ("frozen", "Process"),
    ],
)
def test_search_finds(page: Page, site: str, words: str, first: str) -> None:
    page.goto(f"{site}/index.html")
    page.get_by_role("combobox").fill(words)
    expect(page.get_by_role("option").filter(has_text=first)).to_have_count(1)


def test_search_says_that_nothing_was_found_and_escape_ends_it(page: Page, site: str) -> None:
    page.goto(f"{site}/index.html")
    search = page.get_by_role("combobox")
    search.fill("<b>zzzz")
    expect(page.get_by_role("option")).to_have_text("Nothing found")
    expect(page.get_by_role("status")).to_have_text("0 results")
    page.keyboard.press("Escape")
    expect(page.locator("#results")).to_be_hidden()
    expect(search).to_have_value("")


def test_the_skip_link_is_first_and_works(page: Page, site: str) -> None:
    page.goto(f"{site}/requirements/gang_scheduling.html")
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to the content")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.get_by_role("main")).to_be_focused()


def test_everything_that_can_be_used_can_be_reached_and_shows_it(page: Page, site: str) -> None:
    page.goto(f"{site}/requirements/gang_scheduling.html")
    reached = set()
    for _ in range(80):
        page.keyboard.press("Tab")
        seen = page.evaluate(
            "(() => { const at = document.activeElement; const style = getComputedStyle(at);"
            " return [at.tagName, at.textContent.trim() || at.id, style.outlineStyle] })()"
        )
        if seen[0] == "BODY":
            break
        assert seen[2] != "none", seen
        reached.add(seen[1])
    assert {"Skip to the content", "Overview", "search", "Dark", "Procedure", "Queueing of batch workloads"} <= reached


def test_the_theme_follows_the_system_and_the_button(page: Page, site: str) -> None:
    page.goto(f"{site}/index.html")
    light = background(page)
    page.emulate_media(color_scheme="dark")
    expect(page.get_by_role("button", name="Use light colours")).to_be_visible()
    dark = background(page)
    assert dark != light
    page.get_by_role("button", name="Use light colours").click()
    assert background(page) == light
    page.goto(f"{site}/process.html")
    assert background(page) == light, "the choice is kept on the next page"


def test_no_page_is_wider_than_a_narrow_screen(page: Page, site: str) -> None:
    page.set_viewport_size(NARROW)
    for name in PAGES:
        page.goto(f"{site}/{name}")
        assert page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"], name


def test_print_leaves_out_what_paper_cannot_do(page: Page, site: str, tmp_path: Path) -> None:
    page.goto(f"{site}/requirements/secure_accelerator_access.html")
    page.emulate_media(media="print", color_scheme="dark")
    expect(page.get_by_role("combobox")).to_be_hidden()
    expect(page.get_by_role("navigation", name="On this page")).to_be_hidden()
    expect(page.get_by_role("heading", name="Procedure")).to_be_visible()
    assert background(page) == "rgb(255, 255, 255)"
    printed = page.pdf(path=tmp_path / "page.pdf", format="A4")
    assert printed.startswith(b"%PDF")


def test_the_pages_are_whole_without_scripts(browser: Browser, site: str) -> None:
    context = context_of(browser, java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{site}/requirements/gang_scheduling.html")
    expect(page.get_by_role("heading", name="Procedure")).to_be_visible()
    expect(page.get_by_role("combobox")).to_be_hidden()
    context.close()
