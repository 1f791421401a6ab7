"""Nodes that an autoscaler has ordered: how they are recognized, and a file for each next to the lab's plan.

Each node has a file named by its number. `aiconform.lab.cloud.delivery` creates and removes these files while other
commands change the plan, so that neither overwrites the other. A number is in use as long as its file exists, whatever
it contains, because addresses are derived from it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from aiconform.lab.config import Paths

PROVIDER = "kwok://"
ACCELERATORS_LABEL = "aiconform.dev/accelerators"
"""The number of accelerators of an ordered machine."""
STARTING_TAINT = "aiconform.dev/starting"
"""On an ordered Node until its kubelet has reported: until then, its status is invented by the provider."""


def is_autoscaled(node: dict[str, Any]) -> bool:
    """Whether an autoscaler ordered this Node object."""
    return str(node["spec"].get("providerID", "")).startswith(PROVIDER)


def file(paths: Paths, number: int) -> Path:
    return paths.autoscaled / f"{number}.json"


def read(paths: Paths) -> tuple[list[dict[str, Any]], frozenset[int]]:
    """(the nodes' fields, with at least a name and a number; the numbers whose files cannot be read)."""
    nodes: list[dict[str, Any]] = []
    unreadable = set()
    for path in sorted(paths.autoscaled.glob("*.json"), key=lambda path: (len(path.name), path.name)):
        if not path.stem.isdigit():
            continue
        try:
            value = json.loads(path.read_bytes())
            if value["number"] != int(path.stem) or not isinstance(value["name"], str):
                raise ValueError(path.stem)
        except FileNotFoundError:
            continue  # removed meanwhile
        except (OSError, ValueError, KeyError, TypeError):
            unreadable.add(int(path.stem))
        else:
            nodes.append(value)
    return nodes, frozenset(unreadable)
