"""What containers print."""

from __future__ import annotations

from aiconform.cluster import Cluster, ClusterError, NotFound, Object, Stuck, TimedOut
from aiconform.kit.pods import lost_node, trouble_of_the_node

MOST = 64 << 20
"""What is read of a container at most, in characters."""


async def read_until(cluster: Cluster, pod: Object, container: str, line: str, *, seconds: float) -> list[str]:
    """The lines that a container of a running Pod prints before `line`.

    Raises Stuck for a container that prints without end, and TimedOut with the last lines, and with what became of the
    Pod or its node meanwhile.
    """
    metadata = pod["metadata"]
    lines: list[str] = []
    printed = 0
    async for each in cluster.follow(metadata["namespace"], metadata["name"], container, seconds=seconds):
        if each == line:
            return lines
        lines.append(each)
        if (printed := printed + len(each) + 1) > MOST:
            raise Stuck(f"container {container} of Pod {metadata['name']} printed {MOST >> 20} MiB, and not {line!r}")
    tail = " / ".join(lines[-3:]) or "nothing"
    words = [f"container {container} of Pod {metadata['name']} did not print {line!r}; its last output: {tail}"]
    raise TimedOut("; ".join([*words, *await _meanwhile(cluster, pod)]))


async def _meanwhile(cluster: Cluster, pod: Object) -> list[str]:
    metadata = pod["metadata"]
    try:
        seen = await cluster.get("v1", "Pod", metadata["name"], metadata["namespace"])
        found = (trouble_of_the_node(seen), await lost_node(cluster, seen["spec"].get("nodeName", "")))
    except NotFound:
        return ["someone else deleted the Pod"]
    except ClusterError as error:
        return [str(error)]
    return [trouble for trouble in found if trouble]
