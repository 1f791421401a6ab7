"""The waiting Pod and the nodes that came for it, over time."""

from __future__ import annotations

from collections.abc import Iterator

from aiconform.check.figures import SECONDS, Moment, Row, Span, Spans, figure
from aiconform.checks.cluster_autoscaling.observations import NodeSeen, Scaling


@figure
def nodes_over_time(seen: Scaling) -> Spans | str:
    end = _end(seen)
    gone = sum(node.gone is not None for node in seen.nodes)
    released = () if seen.released is None else (Moment("the Pod is deleted", seen.released),)
    return Spans(
        title="Nodes over time",
        says=f"Nodes that came: {len(seen.nodes)}, and that went again: {gone}. The Pod asks for {seen.resource}; "
        f"{seen.autoscaler} scales the pool {seen.pool}.",
        x=SECONDS,
        rows=(
            Row("the waiting Pod", tuple(_pod(seen, end))),
            *(Row(f"node {node.name}", tuple(_node(node, end))) for node in seen.nodes),
        ),
        moments=released,
    )


def _pod(seen: Scaling, end: float) -> Iterator[Span]:
    over = end if seen.released is None else seen.released
    yield Span("waits", 0.0, over if seen.ran is None else seen.ran, "quiet")
    if seen.ran is not None:
        yield Span("runs", seen.ran, over)


def _node(node: NodeSeen, end: float) -> Iterator[Span]:
    over = end if node.gone is None else node.gone
    yield Span("is not Ready", node.came, over if node.ready is None else node.ready, "soft")
    if node.ready is not None:
        yield Span("is Ready", node.ready, over)


def _end(seen: Scaling) -> float:
    """When watching ended, as far as it is known: when the Pod's node went, or after as long as the platform had."""
    known = [at for node in seen.nodes for at in (node.came, node.ready, node.gone) if at is not None]
    known += [at for at in (seen.ran, seen.released) if at is not None]
    if seen.released is None:
        return max(*known, seen.waited_up) if known else seen.waited_up
    # Of other nodes the probe does not wait to see them go.
    placed = next((node for node in seen.nodes if node.name == seen.pod_node), None)
    stayed = placed is not None and placed.gone is None
    return max(*known, seen.released + seen.waited_down) if stayed else max(known)
