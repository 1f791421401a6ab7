"""The skeleton of a new check, which works as it is: `aiconform spec new ID --check` writes it.

An id with a dot becomes a Python package of its own; another one a module of this repository, in a checkout.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from string import Template

_COLLECT = '\n\nCHECK = collect("{id}", __name__{more})\n'
_TABLE = '[project.entry-points."aiconform.checks"]\n'


class CannotWrite(Exception):
    """A file of the skeleton is there already, or cannot be written; the text names it."""


def write_package(id_: str, *, title: str, folder: Path) -> Path:
    """Write <folder>/<id with hyphens>/, all but the requirement's file, and return where that belongs.

    Raises CannotWrite.
    """
    distribution, module = id_.replace(".", "-").replace("_", "-"), id_.replace(".", "_")
    root = folder / distribution
    package = root / "src" / module
    words = {"id": id_, "title": title, "name": _camel(id_), "module": module, "distribution": distribution}
    requirement = f', requirement=Path(__file__).with_name("{id_}.yaml")'
    code = _filled("check.py.txt", words).replace(
        "from aiconform.check import (", "from pathlib import Path\n\nfrom aiconform.check import (", 1
    )
    _write(root / "pyproject.toml", _filled("pyproject.toml.txt", words))
    _write(package / "__init__.py", code + _COLLECT.format(id=id_, more=requirement))
    _write(root / "tests" / f"test_{module}.py", _filled("test.py.txt", words))
    return package


def write_module(id_: str, *, title: str, checkout: Path) -> list[Path]:
    """Write the check, its unit test and its entry point into a checkout; the paths of what was written or changed.

    Raises CannotWrite.
    """
    module = f"aiconform.checks.{id_}"
    words = {"id": id_, "title": title, "name": _camel(id_), "module": module}
    check = checkout / "src" / "aiconform" / "checks" / f"{id_}.py"
    test = checkout / "tests" / "unit" / "checks" / f"test_{id_}.py"
    project = checkout / "pyproject.toml"
    _write(check, _filled("check.py.txt", words) + _COLLECT.format(id=id_, more=""))
    # Here both imports are of one package, which the linter wants in one block.
    apart = f"from {module} import CHECK, Seen\n\nfrom aiconform.check.testing import findings\n"
    together = f"from aiconform.check.testing import findings\nfrom {module} import CHECK, Seen\n"
    _write(test, _filled("test.py.txt", words).replace(apart, together))
    project.write_text(with_entry_point(project.read_text(encoding="utf-8"), id_, module), encoding="utf-8")
    return [check, test, project]


def with_entry_point(text: str, id_: str, module: str) -> str:
    """The text of pyproject.toml with the entry point of one more check, in order. Raises CannotWrite."""
    head, table, rest = text.partition(_TABLE)
    if not table:
        raise CannotWrite(f"pyproject.toml has no {_TABLE.strip()}")
    entries, blank, tail = rest.partition("\n\n")
    lines = sorted({*entries.splitlines(), f'{id_} = "{module}:CHECK"'})
    return head + table + "\n".join(lines) + blank + tail


def _filled(name: str, words: dict[str, str]) -> str:
    return Template(files(__name__).joinpath(name).read_text(encoding="utf-8")).substitute(words)


def _camel(id_: str) -> str:
    return "".join(word.capitalize() for word in id_.replace(".", "_").split("_"))


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise CannotWrite(f"{path} exists already") from error
    except OSError as error:
        raise CannotWrite(f"{path} cannot be written: {error.strerror}") from error
