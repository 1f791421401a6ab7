"""Faults of the container runtime: a wrapper around runc changes the configuration of each new container.

containerd runs the wrapper as its runc (`options.BinaryName`). Without the switch file, the wrapper only runs runc. So
a fault needs no restart, and running containers keep running. The scripts of sandboxes read the same file.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterable
from pathlib import Path

from aiconform.lab.accelerators.config import AcceleratorConfig, devices_of
from aiconform.lab.accelerators.devices import DeviceNode, NodeRole, nodes_of
from aiconform.lab.faults import container_config
from aiconform.lab.faults.accelerators import LEAKS, RUNTIME_HONOURS, RUNTIME_OPENS
from aiconform.lab.faults.pod_networks import network_faults
from aiconform.lab.faults.sandbox_runtime import sandbox_faults
from aiconform.lab.machines.files import write_json, write_script


def write_wrapper(wrapper: Path, *, runc: Path, switch: Path) -> None:
    """Write the wrapper script; `switch` is the file that `set_runtime` writes."""
    words = [sys.executable, "-I", "-S", container_config.__file__, str(switch)]
    write_script(
        wrapper,
        "# Runs runc, with the fault that the switch file describes, if there is one. It shows in what a container is\n"
        "# created from; the five other calls for each container start no Python.\n"
        f"if [ -e {shlex.quote(str(switch))} ]; then\n"
        f'  case " $* " in *" create "* | *" run "*) {shlex.join(words)} "$@" || exit 1 ;; esac\n'
        "fi\n"
        f'exec {shlex.quote(str(runc))} "$@"\n',
    )


def set_runtime(switch: Path, faults: Iterable[str], config: AcceleratorConfig | None) -> None:
    """Turn the runtime faults of one node on or off, for containers that are created from now on.

    `config` is the configuration of the node's accelerators, None if it has no accelerators.
    """
    on = set(faults)
    sandbox, networks = sandbox_faults(on), network_faults(on, switch.parent)
    if not sandbox and not networks and not on & {*LEAKS, RUNTIME_OPENS, RUNTIME_HONOURS}:
        switch.unlink(missing_ok=True)
        return
    devices = devices_of(config) if config else ()
    leaked = frozenset[NodeRole]().union(*(roles for name, roles in LEAKS.items() if name in on))
    variables = config.identity.requested_by if config and RUNTIME_HONOURS in on else ()
    offers = {
        name: [_node(node) for node in device.nodes] for device in devices for name in (str(device.index), device.uuid)
    }
    write_json(
        switch,
        {
            "show": [_node(node) for node in nodes_of(devices) if node.role in leaked],
            "asked": dict.fromkeys(variables, offers),
            "open_all": RUNTIME_OPENS in on,
            "sandbox": sandbox,
            "networks": networks,
        },
    )


def _node(node: DeviceNode) -> dict[str, object]:
    return {"path": node.container_path, "major": node.major, "minor": node.minor}
