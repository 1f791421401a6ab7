"""The lab's cloud: `python -m aiconform.lab.cloud.delivery STATE` gives a machine to each ordered Node.

Karpenter's KWOK provider "orders" a machine by creating a Node object, and returns it by deleting that. This process
starts a node of the lab for each such Node, of the same kind as all others, and removes it with its Node. It has no
state of its own: the desired state is in the API, the actual state in the lab's state folder. So it can exit at any
moment, and continues when the control plane's init restarts it.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from aiconform.lab import plan, planning
from aiconform.lab.accelerators.identity import as_json, find_identity
from aiconform.lab.cloud import orders as cloudnodes
from aiconform.lab.cloud.orders import ACCELERATORS_LABEL, STARTING_TAINT, is_autoscaled
from aiconform.lab.config import LabError, Paths
from aiconform.lab.faults.autoscaling import ANOTHER_KIND, NEVER_READY, RECLAIMS
from aiconform.lab.faults.state import names_on
from aiconform.lab.kubernetes import installation, nodes
from aiconform.lab.kubernetes.pki import Authority
from aiconform.lab.machines import cgroups, control, host
from aiconform.lab.machines.files import write_json

if TYPE_CHECKING:
    from aiconform.cluster import Cluster, Object

_RETRY_SECONDS = 1.0


def kubelet_speaks(node: Object) -> bool:
    """Whether the Node's own kubelet has reported that it is Ready."""
    from aiconform.cluster import conditions

    version = ((node.get("status") or {}).get("nodeInfo") or {}).get("kubeletVersion")
    return bool(version) and conditions.is_true(node, "Ready")


def made_up_resources(node: Object) -> list[str]:
    """Extended resources that the provider wrote into the status; the kubelet would not remove them."""
    status = node.get("status") or {}
    if (status.get("nodeInfo") or {}).get("kubeletVersion"):
        return []
    return sorted(
        name for name in {**(status.get("capacity") or {}), **(status.get("allocatable") or {})} if "/" in name
    )


class Cloud:
    """The machines of one lab's ordered Nodes."""

    def __init__(self, paths: Paths) -> None:
        self._paths = paths
        self._machines: set[str] | None = None
        """Names of the existing machines; None before the first update."""
        self._refused: set[str] = set()

    async def follow(self, cluster: Cluster) -> None:
        """Follow the Nodes until the watch ends. Raises ClusterError, LabError, OSError."""
        found, since = await cluster.snapshot("v1", "Node")
        seen = {node["metadata"]["name"]: node for node in found if is_autoscaled(node)}
        self.settle(seen)
        for node in seen.values():
            await self._attend(cluster, node, seen)
        async for event in cluster.watch("v1", "Node", since=since):
            node = event.object
            name = node["metadata"]["name"]
            if event.type == "DELETED":
                seen.pop(name, None)
            elif is_autoscaled(node):
                seen[name] = node
            self.settle(seen)
            if name in seen:
                await self._attend(cluster, node, seen)

    def settle(self, ordered: dict[str, Object]) -> None:
        """Make the machines match the orders. Raises LabError, OSError."""
        if self._machines == set(ordered):
            return
        current = self._current()
        there = {node.name: node for node in current.autoscaled}
        for name in there.keys() - ordered.keys():
            self._end(there[name])
        on = names_on(self._paths.state)
        if NEVER_READY not in on:
            for name in ordered.keys() - there.keys() - self._refused:
                try:
                    self._start(name, ordered[name], another_kind=ANOTHER_KIND in on)
                except LabError as error:
                    # No room for it, or an invalid name: the others do not wait for it.
                    self._refused.add(name)
                    _log(f"{name}: {error}")
        self._refused &= ordered.keys()
        self._machines = {node.name for node in self._current().autoscaled} | self._refused

    def _current(self) -> plan.LabPlan:
        found = plan.read(self._paths)
        if found is None:
            raise LabError(f"{self._paths.plan} is gone")
        return found

    def _start(self, name: str, ordered: Object, *, another_kind: bool) -> None:
        count = (ordered["metadata"].get("labels") or {}).get(ACCELERATORS_LABEL, "")
        root = self._paths.root
        with host.locked(root):
            current = self._current()
            grown = planning.add_node(
                current,
                name,
                root,
                "device-plugin",
                int(count) if count.isdigit() else None,
                autoscaled=True,
                identity=_another(current.identity) if another_kind else "",
            )
            node = grown.node(name)
            made_of = installation.read(self._paths)
            nodes.install(grown, node, self._paths, grown.network, made_of, Authority(self._paths.pki, "ca"))
            # Last: when this file exists, the supervisor starts the machine.
            write_json(cloudnodes.file(self._paths, node.number), asdict(node))
        self._reload()
        _log(f"{name} starts as number {node.number} with {node.accelerators} accelerators")

    def _end(self, node: plan.NodePlan) -> None:
        cloudnodes.file(self._paths, node.number).unlink(missing_ok=True)
        self._reload()
        with host.locked(self._paths.root):
            cgroups.remove(self._paths.node_cgroup(node.name))
            shutil.rmtree(self._paths.machine(node.name), ignore_errors=True)
        _log(f"{node.name} is removed")

    def _reload(self) -> None:
        control.ask(self._paths.supervisor_socket, do="reload")

    async def _attend(self, cluster: Cluster, node: Object, seen: dict[str, Object]) -> None:
        """Remove a node's invented resources, and allow Pods on it when its kubelet has reported."""
        from aiconform.cluster import Conflict, NotFound

        if made_up := made_up_resources(node):
            nothing = dict.fromkeys(made_up)
            with contextlib.suppress(Conflict, NotFound):
                status = {"status": {"capacity": nothing, "allocatable": nothing}}
                await cluster.patch(node, status, subresource="status")
            return
        taints = node["spec"].get("taints") or []
        left = [taint for taint in taints if taint["key"] != STARTING_TAINT]
        if not kubelet_speaks(node) or left == taints:
            return
        # With the version, so that no other taint is lost; after a conflict, the next event tries again.
        version = {"resourceVersion": node["metadata"]["resourceVersion"]}
        try:
            await cluster.patch(node, {"metadata": version, "spec": {"taints": left}})
        except (Conflict, NotFound):
            return
        _log(f"{node['metadata']['name']} is Ready")
        if RECLAIMS in names_on(self._paths.state):
            for name, other in seen.items():
                if name != node["metadata"]["name"]:
                    _log(f"{name} is taken away")
                    await cluster.delete(other)


def _another(identity: str) -> str:
    """The lab's accelerators under another resource name."""
    own = find_identity(identity)
    other = own.model_copy(update={"extended_resource": f"{own.extended_resource}-other"})
    return as_json(other)


def _log(line: str) -> None:
    print(time.strftime("%H:%M:%S"), line, file=sys.stderr, flush=True)


async def run(paths: Paths) -> None:
    """Never returns: errors are logged and retried."""
    from aiconform.cluster import ClusterError, connect

    told = ""
    while True:
        try:
            # Start again each time: earlier state may be from before a crash of the API server.
            async with connect(str(paths.kubeconfig)) as cluster:
                await Cloud(paths).follow(cluster)
        except (ClusterError, LabError, OSError) as error:
            if str(error) != told:
                told = str(error)
                _log(f"{told}; trying again")
            await asyncio.sleep(_RETRY_SECONDS)


def main() -> None:
    state = Path(sys.argv[1])
    asyncio.run(run(Paths(state.name, state.parent)))


if __name__ == "__main__":
    main()
