"""The faulty allocator of allocator-overcommits and others: it allocates claims that its node cannot satisfy.

A sound scheduler leaves them unallocated. This one writes an allocation that names devices twice, or a device that
others hold, or hold all shares of. It looks only at claims of Pods that may run on its node, so that the fault can be
on at a single node.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import uuid
from collections import Counter
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from itertools import cycle, islice

from aiconform.cluster import Cluster, ClusterError, Conflict, NotFound, Object
from aiconform.lab.accelerators.config import AcceleratorConfig, DriverFault
from aiconform.lab.accelerators.identity import AcceleratorError
from aiconform.lab.accelerators.prepared import Prepared
from aiconform.lab.accelerators.publisher import Publisher
from aiconform.lab.accelerators.sharing import Way, acts
from aiconform.lab.accelerators.slices import GROUP
from aiconform.lab.accelerators.virtual import given_again

RETRY_SECONDS = 1.0
# The API server accepts no more results in one allocation.
MOST_RESULTS = 32


class RogueAllocator:
    """Allocates claims on one node."""

    def __init__(self, cluster: Cluster, config: AcceleratorConfig, publisher: Publisher, prepared: Prepared) -> None:
        self.config = config
        self._cluster = cluster
        self._publisher = publisher
        self._prepared = prepared

    async def run(self) -> None:
        """Watch unscheduled Pods and allocate their excessive claims; never returns. Errors are printed once."""
        told = ""
        while True:
            try:
                async for event in self._cluster.watch("v1", "Pod", fields="spec.nodeName="):
                    if event.type in ("ADDED", "MODIFIED") and may_run_on(event.object, self.config.node_name):
                        for name in claim_names(event.object):
                            # Meanwhile deleted, or allocated by another node.
                            with contextlib.suppress(NotFound, Conflict):
                                await self._consider(name, event.object)
            except (ClusterError, AcceleratorError) as err:
                if str(err) != told:
                    told = str(err)
                    print(f"ResourceClaims: {err}; retrying", file=sys.stderr)
                await asyncio.sleep(RETRY_SECONDS)

    async def _consider(self, name: str, pod: Object) -> None:
        version = f"{GROUP}/{await self._publisher.served_version()}"
        found = await self._cluster.get(version, "ResourceClaim", name, pod["metadata"]["namespace"])
        claim = {"apiVersion": version, "kind": "ResourceClaim", **found}
        identity = self.config.identity
        asked = demands(claim, {identity.device_class, *identity.device_classes})
        if (claim.get("status") or {}).get("allocation") or claim["metadata"].get("deletionTimestamp"):
            return
        devices = self.devices(sum(asked.values()), refused=is_refused(pod), selectors=selectors(claim))
        if not devices:
            return
        allocation = overcommitted(asked, devices, self.config)
        metadata = {"resourceVersion": claim["metadata"]["resourceVersion"]}
        changes = {"metadata": metadata, "status": {"allocation": allocation}}
        await self._cluster.patch(claim, changes, subresource="status")

    def devices(self, asked: int, *, refused: bool, selectors: str = "") -> Sequence[str]:
        """The devices to allocate to a claim that asks for so many; empty if a sound allocator is to decide.

        selectors: the expressions that they have to satisfy.
        """
        devices = self._publisher.names
        if DriverFault.OVERCOMMITS in self.config.faults and is_excessive(asked, len(devices), refused=refused):
            return devices
        if refused and asked == 1 and acts(self.config, DriverFault.MORE_SHARES, Way.CAPACITY, Way.DRA_PARTITIONS):
            return [name for name, _ in Counter(self._prepared.held()).most_common(1)]
        return given_again(self.config, selectors, self._prepared.held()) if refused and asked == 1 else ()


def may_run_on(pod: Object, node: str) -> bool:
    """Whether the Pod's node selector and its required affinity to names of nodes allow this node."""
    spec = pod["spec"]
    selected = (spec.get("nodeSelector") or {}).get("kubernetes.io/hostname", node)
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or {}
    fields = [field for term in required.get("nodeSelectorTerms") or [] for field in term.get("matchFields") or []]
    return bool(selected == node and (not fields or any(node in field["values"] for field in fields)))


def is_excessive(asked: int, devices: int, *, refused: bool) -> bool:
    """Whether the node can never satisfy a claim for so many of its devices.

    The scheduler refuses a claim for one device, too, while others have it: that one waits for it.
    """
    return asked > devices or (refused and asked > 1)


def is_refused(pod: Object) -> bool:
    """Whether the scheduler found no devices for the Pod's claims: a node can have more devices than of one kind."""
    found = (pod.get("status") or {}).get("conditions") or []
    return any(
        (each["type"], each["status"]) == ("PodScheduled", "False")
        and "cannot allocate all claims" in each.get("message", "")
        for each in found
    )


def claim_names(pod: Object) -> list[str]:
    """Names of the Pod's ResourceClaims, including those that have been made from templates."""
    named = [
        *(pod["spec"].get("resourceClaims") or []),
        *((pod.get("status") or {}).get("resourceClaimStatuses") or []),
    ]
    return [entry["resourceClaimName"] for entry in named if entry.get("resourceClaimName")]


def demands(claim: Object, classes: Collection[str]) -> Counter[str]:
    """Request name -> how many devices of the classes it asks for; only requests for exact counts are considered."""
    asked: Counter[str] = Counter()
    for request in claim["spec"].get("devices", {}).get("requests", []):
        # v1beta1 has no `exactly`: the fields are in the request itself.
        exactly = request.get("exactly") or request
        if exactly.get("deviceClassName") in classes:
            asked[request["name"]] = exactly.get("count", 1)
    return asked


def selectors(claim: Object) -> str:
    """The CEL expressions of a claim's requests for exact counts."""
    requests = [request.get("exactly") or request for request in claim["spec"].get("devices", {}).get("requests", [])]
    found = [entry.get("cel", {}).get("expression", "") for each in requests for entry in each.get("selectors") or []]
    return " ".join(found)


def overcommitted(asked: Counter[str], devices: Sequence[str], config: AcceleratorConfig) -> Object:
    """An allocation on this node that grants every request with the same few devices."""
    wanted = [request for request, count in asked.items() for _ in range(count)]
    return {
        # A scheduler that knows this field would add it, but an allocation must not change.
        "allocationTimestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "devices": {
            "results": [
                {"request": request, "driver": config.identity.driver, "pool": config.node_name, "device": device}
                | _share(config)
                for request, device in islice(zip(wanted, cycle(devices), strict=False), MOST_RESULTS)
            ]
        },
        "nodeSelector": {
            "nodeSelectorTerms": [
                {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [config.node_name]}]}
            ]
        },
    }


def _share(config: AcceleratorConfig) -> Object:
    """What an allocation says of a share of a device; nothing for a device that one claim holds alone."""
    share = config.identity.share_of_memory
    return {"shareID": str(uuid.uuid4()), "consumedCapacity": {"memory": share}} if share else {}
