"""Faults of the sandboxed runtime: scripts between containerd and gVisor, which read the runtime's switch file.

Containerd runs the first script as the handler's shim. It puts the folder of the scripts first in PATH, where a shim
looks for its runtime: gVisor's shim for `runsc`, runc's shim for `runc`. Without the switch file, each script only
runs its program. So a fault needs no restart, and sandboxes that run keep running.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import aiconform
from aiconform.lab.addons import gvisor
from aiconform.lab.build.assets import Assets
from aiconform.lab.faults import sandbox_config
from aiconform.lab.machines.files import write_script

FAULTY: Mapping[str, Mapping[str, Any]] = {
    "sandbox-is-runc": {"runc": True},
    "sandbox-shares-processes": {"runc": True, "shares": ["pid"]},
    "sandbox-shares-network": {"shares": ["network"], "flags": ["--network=host"]},
    "sandbox-mounts-host": {"shows": ["/etc", "/var/lib"]},
    "sandbox-fakes-kernel": {"runc": True, "fakes": True},
    "sandbox-sees-all-memory": {"flags": ["--ignore-cgroups"]},
    "sandbox-without-services": {"near_only": True},
    "sandbox-is-privileged": {"runc": True, "privileged": True},
}
"""Faults that the scripts carry out -> what they are told; see aiconform.lab.faults.sandbox_config."""
_FLAGS = ("--platform=systrap",)  # the one that needs no virtualization

_RUN = "import sys; sys.path.insert(0, sys.argv.pop(1)); from aiconform.lab.faults.sandbox_config import main; main()"


def sandbox_faults(on: Iterable[str]) -> dict[str, Any]:
    """What the scripts are told while these faults are on; empty without one of theirs."""
    told: dict[str, Any] = {}
    for name in sorted(FAULTY.keys() & set(on)):
        for key, value in FAULTY[name].items():
            told[key] = [*told.get(key, []), *value] if isinstance(value, list) else value
    return told


def write_sandbox_runtime(folder: Path, assets: Assets, *, switch: Path) -> None:
    """Write the scripts of a node with this state folder; `switch` is the file of aiconform.lab.faults.runtime."""
    scripts = folder / gvisor.HANDLER
    runcs = assets["containerd-shim-runc-v2"]
    shim, runsc = (str(assets.of(gvisor.COMPONENT, name)) for name in (gvisor.SHIM, "runsc"))
    path = f"PATH={shlex.quote(str(scripts))}:$PATH\n"
    # A container's shim stays what it was: this folder is its bundle.
    below = f'[ -e {sandbox_config.BELOW_RUNC} ] && exec {shlex.quote(runcs)} "$@"\n'
    _write(scripts / gvisor.SHIM, switch, ["shim", runcs], [shim], path + below)
    _write(scripts / "runsc", switch, ["runsc"], [runsc, *_FLAGS])
    # The node's own, with the faults of accelerators.
    _write(scripts / "runc", switch, ["runc"], [str(folder / "runc")])


def _write(script: Path, switch: Path, role: list[str], program: list[str], first: str = "") -> None:
    faulty = [sys.executable, "-I", "-S", "-c", _RUN, str(Path(aiconform.__file__).parents[1])]
    faulty += [str(switch), *role, *program]
    write_script(
        script,
        f'{first}[ -e {shlex.quote(str(switch))} ] && exec {shlex.join(faulty)} "$@"\n'
        f'exec {shlex.join(program)} "$@"\n',
    )
