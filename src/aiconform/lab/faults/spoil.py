"""Run as a script by the runtime wrapper: `spoil.py SWITCH <arguments of runc>`. Standard library only: it is quick.

For `runc create` it rewrites the bundle's config.json as SWITCH says: `show` lists device nodes to add, `open_all` lets
the container's device cgroup open every character device. Every other command of runc is left alone.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

NODE_MODE = 0o666


def spoil(config: dict[str, Any], switch: dict[str, Any]) -> None:
    """Change an OCI runtime configuration in place."""
    linux = config.setdefault("linux", {})
    rules = linux.setdefault("resources", {}).setdefault("devices", [])
    nodes = linux.setdefault("devices", [])
    present = {node["path"] for node in nodes}
    for device in switch["show"]:
        number = {"type": "c", "major": device["major"], "minor": device["minor"]}
        if device["path"] not in present:
            nodes.append({"path": device["path"], **number, "fileMode": NODE_MODE, "uid": 0, "gid": 0})
        rules.append({"allow": True, **number, "access": "rwm"})
    if switch["open_all"]:
        rules.append({"allow": True, "type": "c", "access": "rwm"})


def bundle_of(arguments: list[str]) -> Path | None:
    """The bundle of a `create` or `run`, None for another command."""
    if not {"create", "run"} & set(arguments):
        return None
    for position, word in enumerate(arguments):
        if word in ("--bundle", "-b"):
            return Path(arguments[position + 1])
        if word.startswith("--bundle="):
            return Path(word.partition("=")[2])
    return Path()


def main() -> None:
    bundle = bundle_of(sys.argv[2:])
    if bundle is None:
        return
    try:
        switch = json.loads(Path(sys.argv[1]).read_bytes())
    except FileNotFoundError:
        return  # the fault has just ended
    file = bundle / "config.json"
    config = json.loads(file.read_bytes())
    spoil(config, switch)
    file.write_text(json.dumps(config))


if __name__ == "__main__":
    main()
