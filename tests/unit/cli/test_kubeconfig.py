"""What a kubeconfig says is honoured or refused by name, from the command line to the requests that a server gets."""

from __future__ import annotations

import base64
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result
from support.api_server import ApiServer, issue, serving, tls_of, write_kubeconfig

from aiconform.cli import main
from aiconform.cluster import config
from aiconform.cluster import plugin as plugins

VERSION = "client.authentication.k8s.io/v1"


@pytest.fixture
def server() -> Iterator[ApiServer]:
    with serving() as running:
        yield running


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def call(kubeconfig: Path | str, *arguments: str) -> Result:
    words = arguments or ("cleanup", "--dry-run")
    return CliRunner().invoke(main, [*words, "--kubeconfig", str(kubeconfig)])


def works(kubeconfig: Path | str, *arguments: str) -> Result:
    done = call(kubeconfig, *arguments)
    assert done.exit_code == 0, done.output
    return done


def refused(kubeconfig: Path | str, *words: str) -> str:
    done = call(kubeconfig)
    assert done.exit_code == 2, done.output
    assert "Traceback" not in done.output
    for word in words:
        assert word in done.stderr
    return done.stderr


def program(folder: Path, code: str, name: str = "plugin") -> Path:
    path = folder / name
    path.write_text(f"#!{sys.executable}\nimport json, os, sys, time\n{code}\n")
    path.chmod(0o755)
    return path


def prints(status: str) -> str:
    """Python that prints an ExecCredential of this status."""
    return f"print(json.dumps({{'apiVersion': {VERSION!r}, 'kind': 'ExecCredential', 'status': {status}}}))"


def of_plugin(command: Path | str, **fields: Any) -> dict[str, Any]:
    return {"exec": {"apiVersion": VERSION, "command": str(command), "interactiveMode": "IfAvailable", **fields}}


# Who a run is


def test_a_run_has_no_more_rights_than_its_user_gave_it(server: ApiServer, tmp_path: Path) -> None:
    user = {
        "token": "t",
        "as": "jane",
        "as-uid": "1-2",
        "as-groups": ["dev", "ops"],
        "as-user-extra": {"example.com/why": ["a", "b"], "Scopes": ["é"]},
    }
    kubeconfig = write_kubeconfig(tmp_path / "k", server.url, user)
    for words in (("inspect",), ("cleanup", "--dry-run"), ("run", "--dry-run")):
        works(kubeconfig, *words)
    assert len(server.seen) > 10
    assert server.headers("Impersonate-User") == {("jane",)}
    assert server.headers("Impersonate-Uid") == {("1-2",)}
    assert server.headers("Impersonate-Group") == {("dev", "ops")}
    assert server.headers("Impersonate-Extra-example.com%2Fwhy") == {("a", "b")}
    assert len(server.headers("Impersonate-Extra-Scopes")) == 1
    assert server.headers("Authorization") == {("Bearer t",)}


@pytest.mark.parametrize("field", [{"as-groups": ["system:masters"]}, {"as-uid": "1"}, {"as-user-extra": {"a": ["b"]}}])
def test_to_impersonate_a_part_of_somebody_is_refused(
    field: Mapping[str, Any], server: ApiServer, tmp_path: Path
) -> None:
    refused(write_kubeconfig(tmp_path / "k", server.url, field), "'u'", "`as`")
    assert server.seen == []


def test_a_token_file_is_trimmed_and_read_again_when_it_is_renewed(server: ApiServer, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("first\r\n")

    def renew(path: str, _: object) -> tuple[int, Any]:
        from support.api_server import usual

        token.write_text(" second\n")
        return usual(path)

    server.answer = renew
    works(write_kubeconfig(tmp_path / "k", server.url, {"tokenFile": "token"}))
    assert [headers["Authorization"] for _, headers in server.seen][:2] == ["Bearer first", "Bearer second"]


@pytest.mark.parametrize("content", [None, b"", b"\n", b"a\nb", b"\xff\xfe"])
def test_a_token_file_that_holds_no_token_is_named(content: bytes | None, server: ApiServer, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "token").write_bytes(content)
    refused(write_kubeconfig(tmp_path / "k", server.url, {"tokenFile": "token"}), "tokenFile", "'u'")
    assert server.seen == []


def test_a_name_with_a_password_is_sent(server: ApiServer, tmp_path: Path) -> None:
    works(write_kubeconfig(tmp_path / "k", server.url, {"username": "jane", "password": "pw"}))
    assert server.headers("Authorization") == {("Basic " + base64.b64encode(b"jane:pw").decode(),)}


@pytest.mark.parametrize(
    ("user", "words"),
    [
        ({"auth-provider": {"name": "oidc", "config": {"id-token": "s3cret", "refresh-token": "s3cret"}}}, "kubelogin"),
        ({"auth-provider": {"name": "gcp"}}, "auth-provider"),
        ({"token": 12345}, "token"),
        ({"as-groups": "s3cret"}, "as-groups"),
        ({"token": "s3cret\nX-Evil: 1"}, "line break"),
        ({"token": "s3cret", "username": "s3cret", "password": "s3cret"}, "ambiguous"),
        ({"client-certificate-data": "s3cret!"}, "client-certificate"),
        ({"client-certificate-data": "czNjcmV0"}, "client-key"),
        ({"client-certificate": "s3cret"}, "client-certificate"),
        ({"exec": {"apiVersion": "client.authentication.k8s.io/v1alpha1", "command": "x"}}, "exec.apiVersion"),
        ({"exec": {"apiVersion": VERSION}}, "exec.command"),
        ({"exec": {"apiVersion": VERSION, "command": "x", "interactiveMode": "s3cret"}}, "exec.interactiveMode"),
        ({"exec": {"apiVersion": VERSION, "command": "x", "env": [{"name": "A", "value": 3}]}}, "exec.env"),
        ("s3cret", "user 'u'"),
    ],
)
def test_what_cannot_be_used_is_refused_by_name_and_without_its_value(
    user: Any, words: str, server: ApiServer, tmp_path: Path
) -> None:
    kubeconfig = write_kubeconfig(tmp_path / "k", server.url)
    content = yaml.safe_load(kubeconfig.read_text())
    content["users"][0]["user"] = user
    kubeconfig.write_text(yaml.safe_dump(content))
    assert "s3cret" not in refused(kubeconfig, words)
    assert server.seen == []


def test_fields_that_nobody_knows_are_named(server: ApiServer, tmp_path: Path) -> None:
    user = {"token": "t", "as-group": ["s3cret"], **of_plugin("x", timeout="s3cret")}
    kubeconfig = write_kubeconfig(tmp_path / "k", server.url, user, {"tls-server-nam": "s3cret"})
    told = works(kubeconfig).stderr
    for field in ("as-group", "timeout", "tls-server-nam"):
        assert f"no effect: {field}" in told
    assert "s3cret" not in told


def test_a_token_that_is_no_longer_accepted_is_read_again(server: ApiServer, tmp_path: Path) -> None:
    kubeconfig = write_kubeconfig(tmp_path / "k", server.url, {"token": "old"})

    def logged_in_meanwhile(path: str, headers: Any) -> tuple[int, Any]:
        from support.api_server import usual

        if headers["Authorization"] == "Bearer old":
            write_kubeconfig(kubeconfig, server.url, {"token": "new"})
            return 401, {"kind": "Status", "message": "Unauthorized"}
        return usual(path)

    server.answer = logged_in_meanwhile
    works(kubeconfig)
    assert server.seen[-1][1]["Authorization"] == "Bearer new"


def test_the_words_of_a_server_hold_no_credential(server: ApiServer, tmp_path: Path) -> None:
    server.answer = lambda _, headers: (
        401,
        {"kind": "Status", "message": f"no such token: {headers['Authorization']}"},
    )
    told = refused(write_kubeconfig(tmp_path / "k", server.url, {"token": "s3cret"}), "no such token")
    assert "s3cret" not in told


# Credential plugins


def test_a_plugin_is_found_beside_the_kubeconfig_and_told_about_the_cluster(server: ApiServer, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    code = "json.dump([os.environ['KUBERNETES_EXEC_INFO'], os.environ['WHO'], sys.argv[1:]], open('seen', 'w'))\n"
    program(tmp_path / "bin", f"os.chdir({str(tmp_path)!r})\n" + code + prints("{'token': 'of-plugin'}"))
    authority = issue("authority").certificate
    (tmp_path / "ca.crt").write_bytes(authority)
    extension = {"name": "client.authentication.k8s.io/exec", "extension": {"audience": "a"}}
    cluster = {
        "certificate-authority": "ca.crt",
        "extensions": [extension],
        "proxy-url": "",
        "disable-compression": True,
    }
    user = of_plugin("bin/plugin", args=["a", "b"], env=[{"name": "WHO", "value": "me"}], provideClusterInfo=True)
    works(write_kubeconfig(tmp_path / "k", server.url, user, cluster))
    assert server.headers("Authorization") == {("Bearer of-plugin",)}
    info, who, arguments = json.loads((tmp_path / "seen").read_text())
    assert (who, arguments) == ("me", ["a", "b"])
    assert json.loads(info) == {
        "apiVersion": VERSION,
        "kind": "ExecCredential",
        "spec": {
            "interactive": False,
            "cluster": {
                "server": server.url,
                "certificate-authority-data": base64.b64encode(authority).decode(),
                "disable-compression": True,
                "config": {"audience": "a"},
            },
        },
    }


def test_a_plugin_that_does_not_ask_for_the_cluster_is_not_told(server: ApiServer, tmp_path: Path) -> None:
    code = "assert 'cluster' not in json.loads(os.environ['KUBERNETES_EXEC_INFO'])['spec']\n"
    works(write_kubeconfig(tmp_path / "k", server.url, of_plugin(program(tmp_path, code + prints("{'token': 't'}")))))


def test_the_hint_for_a_plugin_that_is_missing_is_shown(server: ApiServer, tmp_path: Path) -> None:
    user = of_plugin("./absent-login", installHint="Install it with:\n  get absent-login\x1b[2J")
    told = refused(write_kubeconfig(tmp_path / "k", server.url, user), "absent-login", "get absent-login")
    assert "\x1b" not in told


@pytest.mark.parametrize(
    ("status", "word"),
    [
        ("{}", "neither a token"),
        ("{'token': 5}", "status.token"),
        ("{'clientCertificateData': 's3cret'}", "needs its key"),
        ("{'token': 's3cret', 'expirationTimestamp': 'soon'}", "expirationTimestamp"),
        ("{'token': 's3cret\\nX: y'}", "line break"),
        ("'s3cret'", "status is missing"),
    ],
)
def test_what_a_plugin_prints_is_refused_without_its_words(
    status: str, word: str, server: ApiServer, tmp_path: Path
) -> None:
    user = of_plugin(program(tmp_path, prints(status)))
    assert "s3cret" not in refused(write_kubeconfig(tmp_path / "k", server.url, user), "plugin", word)


@pytest.mark.parametrize("code", ["print('s3cret')", "print('[' * 100000)", "sys.exit(3)", "os.kill(os.getpid(), 9)"])
def test_a_plugin_that_prints_no_credential_is_refused(code: str, server: ApiServer, tmp_path: Path) -> None:
    told = refused(write_kubeconfig(tmp_path / "k", server.url, of_plugin(program(tmp_path, code))), "plugin", "'u'")
    assert "s3cret" not in told


def test_a_plugin_that_needs_a_terminal_is_not_run_without_one(server: ApiServer, tmp_path: Path) -> None:
    user = of_plugin(program(tmp_path, prints("{'token': 't'}")), interactiveMode="Always")
    refused(write_kubeconfig(tmp_path / "k", server.url, user), "interactiveMode")


@pytest.mark.parametrize(
    ("expiry", "runs"), [("", 1), ("'2999-01-01T00:00:00Z'", 1), ("'2001-01-01T00:00:00.123456789Z'", 2)]
)
def test_a_plugin_is_run_again_only_when_its_credential_is_over(
    expiry: str, runs: int, server: ApiServer, tmp_path: Path
) -> None:
    code = f"open({str(tmp_path / 'runs')!r}, 'a').write('x')\n"
    status = f"{{'token': 't', 'expirationTimestamp': {expiry}}}" if expiry else "{'token': 't'}"
    works(write_kubeconfig(tmp_path / "k", server.url, of_plugin(program(tmp_path, code + prints(status)))))
    assert len(server.seen) == 2
    assert len((tmp_path / "runs").read_text()) == runs


def test_a_plugin_is_run_again_when_its_token_is_not_accepted(server: ApiServer, tmp_path: Path) -> None:
    code = f"path = {str(tmp_path / 'runs')!r}\nopen(path, 'a').write('x')\nnumber = len(open(path).read())\n"
    kubeconfig = write_kubeconfig(
        tmp_path / "k", server.url, of_plugin(program(tmp_path, code + prints("{'token': f't{number}'}")))
    )

    def revoked(path: str, headers: Any) -> tuple[int, Any]:
        from support.api_server import usual

        return usual(path) if headers["Authorization"] == "Bearer t2" else (401, {"kind": "Status"})

    server.answer = revoked
    works(kubeconfig)
    assert [headers["Authorization"] for _, headers in server.seen] == ["Bearer t1", "Bearer t2", "Bearer t2"]


def test_a_prompt_reaches_the_user_before_the_plugin_ends(server: ApiServer, tmp_path: Path) -> None:
    go = tmp_path / "go"
    code = "sys.stderr.write('Enter the code ABC: ')\nsys.stderr.flush()\n"
    code += f"while not os.path.exists({str(go)!r}): time.sleep(0.02)\n" + prints("{'token': 't'}")
    kubeconfig = write_kubeconfig(tmp_path / "k", server.url, of_plugin(program(tmp_path, code)))
    running = subprocess.Popen(
        [sys.executable, "-m", "aiconform", "cleanup", "--dry-run", "--kubeconfig", str(kubeconfig)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    with running:
        assert running.stderr is not None
        said = b""
        while b"waiting for the credential plugin" not in said or b"ABC: " not in said:
            part = os.read(running.stderr.fileno(), 4096)
            assert part, said
            said += part
        go.touch()
        running.stderr.read()
        assert running.wait() == 0


@pytest.mark.parametrize(("mode", "asks"), [("IfAvailable", True), ("Always", True), ("Never", False)])
def test_a_plugin_talks_with_the_terminal_unless_it_is_never_to(
    mode: str, asks: bool, server: ApiServer, tmp_path: Path
) -> None:
    pty = pytest.importorskip("pty")
    code = "print('terminal' if sys.stderr.isatty() else 'pipe', file=sys.stderr)\n"
    code += "spec = json.loads(os.environ['KUBERNETES_EXEC_INFO'])['spec']\n"
    code += "assert spec['interactive'] == sys.stdin.isatty()\n"
    code += "line = input() if sys.stdin.isatty() else 'not-asked'\n" + prints("{'token': line}")
    kubeconfig = write_kubeconfig(tmp_path / "k", server.url, of_plugin(program(tmp_path, code), interactiveMode=mode))
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "aiconform", "cleanup", "--dry-run", "--kubeconfig", str(kubeconfig)],
        stdin=theirs,
        stdout=subprocess.DEVNULL,
        stderr=theirs,
    ) as running:
        os.close(theirs)
        said = b""
        while b"terminal" not in said:
            said += os.read(ours, 4096)
        os.write(ours, b"from-the-user\n")
        assert running.wait() == 0
    os.close(ours)
    assert server.headers("Authorization") == {(f"Bearer {'from-the-user' if asks else 'not-asked'}",)}


def test_there_is_a_limit_to_how_long_a_plugin_is_waited_for(
    server: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plugins, "LIMIT_SECONDS", 0.5)
    # What it started keeps its output open.
    code = "import subprocess\nsubprocess.Popen([sys.executable, '-c', 'import time; time.sleep(20)'])\ntime.sleep(20)"
    began = time.monotonic()
    refused(write_kubeconfig(tmp_path / "k", server.url, of_plugin(program(tmp_path, code))), "did not end within")
    assert time.monotonic() - began < 15


# Where the API server is


def test_an_api_server_at_an_address_of_ipv6_is_known_by_its_certificate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = issue("authority")
    trusted = {"certificate-authority-data": base64.b64encode(authority.certificate).decode()}
    others = {"certificate-authority-data": base64.b64encode(issue("other").certificate).decode()}
    try:
        running = ExitStack()
        server = running.enter_context(serving(tls_of(issue("api.example", authority), tmp_path), "::1"))
    except OSError:
        pytest.skip("this machine has no ::1")
    with running:
        assert server.url.startswith("https://[::1]:")
        works(write_kubeconfig(tmp_path / "k", server.url, {}, trusted))
        refused(write_kubeconfig(tmp_path / "k", server.url, {}, others), "certificate is not trusted", "[::1]")
        # As in a Pod of a cluster of IPv6.
        host, _, port = server.url.removeprefix("https://").rpartition(":")
        monkeypatch.setenv("KUBERNETES_SERVICE_HOST", host.strip("[]"))
        monkeypatch.setenv("KUBERNETES_SERVICE_PORT", port)
        assert config._of_a_pod().cluster.server == server.url


def test_authority_and_client_certificate_are_taken_from_data_and_from_files(tmp_path: Path) -> None:
    authority = issue("authority")
    jane = issue("jane", authority)
    with serving(tls_of(issue("api.example", authority), tmp_path, authority)) as server:
        files = {"client-certificate": "jane.crt", "client-key": "jane.key"}
        (tmp_path / "jane.crt").write_bytes(jane.certificate)
        (tmp_path / "jane.key").write_bytes(jane.key)
        (tmp_path / "ca.crt").write_bytes(authority.certificate)
        data = {
            "client-certificate-data": base64.encodebytes(jane.certificate).decode(),
            "client-key-data": base64.b64encode(jane.key).decode(),
        }
        trusted = {"certificate-authority-data": base64.b64encode(authority.certificate).decode()}
        works(write_kubeconfig(tmp_path / "k", server.url, data, trusted))
        works(write_kubeconfig(tmp_path / "k", server.url, files, {"certificate-authority": "ca.crt"}))
        works(write_kubeconfig(tmp_path / "k", server.url, files, {"insecure-skip-tls-verify": True}))
        works(write_kubeconfig(tmp_path / "k", server.url, data, {**trusted, "tls-server-name": "api.example"}))
        status = f"{{'clientCertificateData': {jane.certificate.decode()!r}, 'clientKeyData': {jane.key.decode()!r}}}"
        works(write_kubeconfig(tmp_path / "k", server.url, of_plugin(program(tmp_path, prints(status))), trusted))
        of_token = of_plugin(program(tmp_path, prints("{'token': 't'}")))
        works(write_kubeconfig(tmp_path / "k", server.url, {**data, **of_token}, trusted))
        assert server.seen[-1][1]["Authorization"] == "Bearer t"
        refused(write_kubeconfig(tmp_path / "k", server.url, data), "certificate is not trusted")
        refused(
            write_kubeconfig(tmp_path / "k", server.url, data, {**trusted, "tls-server-name": "other.example"}),
            "certificate is not trusted",
        )
        refused(
            write_kubeconfig(tmp_path / "k", server.url, data, {**trusted, "insecure-skip-tls-verify": True}),
            "insecure-skip-tls-verify",
        )
        wrong_key = {**data, "client-key-data": base64.b64encode(issue("other").key).decode()}
        refused(write_kubeconfig(tmp_path / "k", server.url, wrong_key, trusted), "cannot be used")


def test_a_key_that_asks_for_a_password_is_refused(server: ApiServer, tmp_path: Path) -> None:
    from cryptography.hazmat.primitives import serialization

    jane = issue("jane")
    key = serialization.load_pem_private_key(jane.key, None).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"pw"),
    )
    user = {
        "client-certificate-data": base64.b64encode(jane.certificate).decode(),
        "client-key-data": base64.b64encode(key).decode(),
    }
    refused(write_kubeconfig(tmp_path / "k", server.url, user), "encrypted")


def test_responses_are_compressed_unless_it_is_disabled(server: ApiServer, tmp_path: Path) -> None:
    works(write_kubeconfig(tmp_path / "k", server.url))
    assert all("gzip" in value for (value,) in server.headers("Accept-Encoding"))
    server.seen.clear()
    works(write_kubeconfig(tmp_path / "k", server.url, None, {"disable-compression": True}))
    assert server.headers("Accept-Encoding") == {("identity",)}


@pytest.mark.parametrize(
    "cluster",
    [
        {"server": "https://jane:s3cret@10.0.0.1"},
        {"server": "ftp://s3cret"},
        {"server": ""},
        {"server": "https://[::s3cret"},
        {"server": "https://10.0.0.1:99999"},
        {"proxy-url": "socks4://jane:s3cret@proxy:1"},
        {"proxy-url": "s3cret"},
        {"proxy-url": "http://jane:s3cret@proxy:port"},
        {"proxy-url": "socks5://jane:s3cret@proxy:1", "tls-server-name": "a"},
        {"certificate-authority-data": "s3cret!"},
        {"certificate-authority": "s3cret"},
        {"insecure-skip-tls-verify": "yes"},
    ],
)
def test_an_address_that_cannot_be_used_is_refused_without_it(cluster: Mapping[str, Any], tmp_path: Path) -> None:
    told = refused(write_kubeconfig(tmp_path / "k", "http://127.0.0.1:1", None, cluster))
    assert "s3cret" not in told
    assert next(iter(cluster)).removesuffix("-data") in told


def test_several_files_are_merged_as_kubectl_does(
    server: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "token").write_text("of two")
    first = {"users": None, "current-context": "here", "clusters": [{"name": "c", "cluster": {"server": server.url}}]}
    (tmp_path / "one" / "k").write_text(yaml.safe_dump(first))
    second = write_kubeconfig(tmp_path / "k", "http://127.0.0.1:1", {"tokenFile": "token"})
    content = yaml.safe_load(second.read_text())
    content["current-context"] = "elsewhere"
    # A byte order mark and Windows' line ends do not matter.
    second.write_bytes(b"\xef\xbb\xbf" + yaml.safe_dump(content).replace("\n", "\r\n").encode())
    monkeypatch.setenv("KUBECONFIG", os.pathsep.join(map(str, (tmp_path / "one" / "k", tmp_path / "absent", second))))
    done = CliRunner().invoke(main, ["cleanup", "--dry-run"])
    assert done.exit_code == 0, done.output
    assert server.headers("Authorization") == {("Bearer of two",)}


@pytest.mark.parametrize(
    "text",
    [
        "token: s3cret: x",
        "token: *s3cret",
        "token: !s3cret x",
        "a: [s3cret",
        "{token:s3cret}",
        "\x00s3cret",
        "[" * 2000,
    ],
)
def test_yaml_that_cannot_be_read_is_not_repeated(text: str, tmp_path: Path) -> None:
    path = tmp_path / "k"
    path.write_text(f"users:\n- name: u\n  user:\n    {text}\n")
    assert "s3cret" not in refused(path, str(path))


def test_two_entries_of_one_name_are_refused(server: ApiServer, tmp_path: Path) -> None:
    path = write_kubeconfig(tmp_path / "k", server.url)
    content = yaml.safe_load(path.read_text())
    content["users"] *= 2
    path.write_text(yaml.safe_dump(content))
    refused(path, "two entries of users", "'u'")


def test_a_kubeconfig_from_a_pipe_is_read(server: ApiServer, tmp_path: Path) -> None:
    content = write_kubeconfig(tmp_path / "k", server.url, {"token": "t"}).read_bytes()
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(content,), daemon=True)
    writer.start()
    works(pipe)
    writer.join()


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("/dev/zero", "larger than"),
        (".", "directory"),
        ("a" * 5000, "too long"),
        ("loop", "symbolic links"),
    ],
    ids=["endless", "folder", "long name", "loop"],
)
def test_a_file_that_cannot_be_read_is_named_at_once(
    name: str, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "loop").symlink_to("loop")
    assert why in refused(name, name).lower()
    monkeypatch.setenv("KUBECONFIG", os.pathsep.join(("absent", name)))
    done = CliRunner().invoke(main, ["cleanup", "--dry-run"])
    assert (done.exit_code, why in done.stderr.lower()) == (2, True), done.output


@pytest.mark.parametrize("field", ["tokenFile", "client-certificate"])
def test_a_file_that_never_ends_is_named(field: str, server: ApiServer, tmp_path: Path) -> None:
    user = {field: "/dev/zero", **({"client-key": "/dev/zero"} if field != "tokenFile" else {})}
    refused(write_kubeconfig(tmp_path / "k", server.url, user), "larger than")


@pytest.mark.parametrize("text", ["&a [*a]", "[" * 300 + "]" * 300, "{a: 1}\n---\n{b: 2}"])
def test_yaml_that_is_no_data_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "k").write_text(text)
    refused(tmp_path / "k", "YAML")


def test_an_authority_without_a_certificate_is_refused(tmp_path: Path) -> None:
    """The machine's own authorities would be trusted in its place."""
    for data in (b"\xff\xfe", b"no certificate", b"-----BEGIN PRIVATE KEY-----"):
        cluster = {"certificate-authority-data": base64.b64encode(data).decode()}
        refused(write_kubeconfig(tmp_path / "k", "https://127.0.0.1:1", {}, cluster), "holds no certificate")


@pytest.mark.parametrize(
    "user",
    [{"token": "s3cret"}, {"username": "jane", "password": "s3cret"}, {"tokenFile": "absent"}, of_plugin("absent")],
)
def test_no_credential_is_sent_where_it_can_be_read_on_the_way(
    user: Mapping[str, Any], server: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As kubectl does; the proxy is only there so that the name need not exist."""
    monkeypatch.setenv("HTTP_PROXY", server.url)
    done = works(write_kubeconfig(tmp_path / "k", "http://api.example.com:8080", {**user, "as": "joe"}))
    assert "credentials of user 'u' are not sent" in done.stderr
    assert server.headers("Authorization") == {()}
    assert server.headers("Impersonate-User") == {("joe",)}
    server.seen.clear()
    assert "not sent" not in call(write_kubeconfig(tmp_path / "k", "http://api.example.com:8080", {})).stderr


def test_without_a_home_both_ways_to_a_cluster_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """An arbitrary user, as OpenShift gives to Pods, may have none."""

    def home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setattr(Path, "home", home)
    done = CliRunner().invoke(main, ["cleanup", "--dry-run"])
    assert done.exit_code == 2
    assert "has no home" in done.stderr


def test_a_netrc_has_no_say(server: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "netrc").write_text("default login jane password s3cret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    for user, sent in (({"token": "t"}, ("Bearer t",)), ({}, ())):
        server.seen.clear()
        works(write_kubeconfig(tmp_path / "k", server.url, user))
        assert server.headers("Authorization") == {sent}


class Socks:
    """A SOCKS5 proxy (RFC 1928) that connects to one place, whatever is asked for."""

    def __init__(self, port: int, password: bytes = b"") -> None:
        self.asked: list[str] = []
        self._to, self._password = port, password
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._talk, args=(client,), daemon=True).start()

    def _talk(self, client: socket.socket) -> None:
        with client:
            data = client.recv(257)
            if data[:1] != b"\x05":
                self.asked.append(f"no SOCKS: {data!r}")
                return
            client.sendall(b"\x05\x02" if self._password else b"\x05\x00")
            if self._password:
                given = client.recv(513)
                right = given.endswith(self._password)
                client.sendall(b"\x01\x00" if right else b"\x01\x01")
                if not right:
                    return
            data = client.recv(262)
            self.asked.append(data[5:-2].decode() if data[3] == 3 else socket.inet_ntoa(data[4:8]))
            client.sendall(b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00")
            with socket.create_connection(("127.0.0.1", self._to)) as server:
                back = threading.Thread(target=_copy, args=(server, client), daemon=True)
                back.start()
                _copy(client, server)
                back.join()


def _copy(source: socket.socket, sink: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass


@pytest.mark.parametrize("scheme", ["socks5", "socks5h"])
def test_a_socks_proxy_is_spoken_to_as_such(scheme: str, tmp_path: Path) -> None:
    authority = issue("authority")
    with serving(tls_of(issue("api.example", authority), tmp_path)) as server:
        proxy = Socks(int(server.url.rpartition(":")[2]))
        cluster = {
            "proxy-url": f"{scheme}://127.0.0.1:{proxy.port}",
            "certificate-authority-data": base64.b64encode(authority.certificate).decode(),
        }
        # The proxy finds the name, which this machine does not know.
        works(write_kubeconfig(tmp_path / "k", "https://api.example:6443", None, cluster))
        assert set(proxy.asked) == {"api.example"}
        proxy.close()


def test_a_socks_proxy_that_refuses_is_told_without_its_password(server: ApiServer, tmp_path: Path) -> None:
    proxy = Socks(int(server.url.rpartition(":")[2]), b"right-one")
    cluster = {"proxy-url": f"socks5://jane:s3cret@127.0.0.1:{proxy.port}"}
    told = refused(write_kubeconfig(tmp_path / "k", "http://api.example", None, cluster), "SOCKS proxy")
    assert "s3cret" not in told
    cluster = {"proxy-url": f"socks5://jane:right-one@127.0.0.1:{proxy.port}"}
    works(write_kubeconfig(tmp_path / "k", "http://api.example", None, cluster))
    proxy.close()
    refused(write_kubeconfig(tmp_path / "k", "http://api.example", None, cluster), "SOCKS proxy")


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy"])
def test_the_environment_names_a_proxy_of_any_kind(
    name: str, server: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = Socks(int(server.url.rpartition(":")[2]))
    monkeypatch.setenv(name, f"socks5://127.0.0.1:{proxy.port}")
    works(write_kubeconfig(tmp_path / "k", "http://api.example"))
    assert set(proxy.asked) == {"api.example"}
    # A server on this machine is reached directly, and so is what NO_PROXY covers.
    proxy.asked.clear()
    works(write_kubeconfig(tmp_path / "k", server.url))
    assert proxy.asked == []
    proxy.close()


def test_an_http_proxy_gets_its_password_and_nobody_else_does(server: ApiServer, tmp_path: Path) -> None:
    cluster = {"proxy-url": server.url.replace("//", "//jane:s3cret@")}
    works(write_kubeconfig(tmp_path / "k", "http://api.example", None, cluster))
    assert server.headers("Proxy-Authorization") == {("Basic " + base64.b64encode(b"jane:s3cret").decode(),)}
    server.answer = lambda *_: (407, {"message": "who are you, s3cret?"})
    assert "s3cret" not in refused(write_kubeconfig(tmp_path / "k", "http://api.example", None, cluster))
    assert "s3cret" not in refused(write_kubeconfig(tmp_path / "k", "https://api.example", None, cluster))
