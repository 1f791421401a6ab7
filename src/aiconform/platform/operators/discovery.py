"""Which of the known operators a platform has: their CRDs, webhooks and controllers."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from aiconform.cluster import Cluster, NotFound, Object, conditions
from aiconform.cluster.space import INSTEAD
from aiconform.platform.operators.definitions import Operator, known
from aiconform.platform.selectors import in_words, selects

CRD = ("apiextensions.k8s.io/v1", "CustomResourceDefinition")
_WATCHES, _VARIABLE = re.compile(r"--?watch-namespaces?[= ]([^\s-]\S*)"), "WATCH_NAMESPACE"
# Labels that every Namespace of a run has.
_OF_A_RUN = {"app.kubernetes.io/managed-by": "aiconform", "kubernetes.io/metadata.name": "aiconform"}
WEBHOOKS = ("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration")


@dataclass(frozen=True)
class Webhook:
    """The configuration of an operator's webhook. `service` is (namespace, name), or None if it has a URL.

    namespaces: selectors of the Namespaces for whose objects it, and others of its configuration, are called.
    """

    configuration: str
    name: str
    failure_policy: str
    service: tuple[str, str] | None
    namespaces: tuple[Object, ...] = ()

    def passes_by(self, labels: Mapping[str, str]) -> str:
        """The Namespaces for which they are called instead of one with these labels; empty if for that, too."""
        return next((in_words(each) for each in self.namespaces if not selects(each, dict(labels))), "")


@dataclass(frozen=True)
class InstalledOperator:
    """An operator whose first CRD is installed.

    served: the served versions of its first CRD. version: the one that the suite has objects for; empty if none.
    unestablished: problems of its CRDs. deployments: those of its controller.
    """

    operator: Operator
    served: tuple[str, ...]
    version: str
    unestablished: tuple[str, ...]
    webhook: Webhook | None
    namesakes: tuple[str, ...]
    """Other configurations with a webhook of the same name."""
    deployments: tuple[Object, ...]

    @property
    def watched(self) -> tuple[str, ...]:
        """The only Namespaces that its controller watches; empty if it watches all."""
        return next(filter(None, map(_watched, self.deployments)), ())

    @property
    def limited(self) -> str:
        """Why it may do nothing in a Namespace of a run that has no labels of the user; empty if it does."""
        if self.watched:
            return (
                f"its controller watches only Namespaces {', '.join(self.watched)}: let a run work there (--namespace)"
            )
        wanted = self.webhook.passes_by(_OF_A_RUN) if self.webhook else ""
        if not wanted:
            return ""
        return (
            f"its webhooks are called only for Namespaces with {wanted}: give a run's the labels (--namespace-labels)"
        )

    def __str__(self) -> str:
        places = []
        for deployment in self.deployments:
            images = [container["image"] for container in deployment["spec"]["template"]["spec"]["containers"]]
            metadata = deployment["metadata"]
            places.append(f"{metadata['namespace']}/{metadata['name']} ({', '.join(images)})")
        told = f"{self.operator.title} {self.version}: {', '.join(places) or 'no controller'}"
        if self.webhook:
            told += f"; webhook {self.webhook.name} of {self.webhook.configuration}"
            told += f", on failure {self.webhook.failure_policy}"
        return told

    @property
    def missing(self) -> tuple[str, ...]:
        """What is missing to test it."""
        known = ", ".join(self.operator.versions)
        return tuple(
            filter(
                None,
                (
                    ""
                    if self.version
                    else f"serves {', '.join(self.served) or 'no version'}, the suite has objects for {known}",
                    ""
                    if self.webhook
                    else f"its webhook {self.operator.webhook} is in no ValidatingWebhookConfiguration"
                    + (f": {self.operator.turn_on}" if self.operator.turn_on else ""),
                    "" if self.deployments else f"no Deployment {' or '.join(self.operator.controllers)}",
                ),
            )
        )


async def installed_operators(cluster: Cluster, operators: Iterable[Operator]) -> list[InstalledOperator]:
    """Those of `operators` whose first CRD is installed, in the same order. Raises ClusterError."""
    operators = list(operators)
    definitions = await asyncio.gather(*(_definitions(cluster, operator) for operator in operators))
    here = [(operator, crds) for operator, crds in zip(operators, definitions, strict=True) if crds]
    if not here:
        return []
    configurations = [item async for item in cluster.list(*WEBHOOKS)]
    return list(await asyncio.gather(*(_installed(cluster, *each, configurations) for each in here)))


async def _definitions(cluster: Cluster, operator: Operator) -> dict[str, Object]:
    """The operator's installed CRDs by name; empty without the first one. A list of all CRDs would be large."""
    found = {}
    for name in operator.crds:
        try:
            found[name] = await cluster.get(*CRD, name)
        except NotFound:
            if not found:
                return {}
    return found


async def _installed(
    cluster: Cluster, operator: Operator, crds: Mapping[str, Object], configurations: Sequence[Object]
) -> InstalledOperator:
    wrong = [problem for name in operator.crds if (problem := _unestablished(name, crds.get(name)))]
    served = tuple(entry["name"] for entry in crds[operator.crds[0]]["spec"]["versions"] if entry["served"])
    webhooks = _webhooks(operator, configurations)
    # Another operator may have a webhook with this name (Kueue has one for each kind of job): skip webhooks that lead
    # to the controller of another operator, and prefer one that leads to a controller with a known name.
    others = {name for other in known() if other.name != operator.name for name in other.controllers}
    found: list[tuple[bool, Webhook, list[Object]]] = []
    for candidate in webhooks:
        behind = await deployments_behind(cluster, candidate)
        names = {deployment["metadata"]["name"] for deployment in behind}
        if not names & others:
            found.append((not names & set(operator.controllers), candidate, behind))
    found.sort(key=lambda entry: entry[0])
    webhook, deployments = found[0][1:] if found else (None, [])
    if not deployments:
        deployments = await _named(cluster, operator)
    return InstalledOperator(
        operator=operator,
        served=served,
        version=next((version for version in operator.versions if version in served), ""),
        unestablished=tuple(wrong),
        webhook=webhook,
        namesakes=tuple(other.configuration for other in webhooks if other != webhook),
        deployments=tuple(deployments),
    )


def _unestablished(name: str, crd: Object | None) -> str:
    if crd is None:
        return f"{name} is not installed"
    if conditions.is_true(crd, "Established"):
        return ""
    why = [entry.message for entry in conditions.read(crd.get("status")) if not entry.is_true and entry.message]
    return f"{name} is not established" + (f": {'; '.join(why)}" if why else "")


def _webhooks(operator: Operator, configurations: Sequence[Object]) -> list[Webhook]:
    found = []
    for configuration in configurations:
        for entry in configuration.get("webhooks") or []:
            if entry["name"] == operator.webhook:
                service = entry["clientConfig"].get("service")
                found.append(
                    Webhook(
                        configuration=configuration["metadata"]["name"],
                        name=entry["name"],
                        failure_policy=entry.get("failurePolicy", "Fail"),
                        service=(service["namespace"], service["name"]) if service else None,
                        namespaces=_selectors(operator, configuration["webhooks"]),
                    )
                )
    return found


def _watched(deployment: Object) -> tuple[str, ...]:
    """The Namespaces that a flag or a variable of a controller names: KubeRay's, and that of the Operator SDK.

    https://github.com/ray-project/kuberay/blob/master/ray-operator/main.go
    https://sdk.operatorframework.io/docs/building-operators/golang/operator-scope/
    """
    said = ""
    for container in deployment["spec"]["template"]["spec"].get("containers") or []:
        words = " ".join(map(str, [*(container.get("command") or ()), *(container.get("args") or ())]))
        if flag := _WATCHES.search(words):
            said = flag[1]
        said = next((each.get("value", "") for each in container.get("env") or [] if each["name"] == _VARIABLE), said)
    names = (each.strip("\"' ") for each in said.split(","))
    # What the kubelet fills in from another variable is not known here.
    return () if "$(" in said else tuple(filter(None, names))


def _selectors(operator: Operator, webhooks: Sequence[Object]) -> tuple[Object, ...]:
    """Of webhooks for what a check makes in a Namespace, the selectors of Namespaces.

    Of a cluster-scoped object such a selector says nothing.
    """
    made = {(group, each) for group, resources in operator.makes.items() for each in resources if each not in INSTEAD}
    return tuple(
        entry["namespaceSelector"]
        for entry in webhooks
        if entry.get("namespaceSelector")
        and any(
            group in (rule.get("apiGroups") or []) and resource in (rule.get("resources") or [])
            for rule in entry.get("rules") or []
            for group, resource in made
        )
    )


async def deployments_behind(cluster: Cluster, webhook: Webhook) -> list[Object]:
    """The Deployments whose Pods the webhook's Service selects."""
    if webhook.service is None:
        return []
    namespace, name = webhook.service
    try:
        service = await cluster.get("v1", "Service", name, namespace)
    except NotFound:
        return []
    selector = (service.get("spec") or {}).get("selector") or {}
    if not selector:
        return []
    return [
        deployment
        async for deployment in cluster.list("apps/v1", "Deployment", namespace)
        if selector.items() <= (deployment["spec"]["template"]["metadata"].get("labels") or {}).items()
    ]


async def _named(cluster: Cluster, operator: Operator) -> list[Object]:
    for name in operator.controllers:
        if found := [item async for item in cluster.list("apps/v1", "Deployment", fields=f"metadata.name={name}")]:
            return found
    return []
