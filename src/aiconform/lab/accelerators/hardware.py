"""The machine's own devices, which a lab offers in place of simulated ones (`lab up --devices GLOB`).

What a container needs beside a device's node (its companions, nodes that all holders share, libraries) is in the
machine's CDI specifications, if its vendor's tools have written some; else the nodes are those that the identity knows.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from aiconform.lab.accelerators.devices import DeviceNode, NodeRole, RealDevice
from aiconform.lab.accelerators.identity import AcceleratorError, Identity, find_identity, identities
from aiconform.lab.accelerators.templates import NUMBERS, fill
from aiconform.spec import yamlfile
from aiconform.spec.errors import MalformedFile

CDI_FOLDERS = (Path("/etc/cdi"), Path("/var/run/cdi"))
UNKNOWN = "machine"
"""The identity of devices that no other knows."""
_MOST = 256


def matching(patterns: Sequence[str], identity: str = "") -> tuple[str, ...]:
    """The paths of the character devices that match; with an identity that knows its devices, only these.

    Raises AcceleratorError if there is none.
    """
    shown = " ".join(patterns)
    if not all(pattern.startswith("/dev/") for pattern in patterns):
        raise AcceleratorError(f"--devices {shown}: give paths below /dev, such as '/dev/nvidia[0-9]*'")
    matched = {str(path) for pattern in patterns for path in Path("/dev").glob(pattern.removeprefix("/dev/"))}
    found = sorted(matched, key=_by_number)
    devices = [path for path in found if _number(path)]
    if not devices:
        what = f"{found[0]} is no character device" if found else f"this machine has no device {shown}"
        raise AcceleratorError(f"--devices: {what}; without --devices, the lab simulates accelerators")
    if identity and identity != UNKNOWN:
        known = [path for path in devices if _index(find_identity(identity), path) is not None]
        if not known:
            raise AcceleratorError(f"--devices: {', '.join(devices)} is no device node of identity {identity}")
        return tuple(known)
    return tuple(devices)


def identity_of(paths: Sequence[str]) -> str:
    """The identity that knows these devices. Raises AcceleratorError if more than one does."""
    plain = {name: each for name, each in identities().items() if each.sources and not each.like}
    known = [name for name, each in plain.items() if any(_index(each, path) is not None for path in paths)]
    if len(known) > 1:
        raise AcceleratorError(f"--devices: {', '.join(paths)} may be of {' or '.join(known)}: say which by --identity")
    return known[0] if known else UNKNOWN


def look(paths: Sequence[str], identity: Identity, folders: Sequence[Path] = CDI_FOLDERS) -> tuple[RealDevice, ...]:
    """What a container needs of each device. Raises AcceleratorError if one is gone, or for a bad CDI specification."""
    specs = list(_specifications(folders)) if paths else []
    return tuple(_by_cdi(path, specs) or _by_identity(path, identity) for path in paths)


def _by_cdi(path: str, specs: Sequence[Mapping[str, Any]]) -> RealDevice | None:
    described = [
        (spec, device["containerEdits"])
        for spec in specs
        for device in spec["devices"]
        if path in map(_host_path, device["containerEdits"].get("deviceNodes", []))
    ]
    if not described:
        return None
    # A device may also be among all of its vendor's, under a name for all of them.
    spec, own = min(described, key=lambda entry: len(entry[1]["deviceNodes"]))
    common = spec.get("containerEdits", {})
    parts = [(node, NodeRole.COMPANION) for node in own["deviceNodes"]]
    parts += [(node, NodeRole.SHARED) for node in common.get("deviceNodes", [])]
    nodes = {path: _node(NodeRole.MAIN, path, path)}
    for node, role in parts:
        nodes.setdefault(_host_path(node), _node(role, node["path"], _host_path(node)))
    keys = (common.keys() | own.keys()) - {"deviceNodes"}
    edits = {key: [*common.get(key, []), *own.get(key, [])] for key in sorted(keys)}
    return RealDevice(
        path=path, product=_product(path), nodes=tuple(nodes.values()), edits=edits, cdi_version=spec["cdiVersion"]
    )


def _by_identity(path: str, identity: Identity) -> RealDevice:
    words = {**NUMBERS, "parent": _index(identity, path) or 0}
    companions = [(NodeRole.COMPANION, fill(template, words)) for template in identity.nodes[1:]]
    shared = [(NodeRole.SHARED, fill(template, words)) for template in identity.shared_nodes]
    there = [(role, each) for role, each in (*companions, *shared) if _number(each)]
    nodes = (_node(NodeRole.MAIN, path, path), *(_node(role, each, each) for role, each in there))
    return RealDevice(path=path, product=_product(path), nodes=nodes)


def _specifications(folders: Sequence[Path]) -> Iterator[Mapping[str, Any]]:
    for file in (file for folder in folders for file in sorted(folder.glob("*"))):
        if file.suffix not in (".json", ".yaml"):
            continue
        try:
            found = yamlfile.read(file).data
            if not all(isinstance(device["containerEdits"], dict) for device in found["devices"]):
                raise TypeError("containerEdits")
            yield {"cdiVersion": "", **found}
        except MalformedFile as err:
            raise AcceleratorError(str(err)) from err
        except (KeyError, TypeError) as err:
            raise AcceleratorError(f"{file} is no CDI specification ({err})") from err


def _host_path(node: Mapping[str, Any]) -> str:
    return str(node.get("hostPath") or node["path"])


def _node(role: NodeRole, container_path: str, host_path: str) -> DeviceNode:
    number = _number(host_path)
    if number is None:
        raise AcceleratorError(f"the device {host_path} is not on this machine")
    return DeviceNode(
        role=role, container_path=container_path, host_path=Path(host_path), major=number[0], minor=number[1]
    )


def _number(path: str) -> tuple[int, int] | None:
    """(major, minor) of a character device, None for anything else."""
    try:
        found = os.stat(path)  # noqa: PTH116 - paths here are text, as in CDI
    except OSError:
        return None
    return (os.major(found.st_rdev), os.minor(found.st_rdev)) if stat.S_ISCHR(found.st_mode) else None


def _index(identity: Identity, path: str) -> int | None:
    """The index of the physical device whose main node has this path; None if no device's has."""
    if not identity.nodes:
        return None
    return next((i for i in range(_MOST) if fill(identity.nodes[0], {**NUMBERS, "parent": i}) == path), None)


def _by_number(path: str) -> tuple[str, int, str]:
    text = path.rstrip("0123456789")
    return text, int(path[len(text) :] or -1), path


def _product(path: str) -> str:
    """What the kernel calls the device's hardware, else its path."""
    major, minor = _number(path) or (0, 0)
    folder = Path(f"/sys/dev/char/{major}:{minor}/device")
    try:
        vendor, device = ((folder / name).read_text().strip().removeprefix("0x") for name in ("vendor", "device"))
    except OSError:
        return path
    return f"PCI {vendor}:{device}"
