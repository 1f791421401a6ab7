"""The standard: what a Kubernetes platform offers to AI workloads, by Kubernetes version, as data.

`load_standard()` reads it; everything it raises is a SpecError:

    SpecError
    ├── MalformedFile         a file is not what it should be: path, line, expected
    ├── UnknownRequirement    no such id: nearest
    ├── UnknownLine           no such line in a requirement: requirement, id
    ├── UnknownVersion        no such Kubernetes version: known
    └── ExtensionConflict     an extension whose id is taken or has no dot
"""

from __future__ import annotations

from aiconform.spec.errors import (
    ExtensionConflict,
    MalformedFile,
    SpecError,
    UnknownLine,
    UnknownRequirement,
    UnknownVersion,
)
from aiconform.spec.model import Line, Requirement
from aiconform.spec.standard import Release, Standard, load_extension, load_standard
from aiconform.spec.words import Area, Category, Level, Stage

__all__ = [
    "Area",
    "Category",
    "ExtensionConflict",
    "Level",
    "Line",
    "MalformedFile",
    "Release",
    "Requirement",
    "SpecError",
    "Stage",
    "Standard",
    "UnknownLine",
    "UnknownRequirement",
    "UnknownVersion",
    "load_extension",
    "load_standard",
]
