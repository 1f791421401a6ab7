"""Operators that the suite has no objects for: custom resources with a validating webhook and a controller.

Nothing shows that one is for AI workloads, nor how it is tested. So they are only named.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files
from pathlib import Path

from aiconform.cluster import Cluster, NotFound, Object
from aiconform.platform.operators.definitions import Operator
from aiconform.platform.operators.discovery import CRD, WEBHOOKS, Webhook, deployments_behind
from aiconform.spec import yamlfile


@dataclass(frozen=True)
class OtherOperator:
    """One Deployment (namespace, name), and one of its webhooks with a CRD (name, served versions) that this is for."""

    deployment: tuple[str, str]
    crd: str
    versions: tuple[str, ...]
    webhook: Webhook

    def __str__(self) -> str:
        return (
            f"{'/'.join(self.deployment)}: CRD {self.crd} ({', '.join(self.versions)}), "
            f"webhook {self.webhook.name} of {self.webhook.configuration}"
        )


async def other_operators(cluster: Cluster, known: Collection[Operator]) -> list[OtherOperator]:
    """Operators that are none of `known`, and no part of the cluster's infrastructure, by name. Raises ClusterError."""
    controllers = {name for operator in known for name in operator.controllers}
    own_crds = {name for operator in known for name in operator.crds}
    own_webhooks = {operator.webhook for operator in known}
    found: dict[tuple[str, str], OtherOperator] = {}
    own: set[tuple[str, str]] = set()
    behind: dict[tuple[str, str], list[tuple[str, str]]] = {}
    crds: dict[str, Object | None] = {}
    async for configuration in cluster.list(*WEBHOOKS):
        for entry in configuration.get("webhooks") or []:
            names, service = list(_custom(entry)), entry["clientConfig"].get("service")
            if not names or not service:
                continue
            place = (service["namespace"], service["name"])
            webhook = Webhook(configuration["metadata"]["name"], entry["name"], entry.get("failurePolicy", ""), place)
            if place not in behind:
                deployments = [each["metadata"] for each in await deployments_behind(cluster, webhook)]
                behind[place] = [(each["namespace"], each["name"]) for each in deployments]
            if entry["name"] in own_webhooks or own_crds & {*names}:
                own |= {*behind[place]}
            for name in names if set(behind[place]) - own - found.keys() else ():
                if name not in crds:
                    crds[name] = await _definition(cluster, name)
                if crd := crds[name]:
                    versions = tuple(each["name"] for each in crd["spec"]["versions"] if each["served"])
                    found |= {each: OtherOperator(each, name, versions, webhook) for each in behind[place]}
                    break
    return [found[each] for each in sorted(found) if each not in own and each[1] not in controllers]


def _custom(webhook: Object) -> Iterator[str]:
    """Names of the CRDs of AI operators that a webhook may be for."""
    for rule in webhook.get("rules") or []:
        for group in rule.get("apiGroups") or []:
            if "." in group and not _is_infrastructure(group):
                yield from (f"{each}.{group}" for each in _whole(rule.get("resources") or []))


def _whole(resources: Iterable[str]) -> Iterator[str]:
    """Those that are no subresources, and name one resource."""
    return (each for each in resources if "/" not in each and "*" not in each)


def _is_infrastructure(group: str) -> bool:
    return any(fnmatchcase(group, pattern) for pattern in _infrastructure())


@cache
def _infrastructure() -> tuple[str, ...]:
    name = "infrastructure.yaml"
    found = yamlfile.parse(Path(name), files(__package__).joinpath(name).read_bytes()).data
    return tuple(found["groups"])


async def _definition(cluster: Cluster, name: str) -> Object | None:
    try:
        return await cluster.get(*CRD, name)
    except NotFound:
        return None
