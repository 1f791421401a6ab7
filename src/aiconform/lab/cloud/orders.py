"""The nodes that an autoscaler ordered: how they are told, and a file for each beside the lab's plan.

One file a node, named by the node's number: `aiconform.lab.cloud.delivery` makes and removes them while other commands
change the plan, and neither loses what the other wrote. A number is taken as long as its file is there, whatever is in
it: addresses follow from it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from aiconform.lab.config import Paths

PROVIDER = "kwok://"
ACCELERATORS_LABEL = "aiconform.dev/accelerators"
"""How many accelerators an ordered machine is to have."""
STARTING_TAINT = "aiconform.dev/starting"
"""On an ordered Node until its kubelet speaks: before that, what its status says was only made up."""


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
