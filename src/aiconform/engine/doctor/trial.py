"""One short Pod with every image that a run pulls, in a Namespace as the run makes it: what no dry run shows."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress

from aiconform.cluster import ClusterError, NotCreated, Object, wait
from aiconform.cluster.scratch import Scratch
from aiconform.cluster.space import Space
from aiconform.engine.doctor.images import MIRROR
from aiconform.engine.doctor.points import Point, refused
from aiconform.kit.pods import STAY, container, pod_on_one_of, refused_by_kubelet, trouble_of_the_node

# A Pod can name more nodes, and one that has room is enough.
_NODES = 10
# Why a container waits whose image is there (Kubernetes' pkg/kubelet/kuberuntime, startContainer).
_AFTER_PULLING = {"CreateContainerError", "RunContainerError", "CrashLoopBackOff"}


class Trial:
    """What became of the Pod: points by id, and, of a Namespace that was made, its name."""

    def __init__(self, space: Space, seconds: float) -> None:
        """seconds: until the Pod runs."""
        self.points: dict[str, Point] = {}
        self.namespace = ""
        self._scratch = Scratch(space, space.own("doctor"), "restricted")
        self._seconds = seconds

    async def make(self, images: Collection[str], nodes: Sequence[Object]) -> None:
        """nodes: those that the Pod may run on. Who calls it closes the space. No ClusterError is raised."""
        try:
            self.namespace = await self._scratch.namespace()
        except ClusterError as error:
            self._put("namespace", error)
            return
        containers = [container(f"image-{number}", name, STAY) for number, name in enumerate(images, 1)]
        begun = time.monotonic()
        try:
            made = await self._scratch.create(pod_on_one_of(self._scratch.name("images"), nodes[:_NODES], containers))
        except ClusterError as error:
            self._put("pods", error)
            return
        self.points["pods"] = Point("pods", "fine", (f"one was made in Namespace {self.namespace}",))
        self.points["images"] = await self._pulled(made, images, begun)

    def _put(self, id_: str, error: ClusterError) -> None:
        self.points[id_] = Point(id_, refused(error), (str(error),))

    async def _pulled(self, made: Object, images: Collection[str], begun: float) -> Point:
        last = made

        def condition(seen: Object) -> Object | None:
            nonlocal last
            last = seen
            return past_pulling(seen)

        why, what = "", f"Pod {made['metadata']['name']} to start"
        try:
            await wait.until(self._scratch.cluster, made, condition, seconds=self._seconds, what=what)
        except ClusterError as error:
            why = str(error)
        node = (last.get("spec") or {}).get("nodeName") or ""
        if problems := list(pulling_problems(last)):
            return Point("images", "in-the-way", tuple(f"node {node}: {each}" for each in problems), MIRROR)
        why = why or trouble_of_the_node(last) or refused_by_kubelet(last) or ""
        if why:
            return Point(
                "images", "undecided", (why,), "let a Pod of the suite run on a node, or use a larger --patience"
            )
        seconds = time.monotonic() - begun
        return Point("images", "fine", (f"node {node} had, or pulled, {', '.join(images)} within {seconds:.0f} s",))


def past_pulling(seen: Object) -> Object | None:
    """The Pod, if the image of each of its containers is on the node, whether or not they start: it may have no shell.

    Raises Stuck for what no repetition mends.
    """
    with suppress(NotCreated):
        wait.refuse_unrecoverable(seen)
    statuses = wait.container_statuses(seen)
    waiting = [((status.get("state") or {}).get("waiting") or {}).get("reason") for status in statuses]
    there = bool(statuses) and all(reason is None or reason in _AFTER_PULLING for reason in waiting)
    return seen if there or wait.ended(seen) else None


def pulling_problems(seen: Object) -> Iterator[str]:
    """What the kubelet says of images that it could not pull, one for each image."""
    said = {}
    for status in wait.container_statuses(seen):
        waiting = (status.get("state") or {}).get("waiting") or {}
        reason = waiting.get("reason") or ""
        if reason in wait.PULLING_AGAIN or reason in ("InvalidImageName", "ErrImageNeverPull"):
            said[status["image"]] = ": ".join(filter(None, (reason, waiting.get("message") or "")))
    for image, words in said.items():
        yield f"{image}: {words}"
