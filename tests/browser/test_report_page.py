"""The page of a run in a real browser: verdict, keyboard, themes, narrow and printed, and text that stays text."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from support.browser import violations

from aiconform.engine.evidence import (
    Accelerator,
    AssertionResult,
    CheckResult,
    Evidence,
    Record,
    Report,
    Tool,
    digest,
    encode_record,
)
from aiconform.engine.times import Times
from aiconform.reports.html import render_html
from aiconform.spec import load_standard

pytestmark = pytest.mark.browser

NARROW = {"width": 360, "height": 740}
HOSTILE = (
    "<script>alert('script')</script><img src=https://example.test/x.png onerror=alert('image')>"
    "</pre></details></article><style>body{display:none}</style><iframe srcdoc='<b>x</b>'></iframe>"
    "\x00\x1b[31m\ud800\u202e<a href='javascript:alert(1)'>click</a>" + "W" * 3_000
)


def check(name: str, title: str, verdict: str, *holds: bool | None, reason: str = "as it was seen") -> CheckResult:
    assertions = tuple(
        AssertionResult(title=f"Assertion {number} of {title}", holds=held, reason=reason, subjects=number)
        for number, held in enumerate(holds, start=1)
    )
    return CheckResult(
        id=name,
        title=title,
        level="MUST",
        verdict=verdict,
        reason=reason,
        seconds=3.2,
        requests=41,
        assertions=assertions,
    )


def write(folder: Path, reason: str) -> str:
    """A run of a whole version with one check of each verdict; its URL."""
    dra = check("dra_support", "Dynamic Resource Allocation", "pass", True, True, reason=reason)
    beyond = AssertionResult(
        id="line_beyond", title="Our own line", asked_by="project", holds=False, reason=reason, subjects=1
    )
    checks = (
        check("secure_accelerator_access", "Secure accelerator access", "fail", True, False, None, reason=reason),
        check("accelerator_metrics", "Accelerator metrics", "error", None, reason=reason),
        dra.model_copy(update={"assertions": (*dra.assertions, beyond), "strict": "fail"}),
        check("cluster_autoscaling", "Cluster autoscaling", "not-applicable", reason=reason),
        check("ai_inference", "AI inference", "not-run", reason=reason),
        check("acme.fabric", "Fabric of Acme", "pass", True, reason=reason).model_copy(update={"level": "extension"}),
    )
    accelerator = Accelerator(node="node-1", way="dra", name="a.test", product=reason, total=4, free=4, simulated=True)
    report = Report(
        run="2079ea4a",
        standard="v1.37",
        kubernetes="v1.37.2",
        verdict="not-conformant",
        scope="version",
        uncovered=("ai_inference",),
        simulated=True,
        checks=checks,
        accelerators=(accelerator,),
        passed_over=(reason,),
        leaks=(reason,),
        tool=Tool(name="aiconform", version="0.1.0"),
        suite="sha256:" + "a" * 64,
        standard_digest="sha256:" + "b" * 64,
        cluster={"server": "https://cluster.test", "context": reason, "uid": "3968723d"},
        started="2026-11-24T02:33:37.070Z",
        ended="2026-11-24T02:33:46.277Z",
        seconds=9.2,
        requests=75,
    )
    seen = Record(
        probe="isolation",
        target=reason[:40],
        outcome="seen",
        message="",
        observes="Isolation",
        observation={"devices": ["/dev/accel0"] * 60, reason: reason},
        seconds=3.1,
        requests=40,
    )
    refused = seen.model_copy(update={"outcome": "error", "observation": None, "message": reason})
    evidence = {
        each.id: Evidence(check=each.id, suite="", seconds=3, requests=41, records=(seen, refused))
        for each in checks[:3]
    }
    file = folder / "report.html"
    records = {digest(encode_record(each)): at for at, each in ((4.0, seen), (30.0, refused))}
    times = Times(dict.fromkeys(evidence, 31.0), records, ((6.0, 12.0),))
    file.write_text(render_html(report, evidence, times), encoding="utf-8")
    return file.as_uri()


@pytest.fixture(params=["as it was seen", HOSTILE], ids=["plain", "hostile"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return write(tmp_path, request.param)


def overflow(page: Page) -> int:
    pixels: int = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return pixels


def test_the_verdict_and_what_it_leaves_open_come_first(page: Page, url: str) -> None:
    page.goto(url)
    expect(page).to_have_title("Not conformant with v1.37: run 2079ea4a")
    expect(page.get_by_role("heading", level=1)).to_have_text("Not conformant with v1.37")
    banner = page.get_by_role("banner").first
    expect(banner).to_contain_text("Failed: secure_accelerator_access.")
    expect(banner).to_contain_text("Could not be decided: accelerator_metrics.")
    expect(banner).to_contain_text("Not run: ai_inference.")
    expect(banner).to_contain_text("Accelerators were simulated: this says nothing about real hardware.")
    expect(banner.get_by_role("listitem")).to_have_text(
        [re.compile(text) for text in ("1 failed", "1 undecided", "2 passed", "1 not applicable", "1 not run")]
    )


def test_text_of_a_cluster_stays_text(page: Page, tmp_path: Path) -> None:
    page.goto(write(tmp_path, HOSTILE))
    assert (
        page.evaluate("document.scripts.length + document.images.length + document.querySelectorAll('iframe').length")
        == 0
    )
    assert page.evaluate("document.styleSheets.length") == 1
    assert page.evaluate("[...document.links].every(link => link.getAttribute('href').startsWith('#'))")
    expect(page.get_by_text("<script>alert('script')</script>").first).to_be_visible()


def test_each_check_is_a_section_with_its_assertions(page: Page, url: str) -> None:
    page.goto(url)
    page.get_by_role("link", name="Secure accelerator access").click()
    section = page.get_by_role("article", name="Secure accelerator access")
    expect(section).to_be_in_viewport()
    expect(section).to_contain_text("1 of 3 assertions hold, 1 broken, 1 undecided")
    expect(section).to_contain_text("41 API requests")
    expect(section.get_by_role("heading", level=3).nth(1)).to_have_text(
        "Assertion 2 of Secure accelerator access broken"
    )
    assert page.get_by_role("article").count() == 5


def test_what_goes_beyond_the_programme_has_a_list_of_its_own(page: Page, url: str) -> None:
    page.goto(url)
    section = page.get_by_role("article", name="Dynamic Resource Allocation")
    expect(section).to_contain_text("strict: failed")
    asked, beyond = section.locator("ol.assertions").all()
    expect(asked.get_by_role("heading")).to_have_count(2)
    expect(beyond.get_by_role("heading")).to_have_text("Our own line broken")
    expect(beyond).to_contain_text("line_beyond")


def test_a_failed_check_shows_what_to_do(page: Page, url: str) -> None:
    page.goto(url)
    section = page.get_by_role("article", name="Secure accelerator access")
    advice = load_standard().requirement("secure_accelerator_access").remediation or ""
    expect(section).to_contain_text("To fix it: " + " ".join(advice.split()))


def test_extensions_are_in_a_section_of_their_own(page: Page, url: str) -> None:
    page.goto(url)
    extensions = page.get_by_role("region", name="Extensions")
    expect(extensions).to_contain_text("They are never part of a version's verdict.")
    expect(extensions.get_by_role("row")).to_have_count(2)
    expect(page.get_by_role("region", name="Requirements")).not_to_contain_text("acme.fabric")


def test_an_observation_opens_and_closes_by_keyboard(page: Page, url: str) -> None:
    page.goto(url)
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the requirements")).to_be_focused()
    observation = page.get_by_role("group", name="Isolation of").first
    expect(observation).to_be_hidden()
    summary = page.locator("summary", has=page.get_by_text("isolation")).first
    summary.focus()
    page.keyboard.press("Enter")
    expect(observation).to_be_visible()
    expect(observation).to_contain_text("/dev/accel0")
    page.keyboard.press("Tab")
    expect(observation).to_be_focused()
    summary.press("Space")
    expect(observation).to_be_hidden()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(page: Page, url: str, scheme: str) -> None:
    page.emulate_media(color_scheme=scheme)
    page.goto(url)
    for summary in page.locator("summary").all():
        summary.click()
    assert violations(page) == []
    light: list[int] = page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)")
    assert (sum(light) > 600) == (scheme == "light")


def test_nothing_is_wider_than_the_page(page: Page, url: str) -> None:
    for width in (320, 360, 700, 900, 1280):
        page.set_viewport_size({"width": width, "height": 800})
        page.goto(url)
        for summary in page.locator("summary").all():
            summary.click()
        assert overflow(page) == 0, width


def test_axe_finds_nothing_on_a_narrow_page(page: Page, url: str) -> None:
    page.set_viewport_size(NARROW)
    page.goto(url)
    assert violations(page) == []


def test_a_printed_page_is_dark_on_white_and_whole(page: Page, url: str) -> None:
    page.emulate_media(media="print", color_scheme="dark")
    page.goto(url)
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(0, 0, 0)"
    page.locator("details:has(.observation) > summary").first.click()
    cut = page.evaluate("(box => box.scrollHeight - box.clientHeight)(document.querySelector('.observation'))")
    assert cut == 0
    assert page.pdf().startswith(b"%PDF")


def test_timelines_are_pictures_with_a_name_and_the_same_in_a_table(page: Page, url: str) -> None:
    page.goto(url)
    figure = page.get_by_role("region", name="Timeline").get_by_role("figure", name="What was done when")
    picture = figure.get_by_role("img", name="What was done when")
    expect(picture).to_be_visible()
    expect(picture).to_have_accessible_description(re.compile("3 checks side by side.*Time since the run began"))
    expect(figure.get_by_role("table")).to_be_hidden()
    figure.locator("summary").click()
    expect(figure.get_by_role("table")).to_contain_text("waits for accelerators or its turn")
    check = page.get_by_role("article", name="Dynamic Resource Allocation")
    expect(check.get_by_role("figure", name="Timeline")).to_contain_text("2 observations")


def test_a_link_leads_to_a_check_and_to_an_assertion(page: Page, url: str) -> None:
    page.goto(f"{url}#accelerator_metrics")
    expect(page.get_by_role("article", name="Accelerator metrics")).to_be_in_viewport()
    page.goto(f"{url}#dra_support/line_beyond")
    expect(page.get_by_role("heading", name="Our own line")).to_be_in_viewport()
    page.get_by_role("link", name="line_beyond").click()
    assert page.evaluate("location.hash") == "#dra_support/line_beyond"


def test_the_first_five_lines_are_a_reviewers_minute(page: Page, url: str) -> None:
    page.goto(url)
    lines = page.get_by_role("banner").first.locator(".minute > div")
    expect(lines.locator("dt")).to_have_text(["Verdict", "Tried", "Platform", "Undecided", "Simulated"])
    expect(lines.nth(1)).to_contain_text(
        "5 requirements of 6, by 6 observations of 1 target; 75 API requests in 9.2 s."
    )
    expect(lines.nth(2)).to_contain_text("Kubernetes v1.37.2 at https://cluster.test; 4 ")
    expect(lines.nth(3)).to_contain_text("accelerator_metrics: ")


def test_what_does_not_hold_says_what_to_do(page: Page, url: str) -> None:
    page.goto(url)
    section = page.get_by_role("article", name="Secure accelerator access")
    expect(section.get_by_role("link", name="see “To fix it” above")).to_be_visible()
    expect(section).to_contain_text("then look again: aiconform run secure_accelerator_access")
    about = section.get_by_text("What the standard asks, and why it matters")
    about.click()
    expect(section).to_contain_text("Nothing in the API reveals this.")


def test_no_text_of_a_picture_leaves_it(page: Page, url: str) -> None:
    """Apart from what no reader sees: names of any width are cut at its edge."""
    for width in (360, 1280):
        page.set_viewport_size({"width": width, "height": 800})
        page.goto(url)
        outside = page.evaluate(
            """[...document.querySelectorAll('.drawing')].flatMap(drawing => {
                 const room = drawing.getBoundingClientRect();
                 return [...drawing.querySelectorAll('text:not(.name)')].filter(text => {
                   const box = text.getBoundingClientRect();
                   return box.left < room.left - 1 || box.right > room.right + 1 ||
                     box.top < room.top - 1 || box.bottom > room.bottom + 1;
                 }).map(text => text.textContent);
               })"""
        )
        assert outside == [], width
