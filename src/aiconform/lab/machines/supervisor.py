"""Keeps the machines of a lab alive: `python -m aiconform.lab.machines.supervisor STATE`, one process per lab.

It creates each machine's namespaces, connects them, and restarts machines that have died. If it dies itself, the kernel
ends all machines (they ask for that), so a crash leaves folders but no process; `lab up` starts again from those.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import signal
import sys
import time
from pathlib import Path
from subprocess import CalledProcessError
from typing import Any

from aiconform.lab.cloud import orders as cloudnodes
from aiconform.lab.config import CONTROL_PLANE, IP_FAMILIES, LabError, Network, Paths
from aiconform.lab.machines import cgroups, control, network
from aiconform.lab.machines.files import rotate, write_json
from aiconform.lab.machines.machine import GO
from aiconform.lab.machines.process_identity import ProcessIdentity, boot
from aiconform.lab.machines.processes import FIRST_BACKOFF, HEALTHY_SECONDS, LAST_BACKOFF, Children

# When the supervisor exits, for whatever reason, so does `unshare`, and with it the machine's init.
_NEW_NAMESPACES = (
    *("setpriv", "--pdeathsig", "KILL"),
    *("unshare", "--mount", "--net", "--pid", "--uts", "--fork", "--kill-child", "--"),
)


class Machine:
    """One machine: its namespaces and the task that keeps it alive."""

    def __init__(self, lab: LabSupervisor, name: str, number: int) -> None:
        self.name = name
        self.number = number
        """0 for the control plane, from 1 for nodes."""
        self.init: ProcessIdentity | None = None
        self.since = 0.0
        self.restarts = 0
        self.connected = asyncio.Event()
        self._lab = lab
        self._task = asyncio.create_task(self._keep_alive())

    def status(self) -> dict[str, Any]:
        return {
            "pid": self.init.pid if self.init else None,
            "start": self.init.start if self.init else None,
            "since": self.since,
            "restarts": self.restarts,
        }

    async def stop(self) -> None:
        """End every process of the machine and wait until they are gone."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _keep_alive(self) -> None:
        backoff = FIRST_BACKOFF
        while True:
            began = time.monotonic()
            try:
                await self._live()
            except LabError as error:
                self._lab.log(f"{self.name}: {error}")
            self.restarts += 1
            if time.monotonic() - began > HEALTHY_SECONDS:
                backoff = FIRST_BACKOFF
            await asyncio.sleep(backoff)
            backoff = min(backoff * 2, LAST_BACKOFF)

    async def _live(self) -> None:
        """Run the machine once, from the creation of its namespaces to their end."""
        log_file = self._lab.paths.logs(self.name) / "init.log"
        rotate(log_file)
        module = (sys.executable, "-P", "-m", "aiconform.lab.machines.machine", str(self._lab.paths.state), self.name)
        if self.number:
            # Cgroups of an earlier run have no processes: the new kubelet would take them for containers, and wait.
            cgroup = self._lab.paths.node_cgroup(self.name)
            cgroups.remove(cgroup)
            cgroups.create(cgroup)
            cgroups.weigh(cgroup, cgroups.NODE_WEIGHT)
        self.since = time.time()
        gate, our_gate = os.pipe()
        with log_file.open("ab") as log:
            process, end = self._lab.children.start(
                (*_NEW_NAMESPACES, *module),
                stdin=gate,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        os.close(gate)
        try:
            self.init = await _only_child(process.pid, end)
            if self.init is not None:
                await self._lab.connect(self, self.init.pid)
                os.write(our_gate, GO)
                await asyncio.shield(end)
        except CalledProcessError as error:
            self._lab.log(f"{self.name}: {error}; {error.stderr or ''}")
        finally:
            os.close(our_gate)
            self.connected.clear()
            # The init first: `unshare` reaps it and exits when the kernel has ended all processes of its namespaces.
            if self.init is not None:
                self.init.kill()
            elif not end.done():
                process.kill()
            await asyncio.shield(end)
            self.init = None


async def _only_child(pid: int, end: asyncio.Future[int]) -> ProcessIdentity | None:
    """The process that `unshare` has forked; None if it has exited without forking."""
    children = Path(f"/proc/{pid}/task/{pid}/children")
    while not end.done():
        try:
            found = children.read_text().split()
        except OSError:
            return None
        if found:
            return ProcessIdentity.of(int(found[0]))
        await asyncio.sleep(0.01)
    return None


class LabSupervisor:
    """All machines of a lab."""

    def __init__(self, paths: Paths) -> None:
        self.paths = paths
        self.children = Children()
        plan = self._plan()
        self.network = Network(plan["index"], plan.get("ip_family", IP_FAMILIES[0]))
        self._machines: dict[str, Machine] = {}
        self._ended = asyncio.Event()

    def log(self, line: str) -> None:
        print(time.strftime("%H:%M:%S"), line, file=sys.stderr, flush=True)

    def _plan(self) -> dict[str, Any]:
        plan: dict[str, Any] = json.loads(self.paths.plan.read_text())
        return plan

    async def run(self) -> None:
        self.children.listen()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self._ended.set)
        server = await control.serve(self.paths.supervisor_socket, self._handle)
        await self._reconcile()
        await self._ended.wait()
        server.close()
        await self._stop(*self._machines)
        self.log("exited")

    async def connect(self, machine: Machine, pid: int) -> None:
        """Connect a new machine with init `pid`. After a new control plane, which has a new bridge, also all nodes."""
        if machine.name == CONTROL_PLANE:
            network.connect_control_plane(self.network, pid)
            for node in self._machines.values():
                if node.connected.is_set() and node.init is not None:
                    network.connect_node(self.network, node.number, node.init.pid, pid)
            machine.connected.set()
            return
        control_plane = self._machines[CONTROL_PLANE]
        while control_plane.init is None or not control_plane.connected.is_set():
            await control_plane.connected.wait()
        network.connect_node(self.network, machine.number, pid, control_plane.init.pid)
        machine.connected.set()

    async def _handle(self, request: dict[str, Any]) -> Any:
        match request["do"]:
            case "reload":
                await self._reconcile()
            case "status":
                return {name: machine.status() for name, machine in self._machines.items()}
            case "stop":
                await self._stop(*self._machines)
                self._ended.set()
            case "crash-machine":
                machine = self._machines[request["machine"]]
                if machine.init is not None:
                    machine.init.kill()
            case other:
                raise ValueError(f"no such request: {other}")
        return None

    async def _reconcile(self) -> None:
        wanted = {name: entry["number"] for name, entry in self._plan()["machines"].items()}
        autoscaled, unreadable = cloudnodes.read(self.paths)
        wanted |= {node["name"]: node["number"] for node in autoscaled}
        # A node whose file cannot be read keeps running: nothing asks for its end.
        wanted |= {name: machine.number for name, machine in self._machines.items() if machine.number in unreadable}
        await self._stop(*(name for name in self._machines if name not in wanted))
        for name, number in wanted.items():
            if name not in self._machines:
                self._machines[name] = Machine(self, name, number)

    async def _stop(self, *names: str) -> None:
        gone = [self._machines.pop(name) for name in names]
        await asyncio.gather(*(machine.stop() for machine in gone))
        control_plane = self._machines.get(CONTROL_PLANE)
        for machine in gone:
            if control_plane is not None and control_plane.init is not None:
                network.forget_node(self.network, machine.number, control_plane.init.pid)


def main() -> None:
    state = Path(sys.argv[1])
    paths = Paths(state.name, state.parent)
    with (state / "supervisor.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.exit(f"another supervisor runs for {state}")
        # Leave the caller's cgroup: the end of its session or service must not end the lab.
        cgroups.enter(f"{paths.cgroup}/{cgroups.SYSTEM}")
        if own := ProcessIdentity.of(os.getpid()):
            write_json(paths.supervisor_record, {"pid": own.pid, "start": own.start, "boot": boot()})
        asyncio.run(LabSupervisor(paths).run())


if __name__ == "__main__":
    main()
