"""The figures of a real run in a real browser, with its own names and with hostile ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from support.browser import violations

from aiconform.engine.evidence import Evidence
from aiconform.engine.judge import judge
from aiconform.engine.rundir import RunDirectory
from aiconform.reports.formats import read_evidence
from aiconform.reports.html import render_html
from aiconform.spec import load_standard

pytestmark = pytest.mark.browser

RUNS = Path(__file__).parents[1] / "runs"
HOSTILE = "</text></svg><script>alert(1)</script><b onclick='alert(2)'>\x1b[31m\u202e&amp;" + "W" * 300
NAMES = frozenset({"name", "path", "label", "device", "metric", "says", "pool", "resource"})
FIGURES = {
    "secure_accelerator_access": {"Who sees which device": 2},
    "accelerator_metrics": {"Utilization under load": 2},
    "cluster_autoscaling": {"Nodes over time": 1},
    "ai_inference": {"Traffic split": 1},
    "gang_scheduling": {"A gang that has room": 1, "A gang that has no room at first": 1, "Two gangs": 1},
    "pod_autoscaling": {"Pods over time": 1, "Metric over time": 1},
}


def renamed(value: Any, name: str = "") -> Any:
    """The same with hostile names wherever a cluster gives names."""
    if isinstance(value, dict):
        return {key: renamed(each, key) for key, each in value.items()}
    if isinstance(value, list):
        return [renamed(each, name) for each in value]
    return f"{value}{HOSTILE}" if name in NAMES and isinstance(value, str) and value else value


@pytest.fixture(params=["plain", "hostile"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    directory = RunDirectory(RUNS / "whole-healthy")
    evidence = dict(read_evidence(directory))
    if request.param == "hostile":
        for check, each in evidence.items():
            records = [
                record.model_copy(update={"observation": renamed(record.observation)}) for record in each.records
            ]
            evidence[check] = Evidence.model_validate({**each.model_dump(), "records": records})
    file = tmp_path / "report.html"
    # The report of today: the run was made before assertions had ids.
    report = judge(directory.path, load_standard()).report
    file.write_text(render_html(report, evidence), encoding="utf-8")
    return file.as_uri()


def opened(page: Page, url: str) -> None:
    page.goto(url)
    page.evaluate("document.querySelectorAll('details.values').forEach(each => each.open = true)")


@pytest.mark.parametrize("check", FIGURES)
def test_each_figure_is_there(page: Page, url: str, check: str) -> None:
    page.goto(f"{url}#{check}")
    for title, count in FIGURES[check].items():
        expect(page.locator(f"[id='{check}']").get_by_role("figure", name=title)).to_have_count(count)


def test_names_stay_text(page: Page, url: str) -> None:
    opened(page, url)
    assert page.evaluate("document.scripts.length + document.images.length") == 0
    assert page.evaluate("document.querySelectorAll('[onclick]').length") == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(page: Page, url: str, scheme: str) -> None:
    page.emulate_media(color_scheme=scheme)
    opened(page, url)
    assert violations(page) == []


@pytest.mark.parametrize("width", [320, 700, 1280])
def test_no_figure_widens_the_page_or_loses_its_axes(page: Page, url: str, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    opened(page, url)
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0
    outside = page.evaluate(
        """[...document.querySelectorAll('.drawing')].flatMap(drawing => {
             const room = drawing.getBoundingClientRect();
             return [...drawing.querySelectorAll('text.tick')].filter(text => {
               const box = text.getBoundingClientRect();
               return box.left < room.left - 1 || box.right > room.right + 1 || box.bottom > room.bottom + 1;
             }).map(text => text.textContent);
           })"""
    )
    assert outside == []


def test_a_printed_figure_is_whole(page: Page, url: str) -> None:
    page.emulate_media(media="print", color_scheme="dark")
    opened(page, url)
    cut = "[...document.querySelectorAll('.values .scroll')].filter(box => box.scrollHeight > box.clientHeight + 1)"
    assert page.evaluate(f"{cut}.length") == 0
    assert page.pdf().startswith(b"%PDF")


def test_an_assertion_has_the_standards_line(page: Page, url: str) -> None:
    page.goto(f"{url}#pod_autoscaling")
    section = page.locator("[id='pod_autoscaling']")
    expect(section.get_by_text("asked by the programme since v1.33").first).to_be_hidden()
    section.get_by_text("What the standard asks", exact=True).first.click()
    expect(section.get_by_text("asked by the programme since v1.33").first).to_be_visible()
