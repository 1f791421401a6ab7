"""What containers print."""

from __future__ import annotations

from aiconform.cluster import Cluster, Object, TimedOut


async def read_until(cluster: Cluster, pod: Object, container: str, line: str, *, seconds: float) -> list[str]:
    """The lines that a container of a running Pod prints before `line`. Raises TimedOut with the last of them."""
    metadata = pod["metadata"]
    lines: list[str] = []
    async for each in cluster.follow(metadata["namespace"], metadata["name"], container, seconds=seconds):
        if each == line:
            return lines
        lines.append(each)
    tail = " / ".join(lines[-3:]) or "nothing"
    raise TimedOut(f"container {container} of Pod {metadata['name']} did not print {line!r}; its last output: {tail}")
