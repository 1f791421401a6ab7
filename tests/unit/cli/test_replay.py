"""`aiconform replay` as a user calls it: another process, ended by an interrupt."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from aiconform.cli import main


@pytest.mark.skipif(sys.platform == "win32", reason="a process cannot be interrupted by a signal there")
def test_a_folder_is_served_until_interrupted(tmp_path: Path) -> None:
    (tmp_path / "objects.yaml").write_text("apiVersion: v1\nkind: Node\nmetadata: {name: lonely}\n")
    arguments = [sys.executable, "-m", "aiconform", "replay", str(tmp_path)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, env={**os.environ}) as server:
        try:
            assert server.stdout
            kubeconfig = server.stdout.readline().strip()
            done = CliRunner().invoke(main, ["inspect", "--kubeconfig", kubeconfig])
            assert done.exit_code == 0, done.output
            assert "node lonely is not Ready" in done.stdout
        finally:
            server.send_signal(signal.SIGINT)
        assert server.wait() == 130
    assert not Path(kubeconfig).exists()


def test_what_is_no_recorded_platform_is_wrong_use(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["replay", str(tmp_path)])
    assert done.exit_code == 2
    assert "has no objects.yaml" in done.stderr
