"""A lab and its nodes: starting it, changing it while it runs, and deleting it completely."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from aiconform.lab import plan, planning
from aiconform.lab.addons.install import installed
from aiconform.lab.addons.registry import ADD_ONS, chosen, components_of, packages_of
from aiconform.lab.build import assets as assets_of
from aiconform.lab.build import images
from aiconform.lab.cloud import orders as cloudnodes
from aiconform.lab.config import CONTROL_PLANE, DEFAULT_KUBERNETES, IP_FAMILIES, ROOT, LabConfig, LabError, Paths
from aiconform.lab.end import end_lab
from aiconform.lab.existing import ExistingLab, Node
from aiconform.lab.faults.switch import reapply
from aiconform.lab.kubernetes import controlplane, imagestore, nodes, readiness
from aiconform.lab.kubernetes.installation import Installation
from aiconform.lab.kubernetes.pki import Authority
from aiconform.lab.machines import cgroups, control, host, pace
from aiconform.lab.machines.host import Progress, quiet
from aiconform.lab.machines.processes import write_processes
from aiconform.lab.machines.supervisor_process import start_supervisor
from aiconform.lab.traits import catalog
from aiconform.lab.traits.state import names_on
from aiconform.lab.traits.switch import reapply as reapply_traits


def up(config: LabConfig, progress: Progress = quiet, root: Path = ROOT) -> Lab:
    """Start a lab, or change one to what `config` says; returns when all its nodes and Pods are ready.

    Continues from any state that a crash or a reboot has left. `progress` takes lines for the user.
    Raises LabError.
    """
    host.require()
    paths = Paths(config.name, root)
    try:
        with host.locked(paths.state):
            old = plan.read(paths)
            minor = config.kubernetes or (old.kubernetes if old else DEFAULT_KUBERNETES)
            family = config.ip_family or (old.ip_family if old else IP_FAMILIES[0])
            staying = [name for name in (old.add_ons if old else ()) if name not in config.without_add_ons]
            names = (*staying, *config.add_ons)
            host.install_packages(progress, packages_of(chosen(names, minor)), root)
            host.raise_limits()
            # Before anything is written: a failed build leaves no incomplete lab.
            add_ons = chosen(names, minor, family)
            binaries = assets_of.assets(minor, progress, config.assets or _given(old), extra=components_of(add_ons))
            with host.locked(root):
                new = planning.make(config, old, root)
                host.require_family(new.ip_family)
                if not Lab(new, paths).running:
                    # The scheduler does not start without an API that it watches. The fault is turned on again later.
                    new = replace(new, runtime_overrides={})
                host.make_mount_points(root)
                new.save(paths)
            lab = Lab(new, paths)
            lab._settle(binaries, progress)
    finally:
        host.forget_unused(paths.state)
    return lab


def load(name: str = "lab", root: Path = ROOT) -> Lab | None:
    """The lab of this name, running or not; None if there is none. Raises LabError if its plan is invalid."""
    paths = Paths(name, root)
    return Lab(found, paths) if (found := plan.read(paths)) else None


class Lab(ExistingLab):
    """One lab, and how it is changed. Methods that change it hold its lock, so that commands do not interfere."""

    def healthy(self) -> bool:
        """Whether it is running, all its own nodes are Ready, and there are no unexpected nodes."""
        ready = readiness.ready_nodes(self.kubeconfig) if self.running else {}
        for node in plan.fresh(self.plan, self.paths.root).autoscaled:
            ready.pop(node.name, None)
        return ready == {node.name: True for node in self.plan.own}

    def add_node(
        self, name: str, *, allocation: str | None = None, accelerators: int | None = None, progress: Progress = quiet
    ) -> Node:
        """Add a node to the running lab; returns when it is Ready. Raises LabError."""
        with self._changing():
            with host.locked(self.paths.root):
                self._save(planning.add_node(self.plan, name, self.paths.root, allocation, accelerators))
            self._settle(self._assets(progress), progress)
        return self.node(name)

    def remove_node(self, name: str, progress: Progress = quiet) -> None:
        """Switch off a node and remove its Node object. Raises LabError."""
        with self._changing():
            self._save(planning.remove_node(self.plan, name))
            self._settle(self._assets(progress), progress)

    def override_runtime_config(self, served: Mapping[str, bool]) -> None:
        """Restart the API server with these API groups and versions enabled or disabled, in addition to its options.

        An empty mapping removes earlier overrides; without a change nothing is restarted. Returns when the API server
        is ready again. Raises LabError.
        """
        before = dict(self.plan.runtime_overrides)
        if before != dict(served):
            self._save(replace(self.plan, runtime_overrides=dict(served)))
            self._write_control_plane(self._assets(quiet))
            self.ask(CONTROL_PLANE, do="reload")
        readiness.wait_for_api(self.plan, self.paths, self.network)
        if any(not on and served.get(api, True) for api, on in before.items()):
            # They retry a missing API less and less often.
            for process in ("kube-controller-manager", "kube-scheduler"):
                self.restart(CONTROL_PLANE, process)

    def follow_traits(self) -> None:
        """Have helpers and nodes follow the recorded traits. Raises LabError."""
        self._write_control_plane(self._assets(quiet))
        self.ask(CONTROL_PLANE, do="reload")
        for module in catalog.helpers(self.state):
            # It reads at its start what is on.
            self.restart(CONTROL_PLANE, module.rpartition(".")[2])
        self.write_networks()

    def write_networks(self) -> None:
        """Have the nodes' networks follow the recorded traits."""
        on = names_on(self.state)
        for node in self.plan.own:
            nodes.write_network(self.plan, node, self.paths, self.network, on)

    def status(self) -> dict[str, Any]:
        """What runs: `name`, `kubernetes`, `running`, `kubeconfig`, `server`, `slowness`, `registry` (the address at
        which it is while a trait needs it), `add_ons`, `traits`, and by name

        `machines`: pid, start, restarts, since (seconds of the epoch), address and processes of each;
        `nodes`: allocation, accelerators, autoscaled, and ready, which is None if the API server does not answer.

        Pids are the host's.
        """
        self.plan = plan.fresh(self.plan, self.paths.root)
        machines: dict[str, Any] = {}
        if self.running:
            with contextlib.suppress(LabError):
                machines = self.machines()
        for name, machine in machines.items():
            machine["address"] = self._address(name)
            machine["processes"] = {}
            with contextlib.suppress(LabError):
                machine["processes"] = self.ask(name, do="status")
            _use_host_pids(machine)
        ready = readiness.ready_nodes(self.kubeconfig) if machines else {}
        return {
            "name": self.name,
            "kubernetes": self.plan.kubernetes,
            "running": bool(machines),
            "kubeconfig": str(self.kubeconfig),
            "server": self.network.server,
            "slowness": pace.slowness(),
            "registry": self.network.registry,
            "add_ons": list(self.plan.add_ons),
            "traits": list(names_on(self.state)),
            "machines": machines,
            "nodes": {
                node.name: {
                    "allocation": node.allocation,
                    "accelerators": node.accelerators,
                    "autoscaled": node.autoscaled,
                    "ready": ready.get(node.name) if ready else None,
                }
                for node in self.plan.nodes
            },
        }

    def down(self, progress: Progress = quiet) -> None:
        """Delete the lab with all its processes, mounts, namespaces, network devices, cgroups, device nodes and files.

        Raises LabError naming what could not be removed.
        """
        end_lab(self.name, progress, self.paths.root)

    # Implementation

    @contextlib.contextmanager
    def _changing(self) -> Any:
        with host.locked(self.paths.state):
            current = plan.read(self.paths)
            if current is None or not self.running:
                raise LabError(f"lab {self.name} is not running; start it with `aiconform lab up --name {self.name}`")
            self.plan = current
            yield

    def _save(self, new: plan.LabPlan) -> None:
        new.save(self.paths)
        self.plan = new

    def _assets(self, progress: Progress) -> assets_of.Assets:
        extra = components_of(self.plan.add_ons)
        return assets_of.assets(self.plan.kubernetes, progress, _given(self.plan), extra=extra)

    def _settle(self, binaries: assets_of.Assets, progress: Progress) -> None:
        """Make the machines match the plan, and wait until the cluster does."""
        folder = assets_of.cache_folder() / "images"
        of_add_ons = [image for name in self.plan.add_ons for image in ADD_ONS[name].images(binaries)]
        own, others = (
            tuple(images.write(image, folder) for image in made) for made in (images.lab_images(binaries), of_add_ons)
        )
        seed = imagestore.seed(binaries, {*own, *others}, folder, self.state, progress)
        installation = Installation(binaries, own, others, seed)
        installation.save(self.paths)
        # A cgroup counts as one process: beside a few busy ones, a whole cluster would starve, and its control plane
        # beside the Pods of many nodes.
        system = f"{self.paths.cgroup}/{cgroups.SYSTEM}"
        for path, weight in ((self.paths.cgroup, cgroups.LAB_WEIGHT), (system, cgroups.CONTROL_PLANE_WEIGHT)):
            cgroups.create(path)
            cgroups.weigh(path, weight)
        authority = self._write_control_plane(binaries)
        with host.locked(self.paths.root):
            # Not while one of them is being removed.
            self.plan = plan.fresh(self.plan, self.paths.root)
            for node in self.plan.nodes:
                nodes.install(self.plan, node, self.paths, self.network, installation, authority)
        if self.running:
            self._reload()
        else:
            progress("starting the lab's machines")
            start_supervisor(self.paths)
        self._remove_strangers()
        readiness.wait(self, binaries, progress)
        progress("waiting for the simulated accelerators")
        reapply(self)
        reapply_traits(self)
        if not self._helpers():
            self._end_autoscaled(binaries)

    def _reload(self) -> None:
        self.ask_supervisor(do="reload")
        for machine in (CONTROL_PLANE, *(node.name for node in self.plan.nodes)):
            # A machine that is just starting reads its file anyway.
            with contextlib.suppress(OSError):
                control.ask(self.paths.machine_socket(machine), do="reload")

    def _helpers(self) -> list[str]:
        """Modules that must run for add-ons, including those that are about to be removed."""
        names = dict.fromkeys((*self.plan.add_ons, *installed(self.paths)))
        return [module for name in names if name in ADD_ONS and (module := ADD_ONS[name].helper)]

    def _end_autoscaled(self, binaries: assets_of.Assets) -> None:
        """Remove what is left of the nodes of an autoscaler that is no longer there."""
        self._write_control_plane(binaries)
        left = plan.fresh(self.plan, self.paths.root)
        for number in (*(node.number for node in left.autoscaled), *left.unreadable):
            cloudnodes.file(self.paths, number).unlink(missing_ok=True)
        self.plan = plan.fresh(left, self.paths.root)
        self._reload()
        self._remove_strangers()

    def _write_control_plane(self, binaries: assets_of.Assets) -> Authority:
        authority = controlplane.certificates(self.paths, self.network)
        helpers = [*self._helpers(), *catalog.helpers(self.state)]
        processes = controlplane.processes(self.plan, self.paths, self.network, binaries, helpers)
        write_processes(self.paths, CONTROL_PLANE, processes)
        return authority

    def _remove_strangers(self) -> None:
        """Remove state and cgroups of nodes that are no longer planned and have been stopped."""
        with host.locked(self.paths.root):
            now = plan.fresh(self.plan, self.paths.root)
            planned = {CONTROL_PLANE, *(node.name for node in now.nodes)}
            # If the name of a node is unknown, any folder may be in use.
            for folder in () if now.unreadable else (self.paths.state / "machines").iterdir():
                if folder.name not in planned:
                    cgroups.remove(self.paths.node_cgroup(folder.name))
                    shutil.rmtree(folder)

    def _address(self, machine: str) -> str:
        numbers = {node.name: node.number for node in self.plan.nodes}
        if machine in numbers:
            return self.network.node(numbers[machine])
        return self.network.control_plane if machine == CONTROL_PLANE else "unknown"


def _use_host_pids(machine: dict[str, Any]) -> None:
    """Replace the pids of the machine's namespace, which its init knows, by those of the host."""
    host_pids: dict[int, int] = {}
    if machine["pid"] is not None:
        with contextlib.suppress(OSError):
            for child in Path(f"/proc/{machine['pid']}/task/{machine['pid']}/children").read_text().split():
                for line in Path(f"/proc/{child}/status").read_text().splitlines():
                    if line.startswith("NSpid:"):
                        host_pids[int(line.split()[-1])] = int(child)
    for process in machine["processes"].values():
        process["pid"] = host_pids.get(process["pid"])


def _given(current: plan.LabPlan | None) -> Path | None:
    return Path(current.assets) if current is not None and current.assets else None
