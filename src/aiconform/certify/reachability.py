"""Whether links answer: HEAD, then GET, concurrently, each address once."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterable

import httpx

TIMEOUT = 30.0  # seconds, the programme's
AT_ONCE = 16
MOST_REDIRECTS = 10
HEADERS = {"User-Agent": "aiconform-certify (validator of AI conformance submissions)", "Accept": "*/*"}


def unreachable(urls: Iterable[str], timeout: float = TIMEOUT) -> dict[str, str]:
    """The reason, by address, for those that do not answer with a status below 400. Bodies are not read."""
    given = list(urls)
    client = httpx.AsyncClient(
        headers=HEADERS,
        timeout=timeout,
        follow_redirects=True,
        max_redirects=MOST_REDIRECTS,
        verify=ssl.create_default_context(),
    )
    problems = asyncio.run(_ask_all(client, sorted({_page(url) for url in given})))
    return {url: problems[_page(url)] for url in given if _page(url) in problems}


def _page(url: str) -> str:
    """Without the fragment, which no server gets."""
    return url.partition("#")[0]


async def _ask_all(client: httpx.AsyncClient, urls: list[str]) -> dict[str, str]:
    places = asyncio.Semaphore(AT_ONCE)

    async def ask(url: str) -> str:
        async with places:
            return "" if not await _ask(client, "HEAD", url) else await _ask(client, "GET", url)

    async with client:
        answers = await asyncio.gather(*(ask(url) for url in urls))
    return {url: problem for url, problem in zip(urls, answers, strict=True) if problem}


async def _ask(client: httpx.AsyncClient, method: str, url: str) -> str:
    """An empty text if the address answers, else the reason why it does not. httpx follows web addresses only."""
    if not url.startswith(("http://", "https://")):
        return "not a web address"
    try:
        async with client.stream(method, url) as response:
            return "" if response.status_code < 400 else f"status {response.status_code}"
    except httpx.TimeoutException:
        return "no answer in time"
    except httpx.TooManyRedirects:
        return f"more than {MOST_REDIRECTS} redirects"
    except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError, ValueError) as error:
        return str(error)[:200] or type(error).__name__
