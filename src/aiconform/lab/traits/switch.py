"""Turning traits of a lab on and off, and waiting until that has taken effect."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from aiconform.lab.accelerators.identity import find_identity
from aiconform.lab.config import LabError, Network
from aiconform.lab.faults.fault import InCluster
from aiconform.lab.faults.state import changing
from aiconform.lab.faults.workloads import until
from aiconform.lab.kubernetes.administrator import administrator
from aiconform.lab.plan import LabPlan
from aiconform.lab.traits.catalog import TRAITS, find, traits_on
from aiconform.lab.traits.namespaces import TEAM
from aiconform.lab.traits.state import names_on, record
from aiconform.lab.traits.trait import LABEL, InNamespaces, InRegistry, MadeUpNode, Trait

if TYPE_CHECKING:
    from aiconform.cluster import Cluster, Object

# Ten times what the start of a helper takes on two quiet CPUs.
_SECONDS = 60.0
_NOT_READY = "node.kubernetes.io/not-ready"


class RestrictedLab(Protocol):
    """What traits need from a lab that is up."""

    @property
    def plan(self) -> LabPlan: ...

    @property
    def network(self) -> Network: ...

    @property
    def state(self) -> Path:
        """Its state folder."""

    @property
    def kubeconfig(self) -> Path:
        """The administrator's."""

    def follow_traits(self) -> None:
        """Have helpers and nodes follow the recorded traits. Raises LabError."""

    def write_networks(self) -> None:
        """Have the nodes' networks alone follow them."""


def turn(lab: RestrictedLab, names: Iterable[str], *, on: bool) -> None:
    """Turn traits on or off, one after the other; returns when that has taken effect. Raises LabError."""
    traits = [find(name) for name in dict.fromkeys(names)]
    for trait in traits:
        if on and (missing := [each for each in trait.needs if each not in lab.plan.add_ons]):
            raise LabError(f"{trait.name} needs add-on {missing[0]}: `aiconform lab up --with {missing[0]}`")
    with changing(lab.state):
        # Before anything is changed: what fails can be repeated, and a helper must not make again what is removed.
        record(lab.state, [trait.name for trait in traits], on)
        lab.follow_traits()
        # Of a component that is not installed, nothing is left.
        _change(lab, [trait for trait in traits if _possible(lab, trait)], on)


def _possible(lab: RestrictedLab, trait: Trait) -> bool:
    return set(trait.needs) <= set(lab.plan.add_ons)


def reapply(lab: RestrictedLab) -> None:
    """Turn on the traits that the state folder records, in a lab that has just come up. Raises LabError."""
    with changing(lab.state):
        traits = [trait for trait in traits_on(lab.state) if _possible(lab, trait)]
        lab.write_networks()
        _change(lab, traits, on=True)


def _change(lab: RestrictedLab, traits: Sequence[Trait], on: bool) -> None:
    from aiconform.cluster import ClusterError

    async def change() -> None:
        async with administrator(lab.kubeconfig) as cluster:
            for trait in traits:
                try:
                    await (_enact(lab, cluster, trait) if on else _retract(cluster, trait))
                except ClusterError as error:
                    raise LabError(f"{trait.name}: {error}") from error

    if traits:
        asyncio.run(change())


async def _enact(lab: RestrictedLab, cluster: Cluster, trait: Trait) -> None:
    how = trait.how
    if isinstance(how, InCluster):
        await how.on(cluster)
    if isinstance(how, MadeUpNode):
        await _make_up(cluster, how.node(find_identity(lab.plan.identity).extended_resource))
    if trait.kept:
        await _kept(cluster, trait.kept, lab.network.registry)
    if isinstance(how, InRegistry):
        await until(lambda: asyncio.to_thread(_answers, lab.network.registry), "the lab's registry", seconds=_SECONDS)


async def _retract(cluster: Cluster, trait: Trait) -> None:
    if isinstance(trait.how, InCluster):
        await trait.how.off(cluster)
    if isinstance(trait.how, MadeUpNode):
        async for node in cluster.list("v1", "Node", labels=f"{LABEL}={trait.name}"):
            await cluster.delete(node)
    if trait.kept:
        for example in trait.kept.objects("", ""):
            found = cluster.list(example["apiVersion"], example["kind"], labels=f"{LABEL}={trait.name}")
            for obj in [obj async for obj in found]:
                await cluster.delete(obj)


async def _make_up(cluster: Cluster, node: Object) -> None:
    """Returns when the cluster takes the Node for what it is made up to be."""
    ready = node["status"]["conditions"][0]["status"] == "True"
    await cluster.apply({key: value for key, value in node.items() if key != "status"})
    await cluster.patch(node, {"status": node["status"]}, subresource="status")

    async def settled() -> bool:
        found = await cluster.get("v1", "Node", node["metadata"]["name"])
        taints = [taint["key"] for taint in found["spec"].get("taints") or []]
        return (_NOT_READY not in taints) is ready

    await until(settled, f"Node {node['metadata']['name']} to be settled", seconds=_SECONDS)


async def _kept(cluster: Cluster, promised: InNamespaces, registry: str) -> None:
    """Returns when a new Namespace has what is promised, and ResourceQuotas are in force in it."""
    from aiconform.cluster import NotFound

    name = f"trait-{time.time_ns() // 10**6}"
    namespace: Object = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": {TEAM: "lab"}}}
    await cluster.create(namespace)

    async def there() -> bool:
        try:
            for obj in promised.objects(name, registry):
                found = await cluster.get(obj["apiVersion"], obj["kind"], obj["metadata"]["name"], name)
                if obj["kind"] == "ResourceQuota" and not (found.get("status") or {}).get("hard"):
                    return False
        except NotFound:
            return False
        return True

    try:
        await until(there, "what every Namespace gets", seconds=_SECONDS)
    finally:
        await cluster.delete(namespace)


def _answers(registry: str) -> bool:
    try:
        with urlopen(f"http://{registry}/v2/", timeout=1):
            return True
    except HTTPError:
        return True
    except (URLError, OSError):
        return False


def describe(state: Path | None) -> list[dict[str, object]]:
    """The traits as data: name, description, what a run says, whether each is on, and the add-ons that it needs."""
    on = names_on(state) if state else ()
    return [
        {
            "name": trait.name,
            "description": trait.description,
            "says": trait.says,
            "on": trait.name in on,
            "needs": list(trait.needs),
        }
        for trait in TRAITS.values()
    ]
