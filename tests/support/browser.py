"""What the tests of pages look for in a browser."""

from __future__ import annotations

from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page

WIDE = {"width": 1280, "height": 900}
# A browser beside busy labs took more than half a minute for a page of a folder.
_OPENS = 180_000  # ms


def context_of(browser: Browser, **options: Any) -> BrowserContext:
    """A new context, which is patient with pages that open."""
    made = browser.new_context(**options)
    made.set_default_navigation_timeout(_OPENS)
    return made


def violations(page: Page) -> list[str]:
    """What axe finds, of any impact."""
    # Preloading fetches style sheets, which a browser refuses to pages from a folder; they are in force all the same.
    found = Axe().run(page, options={"preload": False}).response
    assert found["passes"]
    return [
        f"{entry['impact']}: {entry['id']}: {entry['help']}: {entry['nodes'][0]['html']}"
        for entry in found["violations"]
    ]
