"""The registry in a real browser: what it shows, filters, deep links, keyboard, themes, and what hostile texts do."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect
from support.browser import context_of, violations
from support.certify_material import certify, junit, product, write

pytestmark = pytest.mark.browser

NARROW = {"width": 360, "height": 740}
PAGES = (
    "index.html",
    "list/2.html",
    "platforms/test-platform.html",
    "platforms/unreadable.html",
    "requirements.html",
    "requirements/gang_scheduling.html",
    "names.html",
    "about.html",
)
HOSTILE = "<img src=x onerror=alert(1)>\"'`</script><script>alert(2)</script>\u202egnp.exe\u2066" + "W" * 400


def hostile() -> dict[str, Any]:
    links = ["javascript:alert(3)", "JaVaScRiPt:alert(4)", "data:text/html,<script>alert(5)</script>", "//evil.test/x"]
    links += [
        'https://x.test/"onmouseover="alert(6)',
        "vbscript:x",
        "\u0001javascript:alert(7)",
        "https://fine.test/page",
    ]
    metadata = {"platformName": HOSTILE, "vendorName": HOSTILE, "description": HOSTILE, "platformVersion": HOSTILE}
    metadata |= {"websiteUrl": "javascript:alert(8)", "documentationUrl": HOSTILE, "repoUrl": "https://ok.test/"}
    return product(metadata=metadata, gang_scheduling={"evidence": links, "notes": HOSTILE, "status": HOSTILE[:60]})


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """150 submissions: one platform in two versions, a hostile one, one that cannot be read, and many others."""
    root = tmp_path_factory.mktemp("corpus")
    write(root, product(metadata={"kubernetesVersion": "v1.36"}), "v1.36/test-platform")
    shown = {"evidence": ["junit.xml#TestGangScheduling"], "notes": "Kueue admits gangs on NVIDIA H100 Nodes."}
    write(root, product(gang_scheduling=shown), junit__xml=junit(TestGangScheduling="pass"))
    write(root, hostile(), "v1.37/<b>odd")
    write(root, "spec: [", "v1.37/unreadable")
    for number in range(146):
        name = {"platformName": f"Platform {number:03}", "vendorName": "Many"}
        accelerator = "AMD Instinct by ROCm" if number % 2 else "TPU slices"
        write(root, product(metadata=name, accelerator_metrics={"notes": accelerator}), f"v1.37/many-{number:03}")
    return root


@pytest.fixture(scope="module")
def site(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("rendered") / "site"
    dates = folder.parent / "dates.json"
    dates.write_text(json.dumps({"v1.37/test-platform": "2026-03-01", "v1.37/many-000": "2025-01-01"}))
    result = certify("registry", "build", corpus, folder, "--date", "2026-11-01", "--dates", dates)
    assert result.exit_code == 0, result.output
    return folder.as_uri()


def opened(page: Page, site: str, address: str = "index.html") -> None:
    page.goto(f"{site}/{address}")
    expect(page.get_by_role("search")).to_be_visible()


def names(page: Page) -> list[str]:
    return page.locator("#platforms tbody th a bdi").all_inner_texts()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(page: Page, site: str, scheme: Any) -> None:
    page.emulate_media(color_scheme=scheme)
    for name in PAGES:
        page.goto(f"{site}/{name}")
        assert violations(page) == [], name


def test_the_list_shows_each_platform_once_and_in_pages(page: Page, site: str) -> None:
    opened(page, site)
    expect(page.get_by_role("status")).to_have_text("1 to 100 of 149 submissions")
    page.get_by_role("button", name="Next").click()
    expect(page.get_by_role("status")).to_have_text("101 to 149 of 149 submissions")
    expect(page.get_by_role("button", name="Next")).to_be_disabled()
    page.go_back()
    expect(page.get_by_role("status")).to_have_text("1 to 100 of 149 submissions")


def test_filters_are_in_the_address_and_back_again(page: Page, site: str) -> None:
    opened(page, site)
    page.get_by_label("Accelerator named").select_option("Google TPU")
    expect(page.get_by_role("status")).to_have_text("1 to 73 of 73 submissions")
    page.get_by_label("Search").fill("many 144")
    expect(page.get_by_role("status")).to_have_text("1 to 1 of 1 submissions")
    assert re.search(r"#(?=.*accelerator=google-tpu)(?=.*q=many)", page.url)
    other = page.context.new_page()
    other.goto(page.url)
    expect(other.get_by_role("status")).to_have_text("1 to 1 of 1 submissions")
    expect(other.get_by_label("Search")).to_have_value("many 144")
    page.get_by_role("button", name="Clear").click()
    expect(page.get_by_role("status")).to_have_text("1 to 100 of 149 submissions")


@pytest.mark.parametrize(
    ("link", "found"),
    [
        ("version=v1.36", ["Test Platform"]),
        ("version=all&q=test+platform", ["Test Platform", "Test Platform"]),
        ("requirement=gang_scheduling&grade=artifact", ["Test Platform"]),
        ("grade=artifact", []),
        ("solution=kueue", ["Test Platform"]),
        ("state=expired", ["Platform 000"]),
        ("state=current", ["Test Platform"]),
        ("q=zzz", []),
        ("page=-5&sort=constructor&q=145", ["Platform 145"]),
    ],
)
def test_deep_links(page: Page, site: str, link: str, found: list[str]) -> None:
    opened(page, site, f"index.html#{link}")
    expect(page.locator("#platforms tbody tr")).to_have_count(len(found))
    assert names(page) == found


def test_sorting_by_keyboard(page: Page, site: str) -> None:
    opened(page, site)
    page.keyboard.press("/")
    expect(page.get_by_label("Search")).to_be_focused()
    page.get_by_role("button", name="Counts until").press("Enter")
    page.get_by_role("button", name="Counts until").press("Enter")
    head = page.get_by_role("columnheader", name="Counts until")
    expect(head).to_have_attribute("aria-sort", "descending")
    assert names(page)[0] == "Test Platform"


def test_everything_that_can_be_used_can_be_reached_and_shows_it(page: Page, site: str) -> None:
    opened(page, site)
    reached = set()
    for _ in range(40):
        page.keyboard.press("Tab")
        seen = page.evaluate(
            "(() => { const at = document.activeElement;"
            " return [at.id || at.textContent.trim(), getComputedStyle(at).outlineStyle] })()"
        )
        assert seen[1] != "none", seen
        reached.add(seen[0])
    wanted = {
        "Skip to the content",
        "theme",
        "q",
        "version",
        "requirement",
        "grade",
        "accelerator",
        "solution",
        "state",
    }
    assert wanted | {"clear", "Platform", "Platform 000"} <= reached


def test_a_platform_with_history_and_differences(page: Page, site: str) -> None:
    opened(page, site, "index.html#version=v1.36")
    page.get_by_role("link", name="Test Platform").click()
    assert page.url.endswith("platforms/test-platform.html#v1-36")
    expect(page.get_by_role("heading", level=1)).to_have_text("Test Platform")
    changes = page.get_by_role("region", name="From v1.36 to v1.37", exact=True)
    expect(changes.get_by_role("row").filter(has_text="grade")).to_contain_text("documentation-link")
    expect(changes).to_contain_text("The same evidence as in v1.36 for 7 requirements")
    badge = page.get_by_role("img")
    expect(badge).to_have_attribute("alt", re.compile(r"Kubernetes v1.37 AI: 1 of 8 MUST by tests, until 2027-03-01"))
    assert badge.evaluate("image => image.complete && image.naturalWidth > 0")


def test_hostile_texts_do_nothing(page: Page, site: str) -> None:
    """The fixture `page` fails on a dialog, a request and an error."""
    opened(page, site, "index.html#q=onerror")
    expect(page.locator("#platforms tbody tr")).to_have_count(1)
    page.locator("#platforms tbody a").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("<img src=x onerror=alert(1)>")
    assert page.locator("main img").count() == 1, "the badge"
    assert page.locator("main script").count() == 0
    addresses = page.locator("main a[href]").evaluate_all("links => links.map(link => link.href)")
    assert {re.match("[a-z]+:", address)[0] for address in addresses} == {"file:", "https:"}  # type: ignore[index]
    hosts = {urlsplit(address).hostname for address in addresses if address.startswith("https:")}
    assert hosts == {"ok.test", "fine.test", "platform.test", "github.com"}
    assert not set("\u202e\u2066\u0001") & set(page.content())
    for size in (NARROW, {"width": 1280, "height": 900}):
        page.set_viewport_size(size)
        assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
    page.goto(page.locator(".shield").evaluate("image => image.src"))
    assert page.locator("script, image, a").count() == 0


def test_no_page_is_wider_than_a_narrow_screen(page: Page, site: str) -> None:
    page.set_viewport_size(NARROW)
    for name in PAGES:
        page.goto(f"{site}/{name}")
        assert page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"], name


def test_print_leaves_out_what_paper_cannot_do(page: Page, site: str, tmp_path: Path) -> None:
    opened(page, site)
    page.emulate_media(media="print", color_scheme="dark")
    expect(page.locator("#filters")).to_be_hidden()
    expect(page.get_by_role("table")).to_be_visible()
    assert page.pdf(path=tmp_path / "page.pdf", format="A4").startswith(b"%PDF")


def test_the_list_is_whole_without_scripts(browser: Browser, site: str) -> None:
    context = context_of(browser, java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{site}/index.html")
    expect(page.get_by_role("search")).to_be_hidden()
    assert len(names(page)) == 100
    page.get_by_role("link", name="2", exact=False).filter(has_text="Page 2").click()
    assert len(names(page)) == 50
    context.close()


def test_a_missing_file_of_the_index_is_said(browser: Browser, corpus: Path, tmp_path: Path) -> None:
    folder = tmp_path / "site"
    assert certify("registry", "build", corpus, folder).exit_code == 0
    (folder / "index" / "1.js").unlink()
    context = context_of(browser)
    page = context.new_page()
    page.goto(f"{folder.as_uri()}/index.html")
    expect(page.get_by_role("status")).to_have_text("No submission fits; 1 of 1 files of the index could not be read")
    context.close()
