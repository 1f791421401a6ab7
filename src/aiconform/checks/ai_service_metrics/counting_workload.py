"""The workload that counts its requests and reports the counter in Prometheus' format."""

from __future__ import annotations

from aiconform.cluster import Cluster, ClusterError, Object, wait
from aiconform.cluster.scratch import Scratch
from aiconform.kit.pods import container, pod_anywhere, ready
from aiconform.platform import Platform
from aiconform.platform.monitoring.collection import CollectionMethod

METRIC = "aiconform_requests_total"
PORT, PORT_NAME, PATH = 8080, "http", "/cgi-bin/metrics"
# Each request appends one byte to a file, so that concurrent requests are all counted.
_SERVE = f"""
mkdir -p /tmp/www/cgi-bin && : > /tmp/count
cat > /tmp/www/cgi-bin/work <<'END'
#!/bin/sh
printf x >> /tmp/count
printf 'Content-Type: text/plain\\r\\n\\r\\ndone\\n'
END
cat > /tmp/www{PATH} <<'END'
#!/bin/sh
printf 'Content-Type: text/plain; version=0.0.4\\r\\n\\r\\n'
echo '# HELP {METRIC} Requests that were answered.'
echo '# TYPE {METRIC} counter'
echo "{METRIC}{{workload=\\"$WORKLOAD\\"}} $(wc -c < /tmp/count)"
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


async def _get(cluster: Cluster, pod: Object, path: str) -> str:
    about = pod["metadata"]
    answer = await cluster.proxied("pods", about["namespace"], f"{about['name']}:{PORT}", path)
    if answer.status != 200:
        raise ClusterError(f"the check's workload answered HTTP {answer.status} to {path}: {answer.text[:80]!r}")
    return answer.text


async def send(cluster: Cluster, pod: Object, count: int) -> None:
    """Send `count` requests, one after another. Raises ClusterError if one is not answered."""
    for _ in range(count):
        await _get(cluster, pod, "/cgi-bin/work")


async def counter(cluster: Cluster, pod: Object) -> int:
    """The value of the workload's own counter. Raises ClusterError."""
    page = await _get(cluster, pod, PATH)
    return int(float(page.split()[-1]))
