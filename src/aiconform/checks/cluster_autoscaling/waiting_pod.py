"""The Pod that waits for a node, and the Pods that hold the places where it must not go."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from aiconform.check import NothingToLookAt
from aiconform.cluster import Cluster, Object, Stuck, wait
from aiconform.kit.following import ChangeSignal
from aiconform.kit.pods import STAY, container, refused_by_kubelet, unschedulable
from aiconform.platform.accelerators.offered import usable_node
from aiconform.platform.autoscaling.autoscaler import Pool

HELD = "aiconform.dev/place"
# Both autoscalers take these for: nobody may move this Pod to spare a node.
UNDISTURBED = {"karpenter.sh/do-not-disrupt": "true", "cluster-autoscaler.kubernetes.io/safe-to-evict": "false"}
# So many nodes at most get a Pod that holds their place.
MOST_HELD = 50
_FOREVER = 10.0**6


def to_hold(pool: Pool, nodes: Sequence[Object], free: dict[str, int]) -> list[Object]:
    """The nodes whose places are held: of the pool those where the waiting Pod could go, else one, else any node.

    `free`: node name -> free accelerators that the Pod asks for. Raises NothingToLookAt.
    """
    usable = [node for node in nodes if usable_node(node) is None]

    def in_pool(node: Object) -> bool:
        if pool.label is None:
            return node["metadata"]["name"] in free
        return bool((node["metadata"].get("labels") or {}).get(pool.label[0]) == pool.label[1])

    members = [node for node in usable if in_pool(node)]
    open_ = [node for node in members if free.get(node["metadata"]["name"])]
    if len(open_) > MOST_HELD:
        raise NothingToLookAt(
            f"{len(open_)} nodes of pool {pool.name} have free accelerators: that is too many to keep the Pod from. "
            "Give a smaller pool (--set cluster_autoscaling.pool=KEY=VALUE)"
        )
    untainted = [node for node in usable if not node["spec"].get("taints")]
    return open_ or members[:1] or (untainted or usable)[:1]


def holder(made: Object) -> Object:
    """A Pod (as `pods.pod` makes it) that keeps the waiting one off its node, and is in the way of the node's end."""
    metadata = {**made["metadata"], "labels": {HELD: "held"}, "annotations": UNDISTURBED}
    return {**made, "metadata": metadata}


def waiting_pod(name: str, pool: Pool, image: str) -> Object:
    """A Pod that asks for one accelerator of the pool, on no node where a `holder` is."""
    keys = dict.fromkeys(key for key, effect in pool.taints if effect in ("NoSchedule", "NoExecute"))
    keys[pool.resource] = None  # the usual taint of accelerator nodes
    spec: Object = {
        "affinity": {
            "podAntiAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": [
                    {"labelSelector": {"matchLabels": {HELD: "held"}}, "topologyKey": "kubernetes.io/hostname"}
                ]
            }
        },
        "tolerations": [{"key": key, "operator": "Exists"} for key in keys],
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 1,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "containers": [container("holder", image, STAY, resources={"limits": {pool.resource: "1"}})],
    }
    if pool.label:
        spec["nodeSelector"] = dict([pool.label])
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "annotations": UNDISTURBED}, "spec": spec}


class Waiter:
    """The waiting Pod over time."""

    def __init__(self, created: Object, changes: ChangeSignal) -> None:
        self.unschedulable = ""
        """The scheduler's first word that no node has room for it."""
        self.deleted = ""
        """Who was not us deleted it, in words."""
        self._last = created
        self._changes = changes

    @property
    def node(self) -> str:
        """Where the scheduler placed it."""
        return str(self._last["spec"].get("nodeName", ""))

    @property
    def problem(self) -> str:
        """Why it does not run where it was placed, in the node's words or those of its state."""
        if self.deleted:
            return self.deleted
        return refused_by_kubelet(self._last) or ("" if self.started else wait.describe(self._last))

    @property
    def started(self) -> bool:
        """It runs, or ran to its end. Raises Stuck for what is not the node's fault, such as a missing image."""
        found = wait.running(self._last)
        return found is not None and found["status"]["phase"] != "Failed"

    @property
    def ended(self) -> bool:
        """Nothing more will come of it: it runs, or it was refused, or it is gone. Raises Stuck as `started`."""
        return bool(self.deleted) or wait.running(self._last) is not None

    def see(self, seen: Object) -> None:
        """Take note of one state."""
        self._last = seen
        if (waits := unschedulable(seen)) and not self.unschedulable:
            self.unschedulable = waits.explanation
        self._changes.notify()

    async def follow(self, cluster: Cluster) -> None:
        """Follow until cancelled, or until somebody deletes the Pod. Raises ClusterError."""
        try:
            await wait.until(cluster, self._last, self.see, seconds=_FOREVER, what="the Pod that waits for a node")
        except Stuck as error:
            self.deleted = str(error)
            self._changes.notify()


def users(pods: Iterable[Object], ours: str) -> Sequence[str]:
    """`namespace/name` of Pods that keep a node in use: not a DaemonSet's, nor in the namespace `ours`, nor ended."""
    return sorted(
        f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"
        for pod in pods
        if pod["metadata"]["namespace"] != ours
        and not wait.ended(pod)
        and "kubernetes.io/config.mirror" not in (pod["metadata"].get("annotations") or {})
        and not any(owner["kind"] == "DaemonSet" for owner in pod["metadata"].get("ownerReferences") or [])
    )
