"""Applying the lab's own objects to its cluster, and waiting until everything is ready."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import itertools
import string
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from aiconform.lab.accelerators.identity import find_identity
from aiconform.lab.accelerators.objects import cluster_objects
from aiconform.lab.addons import install
from aiconform.lab.addons.model import Site
from aiconform.lab.build.images import COREDNS
from aiconform.lab.cloud.orders import is_autoscaled
from aiconform.lab.config import CONTROL_PLANE, LabError, Network, Paths
from aiconform.lab.kubernetes.administrator import administrator
from aiconform.lab.kubernetes.controlplane import api_is_ready
from aiconform.lab.machines import network, pace
from aiconform.lab.machines.preconditions import until_holds
from aiconform.lab.traits.trait import is_made_up

if TYPE_CHECKING:
    from aiconform.cluster import Cluster, Object
    from aiconform.lab.build.assets import Assets
    from aiconform.lab.existing import ExistingLab
    from aiconform.lab.machines.host import Progress
    from aiconform.lab.plan import LabPlan

# More than ten times what each takes on two quiet CPUs; see pace.
_API_SECONDS = 90.0
_NODES_SECONDS = 90.0
_DNS_SECONDS = 60.0
_SERVICES_SECONDS = 60.0
_IMAGES_SECONDS = 180.0
_LOOK_SECONDS = 0.2


def wait_for_api(plan: LabPlan, paths: Paths, addresses: Network) -> None:
    """Wait until the API server is ready. Raises LabError."""
    asyncio.run(_wait_for_api(plan, paths, addresses))


def wait(lab: ExistingLab, assets: Assets, progress: Progress) -> None:
    """Apply the lab's objects, and return when all nodes, the cluster's DNS and the add-ons are ready.

    Raises LabError naming what is not.
    """
    from aiconform.cluster import ClusterError

    try:
        asyncio.run(_wait(lab, assets, progress))
    except ClusterError as error:
        raise LabError(f"lab {lab.name}: {error}") from error


def ready_nodes(kubeconfig: Path) -> dict[str, bool]:
    """Name of each Node with a machine -> whether it is Ready; empty if the API server does not answer."""
    from aiconform.cluster import ClusterError, connect

    async def ask() -> dict[str, bool]:
        async with asyncio.timeout(5), connect(str(kubeconfig)) as cluster:
            found = [node async for node in cluster.list("v1", "Node") if not is_made_up(node)]
            return {node["metadata"]["name"]: _is_ready(node) for node in found}

    try:
        return asyncio.run(ask())
    except (ClusterError, TimeoutError):
        return {}


async def _wait_for_api(plan: LabPlan, paths: Paths, addresses: Network) -> None:
    probe = api_is_ready(paths, addresses)
    if plan.runtime_overrides:
        # The API server's own watches of APIs that it does not serve never become ready.
        probe = replace(probe, https=f"{probe.https}?exclude=informer-sync")
    seconds = pace.limit(_API_SECONDS)
    try:
        async with asyncio.timeout(seconds):
            await until_holds(probe, lambda _: False)
    except TimeoutError:
        raise LabError(
            f"the API server of lab {plan.name} was not ready within {seconds:.0f} s; see {paths.logs(CONTROL_PLANE)}"
        ) from None


async def _wait(lab: ExistingLab, assets: Assets, progress: Progress) -> None:
    progress("waiting for the API server")
    await _wait_for_api(lab.plan, lab.paths, lab.network)
    async with administrator(lab.kubeconfig) as cluster:
        for obj in _objects(lab):
            await cluster.apply(obj)
        planned = {node.name for node in lab.plan.own}
        await _delete_what_is_gone(cluster, planned)
        progress(f"waiting for {', '.join(sorted(planned))}")
        nodes = dict.fromkeys(planned, _is_ready)
        seen = await _until(lab, cluster, "v1", "Node", None, nodes, _NODES_SECONDS)
        # A Node's status may be from before a crash: a running kubelet renews its Lease.
        begun = {name: entry["since"] for name, entry in lab.machines().items() if name in planned}
        leases = {
            name: _renewed_since(since)
            for name, since in begun.items()
            if _moment(seen[name]["metadata"]["creationTimestamp"]) < since
        }
        await _until(lab, cluster, "coordination.k8s.io/v1", "Lease", "kube-node-lease", leases, _NODES_SECONDS)
        progress("waiting for the cluster's DNS")
        deployment = {"coredns": _is_available}
        await _until(lab, cluster, "apps/v1", "Deployment", "kube-system", deployment, _DNS_SECONDS)
        await _until_dns_accepts(lab, cluster)
        await _until_services_are_routed(lab)
        for name in install.installed(lab.paths):
            if name not in lab.plan.add_ons:
                await install.uninstall(cluster, name, lab.paths, progress)
        if lab.plan.add_ons:
            await _until_images_are_there(lab)
        addresses = tuple(lab.network.node(node.number) for node in lab.plan.nodes)
        services = str(lab.network.services)
        equipped = tuple(node.name for node in lab.plan.own if node.accelerators)
        site = Site(lab.plan.identity, lab.plan.identities, addresses, assets, lab.plan.ip_family, services, equipped)
        await install.install(cluster, lab.plan.add_ons, site, lab.paths, progress)


async def _delete_what_is_gone(cluster: Cluster, planned: set[str]) -> None:
    """Delete the Nodes that are no longer planned, and their Pods, as a cloud provider's controllers do.

    The Pod garbage collector of Kubernetes would wait for 40 to 60 s, during which CoreDNS may be one of those Pods.
    """
    gone = set()
    async for node in cluster.list("v1", "Node"):
        # An autoscaler manages its own Nodes, and traits theirs.
        if node["metadata"]["name"] not in planned and not is_autoscaled(node) and not is_made_up(node):
            await cluster.delete(node)
            gone.add(node["metadata"]["name"])
    for name in gone:
        async for pod in cluster.list("v1", "Pod", fields=f"spec.nodeName={name}"):
            await cluster.delete(pod, grace=0)


async def _until_images_are_there(lab: ExistingLab) -> None:
    """Wait for imported images: a Pod that starts earlier would try to pull its image. Raises LabError."""
    seconds = pace.limit(_IMAGES_SECONDS)
    try:
        async with asyncio.timeout(seconds):
            while True:
                states = [lab.ask(node.name, do="status")["images"]["state"] for node in lab.plan.own]
                if all(state == "done" for state in states):
                    return
                await asyncio.sleep(_LOOK_SECONDS)
    except TimeoutError:
        raise LabError(f"images were not imported within {seconds:.0f} s; see {lab.paths.state}") from None


async def _until(
    lab: ExistingLab,
    cluster: Cluster,
    api_version: str,
    kind: str,
    namespace: str | None,
    wanted: Mapping[str, Callable[[Object], bool]],
    seconds: float,
) -> dict[str, Object]:
    """Watch until every wanted object meets its condition; returns the objects by name. Raises LabError."""
    from aiconform.cluster import Expired, Unreachable
    from aiconform.cluster.wait import describe

    seen: dict[str, Object] = {}
    seconds = pace.limit(seconds)

    if not wanted:
        return seen

    def missing() -> list[str]:
        return [name for name, fulfilled in wanted.items() if name not in seen or not fulfilled(seen[name])]

    try:
        async with asyncio.timeout(seconds):
            while True:
                try:
                    async for event in cluster.watch(api_version, kind, namespace, seconds=seconds):
                        name = event.object["metadata"]["name"]
                        seen[name] = event.object
                        if event.type == "DELETED":
                            del seen[name]
                        if not missing():
                            return seen
                except (Expired, Unreachable):
                    await asyncio.sleep(_LOOK_SECONDS)
    except TimeoutError:
        words = "; ".join(f"{name}: {describe(seen[name]) if name in seen else 'not found'}" for name in missing())
        raise LabError(f"not ready after {seconds:.0f} s: {kind} {words}. The logs are in {lab.state}") from None


async def _until_dns_accepts(lab: ExistingLab, cluster: Cluster) -> None:
    """Wait until CoreDNS accepts connections: after a crash its status may be out of date. Raises LabError."""
    seconds = pace.limit(_DNS_SECONDS)
    try:
        async with asyncio.timeout(seconds):
            while True:
                async for pod in cluster.list("v1", "Pod", "kube-system", labels="k8s-app=kube-dns"):
                    if _is_ready(pod) and await _accepts(pod["status"]["podIP"]):
                        return
                await asyncio.sleep(_LOOK_SECONDS)
    except TimeoutError:
        raise LabError(f"no CoreDNS Pod answered within {seconds:.0f} s. The logs are in {lab.state}") from None


async def _until_services_are_routed(lab: ExistingLab) -> None:
    """Wait until every node's kube-proxy has written the rule for the cluster's DNS. Raises LabError."""
    rule = f"-A KUBE-SERVICES -d {ipaddress.ip_network(lab.network.dns)}"
    own = {node.name for node in lab.plan.own}
    missing: list[str] = []
    seconds = pace.limit(_SERVICES_SECONDS)
    try:
        async with asyncio.timeout(seconds):
            while True:
                inits = {name: machine["pid"] for name, machine in lab.machines().items() if name in own}
                missing = [
                    name for name, pid in inits.items() if not pid or rule not in network.nat_rules(lab.network, pid)
                ]
                if not missing:
                    return
                await asyncio.sleep(_LOOK_SECONDS)
    except TimeoutError:
        raise LabError(
            f"kube-proxy had no rule for the cluster's DNS within {seconds:.0f} s on {', '.join(missing)}; "
            f"its log is in {lab.paths.logs(missing[0])}"
        ) from None


async def _accepts(address: str) -> bool:
    try:
        async with asyncio.timeout(1):
            _, writer = await asyncio.open_connection(address, 53)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True


def _renewed_since(moment: float) -> Callable[[Object], bool]:
    def fulfilled(lease: Object) -> bool:
        renewed = (lease.get("spec") or {}).get("renewTime")
        return renewed is not None and _moment(renewed) > moment

    return fulfilled


def _moment(text: str) -> float:
    """Seconds of the epoch."""
    return datetime.datetime.fromisoformat(text).timestamp()


def _objects(lab: ExistingLab) -> list[Object]:
    objects: list[Object] = []
    for manifest in sorted((Path(__file__).parent / "manifests").glob("*.yaml")):
        filled = string.Template(manifest.read_text()).substitute(dns=lab.network.dns, image=COREDNS)
        objects += [obj for obj in yaml.safe_load_all(filled) if obj]
    by_dra = any(node.accelerators and node.allocation != "device-plugin" for node in lab.plan.own)
    every = dict.fromkeys(lab.plan.identity_of(node) for node in lab.plan.own)
    for obj in itertools.chain.from_iterable(cluster_objects(find_identity(identity)) for identity in every):
        group = obj["apiVersion"].partition("/")[0]
        if obj["kind"] == "DeviceClass" and not by_dra:
            # A platform without the driver has no DeviceClass for it either.
            continue
        if not any(version.startswith(group) and not on for version, on in lab.plan.runtime_overrides.items()):
            objects.append(obj)
    return objects


def _is_ready(obj: Object) -> bool:
    from aiconform.cluster import conditions

    return conditions.is_true(obj, "Ready")


def _is_available(deployment: Object) -> bool:
    # Of this generation: after a change the old status does not count.
    from aiconform.cluster import conditions

    observed = deployment.get("status", {}).get("observedGeneration") == deployment["metadata"]["generation"]
    return observed and conditions.is_true(deployment, "Available")
