"""Faults of virtual devices: how they are offered, what their holders get, and whether they can be had again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from aiconform.lab.accelerators.config import DriverFault
from aiconform.lab.accelerators.identity import Identity, identities
from aiconform.lab.accelerators.objects import cluster_objects
from aiconform.lab.accelerators.slices import GROUP, best_version
from aiconform.lab.accelerators.virtual import VIRTUAL_WAYS, VirtualWay, virtual_ways
from aiconform.lab.faults.fault import Fault, InCluster, InDriver, assertions

if TYPE_CHECKING:
    from aiconform.cluster import Cluster, Object

_CHECK, _DRIVERS, _SHARING = "virtualized_accelerator", "driver_runtime_management", "gpu_sharing"
# They have Pods with every kind of device, or compare what is in these.
_LOOKING = frozenset({"secure_accelerator_access", "accelerator_metrics", _DRIVERS, _SHARING})
_HOLDERS = _LOOKING | {"dra_support", "gang_scheduling", "pod_autoscaling"}
ANOTHER_CLASS = "virtual-needs-another-manifest"


def classes(identity: Identity, version: str) -> tuple[Object, Object]:
    """The DeviceClass of an identity without its virtual devices, and another one for these alone."""
    from aiconform.platform.accelerators.selecting import expression

    parts = [part for model in (*identity.models, *identity.further) for part in model.partitions if part.virtual]
    telling = {
        name: value
        for name, value in parts[0].attributes.items()
        if isinstance(value, bool) and value is not identity.attributes.get(name)
    }
    virtual = expression(identity.driver, telling)
    usual = _class(identity, version)
    name, selectors = usual["metadata"]["name"], usual["spec"]["selectors"]

    def selecting(name: str, added: str) -> Object:
        spec = {**usual["spec"], "selectors": [*selectors, {"cel": {"expression": added}}]}
        return {**usual, "metadata": {"name": name}, "spec": spec}

    return selecting(name, f"!({virtual})"), selecting(f"virtual.{name}", virtual)


def _class(identity: Identity, version: str) -> Object:
    return next(each for each in cluster_objects(identity, version) if each["kind"] == "DeviceClass")


async def _offered(cluster: Cluster) -> AsyncIterator[tuple[Identity, str]]:
    """The identities that have virtual devices beside physical ones and a DeviceClass here; the version of the API."""
    from aiconform.cluster import NotFound

    if (version := best_version((await cluster.groups()).get(GROUP, ()))) is None:
        return
    for identity in identities().values():
        if VirtualWay.BESIDE in virtual_ways(identity):
            try:
                await cluster.get(f"{GROUP}/{version}", "DeviceClass", identity.device_class)
            except NotFound:
                continue
            yield identity, version


async def _divide(cluster: Cluster) -> None:
    async for identity, version in _offered(cluster):
        for each in classes(identity, version):
            await cluster.apply(each)


async def _join(cluster: Cluster) -> None:
    async for identity, version in _offered(cluster):
        await cluster.apply(_class(identity, version))
        await cluster.delete(classes(identity, version)[1])


FAULTS = (
    *(
        Fault(
            name,
            description,
            assertions(_CHECK, *broken),
            InDriver(),
            may_break=assertions(_SHARING, *of_shares),
            disturbs=disturbs,
            ways=VIRTUAL_WAYS[name],
        )
        # Virtual functions are partitions for those who look for shares.
        for name, description, broken, of_shares, disturbs in (
            (
                DriverFault.VIRTUAL_ELSEWHERE,
                "Virtual devices are an extended resource, while physical ones are offered by DRA.",
                ("one_interface_for_both", "only_selector_differs"),
                (),
                frozenset({_SHARING}),
            ),
            (
                DriverFault.VIRTUAL_NAMES,
                "Virtual devices have other names for attributes that physical ones have, too.",
                ("names_are_the_same",),
                (),
                frozenset({_DRIVERS}),
            ),
            (
                DriverFault.VIRTUAL_CLOSED,
                "Containers see their virtual device but cannot open it.",
                ("pod_opens_virtual_device",),
                (),
                _LOOKING - {_SHARING},
            ),
            (
                DriverFault.VIRTUAL_TWICE,
                "A Pod that waits for a virtual device gets it while another one holds it.",
                ("unshared_device_is_exclusive",),
                ("excess_share_stays_unscheduled",),
                _HOLDERS - {_SHARING},
            ),
            (
                DriverFault.VIRTUAL_KEPT,
                "A virtual device is not released after its Pod, as long as another Pod has one of the node.",
                ("device_is_released",),
                (),
                _HOLDERS,
            ),
            (
                DriverFault.VIRTUAL_WHOLE_MEMORY,
                "A virtual device shows its holder the memory of the physical device.",
                ("profile_size_is_its_own",),
                ("partition_memory_is_its_own",),
                frozenset(),
            ),
            (
                DriverFault.VIRTUAL_SECOND_REFUSED,
                "The Pod with the second virtual device of a physical one does not start.",
                ("two_run_on_one_device",),
                ("both_pods_run", "advertised_shares_run"),
                _HOLDERS - {_SHARING},
            ),
            (
                DriverFault.VIRTUAL_LEAK,
                "A Pod with a virtual device gets all virtual devices of its node.",
                ("virtual_devices_are_isolated",),
                (),
                _LOOKING,
            ),
        )
    ),
    Fault(
        ANOTHER_CLASS,
        "The DeviceClass of physical devices selects no virtual ones: these have another DeviceClass.",
        assertions(_CHECK, "only_selector_differs"),
        InCluster(_divide, _join),
        ways=frozenset({VirtualWay.BESIDE}),
    ),
)
