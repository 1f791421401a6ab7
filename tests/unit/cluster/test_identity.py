"""Who a run is on every kind of request, and as whom it runs inside a Pod."""

from __future__ import annotations

import errno
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


@pytest.fixture
def in_pod(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Pod's service account; the home is the folder that is returned."""
    account, home = tmp_path / "account", tmp_path / "home"
    account.mkdir()
    home.mkdir()
    (account / "ca.crt").write_bytes(issue("authority").certificate)
    (account / "token").write_text("t\n")
    monkeypatch.setattr(config, "SERVICE_ACCOUNT", account)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "192.0.2.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    return home


@pytest.mark.parametrize("home", ["null", "directory"])
def test_a_kubeconfig_that_nobody_named_and_that_cannot_be_is_absent(
    home: str, in_pod: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (in_pod / ".kube" / "config").mkdir(parents=True)
    if home == "null":
        monkeypatch.setenv("HOME", "/dev/null")
    assert config.load(None, None).source == "the Pod's service account"
    assert capsys.readouterr().err == ""
    named = str(Path.home() / ".kube" / "config")
    with pytest.raises(NoCluster, match="kubeconfig"):
        config.load(named, None)
    monkeypatch.setenv("KUBECONFIG", named)
    with pytest.raises(NoCluster, match="kubeconfig"):
        config.load(None, None)


@pytest.fixture(params=["stat", "open"])
def unreadable(request: pytest.FixtureRequest, in_pod: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The default kubeconfig, of which a folder or the file is somebody else's. For root, every file is readable."""
    file = in_pod / ".kube" / "config"
    file.parent.mkdir()
    file.write_text("{}")
    asked = getattr(Path, request.param)

    def refuse(self: Path, *args: Any, **kwargs: Any) -> Any:
        if self == file:
            raise PermissionError(errno.EACCES, "Permission denied", str(self))
        return asked(self, *args, **kwargs)

    monkeypatch.setattr(Path, request.param, refuse)
    return file


def test_inside_a_pod_a_default_kubeconfig_that_cannot_be_read_is_told_and_passed_over(
    unreadable: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert config.load(None, None).source == "the Pod's service account"
    told = capsys.readouterr().err
    assert f"warning: The kubeconfig {unreadable} cannot be read: Permission denied." in told
    assert "service account is used" in told
    # A run looks again when its token has expired.
    assert config.load(None, None, again=True).source == "the Pod's service account"
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("how", ["flag", "variable", "context"])
def test_what_is_named_is_not_replaced_by_the_service_account(
    how: str, unreadable: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if how == "variable":
        monkeypatch.setenv("KUBECONFIG", str(unreadable))
    with pytest.raises(NoCluster, match=rf"{unreadable} cannot be read: Permission denied"):
        config.load(str(unreadable) if how == "flag" else None, "mine" if how == "context" else None)


def test_a_context_is_not_that_of_the_service_account(in_pod: Path) -> None:
    with pytest.raises(NoCluster, match=f"No kubeconfig at {in_pod}"):
        config.load(None, "mine")


@pytest.mark.parametrize("lacks", ["token", "host"])
def test_outside_of_a_cluster_a_default_kubeconfig_that_cannot_be_read_is_an_error_that_names_it(
    lacks: str, unreadable: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if lacks == "token":
        monkeypatch.setattr(config, "SERVICE_ACCOUNT", unreadable.parent / "none")
    else:
        monkeypatch.delenv("KUBERNETES_SERVICE_HOST")
    with pytest.raises(NoCluster, match=rf"{unreadable} cannot be read: Permission denied.*--kubeconfig FILE"):
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
