"""What the probe of cluster_autoscaling observes."""

from __future__ import annotations

from aiconform.check import Observation


class NodeSeen(Observation):
    """A node that was added. Times are seconds since the begin; None: it did not happen while the probe looked on.

    of_pool: None where the label of the pool's nodes is not known. offers: the largest allocatable number of each known
    accelerator. problem: why the node is not Ready.
    """

    name: str
    of_pool: bool | None
    came: float
    ready: float | None
    gone: float | None
    offers: dict[str, int]
    problem: str


class Scaling(Observation):
    """A Pod that waits for an accelerator, and the nodes of the platform while it waits and afterwards.

    size: nodes of the pool before. bounds: the pool's limits and problems, as the autoscaler reports them. full: why
    the pool cannot grow, in runs of earlier versions, which tried it all the same. held: nodes with a placeholder Pod;
    lost: those of them that were removed. unschedulable: the scheduler's first message about the waiting Pod; said:
    later events about it, and what the autoscaler reports of its pool and machines; unknown: why nobody knows whether
    the cloud had a machine. pod_node: where it was scheduled (empty if nowhere). ran: when it ran there; None if it did
    not, and `problem` says why. released: when it was deleted. waited_up, waited_down: how long the platform had for
    each direction, in seconds.
    """

    autoscaler: str
    pool: str
    resource: str
    simulated: bool
    size: int
    bounds: str
    full: str = ""
    held: tuple[str, ...]
    lost: tuple[str, ...]
    unschedulable: str
    said: tuple[str, ...]
    unknown: str = ""
    nodes: tuple[NodeSeen, ...]
    pod_node: str
    ran: float | None
    problem: str
    released: float | None
    waited_up: float
    waited_down: float
