"""The keeper: `python -m aiconform.lab.traits.keeper STATE` keeps what traits promise while they are on.

It makes the objects that every Namespace gets, as platforms' controllers for new Namespaces do, and renews the Leases
of made-up Nodes in place of their kubelets. It has no state of its own. When other traits are turned on, it is
restarted.
"""

from __future__ import annotations

import asyncio
import datetime
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from aiconform.lab import plan
from aiconform.lab.config import LabError, Paths
from aiconform.lab.kubernetes.controlplane import NODE_GRACE_SECONDS
from aiconform.lab.traits.catalog import traits_on
from aiconform.lab.traits.namespaces import is_covered
from aiconform.lab.traits.trait import LABEL, Trait

if TYPE_CHECKING:
    from aiconform.cluster import Cluster, Object

LEASES = "kube-node-lease"
_RENEW_SECONDS = NODE_GRACE_SECONDS / 4
_RETRY_SECONDS = 1.0


async def fill(cluster: Cluster, traits: Sequence[Trait], registry: str) -> None:
    """Give every Namespace what these traits put there; never returns. Raises ClusterError."""
    from aiconform.cluster import NotFound, Rejected, wait

    promised = [trait.kept for trait in traits if trait.kept]
    filled: set[str] = set()
    async for there, _ in wait.states(cluster, "v1", "Namespace"):
        for uid, namespace in there.items():
            if uid in filled or not is_covered(namespace):
                continue
            try:
                for each in promised:
                    for obj in each.objects(namespace["metadata"]["name"], registry):
                        await cluster.apply(obj)
            except (NotFound, Rejected):
                # It is being deleted: its next event says so.
                continue
            filled.add(uid)


async def renew(cluster: Cluster) -> None:
    """Renew the Leases of made-up Nodes; never returns. Raises ClusterError."""
    while True:
        async for node in cluster.list("v1", "Node", labels=LABEL):
            await cluster.apply(lease(node, datetime.datetime.now(datetime.UTC)))
        await asyncio.sleep(_RENEW_SECONDS)


def lease(node: Object, now: datetime.datetime) -> Object:
    """The Lease that says that the kubelet of a Node is alive; it goes with the Node."""
    metadata = node["metadata"]
    owner = {"apiVersion": "v1", "kind": "Node", "name": metadata["name"], "uid": metadata["uid"]}
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": metadata["name"], "namespace": LEASES, "ownerReferences": [owner]},
        "spec": {
            "holderIdentity": metadata["name"],
            "leaseDurationSeconds": NODE_GRACE_SECONDS,
            "renewTime": now.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        },
    }


async def run(paths: Paths) -> None:
    """Never returns: errors are logged, and all is done again."""
    from aiconform.cluster import ClusterError, connect

    current = plan.read(paths)
    if current is None:
        raise LabError(f"there is no lab in {paths.state}")
    registry = current.network.registry
    while True:
        try:
            async with connect(str(paths.kubeconfig)) as cluster:
                await asyncio.gather(fill(cluster, traits_on(paths.state), registry), renew(cluster))
        except ClusterError as error:
            print(time.strftime("%H:%M:%S"), error, file=sys.stderr, flush=True)
            await asyncio.sleep(_RETRY_SECONDS)


def main() -> None:
    state = Path(sys.argv[1])
    asyncio.run(run(Paths(state.name, state.parent)))


if __name__ == "__main__":
    main()
