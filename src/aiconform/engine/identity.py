"""What tells this cluster from all others and is hard to copy, and a reviewer's challenge carried into it and back.

None of it decides a verdict. It lets somebody who knows the cluster, or who made the challenge, tell whether a run was
really made there and then.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from aiconform.cluster import Cluster, ClusterError, Object
from aiconform.cluster.guest import CHALLENGE
from aiconform.cluster.scratch import Scratch
from aiconform.cluster.space import Space
from aiconform.engine.evidence import Echo, Identity, NodeIdentity
from aiconform.kit import pods
from aiconform.kit.logs import read_until
from aiconform.platform.accelerators.nodes import usable_node
from aiconform.platform.images import Images

AUTHORITY = "kube-root-ca.crt"
"""The ConfigMap with the certificates that Pods trust the API server by."""
# Nodes that are named where the platform has no accelerators.
_FEW = 10
_LOG_SECONDS = 30.0
# The annotation of the Pod comes back through a container's environment; the boot id is the kernel's own word.
_SCRIPT = f'echo "$CHALLENGE"; cat /proc/sys/kernel/random/boot_id; echo end; {pods.STAY}'


async def identify(
    cluster: Cluster, space: Space, images: Images, accelerated: Sequence[str], challenge: str, seconds: float
) -> Identity:
    """accelerated: names of the nodes that the run uses. seconds: until the Pod of the challenge runs.

    What cannot be read is named in `problems`.
    """
    problems: list[str] = []
    nodes: list[Object] = []
    try:
        async for node in cluster.list("v1", "Node"):
            if node["metadata"]["name"] in accelerated or (not accelerated and len(nodes) < _FEW):
                nodes.append(node)
    except ClusterError as error:
        problems.append(f"the nodes: {error}")
    authority = ""
    try:
        bundle = await cluster.get("v1", "ConfigMap", AUTHORITY, "kube-system")
        authority = f"sha256:{hashlib.sha256(bundle['data']['ca.crt'].strip().encode()).hexdigest()}"
    except (ClusterError, KeyError) as error:
        problems.append(f"the cluster's certificate authority: {error}")
    echo = None
    if challenge:
        scratch = Scratch(space, space.own("identity"), "restricted")
        try:
            echo = await _echo(scratch, images, [node for node in nodes if not usable_node(node)], seconds)
        except ClusterError as error:
            problems.append(f"the challenge: {error}")
        finally:
            await _removed(scratch, problems)
    return Identity(authority=authority, nodes=tuple(map(_node, nodes)), echo=echo, problems=tuple(problems))


def _node(node: Object) -> NodeIdentity:
    about, info = node["metadata"], (node.get("status") or {}).get("nodeInfo") or {}
    return NodeIdentity(
        name=about["name"],
        uid=about.get("uid", ""),
        created=about.get("creationTimestamp") or "",
        machine_id=info.get("machineID", ""),
        system_uuid=info.get("systemUUID", ""),
        boot_id=info.get("bootID", ""),
        provider_id=(node.get("spec") or {}).get("providerID", ""),
    )


async def _echo(scratch: Scratch, images: Images, nodes: Sequence[Object], seconds: float) -> Echo:
    """Raises ClusterError."""
    annotation = {"fieldRef": {"fieldPath": f"metadata.annotations['{CHALLENGE}']"}}
    echo = pods.container("echo", images["shell"], _SCRIPT, env=[{"name": "CHALLENGE", "valueFrom": annotation}])
    name = scratch.name("echo")
    made = await scratch.create(pods.pod(name, nodes[0], [echo]) if nodes else pods.pod_anywhere(name, [echo]))
    found, why = await pods.started(scratch.cluster, made, seconds=seconds)
    about = (found or made)["metadata"]
    said: list[str] = []
    if found:
        said = await read_until(scratch.cluster, found, "echo", "end", seconds=_LOG_SECONDS)
    return Echo(
        namespace_uid=scratch.namespace_uid,
        pod_uid=about["uid"],
        node=(found or made)["spec"].get("nodeName", ""),
        said=tuple(said),
        problem=why,
    )


async def _removed(scratch: Scratch, problems: list[str]) -> None:
    try:
        await scratch.close()
    except ClusterError as error:
        problems.append(f"the Pod of the challenge: {error}")
