"""What the modules of a package declare, each under the same name: so a new module is all that a new entry takes."""

from __future__ import annotations

from collections.abc import Collection
from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType
from typing import Any


def declared(package: ModuleType, name: str, *, besides: Collection[str]) -> list[Any]:
    """The value of `name` in each module of the package, by the modules' names, except in the modules `besides`.

    Raises AttributeError for a module that declares nothing.
    """
    modules = sorted(found.name for found in iter_modules(package.__path__) if found.name not in besides)
    return [getattr(import_module(f"{package.__name__}.{module}"), name) for module in modules]
