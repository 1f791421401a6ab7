"""The workload that counts its requests and reports the counter in Prometheus' format."""

from __future__ import annotations

import uuid

from aiconform.cluster import Cluster, ClusterError, Object, wait
from aiconform.cluster.scratch import Scratch
from aiconform.kit.network import denied
from aiconform.kit.pods import container, pod_anywhere, ready
from aiconform.platform import Platform
from aiconform.platform.monitoring.collection import CollectionMethod

METRIC = "aiconform_requests_total"
PORT, PORT_NAME, PATH = 8080, "http", "/cgi-bin/metrics"
# Each request has an id and makes a file of that name: one that is repeated because its response was lost counts once.
_SERVE = f"""
mkdir -p /tmp/www/cgi-bin /tmp/requests
cat > /tmp/www/cgi-bin/work <<'END'
#!/bin/sh
> "/tmp/requests/$QUERY_STRING"
printf 'Content-Type: text/plain\\r\\n\\r\\ndone\\n'
END
cat > /tmp/www{PATH} <<'END'
#!/bin/sh
printf 'Content-Type: text/plain; version=0.0.4\\r\\n\\r\\n'
echo '# HELP {METRIC} Requests that were answered.'
echo '# TYPE {METRIC} counter'
echo "{METRIC}{{workload=\\"$WORKLOAD\\"}} $(ls /tmp/requests | wc -l)"
END
chmod +x /tmp/www/cgi-bin/*
exec httpd -f -p {PORT} -h /tmp/www
"""


def selector(workload: str) -> dict[str, str]:
    """The labels of the workload's Pod."""
    return {"aiconform.dev/workload": workload}


async def start(
    platform: Platform, scratch: Scratch, method: CollectionMethod, workload: str, patience: float
) -> Object:
    """Create the Pod and wait until it is ready. Raises ClusterError: its start does not depend on the monitoring."""
    server = container(
        "workload",
        platform.images["shell"],
        _SERVE,
        env=[{"name": "WORKLOAD", "value": workload}],
        ports=[{"name": PORT_NAME, "containerPort": PORT}],
        readinessProbe={"tcpSocket": {"port": PORT_NAME}, "periodSeconds": 1},
    )
    made = await scratch.create(
        pod_anywhere(
            scratch.name("workload"),
            [server],
            labels=selector(workload),
            annotations=method.annotations(PORT, PATH),
        )
    )
    return await wait.until(platform.cluster, made, ready, seconds=patience, what="the workload's Pod to be ready")


async def _get(cluster: Cluster, pod: Object, path: str, query: dict[str, str] | None = None) -> str:
    about = pod["metadata"]
    place = f"{about['name']}:{PORT}"
    try:
        answer = await cluster.proxied("pods", about["namespace"], place, path, query=query, repeat=True)
    except ClusterError as error:
        # Policies may be in force only some time after the Pod is there.
        if why := await denied(cluster, pod, "Ingress"):
            raise ClusterError(f"{error}; {why}") from error
        raise
    if answer.status != 200:
        raise ClusterError(f"the check's workload answered HTTP {answer.status} to {path}: {answer.text[:80]!r}")
    return answer.text


async def send(cluster: Cluster, pod: Object, count: int) -> None:
    """Send `count` requests, one after another. Raises ClusterError if one is not answered."""
    for _ in range(count):
        await _get(cluster, pod, "/cgi-bin/work", {"id": uuid.uuid4().hex})


async def counter(cluster: Cluster, pod: Object) -> int:
    """The value of the workload's own counter. Raises ClusterError."""
    page = await _get(cluster, pod, PATH)
    return int(float(page.split()[-1]))
