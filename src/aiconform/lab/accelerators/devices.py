"""The devices of one node that an identity describes: what each is called, and which device nodes a holder gets."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

from pydantic import Field

from aiconform.lab import device_numbers
from aiconform.lab.accelerators.identity import AttributeValue, Identity, Model, Partition
from aiconform.lab.accelerators.strict import Strict
from aiconform.lab.accelerators.templates import NUMBERS, fill

Words = dict[str, str | int]


class NodeRole(StrEnum):
    """What a device node is to the holder of a device."""

    MAIN = "main"
    """The node that work is done with: of this device alone."""
    COMPANION = "companion"
    """A further node of this device alone, such as one for control."""
    PARENT = "parent"
    """A node of the physical device, which the holders of its other partitions have, too."""
    SHARED = "shared"
    """A node that every holder on a node of the cluster has."""


class DeviceNode(Strict):
    """A device node."""

    role: NodeRole
    container_path: str
    host_path: Path
    major: int
    minor: int


class RealDevice(Strict):
    """A device of the machine itself, see `hardware`."""

    path: str
    product: str
    nodes: tuple[DeviceNode, ...]
    """All that a holder gets; the main one first."""
    edits: dict[str, list[Any]] = Field(default_factory=dict)
    """Further edits of its holder's container, as CDI has them: libraries (mounts), hooks, environment."""
    cdi_version: str = ""
    """The version of CDI that these need."""


class Device(Strict):
    """One device that Pods can ask for: a physical device, or a partition of one."""

    index: int
    """Among the node's devices."""
    name: str
    """In ResourceSlices: `accel-0`."""
    uuid: str
    extended_resource: str
    memory: str
    """A quantity; empty if it is not known."""
    whole_memory: str = ""
    """That of the physical device, which a hypervisor may have."""
    attributes: dict[str, AttributeValue]
    nodes: tuple[DeviceNode, ...]
    """All that a holder gets; the main one first."""
    words: Words
    """What its templates are filled with: NUMBERS and TEXTS of `templates`."""
    counters: dict[str, int] = Field(default_factory=dict)
    """What it takes of the counters of its physical device; none if devices do not exclude each other."""
    partition: bool = False
    virtual: bool = False
    """Whether it is a virtual device: a function of a physical one, or what a hypervisor gives to the node."""
    real: RealDevice | None = None
    """The hardware that it is; None for a simulated device."""

    @property
    def parent(self) -> int:
        """Index of the physical device."""
        return int(self.words["parent"])

    @property
    def on_demand(self) -> bool:
        """Whether it exists only if the scheduler chooses it instead of the whole device."""
        return self.partition and bool(self.counters)

    @property
    def container_path(self) -> str:
        return self.nodes[0].container_path

    @property
    def host_path(self) -> Path:
        return self.nodes[0].host_path

    @property
    def major(self) -> int:
        return self.nodes[0].major

    @property
    def minor(self) -> int:
        return self.nodes[0].minor


class _Planned(Strict):
    """A device without what depends on its cluster's node."""

    model: Model
    partition: Partition | None
    words: Words

    def extended_resource(self, identity: Identity) -> str:
        own = self.partition.extended_resource if self.partition else None
        return own or self.model.extended_resource or identity.extended_resource

    def paths(self, identity: Identity) -> Iterator[tuple[NodeRole, str]]:
        """Role and path in a container of all nodes that a holder gets."""
        own, parents = (self.partition.nodes, identity.nodes) if self.partition else (identity.nodes, ())
        if self.partition and self.partition.virtual:
            parents = ()
        roles = (NodeRole.MAIN, *[NodeRole.COMPANION] * (len(own) - 1), *[NodeRole.PARENT] * len(parents))
        for role, template in zip(roles, (*own, *parents), strict=True):
            yield role, fill(template, self.words)
        for template in identity.shared_nodes:
            yield NodeRole.SHARED, fill(template, self.words)


def _planned(identity: Identity, count: int) -> list[_Planned]:
    """The devices of `count` physical ones and of the further ones, in the order of their index."""
    found: list[_Planned] = []

    def add(parent: int, model: Model, partition: Partition | None = None, **of_partition: str | int) -> None:
        words = {**NUMBERS, **of_partition, "index": len(found), "parent": parent}
        found.append(_Planned(model=model, partition=partition, words=words))

    models = [identity.models[parent % len(identity.models)] for parent in range(count)]
    for parent, model in enumerate((*models, *(identity.further if count else ()))):
        if model.counters or not model.partitions:
            add(parent, model)
        parts = [(each, number) for each in model.partitions for number in range(len(each.starts))]
        for part, (each, number) in enumerate(parts):
            place: Words = {"start": each.starts[number], "instance": each.first_instance + number}
            add(parent, model, each, part=part, profile=each.profile, **place)
    return found


def _slots(identity: Identity, planned: list[_Planned]) -> dict[str, int]:
    """Path in a container -> its number, from 0: first all main nodes, then the other roles."""
    paths = [entry for each in planned for entry in each.paths(identity)]
    order = [path for role in NodeRole for its_role, path in paths if its_role is role]
    return {path: slot for slot, path in enumerate(dict.fromkeys(order))}


def numbers_needed(identity: Identity, count: int) -> int:
    """How many device numbers a node with `count` physical devices needs."""
    return len(_slots(identity, _planned(identity, count)))


def roles(identity: Identity) -> frozenset[NodeRole]:
    """The roles that device nodes of this identity have."""
    planned = _planned(identity, len(identity.models))
    return frozenset(role for each in planned for role, _ in each.paths(identity))


def resources(identity: Identity) -> tuple[str, ...]:
    """The extended resources that devices of this identity can be offered as; those of `further` only with a fault."""
    planned = _planned(identity, len(identity.models))
    return tuple(dict.fromkeys((*(each.extended_resource(identity) for each in planned), *identity.aliases)))


def make_devices(identity: Identity, count: int, *, node: str, first: int, folder: Path) -> tuple[Device, ...]:
    """The devices of a node of the cluster, the same at every call. `first` is the first of its slots."""
    planned = _planned(identity, count)
    slots = _slots(identity, planned)

    def device_node(role: NodeRole, path: str) -> DeviceNode:
        major, minor = device_numbers.number(first + slots[path])
        host_path = folder / path.removeprefix("/dev/")
        return DeviceNode(role=role, container_path=path, host_path=host_path, major=major, minor=minor)

    return tuple(
        _device(identity, each, node, tuple(device_node(*entry) for entry in each.paths(identity))) for each in planned
    )


def real_devices(identity: Identity, found: Iterable[RealDevice], *, node: str) -> tuple[Device, ...]:
    """The machine's own devices as those of a node of the cluster."""
    return tuple(_real_device(identity, each, index, node) for index, each in enumerate(found))


def _real_device(identity: Identity, real: RealDevice, index: int, node: str) -> Device:
    own_uuid = identity.uuid_prefix + _uuid(f"{real.path}.{node}.{identity.driver}")
    words: Words = {**NUMBERS, "index": index, "parent": index, "node": node, "product": real.product}
    words |= {"uuid": own_uuid, "parent_uuid": own_uuid, "device": real.path.rpartition("/")[2]}
    words["name"] = fill(identity.device_name, words)
    return Device(
        index=index,
        name=str(words["name"]),
        uuid=own_uuid,
        extended_resource=identity.extended_resource,
        memory="",
        # DeviceClasses select by the type; what else an identity says is of simulated hardware.
        attributes={"path": real.path}
        | {name: identity.attributes[name] for name in identity.attributes if name == "type"},
        nodes=real.nodes,
        words=words,
        real=real,
    )


def _device(identity: Identity, planned: _Planned, node: str, nodes: tuple[DeviceNode, ...]) -> Device:
    model, partition, words = planned.model, planned.partition, planned.words
    of_parent = f"{words['parent']}.{node}.{identity.driver}"
    parent_uuid = identity.uuid_prefix + _uuid(of_parent)
    own_uuid = partition.uuid_prefix + _uuid(f"{words['part']}.{of_parent}") if partition else parent_uuid
    words = {
        **words,
        "node": node,
        "uuid": own_uuid,
        "parent_uuid": parent_uuid,
        "product": model.product or identity.product,
        "device": nodes[0].container_path.rpartition("/")[2],
    }
    words["name"] = fill(partition.name if partition else identity.device_name, words)
    words["profile"] = words["profile"] or identity.vgpu
    attributes = {**identity.attributes, **model.attributes, **(partition.attributes if partition else {})}
    taken = partition.counters if partition and model.counters else model.counters
    whole_memory = identity.host_memory or model.memory or identity.memory
    return Device(
        index=int(words["index"]),
        name=str(words["name"]),
        uuid=own_uuid,
        extended_resource=planned.extended_resource(identity),
        memory=partition.memory if partition else model.memory or identity.memory,
        whole_memory=whole_memory,
        attributes={
            name: fill(value, words) if isinstance(value, str) else value for name, value in attributes.items()
        },
        nodes=nodes,
        words=words,
        counters={fill(name, words): amount for name, amount in taken.items()},
        partition=partition is not None,
        virtual=partition.virtual if partition else bool(identity.vgpu),
    )


def nodes_of(devices: Iterable[Device]) -> tuple[DeviceNode, ...]:
    """All device nodes of these devices, each once."""
    return tuple({node.container_path: node for device in devices for node in device.nodes}.values())


def _uuid(name: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, name))


def by_resource(identity: Identity, devices: tuple[Device, ...]) -> Mapping[str, Mapping[str, Device]]:
    """Extended resource -> the IDs by which the device plugin offers these devices as it."""
    found: dict[str, dict[str, Device]] = {}
    for device in devices:
        resources = {device.extended_resource: identity.shares, **identity.aliases}
        for resource, shares in resources.items():
            ids = [f"{device.uuid}::{share}" for share in range(shares)] if shares > 1 else [device.uuid]
            found.setdefault(resource, {}).update(dict.fromkeys(ids, device))
    return found
