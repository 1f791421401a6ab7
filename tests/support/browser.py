"""What the tests of pages look for in a browser."""

from __future__ import annotations

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

WIDE = {"width": 1280, "height": 900}


def violations(page: Page) -> list[str]:
    """What axe finds, of any impact."""
    # Preloading fetches style sheets, which a browser refuses to pages from a folder; they are in force all the same.
    found = Axe().run(page, options={"preload": False}).response
    assert found["passes"]
    return [
        f"{entry['impact']}: {entry['id']}: {entry['help']}: {entry['nodes'][0]['html']}"
        for entry in found["violations"]
    ]
