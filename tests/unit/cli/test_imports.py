"""What a command imports before it has something to do with it. The seconds are benchmarks/startup.py's to measure."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from aiconform.cli import COMMANDS, main

# Prints the packages that are imported at the end, or, if it is told to, when the first connection is opened.
PRINT = """
import json, os, sys

def tell():
    own = {name for name in sys.modules if name.startswith("aiconform")}
    others = {name.partition(".")[0] for name in sys.modules} - set(sys.stdlib_module_names)
    print("\\n" + json.dumps(sorted(own | others)), flush=True)
    os._exit(0)

def hook(event, arguments):
    if event == "socket.connect":
        tell()

sys.addaudithook(hook)
from aiconform.cli import main
try:
    main(sys.argv[1:])
finally:
    tell()
"""
HELP = {"aiconform", "click"}
"""All that --help of any command needs of other packages."""
LATER = {"cel", "cryptography", "google", "grpc", "httpx", "jinja2", "kubernetes", "markdown_it", "prometheus_client"}
LATER |= {"junitparser", "requests", "ruamel", "sigstore"}
"""What nothing needs before a cluster has answered, or ever in a run."""


def imported(*words: object) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", PRINT, *map(str, words)], capture_output=True, text=True, check=False, timeout=300
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


def packages(names: set[str]) -> set[str]:
    """Those of other projects, without what the interpreter itself loads for editable installations and C code."""
    return {name for name in names if "." not in name and not name.startswith("_") and name != "cython_runtime"}


def groups(command: click.Command, *path: str) -> Iterator[tuple[str, ...]]:
    """Every command that has commands, and one of each module that it imports."""
    if isinstance(command, click.Group):
        yield path
        for name in command.list_commands(click.Context(command)):
            found = command.get_command(click.Context(command), name)
            assert found
            yield from groups(found, *path, name)


ALL = sorted({*groups(main), *((name,) for name in COMMANDS), ("certify", "build"), ("spec", "new"), ("lab", "up")})


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_help_imports_nothing_but_click(words: tuple[str, ...]) -> None:
    assert packages(imported(*words, "--help")) <= HELP


@pytest.mark.parametrize("command", ["run", "inspect", "doctor", "cleanup"])
def test_nothing_that_comes_later_keeps_the_first_request_waiting(command: str, tmp_path: Path) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    named = {"name": "a", "cluster": {"server": "http://127.0.0.1:9"}, "user": {}}
    context = {"name": "a", "context": {"cluster": "a", "user": "a"}}
    kubeconfig.write_text(
        json.dumps({"clusters": [named], "users": [named], "contexts": [context], "current-context": "a"})
    )
    names = imported(command, "--kubeconfig", kubeconfig)
    assert "aiohttp" in names  # it did come that far
    assert names & LATER == set()


def test_the_standard_is_read_without_the_client_of_a_cluster() -> None:
    names = imported("spec", "show", "secure_accelerator_access")
    assert "aiconform.spec.standard" in names
    assert packages(names) & (LATER | {"aiohttp", "rich"}) == set()
