"""What an installation without extras lacks: the packages of each extra, and who imports them."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

import aiconform
from aiconform.cli import main
from aiconform.cli.extras import EXTRAS, need

PACKAGE = Path(aiconform.__file__).parent
PROJECT = tomllib.loads((PACKAGE.parents[1] / "pyproject.toml").read_text())["project"]
NAME = re.compile(r"[A-Za-z0-9._-]+")
# Packages whose module has another name.
MODULES = {
    "aiohttp-socks": "aiohttp_socks",
    "common-expression-language": "cel",
    "grpcio": "grpc",
    "markdown-it-py": "markdown_it",
    "prometheus-client": "prometheus_client",
    "protobuf": "google",
    "pyyaml": "yaml",
    "rfc3161-client": "rfc3161_client",
    "ruamel.yaml": "ruamel",
}


def packages(requirements: list[str]) -> set[str]:
    return {found[0] for each in requirements if (found := NAME.match(each))}


def modules(names: set[str]) -> set[str]:
    return {MODULES.get(name, name) for name in names}


def imported(file: Path) -> Iterator[str]:
    """Top-level names of what a file imports from elsewhere, at its top and in functions."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


def test_the_extras_are_those_of_the_project() -> None:
    declared = PROJECT["optional-dependencies"]
    assert {extra: set(brings) for extra, brings in EXTRAS.items()} == {
        extra: packages(requirements) for extra, requirements in declared.items() if extra != "all"
    }
    assert declared["all"] == [f"aiconform[{','.join(sorted(EXTRAS))}]"]


def test_only_the_code_of_an_extra_imports_what_it_brings() -> None:
    core = modules(packages(PROJECT["dependencies"])) | set(sys.stdlib_module_names) | {"aiconform"}
    beyond = {
        str(file.relative_to(PACKAGE)): sorted(missing)
        for file in PACKAGE.rglob("*.py")
        if (missing := set(imported(file)) - core - modules(set(EXTRAS.get(file.relative_to(PACKAGE).parts[0], ()))))
    }
    assert beyond == {}


@pytest.mark.parametrize(("extra", "words"), [("certify", ["certify", "validate", "."]), ("lab", ["lab", "add-ons"])])
@pytest.mark.skipif(sys.platform != "linux", reason="the lab is for Linux")
def test_a_missing_package_is_named_with_the_extra(
    monkeypatch: pytest.MonkeyPatch, extra: str, words: list[str]
) -> None:
    monkeypatch.setitem(sys.modules, "cryptography", None)
    ended = CliRunner().invoke(main, words)
    assert ended.exit_code == 2
    assert ended.stderr == f"aiconform: `aiconform {extra}` needs cryptography: pip install 'aiconform[{extra}]'\n"
    assert "Usage:" in CliRunner().invoke(main, [*words, "--help"]).stdout


def test_nothing_is_said_where_everything_is_installed() -> None:
    need("certify", "aiconform certify")
