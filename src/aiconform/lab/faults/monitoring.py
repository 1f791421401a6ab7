"""Faults of the lab's monitoring (the add-on prometheus): it does not scrape, or its answers are wrong.

Wrong answers come from a proxy Pod in front of Prometheus, which changes the answers of the real one.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from aiconform.lab.addons.prometheus import NAMESPACE, PORT, SERVICE
from aiconform.lab.build.images import BUSYBOX
from aiconform.lab.faults.fault import Fault, InCluster, assertions
from aiconform.lab.faults.workloads import until

if TYPE_CHECKING:
    from aiconform.cluster import Cluster, Object

_REAL = "prometheus-true"
_PROXY = "prometheus-false"
_LABELS = {"aiconform.dev/fault": _PROXY}
_KEPT = "aiconform.dev/true-selector"
_OPERATOR = "monitoring.coreos.com/v1"
# Namespaces of runs, and in them the Pods of this check: those of others are scraped.
_DROPPED = "aiconform-.*;ai-service-metrics-.*"
_MARK = "aiconform_lab_drops"
_SECONDS = 120.0
_CHANGES = {
    # The first answer with a value is repeated for ever.
    "monitoring-answers-stale": """
file=/tmp/$(echo "$path" | md5sum | cut -c1-32)
if [ -s $file ]; then body=$(cat $file); else case $body in *'"value":'*) echo "$body" > $file ;; esac; fi
""",
    "monitoring-answers-tenfold": """
body=$(echo "$body" | sed 's/\\("value":\\[[0-9.]*,"[1-9][0-9]*\\)"/\\10"/g')
""",
}
_ANSWER = """
cat > /tmp/answer <<'END'
#!/bin/sh
read -r method path version
while read -r line && [ "${{line%?}}" ]; do :; done
if [ "$path" = /which ]; then body={name}
else
body=$(wget -qO- "http://{real}.{namespace}.svc.cluster.local:{port}$path" 2>/dev/null)
{change}
fi
printf 'HTTP/1.1 200 OK\\r\\nContent-Type: application/json\\r\\nContent-Length: %d\\r\\n' ${{#body}}
printf 'Connection: close\\r\\n\\r\\n%s' "$body"
END
chmod +x /tmp/answer
exec nc -ll -p {port} -e /tmp/answer
"""


async def _answer(cluster: Cluster, path: str) -> str:
    """The answer of the monitoring; empty while there is none."""
    from aiconform.cluster import ClusterError

    try:
        answer = await cluster.proxied("services", NAMESPACE, f"{SERVICE}:{PORT}", path)
    except ClusterError:
        return ""
    return answer.text if answer.status == 200 else f"HTTP {answer.status}"


# No scrape


async def _scrape(cluster: Cluster, *, dropped: bool) -> None:
    labels = ["__meta_kubernetes_namespace", "__meta_kubernetes_pod_name"]
    rule = {"action": "drop", "sourceLabels": labels, "regex": _DROPPED}
    classes = [{"name": "fault", "default": True, "relabelings": [rule]}] if dropped else None
    # Scrape classes appear in its configuration only together with targets, so a label marks the change as well.
    external = {_MARK: "on" if dropped else None}
    async for prometheus in cluster.list(_OPERATOR, "Prometheus", NAMESPACE):
        await cluster.patch(prometheus, {"spec": {"scrapeClasses": classes, "externalLabels": external}})

    async def loaded() -> bool:
        configuration = await _answer(cluster, "/api/v1/status/config")
        return "global:" in configuration and (_MARK in configuration) is dropped

    await until(loaded, "Prometheus loads its configuration", seconds=_SECONDS)


async def _drop(cluster: Cluster) -> None:
    await _scrape(cluster, dropped=True)


async def _scrape_again(cluster: Cluster) -> None:
    await _scrape(cluster, dropped=False)


# Wrong answers


def _service(selector: dict[str, str]) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": _REAL, "namespace": NAMESPACE},
        "spec": {"selector": selector, "ports": [{"name": "web", "port": PORT, "targetPort": "web"}]},
    }


def _pod(fault: str) -> Object:
    script = _ANSWER.format(name=fault, real=_REAL, namespace=NAMESPACE, port=PORT, change=_CHANGES[fault])
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": _PROXY, "namespace": NAMESPACE, "labels": _LABELS},
        "spec": {
            "terminationGracePeriodSeconds": 0,
            "automountServiceAccountToken": False,
            "containers": [
                {
                    "name": "answer",
                    "image": BUSYBOX,
                    "command": ["sh", "-c", script],
                    "ports": [{"name": "web", "containerPort": PORT}],
                }
            ],
        },
    }


async def _insert_proxy(cluster: Cluster, fault: str) -> None:
    service = await cluster.get("v1", "Service", SERVICE, NAMESPACE)
    service = {"apiVersion": "v1", "kind": "Service", **service}
    kept = (service["metadata"].get("annotations") or {}).get(_KEPT)
    real = json.loads(kept) if kept else service["spec"]["selector"]
    await cluster.apply(_service(real))
    await _remove_pod(cluster)
    await cluster.create(_pod(fault))
    selector = {**dict.fromkeys(real), **_LABELS}
    await cluster.patch(
        service, {"metadata": {"annotations": {_KEPT: json.dumps(real)}}, "spec": {"selector": selector}}
    )

    async def answers() -> bool:
        return await _answer(cluster, "/which") == fault

    await until(answers, "the proxy in front of Prometheus answers", seconds=_SECONDS)


async def _remove_proxy(cluster: Cluster) -> None:
    service = await cluster.get("v1", "Service", SERVICE, NAMESPACE)
    service = {"apiVersion": "v1", "kind": "Service", **service}
    kept = (service["metadata"].get("annotations") or {}).get(_KEPT)
    if kept:
        selector = {**dict.fromkeys(_LABELS), **json.loads(kept)}
        await cluster.patch(service, {"metadata": {"annotations": {_KEPT: None}}, "spec": {"selector": selector}})
    await _remove_pod(cluster)
    await cluster.delete(_service({}))

    async def answers() -> bool:
        return (await _answer(cluster, "/-/ready")).startswith("Prometheus")

    await until(answers, "Prometheus answers by itself again", seconds=_SECONDS)


async def _remove_pod(cluster: Cluster) -> None:
    from aiconform.cluster import NotFound, wait

    try:
        found = await cluster.get("v1", "Pod", _PROXY, NAMESPACE)
    except NotFound:
        return
    found = {"apiVersion": "v1", "kind": "Pod", **found}
    await cluster.delete(found, grace=0)
    await wait.gone(cluster, found, seconds=_SECONDS)


def _proxied(fault: str) -> InCluster:
    async def on(cluster: Cluster) -> None:
        await _insert_proxy(cluster, fault)

    return InCluster(on, _remove_proxy)


def _fault(name: str, description: str, *breaks: str, how: InCluster) -> Fault:
    return Fault(name, description, assertions("ai_service_metrics", *breaks), how, needs=("prometheus",))


FAULTS = (
    _fault(
        "monitoring-drops-targets",
        "Prometheus drops the targets that checks create and does not scrape them.",
        "workload_is_collected",
        how=InCluster(_drop, _scrape_again),
    ),
    _fault(
        "monitoring-answers-stale",
        "Prometheus answers each query with the first value that it returned for it.",
        "counter_follows",
        how=_proxied("monitoring-answers-stale"),
    ),
    _fault(
        "monitoring-answers-tenfold",
        "Prometheus answers queries with ten times the collected value.",
        *("counter_equals_requests", "counter_follows"),
        how=_proxied("monitoring-answers-tenfold"),
    ),
)
