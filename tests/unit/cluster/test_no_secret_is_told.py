"""No message ever holds a credential: kubeconfigs with a secret in each field of a user, and all that goes wrong.

Commands are called as a user calls them; what they print, log and write is searched for the secrets.
"""

from __future__ import annotations

import base64
import itertools
import json
import logging
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.api_server import ApiServer, serving, usual, write_kubeconfig

from aiconform.cli import main
from aiconform.cluster import plugin as plugins

MARK = "s3cr3t"
NUMBERS = itertools.count()
VERSION = "client.authentication.k8s.io/v1"


def secret(draw: st.DrawFn) -> str:
    """A value that holds the mark, with what YAML, URLs, headers and paths trip over around it."""
    around = st.text(alphabet="aZ09-_.:/@ #%!*&'\"\\{}[]\n\t\x00\x07é\U0001f600", max_size=6)
    return draw(around) + MARK + draw(around)


@st.composite
def users(draw: st.DrawFn) -> Any:
    """A user entry with secrets in some fields, most of them of the right type."""

    def text() -> str:
        return secret(draw)

    def encoded() -> str:
        return base64.b64encode(text().encode("utf-8", "replace")).decode()

    def plugin() -> dict[str, Any]:
        version = draw(st.sampled_from((VERSION, VERSION, VERSION, "client.authentication.k8s.io/v1alpha1", MARK)))
        return {
            "apiVersion": version,
            "command": draw(st.sampled_from((sys.executable, sys.executable, "absent-login", ""))),
            "args": ["-c", draw(st.sampled_from(PRINTS)), text().replace("\x00", "")],
            "env": [{"name": "A", "value": draw(st.sampled_from((MARK, text(), 5)))}],
            "interactiveMode": draw(st.sampled_from(("Never", "IfAvailable", "Always"))),
            "timeout": text(),
        }

    def provider() -> dict[str, Any]:
        return {"name": "oidc", "config": {"id-token": text(), "refresh-token": text(), "client-secret": text()}}

    kinds = {
        **dict.fromkeys(("token", "tokenFile", "username", "password", "as", "as-uid", "tokn"), text),
        **dict.fromkeys(("client-certificate", "client-key"), text),
        **dict.fromkeys(("client-certificate-data", "client-key-data"), encoded),
        "as-groups": lambda: [text(), text()],
        "as-user-extra": lambda: {"key": [text()], text(): [text()]},
        "exec": plugin,
        "auth-provider": provider,
    }
    names = draw(st.lists(st.sampled_from(sorted(kinds)), max_size=3, unique=True))
    # A secret that a header can hold gets as far as the server.
    simple = ({"token": MARK}, {"username": "jane", "password": MARK, "as": MARK}, {"exec": plugin()})
    if draw(st.booleans()):
        return draw(st.sampled_from(simple))
    user: dict[str, Any] = {name: kinds[name]() for name in names}
    wrong = draw(st.integers(0, 9))
    if wrong == 0 and user:
        user[names[0]] = draw(st.sampled_from((text(), [text()], {"a": text()}, [{"name": text()}])))
    return text() if wrong == 1 else user


def printing(status: dict[str, Any]) -> str:
    content = {"apiVersion": VERSION, "kind": "ExecCredential", "status": status}
    return f"print({json.dumps(json.dumps(content))})"


PRINTS = (
    "raise SystemExit(3)",
    f"print('{MARK}')",
    printing({"token": MARK}),
    printing({"token": f"{MARK}\n"}),
    printing({"token": [MARK]}),
    printing({"token": MARK, "expirationTimestamp": MARK}),
    printing({"clientCertificateData": MARK}),
    printing({"clientCertificateData": MARK, "clientKeyData": MARK}),
)


def answers(path: str, headers: Any) -> tuple[int, Any]:
    """Sometimes refused, in words that repeat what was sent."""
    sent = f"{headers['Authorization']}"
    refusals = {
        "401": (401, {"kind": "Status", "message": f"who is {sent}?"}),
        "403": (403, {"kind": "Status", "message": f"not for {sent}"}),
        "500": (500, f"no JSON object, but {sent}"),
        "200": usual(path),
    }
    return refusals[ANSWER[0]]


ANSWER = ["200"]


@pytest.fixture(scope="module")
def server() -> Iterator[ApiServer]:
    with serving() as running:
        running.answer = answers
        yield running


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugins, "LIMIT_SECONDS", 20.0)


@given(st.data())
@settings(
    max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None
)
def test_no_command_tells_a_secret_of_a_kubeconfig(
    server: ApiServer, tmp_path: Path, caplog: pytest.LogCaptureFixture, data: st.DataObject
) -> None:
    folder = tmp_path / str(next(NUMBERS))
    folder.mkdir()
    kubeconfig = write_kubeconfig(folder / "k", server.url)
    content = yaml.safe_load(kubeconfig.read_text())
    content["users"][0]["user"] = data.draw(users())
    proxy = data.draw(
        st.sampled_from(("", "", "", "", "", "", f"http://jane:{MARK}@127.0.0.1:1", f"socks5://{MARK}@[", MARK))
    )
    if proxy:
        content["clusters"][0]["cluster"]["proxy-url"] = proxy
    text = yaml.safe_dump(content, allow_unicode=data.draw(st.booleans()))
    if data.draw(st.integers(0, 7)) == 7:
        # A file that somebody broke by hand.
        at = data.draw(st.integers(0, len(text)))
        text = text[:at] + data.draw(st.sampled_from((": ", "*", "\t", "}", "\n", "!x "))) + text[at:]
    kubeconfig.write_text(text, encoding="utf-8")
    ANSWER[0] = data.draw(st.sampled_from(("200", "200", "200", "401", "403", "500")))
    words = data.draw(st.sampled_from((("cleanup", "--dry-run"), ("inspect",), ("run", "--out", str(folder / "run")))))
    if words[0] == "run":
        words = (*words, "--patience", "1", "secure_accelerator_access")
    caplog.clear()
    with caplog.at_level(logging.DEBUG), pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(folder))
        done = CliRunner().invoke(main, [*words, "--kubeconfig", str(kubeconfig)])
    assert done.exit_code in (0, 2, 3), done.output
    assert "a defect" not in done.stderr, done.stderr
    assert MARK not in done.output
    assert MARK not in caplog.text
    for file in folder.rglob("*"):
        if file.is_file() and file != kubeconfig:
            assert MARK not in file.read_text(errors="replace"), file
