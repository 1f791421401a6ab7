"""Weight of `report.html`, and time to make, load, scroll and open it, with much evidence.

    python benchmarks/report_page.py [RUN] [MEGABYTES...]

RUN is a run directory (a recorded one by default). Its observations are repeated, as of more and more targets, until
there are so many megabytes of them (as they are, 1, 5 and 20 by default). Seconds of the CPU do not depend on what else
the machine does; those of the browser do. Without a Chromium the page is only made.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from aiconform.engine.evidence import Evidence, digest, encode, encode_record
from aiconform.engine.rundir import RunDirectory
from aiconform.engine.times import Times, read_times
from aiconform.reports.formats import read_evidence
from aiconform.reports.html import render_html

RUN = Path(__file__).parents[1] / "tests" / "runs" / "whole-healthy"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
LOADED = """() => { const entry = performance.getEntriesByType('navigation')[0];
  return [entry.domContentLoadedEventEnd, entry.loadEventEnd] }"""
# The whole page in steps of a window, and the longest time between two frames.
SCROLL = """async () => {
  const frame = () => new Promise(resolve => requestAnimationFrame(resolve));
  let longest = 0, last = await frame();
  const step = Math.max(innerHeight, document.documentElement.scrollHeight / 300);
  for (let at = 0; at < document.documentElement.scrollHeight; at += step) {
    scrollTo(0, at);
    const now = await frame();
    longest = Math.max(longest, now - last);
    last = now;
  }
  return longest;
}"""
OPEN = """async () => {
  const frame = () => new Promise(resolve => requestAnimationFrame(resolve));
  const all = [...document.querySelectorAll('details:has(.observation)')];
  const first = all.reduce((one, other) => other.textContent.length > one.textContent.length ? other : one);
  first.scrollIntoView();
  await frame();
  const begun = performance.now();
  first.open = true;
  await frame();
  await frame();
  return performance.now() - begun;
}"""


def main() -> None:
    given = sys.argv[1:]
    run = RunDirectory(Path(given.pop(0)) if given and not given[0].isdigit() else RUN)
    sizes = [0, *map(int, given)] if given else [0, 1, 5, 20]
    report, evidence = run.read_report(), read_evidence(run)
    print(f"{'evidence':>10} {'records':>8} {'page':>9} {'made, CPU':>10}  in Chromium: parsed, loaded, frame, opening")
    with browser() as page:
        for size in sizes:
            much = repeated(evidence, size * 1_000_000)
            times = timed(much, read_times(run))
            begun = time.process_time()
            text = render_html(report, much, times).encode()
            made = time.process_time() - begun
            weight = sum(len(encode(each)) for each in much.values())
            records = sum(len(each.records) for each in much.values())
            told = in_browser(page, text) if page else "-"
            print(f"{weight / 1e6:7.1f} MB {records:8} {len(text) / 1e6:6.2f} MB {made:8.2f} s  {told}", flush=True)


def repeated(evidence: Mapping[str, Evidence], size: int) -> Mapping[str, Evidence]:
    """The same observations as of more targets, at least `size` bytes."""
    once = sum(len(encode(each)) for each in evidence.values())
    copies = max(1, -(-size // once))
    return {
        check: each.model_copy(
            update={
                "records": tuple(
                    record.model_copy(update={"target": f"{record.target} {number}" if number else record.target})
                    for number in range(copies)
                    for record in each.records
                )
            }
        )
        for check, each in evidence.items()
    }


def timed(evidence: Mapping[str, Evidence], times: Times) -> Times:
    """With a made-up end of each probe, so that all timelines are drawn."""
    ends = count(30)
    recorded = {
        digest(encode_record(record)): float(next(ends)) for each in evidence.values() for record in each.records
    }
    return Times(times.observed, recorded)


@contextmanager
def browser() -> Iterator[Page | None]:
    if not CHROMIUM:
        yield None
        return
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started.new_page(viewport={"width": 1280, "height": 900})
        started.close()


def in_browser(page: Page, text: bytes) -> str:
    with tempfile.TemporaryDirectory(prefix="aiconform-page-") as folder:
        file = Path(folder) / "report.html"
        file.write_bytes(text)
        page.goto(file.as_uri())
        parsed, loaded = page.evaluate(LOADED)
        frame, opening = page.evaluate(SCROLL), page.evaluate(OPEN)
    return f"{parsed:.0f} ms, {loaded:.0f} ms, {frame:.0f} ms, {opening:.0f} ms"


if __name__ == "__main__":
    main()
