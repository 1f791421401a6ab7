"""What the sandboxed runtime's scripts run: `main` with the arguments SWITCH ROLE PROGRAM ARGUMENTS-OF-PROGRAM.

It runs PROGRAM with the fault that SWITCH describes.
ROLE is `runsc`, `runc`, or `shim` followed by the path of runc's shim. Only what the standard library has, to be fast.
What is wrong is under `sandbox` in SWITCH:

- runc: runc takes gVisor's place, from the shim on.
- flags: further flags of runsc.
- shares: kinds of Linux namespaces of the node that containers are in.
- shows: folders of the node that its containers see, read-only, below `HOST`.
- near_only: the sandbox's network has a route to its node's Pods only.
- fakes: runc's containers are told of another kernel: see `fake`.
- privileged: runc's containers have what privileged ones have.
"""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from aiconform.lab.faults.container_config import bundle_of

BELOW_RUNC = ".below-runc"
"""In the bundle of a container whose shim is runc's."""
HOST = "/host"
"""Where a sandbox that shows folders of its host has them."""
_STAGE = "/run/aiconform-shown"  # gVisor cannot mount the root itself
_UNAME26 = 0x0020000
"""A process with this personality, and its children, see a release 2.6 of the kernel: personality(2)."""
_VERSION = "#1 SMP Sun Jan 10 15:06:54 PST 2016"
_CAPABILITIES = ["CAP_SYS_ADMIN", "CAP_SYS_PTRACE", "CAP_NET_ADMIN", "CAP_SYSLOG", "CAP_SYS_MODULE"]
_COVER = 'for path in "$@"; do mount --bind "covers$path" "rootfs$path" || exit 1; done'


def change(config: dict[str, Any], fault: dict[str, Any]) -> None:
    """Change an OCI runtime configuration in place."""
    linux = config["linux"]
    shared = fault.get("shares", [])
    linux["namespaces"] = [each for each in linux["namespaces"] if each["type"] not in shared]
    if fault.get("shows"):
        config["mounts"].append({"destination": HOST, "type": "bind", "source": _STAGE, "options": ["rbind", "ro"]})
    if fault.get("privileged"):
        for names in config["process"]["capabilities"].values():
            names += [name for name in _CAPABILITIES if name not in names]
        for key in ("seccomp", "maskedPaths", "readonlyPaths"):
            linux.pop(key, None)
        for mount in config["mounts"]:
            mount["options"] = ["rw" if option == "ro" else option for option in mount.get("options", [])]
        linux["resources"]["devices"] = [{"allow": True, "access": "rwm"}]


def fake(config: dict[str, Any], release: str) -> dict[str, str]:
    """What a container reads instead of the kernel's own files: path -> content."""
    limit = config["linux"].get("resources", {}).get("memory", {}).get("limit") or 1 << 30
    total = limit >> 10
    sizes = {"MemTotal": total, "MemFree": total - total // 8, "MemAvailable": total - total // 8, "SwapTotal": 0}
    return {
        "/proc/version": f"Linux version {release} {_VERSION}\n",
        "/proc/sys/kernel/osrelease": f"{release}\n",
        "/proc/sys/kernel/version": f"{_VERSION}\n",
        "/proc/sys/kernel/random/boot_id": "5f1c04a5-1b1e-4b2e-9d8e-6f0a4c3b2a19\n",
        "/proc/meminfo": "".join(f"{name + ':':16}{size:8} kB\n" for name, size in sizes.items()),
    }


def cover(config: dict[str, Any], bundle: Path, files: dict[str, str]) -> None:
    """Have runc mount these files over the kernel's, before the container starts."""
    for path, content in files.items():
        file = bundle / f"covers{path}"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    script = f"cd {bundle} && {_COVER}"
    hook = {"path": "/bin/sh", "args": ["sh", "-c", script, "sh", *files], "env": [f"PATH={os.environ['PATH']}"]}
    config.setdefault("hooks", {}).setdefault("createContainer", []).append(hook)


def keep_near(config: dict[str, Any]) -> None:
    """Remove the default route of the Pod's network namespace, before gVisor takes its routes over."""
    paths = [each["path"] for each in config["linux"]["namespaces"] if each["type"] == "network" and "path" in each]
    for family in ("-4", "-6"):
        for path in paths:
            command = ["nsenter", f"--net={path}", "ip", family, "route", "del", "default"]
            # There is none of the other family, and none that a Pod's second container finds.
            subprocess.run(command, check=False, capture_output=True)


def stage(folders: list[str]) -> None:
    """Have these folders of the node below `_STAGE`, where they stay until the node ends."""
    for folder in folders:
        place = Path(_STAGE + folder)
        place.mkdir(parents=True, exist_ok=True)
        if not place.is_mount():
            subprocess.run(["mount", "--rbind", folder, place], check=True, capture_output=True)


def prepare(fault: dict[str, Any], role: str, arguments: list[str]) -> None:
    """Carry the fault out in this process, and in the bundle of a container that is created."""
    if fault.get("fakes") and role == "runc":
        ctypes.CDLL(None).personality(_UNAME26)
    bundle = bundle_of(arguments)
    if bundle is None:
        return
    file = bundle / "config.json"
    config = json.loads(file.read_bytes())
    if fault.get("near_only"):
        keep_near(config)
    stage(fault.get("shows", []))
    change(config, fault)
    if fault.get("fakes"):
        cover(config, bundle.absolute(), fake(config, os.uname().release))
    file.write_text(json.dumps(config))


def main() -> None:
    switch, role, *words = sys.argv[1:]
    try:
        fault = json.loads(Path(switch).read_bytes()).get("sandbox", {})
    except FileNotFoundError:
        fault = {}  # it has just been turned off
    if role == "shim":
        runcs, *words = words
        if fault.get("runc"):
            Path(BELOW_RUNC).touch()
            words[0] = runcs
    elif fault:
        prepare(fault, role, words[1:])
        if role == "runsc":
            words[1:1] = fault.get("flags", [])
    os.execv(words[0], words)  # noqa: S606 - the arguments are containerd's
