"""What containers print."""

from __future__ import annotations

from aiconform.cluster import Cluster, Object, Stuck, TimedOut
from aiconform.kit.pods import meanwhile

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
    raise TimedOut("; ".join([*words, *await meanwhile(cluster, pod)]))
