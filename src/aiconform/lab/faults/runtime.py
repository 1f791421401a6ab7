"""Faults of the container runtime: a wrapper around runc changes the configuration of each new container.

containerd runs the wrapper as its runc (`options.BinaryName`). Without the switch file, the wrapper only runs runc. So
a fault needs no restart, and running containers keep running.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterable
from pathlib import Path

from aiconform.lab.accelerators.config import AcceleratorConfig, devices_of
from aiconform.lab.faults import container_config
from aiconform.lab.faults.accelerators import RUNTIME_LEAKS, RUNTIME_OPENS
from aiconform.lab.machines.files import write_json


def write_wrapper(wrapper: Path, *, runc: Path, switch: Path) -> None:
    """Write the wrapper script; `switch` is the file that `set_runtime` writes."""
    words = [sys.executable, "-I", "-S", container_config.__file__, str(switch)]
    script = (
        "#!/bin/sh\n"
        "# Runs runc, with the fault that the switch file describes, if there is one.\n"
        f'if [ -e {shlex.quote(str(switch))} ]; then {shlex.join(words)} "$@" || exit 1; fi\n'
        f'exec {shlex.quote(str(runc))} "$@"\n'
    )
    wrapper.parent.mkdir(parents=True, exist_ok=True)
    draft = wrapper.with_name(f".{wrapper.name}.draft")
    draft.write_text(script)
    draft.chmod(0o755)
    draft.replace(wrapper)


def set_runtime(switch: Path, faults: Iterable[str], config: AcceleratorConfig | None) -> None:
    """Turn the runtime faults of one node on or off, for containers that are created from now on.

    `config` is the configuration of the node's accelerators, None if it has no accelerators.
    """
    on = set(faults)
    devices = devices_of(config) if config and RUNTIME_LEAKS in on else ()
    if not on & {RUNTIME_LEAKS, RUNTIME_OPENS}:
        switch.unlink(missing_ok=True)
        return
    shown = [{"path": device.container_path, "major": device.major, "minor": device.minor} for device in devices]
    write_json(switch, {"show": shown, "open_all": RUNTIME_OPENS in on})
