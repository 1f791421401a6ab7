"""Completion of the command in shells: what the command answers, and bash's own use of it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from aiconform.cli import COMMANDS, main

SHELLS = {"bash": "complete -o nosort -F", "zsh": "compdef", "fish": "complete --no-files --command aiconform"}


def answered(line: str, *, code: int = 0) -> list[str]:
    """What the command says comes next where the line ends, as `type,value`."""
    words = line.split(" ")
    environment = {"_AICONFORM_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    done = subprocess.run(
        [sys.executable, "-m", "aiconform"],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (code, "")
    return done.stdout.split()


@pytest.mark.parametrize("shell", SHELLS)
def test_a_script_is_printed_for_each_shell(shell: str) -> None:
    done = CliRunner().invoke(main, ["completion", shell])
    assert done.exit_code == 0
    assert SHELLS[shell] in done.stdout
    assert f"_AICONFORM_COMPLETE={shell}_complete" in done.stdout


def test_another_shell_is_wrong_use() -> None:
    done = CliRunner().invoke(main, ["completion", "tcsh"])
    assert done.exit_code == 2
    assert "'bash', 'zsh', 'fish'" in done.stderr


@pytest.mark.parametrize(
    "asked",
    [
        {"_AICONFORM_COMPLETE": "tcsh_complete"},
        {"_AICONFORM_COMPLETE": "bash_run"},
        {"_AICONFORM_COMPLETE": "1"},
        {"_AICONFORM_COMPLETE": "bash_complete"},
        {"_AICONFORM_COMPLETE": "zsh_complete", "COMP_WORDS": "aiconform", "COMP_CWORD": "x"},
        {"_AICONFORM_COMPLETE": "fish_complete", "COMP_WORDS": "aiconform"},
    ],
)
def test_a_completion_that_is_none_is_wrong_use(asked: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("COMP_WORDS", "COMP_CWORD"):
        monkeypatch.delenv(name, raising=False)
    done = CliRunner().invoke(main, ["spec", "list"], env=asked)
    assert (done.exit_code, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert f"_AICONFORM_COMPLETE={asked['_AICONFORM_COMPLETE']} is " in line
    assert "aiconform completion" in line


def test_commands_options_and_choices_are_completed() -> None:
    assert answered("aiconform ") == [f"plain,{name}" for name in COMMANDS]
    assert answered("aiconform certify va") == ["plain,validate"]
    assert answered("aiconform run --every") == ["plain,--every-node"]
    assert answered("aiconform report . --format go") == ["plain,go-test-json", "plain,go-test"]
    assert answered("aiconform judge tests") == ["file,tests"]


def test_ids_of_requirements_are_completed() -> None:
    assert answered("aiconform run secure") == ["plain,secure_accelerator_access"]
    assert answered("aiconform rbac dra_") == ["plain,dra_support"]
    # Not only those that have a check.
    assert "plain,workload_identity" in answered("aiconform spec show work")


@pytest.mark.skipif(not shutil.which("bash") or sys.platform == "win32", reason="needs bash")
def test_bash_completes_with_the_script(tmp_path: Path) -> None:
    script = CliRunner().invoke(main, ["completion", "bash"]).stdout
    (tmp_path / "completion").write_text(script)
    (tmp_path / "aiconform").write_text(f'#!/bin/sh\nexec {sys.executable} -m aiconform "$@"\n')
    (tmp_path / "aiconform").chmod(0o755)
    lines = (
        f'PATH="{tmp_path}:$PATH"',
        f'source "{tmp_path}/completion"',
        "COMP_WORDS=(aiconform run dr) COMP_CWORD=2",
        "_aiconform_completion aiconform",
        'echo "${COMPREPLY[*]}"',
    )
    done = subprocess.run(["bash", "--norc", "-c", "\n".join(lines)], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["dra_support", "driver_runtime_management"], done.stderr
