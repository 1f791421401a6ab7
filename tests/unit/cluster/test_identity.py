"""Who a run is on every kind of request, and as whom it runs inside a Pod."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from support.api_server import issue, serving, tls_of, usual, write_kubeconfig

from aiconform.cli import main
from aiconform.cluster import Cluster, ClusterError, config, connect
from aiconform.cluster.errors import NoCluster

POD = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "ns"}}


async def watched(cluster: Cluster) -> None:
    async for _ in cluster.watch("v1", "Pod", "ns", seconds=1):
        pass


async def followed(cluster: Cluster) -> None:
    async for _ in cluster.follow("ns", "p", "c", seconds=1):
        pass


REQUESTS: dict[str, Callable[[Cluster], Any]] = {
    "get": lambda cluster: cluster.get("v1", "Pod", "p", "ns"),
    "create": lambda cluster: cluster.create(POD),
    "apply": lambda cluster: cluster.apply(POD),
    "patch": lambda cluster: cluster.patch(POD, {}, subresource="status"),
    "delete": lambda cluster: cluster.delete(POD),
    "watch": watched,
    "logs": lambda cluster: cluster.logs("ns", "p", "c"),
    "follow": followed,
    "proxied": lambda cluster: cluster.proxied("pods", "ns", "p", "/metrics"),
    "may": lambda cluster: cluster.may("get", "", "pods"),
}


@pytest.mark.parametrize("kind", REQUESTS)
async def test_every_kind_of_request_impersonates(kind: str, tmp_path: Path) -> None:
    user = {"token": "t", "as": "jane", "as-groups": ["a", "b"], "as-uid": "1", "as-user-extra": {"k": ["v"]}}
    with serving() as server:
        async with connect(str(write_kubeconfig(tmp_path / "k", server.url, user))) as cluster:
            # What the server answers does not matter here.
            with suppress(ClusterError, KeyError):
                await REQUESTS[kind](cluster)
        assert len(server.seen) >= 1
        for _, headers in server.seen:
            assert headers.get_all("Impersonate-User") == ["jane"]
            assert headers.get_all("Impersonate-Group") == ["a", "b"]
            assert headers.get_all("Impersonate-Uid") == ["1"]
            assert headers.get_all("Impersonate-Extra-k") == ["v"]
            assert headers.get_all("Authorization") == ["Bearer t"]


@pytest.mark.parametrize("home", ["null", "directory"])
def test_a_kubeconfig_that_nobody_named_and_that_cannot_be_is_absent(
    home: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = tmp_path / "account"
    account.mkdir()
    (account / "ca.crt").write_bytes(issue("authority").certificate)
    (account / "token").write_text("t\n")
    (tmp_path / ".kube" / "config").mkdir(parents=True)
    monkeypatch.setattr(config, "SERVICE_ACCOUNT", account)
    monkeypatch.setenv("HOME", {"null": "/dev/null", "directory": str(tmp_path)}[home])
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "192.0.2.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    assert config.load(None, None).source == "the Pod's service account"
    named = str(Path.home() / ".kube" / "config")
    with pytest.raises(NoCluster, match="kubeconfig"):
        config.load(named, None)
    monkeypatch.setenv("KUBECONFIG", named)
    with pytest.raises(NoCluster, match="kubeconfig"):
        config.load(None, None)


def test_inside_a_pod_its_service_account_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = issue("authority")
    account = tmp_path / "account"
    account.mkdir()
    (account / "ca.crt").write_bytes(authority.certificate)
    (account / "token").write_text("first\n")
    monkeypatch.setattr(config, "SERVICE_ACCOUNT", account)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("KUBECONFIG", "HTTPS_PROXY", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    with serving(tls_of(issue("kubernetes", authority), tmp_path)) as server:

        def renew(path: str, _: object) -> tuple[int, Any]:
            # The kubelet renews the token of a Pod.
            (account / "token").write_text("second\n")
            return usual(path)

        server.answer = renew
        host, _, port = server.url.removeprefix("https://").partition(":")
        monkeypatch.setenv("KUBERNETES_SERVICE_HOST", host)
        monkeypatch.setenv("KUBERNETES_SERVICE_PORT", port)
        done = CliRunner().invoke(main, ["cleanup", "--dry-run"])
        assert done.exit_code == 0, done.output
        assert [headers["Authorization"] for _, headers in server.seen] == ["Bearer first", "Bearer second"]
        monkeypatch.delenv("KUBERNETES_SERVICE_PORT")
        done = CliRunner().invoke(main, ["cleanup", "--dry-run"])
    assert done.exit_code == 2
    assert "KUBERNETES_SERVICE_PORT" in done.stderr
