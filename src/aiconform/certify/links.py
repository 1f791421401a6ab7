"""Whether links answer: HEAD, then GET, side by side, each address once."""

from __future__ import annotations

import http.client
import socket
import urllib.error
import urllib.request
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

TIMEOUT = 30.0  # seconds, the programme's
AT_ONCE = 16
AGENT = "aiconform-certify (validator of AI conformance submissions)"


def unreachable(urls: Iterable[str], timeout: float = TIMEOUT) -> dict[str, str]:
    """Why, by address, for those that did not answer with a status below 400."""
    every = sorted({url.partition("#")[0] for url in urls})
    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = pool.map(lambda url: _problem(url, timeout), every)
        problems = {url: problem for url, problem in zip(every, answers, strict=True) if problem}
    return {url: problems[bare] for url in urls if (bare := url.partition("#")[0]) in problems}


def _problem(url: str, timeout: float) -> str:
    return "" if not _ask("HEAD", url, timeout) else _ask("GET", url, timeout)


class _WebOnly(urllib.request.HTTPRedirectHandler):
    """A redirect may lead to another web address, never to a file or another scheme."""

    max_redirections = 10

    def redirect_request(self, req, fp, code, msg, headers, newurl):  # type: ignore[no-untyped-def]
        if not newurl.startswith(("http://", "https://")):
            raise urllib.error.URLError(f"redirects to {newurl[:60]!r}")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _ask(method: str, url: str, timeout: float) -> str:
    """ "" if it answers, else why not. The body is not read."""
    if not url.startswith(("http://", "https://")):
        return "not a web address"
    try:
        request = urllib.request.Request(url, method=method, headers={"User-Agent": AGENT, "Accept": "*/*"})  # noqa: S310
        opener = urllib.request.build_opener(_WebOnly)
        with opener.open(request, timeout=timeout):
            return ""
    except urllib.error.HTTPError as error:
        error.close()
        return f"status {error.code}"
    except urllib.error.URLError as error:
        return _why(error.reason)
    except (OSError, http.client.HTTPException, ValueError) as error:
        return _why(error)


def _why(reason: object) -> str:
    if isinstance(reason, TimeoutError | socket.timeout):
        return "no answer in time"
    return str(reason)[:200] or type(reason).__name__
