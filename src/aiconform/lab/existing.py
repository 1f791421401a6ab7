"""A lab that exists: its plan, its files, and requests to its processes."""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from aiconform.lab import plan
from aiconform.lab.addons import fast_links
from aiconform.lab.addons.registry import chosen
from aiconform.lab.config import LabError, Paths
from aiconform.lab.kubernetes import nodes
from aiconform.lab.machines import control
from aiconform.lab.machines.supervisor_process import recorded_supervisor


class ExistingLab:
    """A lab, whether it runs or not."""

    def __init__(self, current: plan.LabPlan, paths: Paths) -> None:
        self.plan = current
        self.paths = paths
        self.network = current.network

    @property
    def name(self) -> str:
        return self.plan.name

    @property
    def state(self) -> Path:
        """Its state folder."""
        return self.paths.state

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig, complete in itself."""
        return self.paths.kubeconfig

    @property
    def add_ons(self) -> tuple[str, ...]:
        """Names of its add-ons."""
        return self.plan.add_ons

    @property
    def nodes(self) -> tuple[Node, ...]:
        """Its own nodes, without those that an autoscaler has ordered."""
        return tuple(Node(self, node) for node in self.plan.own)

    def node(self, name: str) -> Node:
        """Raises LabError naming the nodes of the lab."""
        return Node(self, self.plan.node(name))

    @property
    def running(self) -> bool:
        """Whether its supervisor is running."""
        supervisor = recorded_supervisor(self.paths)
        return supervisor is not None and supervisor.alive

    def has(self, add_ons: Sequence[str]) -> bool:
        """Whether it has these add-ons and what they need. Raises LabError for an unknown name."""
        return set(chosen(add_ons, self.plan.kubernetes)) <= set(self.plan.add_ons)

    def restart(self, machine: str, process: str) -> None:
        """Restart one process of a machine (a node's name or control-plane). Raises LabError."""
        self.ask(machine, do="restart", process=process)

    def stop_process(self, machine: str, process: str) -> None:
        """Stop one process until `restart`. Raises LabError."""
        self.ask(machine, do="stop", process=process)

    def signal(self, machine: str, process: str, number: int) -> None:
        """Send a signal to one process. Raises LabError."""
        self.ask(machine, do="signal", process=process, signal=number)

    def crash(self, machine: str) -> None:
        """Switch off a machine at once, like a loss of power; the supervisor restarts it. Raises LabError."""
        self.ask_supervisor(do="crash-machine", machine=machine)

    def ask(self, machine: str, **request: Any) -> Any:
        """The answer of a machine's init. Raises LabError."""
        try:
            return control.ask(self.paths.machine_socket(machine), **request)
        except OSError as error:
            raise LabError(f"{machine} of lab {self.name} does not answer ({error}); is the lab running?") from error

    def machines(self) -> dict[str, dict[str, Any]]:
        """Machine name -> pid and start of its init, since (seconds of the epoch), restarts. Raises LabError."""
        found: dict[str, dict[str, Any]] = self.ask_supervisor(do="status")
        return found

    def ask_supervisor(self, **request: Any) -> Any:
        """The answer of its supervisor. Raises LabError."""
        try:
            return control.ask(self.paths.supervisor_socket, **request)
        except OSError as error:
            raise LabError(f"lab {self.name} does not answer ({error}); is it running?") from error


class Node:
    """One node of a lab."""

    def __init__(self, lab: ExistingLab, current: plan.NodePlan) -> None:
        self.lab = lab
        self.plan = current

    @property
    def name(self) -> str:
        return self.plan.name

    @property
    def address(self) -> str:
        return self.lab.network.node(self.plan.number)

    @property
    def accelerators(self) -> Path | None:
        """The configuration file of its simulated accelerators; None if it has none."""
        return nodes.accelerators_file(self.lab.paths, self.name) if self.plan.accelerators else None

    @property
    def runtime_switch(self) -> Path:
        """The file that its runc wrapper reads; see aiconform.lab.faults.runtime."""
        return nodes.runtime_switch(self.lab.paths, self.name)

    def reload_accelerators(self) -> None:
        """Have the process of its accelerators reload its configuration. Raises LabError."""
        self.lab.signal(self.name, "accelerators", signal.SIGHUP)

    def renew_links(self) -> Callable[[], bool]:
        """Have its keeper of fast links undo what faults left; the result tells whether it has. Raises LabError."""
        kept = fast_links.kept(self.lab.paths.machine(self.name))
        kept.unlink(missing_ok=True)
        self.lab.signal(self.name, fast_links.PROCESS, signal.SIGUSR1)
        return kept.exists

    def restart(self, process: str) -> None:
        """Restart containerd, kubelet, kube-proxy or accelerators. Raises LabError."""
        self.lab.restart(self.name, process)

    def stop(self, process: str) -> None:
        """Stop a process until it is restarted. Raises LabError."""
        self.lab.stop_process(self.name, process)

    def crash(self) -> None:
        """Switch off the node; it restarts by itself. Raises LabError."""
        self.lab.crash(self.name)
