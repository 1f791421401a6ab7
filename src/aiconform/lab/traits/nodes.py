"""Traits of nodes: one that is real and has no address left for a Pod, and Nodes that no run has any business with.

The latter are made up: objects that offer accelerators, without a machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from aiconform.lab.build.images import architecture
from aiconform.lab.config import KUBERNETES
from aiconform.lab.traits.trait import LABEL, AtLastNode, MadeUpNode, Trait

if TYPE_CHECKING:
    from aiconform.cluster import Object

NO_ADDRESSES = "no-pod-addresses"
OFFERED = 4
"""How many accelerators a made-up Node offers."""


def _made_up(
    name: str,
    *,
    os: str = "linux",
    labels: dict[str, str] | None = None,
    taints: Sequence[Object] = (),
    cordoned: bool = False,
    pods: int = 110,
    not_ready: str = "",
) -> MadeUpNode:
    """not_ready: the kubelet's words for why the node is not Ready."""

    def of(resource: str) -> Object:
        told = {
            LABEL: name,
            "kubernetes.io/hostname": name,
            "kubernetes.io/os": os,
            "kubernetes.io/arch": architecture(),
            # As the lab's own nodes describe theirs: nobody must take them for real.
            f"{resource}.simulated": "true",
            f"{resource}.count": str(OFFERED),
        }
        spec: dict[str, Any] = {"taints": [*taints]} if taints else {}
        amounts = {"cpu": "8", "memory": "32Gi", "pods": str(pods), resource: str(OFFERED)}
        ready = {"status": "False", "reason": "KubeletNotReady", "message": not_ready} if not_ready else _READY
        return {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": name, "labels": {**told, **(labels or {})}},
            "spec": {**spec, **({"unschedulable": True} if cordoned else {})},
            "status": {
                "capacity": amounts,
                "allocatable": amounts,
                "conditions": [{"type": "Ready", **ready}],
                "nodeInfo": {
                    "kubeletVersion": f"v{next(iter(KUBERNETES.values()))}",
                    "operatingSystem": os,
                    "architecture": architecture(),
                },
            },
        }

    return MadeUpNode(of)


_READY = {"status": "True", "reason": "KubeletReady", "message": "kubelet is posting ready status"}
_LEFT_ALONE = "pass on other nodes; inspect says that it is left alone, and why"


def _node(name: str, what: str, says: str = _LEFT_ALONE, **fields: Any) -> Trait:
    description = f"A made-up Node that offers {OFFERED} accelerators {what}."
    return Trait(name, description, says, _made_up(name, **fields))


TRAITS = (
    Trait(
        NO_ADDRESSES,
        "The lab's last node has no address left for a new Pod.",
        "error with the network plugin's words, of what is tried there",
        AtLastNode(),
    ),
    _node("cordoned-node", "is cordoned", cordoned=True),
    _node("ending-node", "is shutting down", cordoned=True, not_ready="node is shutting down"),
    _node(
        "virtual-node",
        "is a virtual kubelet's",
        # https://github.com/virtual-kubelet/virtual-kubelet
        labels={"type": "virtual-kubelet"},
        taints=[{"key": "virtual-kubelet.io/provider", "value": "lab", "effect": "NoSchedule"}],
    ),
    _node("windows-node", "runs Windows, without a taint", os="windows"),
    _node("full-node", "has no place for a Pod", "error with the scheduler's words, of what is tried there", pods=0),
)
