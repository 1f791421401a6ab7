"""What is asked behind the API server's proxy stays there, whatever annotations and redirects say."""

from __future__ import annotations

from email.message import Message
from pathlib import Path
from typing import Any

import pytest
from support.api_server import serving, write_kubeconfig

from aiconform.cluster import ClusterError, Forbidden, Stuck, Unauthorized, connect
from aiconform.cluster.behind import redirected, route

SERVER = "https://api.example.com:6443"
RANCHER = "https://rancher.example.com/k8s/clusters/c-1"
HERE = "/api/v1/namespaces/ns/pods/p:80/proxy/"


@pytest.mark.parametrize("path", ["metrics", "/metrics", "/a/b?x=../y", "/a..b", ""])
def test_a_path_behind_the_proxy(path: str) -> None:
    assert route("pods", "ns", "p:80", path) == HERE + path.lstrip("/")


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("p:80", "../../../../secrets"),
        ("p:80", "/metrics/../../../secrets"),
        ("p:80", "/..%2f..%2fsecrets"),
        ("p:80", "/%2e%2e/x"),
        ("p:80", "/%252e%252e/x"),
        ("p:80", "..\\x"),
        ("p:80/../../x", "/metrics"),
        ("p:80?x", "/metrics"),
        ("p:80#", "/metrics"),
        ("..", "/metrics"),
    ],
)
def test_a_path_that_leads_elsewhere_is_refused(name: str, path: str) -> None:
    with pytest.raises(Stuck):
        route("pods", "ns", name, path)


@pytest.mark.parametrize(
    ("server", "location", "path"),
    [
        (SERVER, "metrics/", HERE + "metrics/"),
        (SERVER, HERE + "metrics/?a=b", HERE + "metrics/?a=b"),
        (SERVER, SERVER + HERE + "x", HERE + "x"),
        (RANCHER, HERE + "metrics/", HERE + "metrics/"),
        (RANCHER, "/k8s/clusters/c-1" + HERE + "metrics/", HERE + "metrics/"),
        (RANCHER, "/k8s/clusters/c-2" + HERE + "metrics/", None),
        (SERVER, "/api/v1/namespaces/ns/secrets", None),
        (SERVER, "/api/v1/namespaces/ns/pods/q:80/proxy/metrics", None),
        (SERVER, HERE + "../../../secrets", None),
        (SERVER, HERE + "%2e%2e/%2e%2e/x", None),
        (SERVER, "https://login.example.com/", None),
        (SERVER, "https://evil.example.com" + HERE, None),
        (SERVER, "http://api.example.com:6443" + HERE, None),
        (SERVER, "http://[", None),
    ],
)
def test_a_redirect_is_followed_only_behind_the_same_proxy(server: str, location: str, path: str | None) -> None:
    assert redirected(server, HERE + "metrics", location) == path


async def test_redirects_on_the_wire(tmp_path: Path) -> None:
    """Exporters redirect to a path with a slash at its end; other redirects are answers like any."""
    to = {"/metrics": HERE + "metrics/", "/loop": HERE + "loop", "/secrets": "/api/v1/namespaces/ns/secrets"}

    def answer(path: str, _: Message) -> tuple[int, Any]:
        return 200, {"path": path}

    with serving() as server:
        server.answer = answer
        server.redirects = {HERE.rstrip("/") + name: place for name, place in to.items()}
        async with connect(str(write_kubeconfig(tmp_path / "k", server.url))) as cluster:
            assert HERE + "metrics/" in (await cluster.proxied("pods", "ns", "p:80", "/metrics", seconds=60)).text
            for name in ("/loop", "/secrets"):
                answered = await cluster.proxied("pods", "ns", "p:80", name, seconds=60)
                assert (answered.status, answered.location) == (302, to[name])
            assert not any("/secrets" in path and "/proxy/" not in path for path, _ in server.seen)
            assert sum(path.endswith("/loop") for path, _ in server.seen) < 10
            server.redirects["/version"] = "https://login.example.com/"
            with pytest.raises(ClusterError, match="redirect"):
                await cluster.version()


async def test_a_pod_that_answers_in_the_words_of_the_api_server(tmp_path: Path) -> None:
    """Its refusal is not that of the API server: nobody lacks the right to ask it."""
    said = 'forbidden: User "system:anonymous" cannot get path "/metrics"'
    refused = 'pods "q:80" is forbidden: User "jane" cannot get resource "pods/proxy" in API group ""'

    def answer(path: str, _: Message) -> tuple[int, Any]:
        return 403, {"kind": "Status", "message": said if "/pods/p:80/" in path else refused, "reason": "Forbidden"}

    with serving() as server:
        server.answer = answer
        async with connect(str(write_kubeconfig(tmp_path / "k", server.url))) as cluster:
            found = await cluster.proxied("pods", "ns", "p:80", "/metrics", seconds=60)
            assert (found.status, "system:anonymous" in found.text) == (403, True)
            with pytest.raises(Forbidden):
                await cluster.proxied("pods", "ns", "q:80", "/metrics", seconds=60)


@pytest.mark.parametrize("user", [{}, {"token": "of-a-user"}])
async def test_a_pod_that_asks_who_reads_in_the_words_of_the_api_server(user: dict[str, str], tmp_path: Path) -> None:
    """The API server accepts the same credentials: they are not read again, and nobody has to log in."""

    def answer(path: str, _: Message) -> tuple[int, Any]:
        return (401, {"kind": "Status", "message": "Unauthorized"}) if "/pods/" in path else (200, {})

    with serving() as server:
        server.answer = answer
        kubeconfig = write_kubeconfig(tmp_path / "k", server.url, user)
        async with connect(str(kubeconfig)) as cluster:
            kubeconfig.unlink()
            assert (await cluster.proxied("pods", "ns", "p:80", "/metrics")).status == 401


async def test_credentials_that_nobody_accepts_are_not_those_of_a_pod(tmp_path: Path) -> None:
    with serving() as server:
        server.answer = lambda *_: (401, {"kind": "Status", "message": "Unauthorized"})
        async with connect(str(write_kubeconfig(tmp_path / "k", server.url, {"token": "of-a-user"}))) as cluster:
            with pytest.raises(Unauthorized):
                await cluster.proxied("pods", "ns", "p:80", "/metrics")


async def test_an_expired_token_is_read_again_for_what_is_asked_behind_the_proxy(tmp_path: Path) -> None:
    kubeconfig = tmp_path / "k"

    def answer(_: str, headers: Message) -> tuple[int, Any]:
        if headers["Authorization"] == "Bearer expired":
            write_kubeconfig(kubeconfig, server.url, {"token": "renewed"})
            return 401, {"kind": "Status", "message": "Unauthorized"}
        return 200, {}

    with serving() as server:
        server.answer = answer
        async with connect(str(write_kubeconfig(kubeconfig, server.url, {"token": "expired"}))) as cluster:
            assert (await cluster.proxied("pods", "ns", "p:80", "/metrics")).status == 200
