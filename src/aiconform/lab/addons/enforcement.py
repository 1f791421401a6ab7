"""Seeing that NetworkPolicies are enforced: on each node, a Pod asks another at three ports, before and under them.

One port is allowed, one denied by what the server may receive, and one by what the client may send. Before the policies
are made all three answer, so a port that does not answer later is denied by nothing else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable, Sequence
from typing import TYPE_CHECKING, TypeVar

from aiconform.lab.addons.model import Site
from aiconform.lab.build.images import BUSYBOX
from aiconform.lab.cloud.orders import is_autoscaled
from aiconform.lab.config import LabError
from aiconform.lab.machines import pace

if TYPE_CHECKING:
    from aiconform.cluster import Cluster, Object

T = TypeVar("T")

# What traits put into Namespaces never gets into this one.
NAMESPACE = "kube-system"
ALLOWED, NOT_RECEIVED, NOT_SENT = 8080, 8081, 8082
_LABEL = "aiconform.dev/enforcement"
# More than ten times what it takes on two quiet CPUs; see pace.
_DENIED_SECONDS = 60.0
_ANSWERED = "/tmp/all-answered"  # noqa: S108 - in a Pod of its own
_SERVES = f"""for port in {ALLOWED} {NOT_RECEIVED} {NOT_SENT}; do httpd -p $port -h /; done
exec sleep 86400
"""
_ASKS = f"""ask() {{
  found=
  for port in {ALLOWED} {NOT_RECEIVED} {NOT_SENT}; do
    nc -w 3 "$SERVER" $port < /dev/null > /dev/null 2>&1 && found="$found$port "
  done
  echo "answered: ${{found:-none}}"
}}
until ask; [ "$found" = "{ALLOWED} {NOT_RECEIVED} {NOT_SENT} " ]; do sleep 1; done
touch {_ANSWERED}
until ask; [ "$found" = "{ALLOWED} " ]; do sleep 1; done
"""


async def enforces(cluster: Cluster, site: Site, seconds: float) -> None:
    """Returns when every node of the lab's own has been seen to deny what policies deny, and nothing else.

    Raises LabError that says what answered where. Leaves no object.
    """
    found = [node async for node in cluster.list("v1", "Node") if _address(node) in site.node_addresses]
    nodes = [node["metadata"]["name"] for node in found if not is_autoscaled(node)]
    try:
        await _clear(cluster, seconds)
        clients = await _all(_asking(cluster, node, seconds) for node in nodes)
        for policy in policies():
            await cluster.create(policy)
        await _all(_denied(cluster, client) for client in clients)
    finally:
        await _clear(cluster, seconds)


def policies() -> Sequence[Object]:
    """What the server may receive, and what the client may send."""
    return (
        _policy("server", "Ingress", "ingress", (ALLOWED, NOT_SENT)),
        _policy("client", "Egress", "egress", (ALLOWED, NOT_RECEIVED)),
    )


def pod(node: str, role: str, script: str, address: str = "") -> Object:
    """The server, or the client that asks it at this address, on this node."""
    container = {
        "name": role,
        "image": BUSYBOX,
        "imagePullPolicy": "IfNotPresent",
        "command": ["sh", "-c", script],
        "env": [{"name": "SERVER", "value": address}],
        **({"readinessProbe": _ALL_ANSWERED} if role == "client" else {}),
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": f"enforcement-{role}-{node}", "namespace": NAMESPACE, "labels": {_LABEL: role}},
        "spec": {
            "nodeName": node,
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 0,
            "automountServiceAccountToken": False,
            "tolerations": [{"operator": "Exists"}],
            "containers": [container],
        },
    }


_ALL_ANSWERED = {"exec": {"command": ["test", "-e", _ANSWERED]}, "periodSeconds": 1, "failureThreshold": 600}


def _policy(role: str, kind: str, rules: str, ports: Sequence[int]) -> Object:
    allowed = [{"protocol": "TCP", "port": port} for port in ports]
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": f"enforcement-{role}", "namespace": NAMESPACE, "labels": {_LABEL: role}},
        "spec": {"podSelector": {"matchLabels": {_LABEL: role}}, "policyTypes": [kind], rules: [{"ports": allowed}]},
    }


async def _all(steps: Iterable[Awaitable[T]]) -> list[T]:
    """The results of all steps, side by side. No step goes on after this: it would make Pods that nobody deletes."""
    done = await asyncio.gather(*steps, return_exceptions=True)
    for each in done:
        if isinstance(each, BaseException):
            raise each
    return [each for each in done if not isinstance(each, BaseException)]


async def _asking(cluster: Cluster, node: str, seconds: float) -> Object:
    """The client on this node, when all ports of the server have answered it."""
    from aiconform.cluster import conditions, wait

    server = await cluster.create(pod(node, "server", _SERVES))
    serving = await wait.until(cluster, server, _with_address, seconds=seconds, what=f"a Pod on {node} to run")
    client = await cluster.create(pod(node, "client", _ASKS, serving["status"]["podIP"]))

    def all_answered(seen: Object) -> Object | None:
        return seen if conditions.is_true(seen, "Ready") else None

    return await wait.until(
        cluster, client, all_answered, seconds=seconds, what=f"a Pod on {node} to reach another without policies"
    )


async def _denied(cluster: Cluster, client: Object) -> None:
    from aiconform.cluster import TimedOut, wait

    node, name = client["spec"]["nodeName"], client["metadata"]["name"]
    seconds = pace.limit(_DENIED_SECONDS)
    try:
        await wait.until(cluster, client, _succeeded, seconds=seconds, what=f"policies to be enforced on {node}")
    except TimedOut:
        said = (await cluster.logs(NAMESPACE, name, "client")).strip().splitlines()[-1:]
        raise LabError(
            f"NetworkPolicies are not enforced on {node}: of the ports {ALLOWED} (allowed), {NOT_RECEIVED} and "
            f"{NOT_SENT} (denied), {''.join(said)} after {seconds:.0f} s. The log of its Pod of kube-router in "
            f"{NAMESPACE} may say why; `aiconform lab up --without kube-router` removes the enforcer"
        ) from None


async def _clear(cluster: Cluster, seconds: float) -> None:
    from aiconform.cluster import wait

    for api_version, kind in (("networking.k8s.io/v1", "NetworkPolicy"), ("v1", "Pod")):
        for obj in [obj async for obj in cluster.list(api_version, kind, NAMESPACE, labels=_LABEL)]:
            await cluster.delete(obj)
        await wait.all_gone(cluster, api_version, kind, NAMESPACE, _LABEL, seconds=seconds)


def _with_address(seen: Object) -> Object | None:
    from aiconform.cluster import wait

    return seen if wait.running(seen) and seen["status"].get("podIP") else None


def _succeeded(seen: Object) -> Object | None:
    return seen if seen["status"].get("phase") == "Succeeded" else None


def _address(node: Object) -> str:
    addresses = node.get("status", {}).get("addresses", [])
    return next((str(each["address"]) for each in addresses if each["type"] == "InternalIP"), "")
