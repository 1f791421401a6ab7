"""Script of the runtime wrapper: `container_config.py SWITCH ARGUMENTS-OF-RUNC`. Standard library only, to be fast.

For `runc create` it changes the bundle's config.json as SWITCH says: `show` lists device nodes to add; `asked` has
those to add if the container's environment asks for them, by variable and name of a device; with `open_all`, the
container's device cgroup allows every character device. `networks` has scripts to run before containers of certain
names in certain Pods start, when drivers have done what they do to a Pod's network. Other commands of runc are left
alone.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

NODE_MODE = 0o666


def change(config: dict[str, Any], switch: dict[str, Any]) -> None:
    """Change an OCI runtime configuration in place."""
    linux = config.setdefault("linux", {})
    rules = linux.setdefault("resources", {}).setdefault("devices", [])
    nodes = linux.setdefault("devices", [])
    present = {node["path"] for node in nodes}
    for device in (*switch["show"], *asked(config, switch.get("asked", {}))):
        number = {"type": "c", "major": device["major"], "minor": device["minor"]}
        if device["path"] not in present:
            nodes.append({"path": device["path"], **number, "fileMode": NODE_MODE, "uid": 0, "gid": 0})
            present.add(device["path"])
        rules.append({"allow": True, **number, "access": "rwm"})
    if switch["open_all"]:
        rules.append({"allow": True, "type": "c", "access": "rwm"})


def asked(config: dict[str, Any], offers: dict[str, dict[str, list[dict[str, Any]]]]) -> list[dict[str, Any]]:
    """The device nodes that the container's environment asks for: by a list of names in a variable, or by `all`."""
    found = {}
    for entry in config.get("process", {}).get("env", []):
        variable, _, value = entry.partition("=")
        names = value.split(",")
        for name, nodes in offers.get(variable, {}).items():
            if name in names or "all" in names:
                found.update({node["path"]: node for node in nodes})
    return list(found.values())


def scripts_for(config: dict[str, Any], networks: list[dict[str, str]]) -> list[str]:
    """The scripts that are meant for a container with this configuration: `pod` is a pattern of the Pod's name."""
    about = config.get("annotations", {})
    container = about.get("io.kubernetes.cri.container-name")
    pod = about.get("io.kubernetes.cri.sandbox-name", "")
    return [each["script"] for each in networks if each["container"] == container and re.search(each["pod"], pod)]


def in_network(config: dict[str, Any], scripts: list[str]) -> None:
    """Run scripts on the node, with the path of the Pod's network namespace as POD. Raises CalledProcessError."""
    for script in scripts:
        (space,) = (each["path"] for each in config["linux"]["namespaces"] if each["type"] == "network")
        subprocess.run(["sh", "-ec", script], env={**os.environ, "POD": space}, check=True)


def bundle_of(arguments: list[str]) -> Path | None:
    """The bundle of a `create` or `run` command, None for any other."""
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
        return  # the fault has just been turned off
    file = bundle / "config.json"
    config = json.loads(file.read_bytes())
    change(config, switch)
    in_network(config, scripts_for(config, switch.get("networks", [])))
    file.write_text(json.dumps(config))


if __name__ == "__main__":
    main()
