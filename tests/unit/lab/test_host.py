"""What the lab asks of its machine, and how it says so."""

from __future__ import annotations

import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from click.testing import CliRunner

from aiconform.cli import main
from aiconform.lab.config import LabError
from aiconform.lab.machines import host

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the lab is for Linux")


def command(folder: Path, name: str, script: str = "") -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


@pytest.mark.parametrize("words", [["up"], ["down"]])
def test_without_root_there_is_one_clear_message(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    result = CliRunner().invoke(main, ["lab", *words, "--name", "nowhere"])
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith("aiconform: the lab needs root")
    assert "All other commands work here" in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_on_another_system_there_is_one_clear_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(LabError, match="the lab needs Linux"):
        host.require()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["status", "--name", "nowhere"], "lab up --name nowhere"),
        (["kubeconfig", "--name", "nowhere"], "lab up --name nowhere"),
        (["node", "add", "a", "--name", "nowhere"], "lab up --name nowhere"),
        (["up", "--name", "Nowhere"], "lowercase"),
        (["up", "--name", "nowhere", "--kubernetes", "1.2"], "1.37"),
        (["up", "--name", "nowhere", "--allocation", "node-1=magic"], "device-plugin"),
        (["up", "--name", "nowhere", "--allocation", "dra", "--allocation", "both"], "NODE=VALUE"),
        (["up", "--name", "nowhere", "--feature-gate", "Some"], "NAME=true"),
        (["up", "--name", "nowhere", "--nodes", "many"], "not a valid integer"),
    ],
)
def test_wrong_use_ends_with_2_and_says_what_is_right(words: list[str], says: str) -> None:
    result = CliRunner().invoke(main, ["lab", *words])
    assert result.exit_code == 2
    assert says in result.stderr
    assert "Traceback" not in result.stderr


def test_missing_commands_are_named_with_their_packages_where_there_is_no_apt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ip", "unshare", "nsenter", "setpriv", "mount", "modprobe", "busybox"):
        command(tmp_path / "bin", name)
    monkeypatch.setattr(host, "_PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(LabError, match=r"iptables-restore, runc.*Debian packages: iptables runc"):
        host.install_packages(host.quiet, root=tmp_path / "labs")


def test_missing_packages_are_installed_after_an_update_where_lists_are_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ip", "unshare", "nsenter", "setpriv", "mount", "modprobe", "busybox", "iptables-restore"):
        command(tmp_path / "bin", name)
    log = tmp_path / "log"
    script = f'echo "$1" >> {log}; [ "$1" = update ] || [ "$(grep -c . {log})" = 3 ]'
    command(tmp_path / "bin", "apt-get", script)
    monkeypatch.setattr(host, "_PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    said: list[str] = []
    host.install_packages(said.append, root=tmp_path / "labs")
    assert said == ["installing runc"]
    assert log.read_text().split() == ["install", "update", "install"]


def test_labs_that_come_up_together_install_in_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As apt does, this one refuses to run beside another one."""
    for name in ("ip", "unshare", "nsenter", "setpriv", "mount", "modprobe", "busybox", "iptables-restore"):
        command(tmp_path / "bin", name)
    runc, lock = tmp_path / "bin" / "runc", tmp_path / "lock"
    script = f"mkdir {lock} || exit 100; sleep 0.2; echo '#!/bin/sh' > {runc}; chmod 755 {runc}; rmdir {lock}"
    command(tmp_path / "bin", "apt-get", script)
    monkeypatch.setattr(host, "_PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    said: list[str] = []
    with ThreadPoolExecutor() as threads:
        labs = [threads.submit(host.install_packages, said.append, root=tmp_path / "labs") for _ in range(3)]
    assert [lab.result() for lab in labs] == [None] * 3
    assert said == ["installing runc"]


def test_a_failed_installation_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command(tmp_path / "bin", "apt-get", "echo no route to mirror >&2; exit 100")
    monkeypatch.setattr(host, "_PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    with pytest.raises(LabError, match="no route to mirror"):
        host.install_packages(host.quiet, root=tmp_path / "labs")


def test_a_lock_holds_also_when_its_folder_is_removed_and_made_anew(tmp_path: Path) -> None:
    folder = tmp_path / "lab"
    order: list[str] = []

    def second() -> None:
        with host.locked(folder):
            order.append("second")

    with host.locked(folder):
        waiting = threading.Thread(target=second)
        waiting.start()
        waiting.join(0.2)
        order.append("first")
        folder.rmdir()
        folder.mkdir()
    waiting.join(10)
    assert order == ["first", "second"]


def test_folders_made_for_the_first_lab_go_with_the_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    new, used, old = tmp_path / "new", tmp_path / "used", tmp_path / "old"
    old.mkdir()
    monkeypatch.setattr(host, "MOUNTS", {str(path): "x" for path in (new, used, old)})
    root = tmp_path / "labs"
    (root / "lab").mkdir(parents=True)
    host.make_mount_points(root)
    host.make_mount_points(root)
    assert new.is_dir()
    host.forget_last(root)
    assert new.is_dir(), "a lab is there still"
    (used / "somebody's").mkdir()
    (root / "lab").rmdir()
    host.forget_last(root)
    assert (new.exists(), used.exists(), old.exists(), root.exists()) == (False, True, True, False)


def test_processes_of_a_lab_get_nothing_of_the_callers_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "AWS_SECRET_ACCESS_KEY", "KUBECONFIG"):
        monkeypatch.setenv(name, "secret")
    assert "secret" not in host.environment().values()
