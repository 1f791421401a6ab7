"""Checks without Python: a container observes, and rules of the requirement's file judge.

The container runs in the run's Namespace with a ServiceAccount of its own, and is given a scratch Namespace in which
that account may do what the file asks for. The scratch Namespace is deleted with all that is in it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from aiconform.check.check import Check
from aiconform.check.observation import NotApplicable, NothingToLookAt
from aiconform.check.options import Settings
from aiconform.check.probe import Access, Probe
from aiconform.check.rules import Observed, assertion_of
from aiconform.check.targets import Target
from aiconform.cluster import Cluster, Object, Stuck, wait
from aiconform.cluster.amounts import LARGE, with_amounts
from aiconform.cluster.scratch import RESTRICTED, Scratch
from aiconform.platform import Platform
from aiconform.spec import Requirement
from aiconform.spec.container import Container

NAMESPACE = "AICONFORM_NAMESPACE"
"""Environment variable with the name of the scratch Namespace."""
# Instead of an observation the container may say that there is none, with the reason as the value.
_NOTHING, _NOT_APPLICABLE = "nothingToLookAt", "notApplicable"
_MOST_OUTPUT = 4 * 1024 * 1024
_RBAC = "rbac.authorization.k8s.io"
_ACCESS = (
    Access("", "pods", ("create", "get", "list", "watch", "delete")),
    Access("", "pods/log", ("get",)),
    Access("", "events", ("list",)),
    Access("", "serviceaccounts", ("create", "list", "watch", "delete")),
    Access("", "namespaces", ("create", "delete", "get", "list", "watch"), everywhere=True),
    Access(_RBAC, "roles", ("create",)),
    Access(_RBAC, "rolebindings", ("create",)),
)


def container_check(found: Requirement, file: Path) -> Check:
    """The check that an extension's requirement declares by its `container`; `file` is where it was read from.

    Raises BadRule, and ValueError for a requirement without a container.
    """
    if found.container is None:
        raise ValueError(f"{found.id}: its file has no `container`, so there is nothing that observes")
    container = found.container
    # A Role can grant only what its maker may do, so a run needs the container's permissions as well.
    granted = tuple(Access(each.group, each.resource, each.verbs) for each in container.access)
    probe = Probe(
        name="container",
        function=partial(_observe, container),
        observes=Observed,
        targets=None,
        limit=float(container.seconds),
        devices=(0, 0),
        security=container.security,
        access=(*_ACCESS, *granted),
    )
    rules = tuple(assertion_of(rule) for rule in container.assertions)
    return Check(found.id, (probe,), rules, requirement=file, images=(container.image,))


async def _observe(
    container: Container, platform: Platform, scratch: Scratch, settings: Settings, target: Target
) -> Observed:
    account = await scratch.create(
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": scratch.name("container")}}
    )
    namespace = await _scratch_namespace(container, scratch)
    await _grant(platform.cluster, container, namespace, account)
    pod = await scratch.create(_pod(container, platform, scratch, namespace, account))
    scratch.tell(f"waiting for the container {container.image}")
    seconds = settings.patience + container.seconds
    ended = await wait.until(
        platform.cluster, pod, wait.finished, seconds=seconds, what=f"the end of Pod {pod['metadata']['name']}"
    )
    output = await _output(platform.cluster, ended)
    if ended["status"]["phase"] == "Failed":
        last = output[-1] if output else "no output"
        raise Stuck(f"the container {container.image} failed: {wait.describe(ended)}; its last line: {last[:300]}")
    return Observed(seen=_observation(container, output), image=container.image, node=ended["spec"]["nodeName"])


async def _scratch_namespace(container: Container, scratch: Scratch) -> str:
    made = await scratch.create(
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {
                "name": scratch.cluster_name("scratch"),
                "labels": {"pod-security.kubernetes.io/enforce": container.security},
            },
        }
    )
    return str(made["metadata"]["name"])


async def _grant(cluster: Cluster, container: Container, namespace: str, account: Object) -> None:
    if not container.access:
        return
    metadata = {"name": "aiconform-container", "namespace": namespace}
    rules = [
        {"apiGroups": [each.group], "resources": [each.resource], "verbs": list(each.verbs)}
        for each in container.access
    ]
    await cluster.create({"apiVersion": f"{_RBAC}/v1", "kind": "Role", "metadata": metadata, "rules": rules})
    await cluster.create(
        {
            "apiVersion": f"{_RBAC}/v1",
            "kind": "RoleBinding",
            "metadata": metadata,
            "roleRef": {"apiGroup": _RBAC, "kind": "Role", "name": metadata["name"]},
            "subjects": [
                {
                    "kind": "ServiceAccount",
                    "name": account["metadata"]["name"],
                    "namespace": account["metadata"]["namespace"],
                }
            ],
        }
    )


def _pod(container: Container, platform: Platform, scratch: Scratch, namespace: str, account: Object) -> Object:
    runs: Object = {
        "name": "check",
        "image": platform.images.mirrored(container.image),
        "env": [{"name": name, "value": value} for name, value in {**container.env, NAMESPACE: namespace}.items()],
        "resources": with_amounts(container.resources, LARGE),
    }
    if container.security == "restricted":
        runs["securityContext"] = RESTRICTED
    if container.command:
        runs["command"] = list(container.command)
    if container.args:
        runs["args"] = list(container.args)
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": scratch.name("container")},
        "spec": {
            "serviceAccountName": account["metadata"]["name"],
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 1,
            "enableServiceLinks": False,
            "activeDeadlineSeconds": container.seconds,
            "containers": [runs],
        },
    }


async def _output(cluster: Cluster, pod: Object) -> list[str]:
    """The container's lines that are not empty."""
    metadata, lines, size = pod["metadata"], [], 0
    async for line in cluster.follow(metadata["namespace"], metadata["name"], "check", seconds=30):
        size += len(line)
        if size > _MOST_OUTPUT:
            raise Stuck(f"the container wrote more than {_MOST_OUTPUT >> 20} MiB")
        if line.strip():
            lines.append(line)
    return lines


def _observation(container: Container, output: list[str]) -> dict[str, Any]:
    """The last line. Raises Stuck if that is no JSON object, NothingToLookAt and NotApplicable where it says so."""
    try:
        seen = json.loads(output[-1] if output else "")
    except ValueError as error:
        raise Stuck(
            f"the last line of {container.image} is not JSON ({error}); it has to be the observation"
        ) from error
    if not isinstance(seen, Mapping):
        raise Stuck(f"the last line of {container.image} is JSON, but not an object; it has to be the observation")
    if set(seen) == {_NOTHING}:
        raise NothingToLookAt(f"nothing to look at: {seen[_NOTHING]}")
    if set(seen) == {_NOT_APPLICABLE}:
        raise NotApplicable(str(seen[_NOT_APPLICABLE]))
    return dict(seen)
