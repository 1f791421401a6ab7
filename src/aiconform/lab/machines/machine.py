"""The init of one machine of the lab: `python -m aiconform.lab.machines.machine STATE NAME`.

A machine is a set of namespaces (pid, mount, network, host name; a node has one of cgroups, too) that exist as long as
this process: when it exits, for whatever reason, the kernel removes every process, mount and network device in them.
Inside, /run, /var/log and the kubelet's folders are the machine's own at their usual paths, so that programs find the
node that they expect.
"""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

from aiconform.lab.config import CONTROL_PLANE, Paths
from aiconform.lab.machines import cgroups, control
from aiconform.lab.machines.processes import Children, ProcessSpec, Supervisor

# Paths that components require -> their place in the machine's state folder. The host must have these paths.
MOUNTS = {"/var/log": "log", "/var/lib/kubelet": "kubelet", "/var/lib/cni": "cni"}
# The kubelet would change these settings of the whole kernel if it did not find these values.
KERNEL_SETTINGS = {
    "vm/overcommit_memory": "1",
    "vm/panic_on_oom": "0",
    "kernel/panic": "10",
    "kernel/panic_on_oops": "1",
    "kernel/keys/root_maxkeys": "1000000",
    "kernel/keys/root_maxbytes": "25000000",
}

SEED = "seed"
"""In the folder of a machine whose large files are elsewhere and shared: a link to them."""
# Folders of such a machine that are in memory, if it has enough: its end loses nothing that the API does not know.
_IN_MEMORY = ("containerd", "kubelet")
_ENOUGH_MEMORY = 6 * 1024**3  # bytes

# The supervisor's message when the machine's network is connected.
GO = b"go"


def furnish(state: Path, name: str) -> None:
    """Give the new mount namespace its own /proc, /run and the folders of MOUNTS. Raises CalledProcessError."""
    socket.sethostname(name)
    # Mounts of a Pod's volumes must reach the containers (rshared), but not the host (unshare has made it private).
    mount("--make-rshared", "/")
    mount("-t", "proc", "-o", "nosuid,nodev,noexec", "proc", "/proc")
    mount("-t", "tmpfs", "-o", "mode=755,nosuid", "tmpfs", "/run")
    if (state / SEED).is_symlink() and _available_memory() > _ENOUGH_MEMORY:
        for source in _IN_MEMORY:
            (state / source).mkdir(exist_ok=True)
            mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", str(state / source))
    for target, source in MOUNTS.items():
        folder = state / source
        folder.mkdir(parents=True, exist_ok=True)
        mount("--bind", str(folder), target)
    # Every machine is a router: nodes for their Pods, the control plane for the nodes.
    for setting, value in (("ip_forward", "1"), ("conf/all/send_redirects", "0"), ("conf/all/rp_filter", "0")):
        Path("/proc/sys/net/ipv4", setting).write_text(value)
    settings = Path("/run/kernel-settings")
    for setting, value in KERNEL_SETTINGS.items():
        shadow = settings / setting
        shadow.parent.mkdir(parents=True, exist_ok=True)
        shadow.write_text(value + "\n")
        target = f"/proc/sys/{setting}"
        if Path(target).exists():
            mount("--bind", str(shadow), target)


def _available_memory() -> int:
    """Bytes."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))


def mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)


async def run(paths: Paths, name: str) -> None:
    """Keep the machine's processes running until SIGTERM."""
    children = Children()
    children.listen()
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    supervisor = Supervisor(paths.logs(name), children)

    def specs() -> tuple[ProcessSpec, ...]:
        content = json.loads(paths.machine_spec(name).read_text())
        return tuple(ProcessSpec.from_json(spec) for spec in content["processes"])

    async def handle(request: dict[str, Any]) -> Any:
        match request["do"]:
            case "reload":
                await supervisor.reconcile(specs())
            case "restart":
                await supervisor.restart(request["process"])
            case "stop":
                await supervisor.stop(request["process"])
            case "signal":
                supervisor.signal(request["process"], int(request["signal"]))
            case "status":
                return supervisor.status()
            case other:
                raise ValueError(f"no such request: {other}")
        return None

    await supervisor.reconcile(specs())
    server = await control.serve(paths.machine_socket(name), handle)
    await ended.wait()
    server.close()


def main() -> None:
    state, name = Path(sys.argv[1]), sys.argv[2]
    paths = Paths(state.name, state.parent)
    # Inherited by all processes: a request to reload the configuration must not end a process that has just started.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    furnish(paths.machine(name), name)
    if name != CONTROL_PLANE:
        cgroups.become_root(paths.node_cgroup(name))
    # The supervisor connects the network and then sends GO; if it exits before that, so does this process.
    if sys.stdin.buffer.read(len(GO)) != GO:
        sys.exit("the supervisor has exited")
    asyncio.run(run(paths, name))


if __name__ == "__main__":
    main()
