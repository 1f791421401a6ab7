"""The shape of the package: no import circles, and no module that is too long to read."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

import aiconform

PACKAGE = Path(aiconform.__file__).parent
MOST_LINES = 300
GENERATED = ("_pb2", "_pb2_grpc")


def modules(package: Path) -> dict[str, Path]:
    """Module name -> its file; a package is named as it is imported."""
    root = package.parent
    found = {}
    for file in package.rglob("*.py"):
        parts = file.relative_to(root).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return found


def imported(source: str, known: Mapping[str, object]) -> Iterator[str]:
    """The known modules that a source imports: at its top, in functions and for type checkers alike.

    `from package import module` imports the module; `from package import name` imports the package.
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                submodule = f"{node.module}.{alias.name}"
                if submodule in known:
                    yield submodule
                elif node.module in known:
                    yield node.module


def circles(graph: Mapping[str, set[str]]) -> list[set[str]]:
    """The sets of modules that reach each other, each with two members or more (Tarjan's algorithm)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[set[str]] = []

    def visit(module: str) -> None:
        index[module] = low[module] = len(index)
        stack.append(module)
        for other in graph[module]:
            if other not in index:
                visit(other)
                low[module] = min(low[module], low[other])
            elif other in stack:
                low[module] = min(low[module], index[other])
        if low[module] == index[module]:
            position = stack.index(module)
            members = set(stack[position:])
            del stack[position:]
            if len(members) > 1:
                found.append(members)

    for module in graph:
        if module not in index:
            visit(module)
    return found


def test_no_modules_import_each_other() -> None:
    files = modules(PACKAGE)
    graph = {name: {each for each in imported(file.read_text(), files) if each != name} for name, file in files.items()}
    found = [sorted(members) for members in circles(graph)]
    assert found == []


def test_a_circle_is_found_wherever_it_is_closed() -> None:
    known = dict.fromkeys(("p", "p.a", "p.b", "p.c"))
    sources = {
        "p": "from p.a import x\n",
        "p.a": "from p import b\n",
        "p.b": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from p.c import y\n",
        "p.c": "def f():\n    import p.a\n",
    }
    graph = {name: set(imported(source, known)) for name, source in sources.items()}
    assert graph == {"p": {"p.a"}, "p.a": {"p.b"}, "p.b": {"p.c"}, "p.c": {"p.a"}}
    assert circles(graph) == [{"p.a", "p.b", "p.c"}]


def test_no_module_is_too_long_to_read() -> None:
    written = {name: file for name, file in modules(PACKAGE).items() if not name.endswith(GENERATED)}
    lengths = {name: len(file.read_text().splitlines()) for name, file in written.items()}
    assert {name: lines for name, lines in lengths.items() if lines > MOST_LINES} == {}
