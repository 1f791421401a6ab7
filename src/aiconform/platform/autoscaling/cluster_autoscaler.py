"""Cluster Autoscaler: where it runs, its status ConfigMap, and the node groups that this reports."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from aiconform.cluster import Forbidden, NotFound, Object
from aiconform.platform.accelerators.nodes import usable_node
from aiconform.platform.accelerators.profiles import Profiles
from aiconform.platform.autoscaling.machines import NOTHING_TOLD, Machines, described
from aiconform.platform.autoscaling.machines import names as machine_names
from aiconform.platform.autoscaling.members import most_offered, offering_nothing, with_label
from aiconform.platform.autoscaling.pools import BY_CLUSTER_AUTOSCALER, Autoscaling, Pool, managed_labels, pool_of
from aiconform.platform.autoscaling.status import BadStatus, NodeGroup, parse_status
from aiconform.platform.inventory import Platform

STATUS_NAME = "cluster-autoscaler-status"
"""The name of its ConfigMap unless a flag gives another. The namespace differs: kube-system, openshift-machine-api."""
BACKS_OFF = "its last scale-up failed, and it backs off; its autoscaler's log says why"
"""A problem of a group of which only that is known."""
# Labels and annotations of nodes that have the whole name of their group, where it is no name that users give:
# https://cloud.ibm.com/docs/containers?topic=containers-worker-tag-label, https://github.com/oracle/oci-cloud-controller-manager
_GROUP_LABEL = "ibm-cloud.kubernetes.io/worker-pool-id"
_GROUP_ANNOTATION = "oci.oraclecloud.com/node-pool-id"
# What clouds put behind the name of a pool: https://github.com/kubernetes/autoscaler/tree/master/cluster-autoscaler/cloudprovider
_HASH = re.compile(r"-[0-9a-f]{8}(-[0-9a-f]{4,})*(-grp)?$|-\d+-vmss$")
_COMMAND = "cluster-autoscaler"
_IMAGE = re.compile(r"(^|[/-])cluster-autoscaler(-(?!operator)[a-z0-9]+)*([:@]|$)")
_NAME_FLAG = re.compile(r"^--?status-config-map-name=(\S+)$")


async def cluster_autoscaler(
    platform: Platform,
    nodes: Sequence[Object],
    status: str = "",
    profiles: Profiles | None = None,
    by_dra: Collection[str] = (),
) -> Autoscaling:
    """Cluster Autoscaler with its pools, by its status ConfigMap and its Deployments.

    status: `NAMESPACE/NAME` of the only ConfigMap to read; by default it is looked for in all namespaces. by_dra: names
    of nodes whose accelerators are offered by Dynamic Resource Allocation. Raises ClusterError.
    """
    deployments = [each for each in await platform.deployments() if _runs_it(each)]
    named = [f"{each['metadata'].get('namespace')}/{each['metadata']['name']}" for each in deployments]
    if status:
        looked = f"ConfigMap {status} of Cluster Autoscaler"
        maps = await _named_map(platform, status)
    else:
        names = sorted({STATUS_NAME, *(name for each in deployments for name in _status_names(each))})
        looked = f"ConfigMap {' or '.join(names)} of Cluster Autoscaler in any namespace, and Deployments that run it"
        maps = [found for name in names for found in await _maps(platform, name)]
    if not maps:
        problems = [f"{looked} does not exist"] if status else []
        if named:
            problems.append(
                f"Deployment {', '.join(named)} runs Cluster Autoscaler, without a status: give "
                "status=NAMESPACE/NAME or pool=KEY=VALUE"
            )
        return Autoscaling((BY_CLUSTER_AUTOSCALER,) if named else (), looked=(looked,), problems=tuple(problems))
    groups: list[NodeGroup] = []
    problems = []
    for found in maps:
        try:
            groups += parse_status((found.get("data") or {}).get("status", ""))
        except BadStatus as error:
            where = f"{found['metadata'].get('namespace')}/{found['metadata']['name']}"
            problems.append(f"ConfigMap {where} of Cluster Autoscaler cannot be read: {error}; give pool=KEY=VALUE")
    if not groups and not problems:
        problems = ["Cluster Autoscaler is installed, but it reports no node group"]
    told = await described(platform, [group.name for group in groups], profiles)
    pools = node_groups(groups, nodes, profiles, by_dra, told)
    return Autoscaling((BY_CLUSTER_AUTOSCALER,), pools, (looked,), tuple(problems))


async def _named_map(platform: Platform, status: str) -> list[Object]:
    namespace, _, name = status.partition("/")
    try:
        return [await platform.cluster.get("v1", "ConfigMap", name, namespace)]
    except NotFound:
        return []
    except Forbidden as error:
        raise _unreadable(error, f"get ConfigMap {name}") from error


async def _maps(platform: Platform, name: str) -> list[Object]:
    found = platform.cluster.list("v1", "ConfigMap", fields=f"metadata.name={name}")
    try:
        return [each async for each in found if each["metadata"]["name"] == name]
    except Forbidden as error:
        raise _unreadable(error, f"list ConfigMap {name}") from error


def _unreadable(error: Forbidden, what: str) -> Forbidden:
    """The API server's words do not name the object."""
    return Forbidden(
        f"{error}. Let the run {what} (a rule with its resourceNames, as `aiconform rbac` prints it for {STATUS_NAME})",
        verb=error.verb,
        resource=error.resource,
    )


def _runs_it(deployment: Object) -> bool:
    spec = deployment["spec"]
    return spec.get("replicas") != 0 and any(
        _IMAGE.search(container.get("image", "")) or _words(container)[:1] == [_COMMAND]
        for container in spec["template"]["spec"]["containers"]
    )


def _words(container: Object) -> list[str]:
    """Its command line; the program without its path."""
    words = [str(word) for word in (*(container.get("command") or ()), *(container.get("args") or ()))]
    return [words[0].rpartition("/")[2], *words[1:]] if words else []


def _status_names(deployment: Object) -> list[str]:
    words = [word for container in deployment["spec"]["template"]["spec"]["containers"] for word in _words(container)]
    return [match[1] for word in words if (match := _NAME_FLAG.match(word))]


def node_groups(
    groups: Sequence[NodeGroup],
    nodes: Sequence[Object],
    profiles: Profiles | None = None,
    by_dra: Collection[str] = (),
    told: Mapping[str, Machines] = MappingProxyType({}),
) -> tuple[Pool, ...]:
    """The pools of all node groups. told: what the objects say that groups are called after."""
    names = [_short(group.name) for group in groups]
    members: dict[str, list[Object]] = {name: [] for name in names}
    for node in nodes:
        # Names of machines begin with the name of their group, and one group's name can be the beginning of another's.
        if (group := _named(node)) in members:
            members[group].append(node)
            continue
        own = machine_names(node)
        if matching := [each for each in names if any(name.startswith(each) and name != each for name in own)]:
            members[max(matching, key=len)].append(node)
    of_others = _named_after_others(groups, nodes)
    return tuple(
        node_group(
            group,
            nodes,
            members[name],
            profiles,
            by_dra,
            told.get(group.name, NOTHING_TOLD),
            labelled=group.name not in of_others,
        )
        for group, name in zip(groups, names, strict=True)
    )


def _named_after_others(groups: Sequence[NodeGroup], nodes: Sequence[Object]) -> set[str]:
    """The empty groups in whose names only the name of another group's pool is: default-gpu, where there is default."""
    labels = managed_labels(nodes)
    of_label: dict[tuple[str, str], list[NodeGroup]] = {}
    for group in groups:
        if label := _label_in(_short(group.name), labels):
            of_label.setdefault(label, []).append(group)
    found = set()
    for sharing in of_label.values():
        # A pool has a group in each zone: their names differ by a hash.
        filled = {_HASH.sub("", _short(group.name)) for group in sharing if group.target}
        found |= {
            group.name
            for group in sharing
            if filled and not group.target and _HASH.sub("", _short(group.name)) not in filled
        }
    return found


def node_group(
    group: NodeGroup,
    nodes: Sequence[Object],
    named_after: Sequence[Object] = (),
    profiles: Profiles | None = None,
    by_dra: Collection[str] = (),
    told: Machines = NOTHING_TOLD,
    *,
    labelled: bool = True,
) -> Pool:
    """The pool of a node group. labelled: whether a label in its name can be its nodes'.

    The cloud's name of the group contains the name of the managed pool, which its nodes have as a label. Where no label
    says so, its nodes are those that are named after it.
    """
    name = _short(group.name)
    own = (_GROUP_LABEL, name)
    label = own if with_label(nodes, own) else _label_in(name, managed_labels(nodes) if labelled else ())
    members = with_label(nodes, label) if label else named_after
    full = ""
    if group.maximum <= group.minimum:
        full = f"its minimum is its maximum, {group.maximum}"
    elif group.target >= group.maximum:
        full = f"its maximum of {group.maximum} nodes is reached"
        if group.there is not None and group.there < group.target:
            full += f", of which {group.there} have come"
    problems = [] if group.health in ("", "Healthy") else [f"its health is {group.health}"]
    if group.scale_up == "Backoff":
        problems.append(f"its last scale-up failed ({group.why}), and it backs off" if group.why else BACKS_OFF)
    fields: dict[str, Any] = {
        "size": group.target,
        "minimum": group.minimum,
        "maximum": group.maximum,
        "full": full,
        "problem": "; ".join(problems),
        "without": told.without,
        "taints": told.taints,
    }
    if any(usable_node(node) is None for node in members):
        # Nodes that work show what the group has. If they offer nothing of what is told, nothing is known.
        fields["without"] = "" if told.resource else offering_nothing(members, by_dra, profiles)
    elif not most_offered(members, profiles):
        fields["resource"] = told.resource
    return pool_of(name, BY_CLUSTER_AUTOSCALER, label, members, profiles, by_dra, **fields)


def _named(node: Object) -> str:
    """The group that a node itself names; empty if it names none."""
    return str((node["metadata"].get("annotations") or {}).get(_GROUP_ANNOTATION, ""))


def in_name(value: str, name: str) -> bool:
    """Whether the cloud's name of a node group contains the name of a managed pool.

    kOps puts the cluster's name after it, with a dot.
    """
    own, dot, _ = name.partition(".")
    return value in (own, name) if dot else f"-{value}-" in f"-{name}-"


def _label_in(name: str, labels: Iterable[tuple[str, str]]) -> tuple[str, str] | None:
    # The longest match: the name of one pool can be a part of another's.
    matching = [label for label in sorted(labels) if in_name(label[1], name)]
    return max(matching, key=lambda label: len(label[1]), default=None)


def _short(name: str) -> str:
    """The last part of a group's name: clouds put a URL, and Cluster API a kind and a namespace, before it."""
    return name.rstrip("/").rpartition("/")[2]
