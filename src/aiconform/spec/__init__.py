"""The standard: what a Kubernetes platform offers to AI workloads, by Kubernetes version, as data.

`load_standard()` reads it; everything it raises is a SpecError:

    SpecError
    ├── MalformedFile         a file is not what it should be: path, line, expected
    ├── UnknownRequirement    no such id: nearest
    └── UnknownVersion        no such Kubernetes version: known
"""

from __future__ import annotations

from aiconform.spec.errors import MalformedFile, SpecError, UnknownRequirement, UnknownVersion
from aiconform.spec.model import Area, Category, Level, Requirement, Stage
from aiconform.spec.standard import Release, Standard, load_standard

__all__ = [
    "Area",
    "Category",
    "Level",
    "MalformedFile",
    "Release",
    "Requirement",
    "SpecError",
    "Stage",
    "Standard",
    "UnknownRequirement",
    "UnknownVersion",
    "load_standard",
]
