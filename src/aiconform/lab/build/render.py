"""Files from a component's own source: copied, or rendered by kustomize or helm."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

from aiconform.lab.build.components import Component, Render
from aiconform.lab.config import LabError


def module_of(component: Component, folder: Path) -> str:
    """The module of the component's first package: the longest module in go.mod that is a prefix of its path."""
    required: list[str] = re.findall(r"^(?:require )?\t?(\S+) v\S+", (folder / "go.mod").read_text(), re.MULTILINE)
    package = component.packages[0]
    return max((each for each in required if f"{package}/".startswith(f"{each}/")), key=len)


def rendered(render: Render, source: Path, tools: Mapping[str, Path]) -> str:
    """The content of a rendered file. Raises LabError with the tool's message."""
    place = source / render.path
    if render.by == "copy":
        if place.is_dir():
            return "\n---\n".join(file.read_text() for file in sorted(place.glob("*.yaml")))
        return place.read_text()
    words = ["build", str(place)] if render.by == "kustomize" else ["template", place.name, str(place)]
    # In its folder, so that arguments can name its files.
    done = subprocess.run(
        [str(tools[render.by]), *words, *render.arguments], cwd=place, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise LabError(f"{render.by} of {place} failed: {done.stderr.strip()}")
    return done.stdout
