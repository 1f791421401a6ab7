"""The Pod that waits for a node, and the placeholder Pods that keep it away from existing nodes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from aiconform.check import NothingToLookAt
from aiconform.cluster import Cluster, Object, Stuck, conditions, wait
from aiconform.kit.following import ChangeSignal
from aiconform.kit.pods import STAY, container, refused_by_kubelet, unschedulable
from aiconform.platform.accelerators.nodes import Toleration, usable_node
from aiconform.platform.autoscaling.pools import Pool

HELD = "aiconform.dev/place"
# Tells both autoscalers not to evict this Pod in order to remove a node.
UNDISTURBED = {"karpenter.sh/do-not-disrupt": "true", "cluster-autoscaler.kubernetes.io/safe-to-evict": "false"}
# The largest number of placeholder Pods.
MOST_HELD = 50
_FOREVER = 10.0**6


def nodes_to_hold(pool: Pool, nodes: Sequence[Object], free: dict[str, int]) -> list[Object]:
    """The nodes that get a placeholder Pod: those of the pool that the waiting Pod fits on, else one, else any node.

    free: free accelerators of the kind that the Pod requests, by node name. Raises NothingToLookAt.
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
            f"{len(open_)} nodes of pool {pool.name} have free accelerators: too many for placeholder Pods. "
            "Set a smaller pool (--set cluster_autoscaling.pool=KEY=VALUE)"
        )
    untainted = [node for node in usable if not node["spec"].get("taints")]
    return open_ or members[:1] or (untainted or usable)[:1]


def placeholder(made: Object) -> Object:
    """A Pod (as `pods.pod` makes it) that keeps the waiting Pod off its node, and its node from being removed."""
    metadata = {**made["metadata"], "labels": {HELD: "held"}, "annotations": UNDISTURBED}
    return {**made, "metadata": metadata}


def waiting_pod_manifest(
    name: str, pool: Pool, image: str, priority: str, tolerated: Iterable[Toleration] = ()
) -> Object:
    """A Pod that requests as few accelerators of the pool as it can, on a node without a `placeholder`.

    priority: the name of its PriorityClass. tolerated: taints that the user named; nobody may report those of a pool
    without nodes.
    """
    keys = dict.fromkeys(key for key, effect in pool.taints if effect in ("NoSchedule", "NoExecute"))
    keys[pool.resource] = None  # The usual taint of accelerator nodes.
    keys |= dict.fromkeys(each.key for each in tolerated)
    spec: Object = {
        "affinity": {
            "podAntiAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": [
                    {"labelSelector": {"matchLabels": {HELD: "held"}}, "topologyKey": "kubernetes.io/hostname"}
                ]
            }
        },
        "tolerations": [{"key": key, "operator": "Exists"} for key in keys],
        "priorityClassName": priority,
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 1,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "containers": [container("holder", image, STAY, resources={"limits": {pool.resource: str(pool.amount)}})],
    }
    if pool.label:
        spec["nodeSelector"] = dict([pool.label])
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "annotations": UNDISTURBED}, "spec": spec}


class WaitingPod:
    """The waiting Pod over time."""

    def __init__(self, created: Object, changes: ChangeSignal) -> None:
        self.unschedulable = ""
        """The scheduler's first message that no node fits."""
        self.deleted = ""
        """Set if somebody else deleted the Pod."""
        self._last = created
        self._changes = changes

    @property
    def node(self) -> str:
        """The node that it is scheduled to; empty if none."""
        return str(self._last["spec"].get("nodeName", ""))

    @property
    def problem(self) -> str:
        """Why it does not run on its node, as the kubelet or its own state reports."""
        if self.deleted:
            return self.deleted
        return refused_by_kubelet(self._last) or ("" if self.started else wait.describe(self._last))

    @property
    def started(self) -> bool:
        """It runs or has completed. Raises Stuck for what is not the pool's fault, such as a missing image."""
        found = self._settled()
        return found is not None and found["status"]["phase"] != "Failed"

    @property
    def ended(self) -> bool:
        """Its state is final: it runs, was refused or is deleted. Raises Stuck as `started` does."""
        return bool(self.deleted) or self._settled() is not None

    def _settled(self) -> Object | None:
        status = self._last.get("status") or {}
        disrupted = conditions.find(self._last, "DisruptionTarget")
        # Of the troubles of a node, its end is not one here: autoscalers must not remove a node in use.
        if disrupted is not None and disrupted.reason == "PreemptionByScheduler":
            raise Stuck(f"others took the place of the Pod that waits for a node: {disrupted.words}")
        if str(status.get("reason")).startswith(("Evicted", "Preempting", "OutOf")):
            raise Stuck(f"the node has no room for the Pod that waited for it: {refused_by_kubelet(self._last)}")
        return wait.running(self._last)

    def see(self, seen: Object) -> None:
        """Record one state of the Pod."""
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


def pods_in_the_way(pods: Iterable[Object], ours: str) -> Sequence[str]:
    """`namespace/name` of Pods that keep a node in use; those of DaemonSets and of Namespace `ours` do not count."""
    return sorted(
        f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"
        for pod in pods
        if pod["metadata"]["namespace"] != ours
        and not wait.ended(pod)
        and "kubernetes.io/config.mirror" not in (pod["metadata"].get("annotations") or {})
        and not any(owner["kind"] == "DaemonSet" for owner in pod["metadata"].get("ownerReferences") or [])
    )
