"""People at a shell: real commands in one folder, with what each must answer, and what they read as a transcript."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

# Transcripts are written to this folder, NAME.txt each, if the variable is set.
WANTED = "AICONFORM_TRANSCRIPTS"
_PROGRAM = f"#!{sys.executable}\nimport sys\nfrom aiconform.cli import main\nsys.exit(main())\n"


@dataclass
class Person:
    """name: of the transcript. home: where the commands are called; a folder that is this person's alone."""

    name: str
    home: Path
    said: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.home.mkdir(parents=True, exist_ok=True)
        programs = self.home.parent / "bin"
        programs.mkdir(exist_ok=True)
        (programs / "aiconform").write_text(_PROGRAM)
        (programs / "aiconform").chmod(0o755)
        (self.home.parent / "gitconfig").write_text(
            f"[user]\nname = {self.name}\nemail = {self.name}@test\n[init]\ndefaultBranch = main\n"
        )
        self._environment = {
            **os.environ,
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
            "GIT_CONFIG_GLOBAL": str(self.home.parent / "gitconfig"),
            "GIT_CONFIG_NOSYSTEM": "1",
            "COLUMNS": "120",
        }

    def calls(self, command: str, exit_code: int, *sentences: str) -> str:
        """What the command prints, in the order a terminal shows it; each sentence has to be in it."""
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=self.home,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            check=False,
        )
        self.said.append(f"$ {command}\n{done.stdout}[exit code {done.returncode}]\n")
        assert done.returncode == exit_code, done.stdout
        for sentence in sentences:
            assert sentence in done.stdout, f"{sentence!r} is not in:\n{done.stdout}"
        return done.stdout

    def thinks(self, text: str) -> None:
        self.said.append(f"# {text}\n")

    def leaves(self) -> None:
        if folder := os.environ.get(WANTED):
            Path(folder).mkdir(parents=True, exist_ok=True)
            (Path(folder) / f"{self.name}.txt").write_text("\n".join(self.said), encoding="utf-8")
