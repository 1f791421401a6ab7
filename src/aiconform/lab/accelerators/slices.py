"""ResourceSlices as data: the description of a node's devices, and the writes that publish it.

Nothing here talks to anyone. The rules of a pool (resource.k8s.io): only slices of the newest `pool.generation` count,
and only when `pool.resourceSliceCount` of them are there. So every change raises the generation in all slices.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aiconform.lab.accelerators.config import AcceleratorConfig
from aiconform.lab.accelerators.devices import Device
from aiconform.lab.accelerators.driver import driver, integration_attribute
from aiconform.lab.accelerators.virtual import with_names

if TYPE_CHECKING:  # the client is heavy, and this is imported to describe a lab
    from aiconform.cluster import Object

GROUP = "resource.k8s.io"
# The versions that this driver can write, the preferred one first: v1 since 1.34, the others for older servers.
VERSIONS = ("v1", "v1beta2", "v1beta1")
_RENUMBER_STEP = 1000
# What a slice can contain; one of them.
CONTENTS = frozenset({"devices", "sharedCounters"})
# Limits of the API: devices of a slice that consume counters, and counter sets of a slice.
MOST_CONSUMING, MOST_COUNTER_SETS = 64, 8


@dataclass(frozen=True)
class SlicePlan:
    """The writes that change the published pool to the wanted one; all empty if it is up to date."""

    generation: int
    create: list[Object] = field(default_factory=list)
    change: list[tuple[Object, Object]] = field(default_factory=list)
    """(the current slice, a merge patch for it)"""
    delete: list[Object] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.create or self.change or self.delete)


def attributes(config: AcceleratorConfig, device: Device, renumbered: int = 0) -> dict[str, Object]:
    """The attributes of one device.

    `renumbered` is how often the fault driver-renumbers-devices has struck: each time changes every value except
    `simulated` and the runtime integration.
    """
    identity = config.identity
    published: dict[str, Object | None] = {
        "driverVersion": driver(config).attribute,
        identity.runtime_version_attribute: {"version": identity.runtime_version},
        identity.integration_attribute: integration_attribute(config),
    }
    values: dict[str, Object] = {
        # Those of real hardware are not known.
        name: {kind: _bumped(text, renumbered) if kind == "version" else text for kind, text in value.items()}
        for name, value in published.items()
        if value is not None and device.real is None and name not in identity.without_attributes
    }
    own: dict[str, int | str] = {"uuid": device.uuid, "index": device.index, "minor": device.minor}
    plain: dict[str, bool | int | str] = {
        **device.attributes,
        identity.product_attribute: device.words["product"],
        **{name: value for name, value in own.items() if name not in identity.without_attributes},
    }
    for name, value in plain.items():
        if isinstance(value, bool):
            values[name] = {"bool": value}
        elif isinstance(value, int):
            values[name] = {"int": value + _RENUMBER_STEP * renumbered}
        else:
            suffix = f" r{renumbered}" if renumbered else ""
            values[name] = {"string": value[: 64 - len(suffix)] + suffix}
    # Whatever its identity, a simulated device says what it is.
    values["simulated"] = {"bool": device.real is None}
    return with_names(config, device, values)


def _bumped(version: str, by: int) -> str:
    major, rest = version.split(".", 1)
    return f"{int(major) + by}.{rest}"


def describe(config: AcceleratorConfig, devices: Sequence[Device], renumbered: int = 0) -> list[Object]:
    """The devices as entries of a ResourceSlice of v1."""
    return [_described(config, device, renumbered) for device in devices]


def _described(config: AcceleratorConfig, device: Device, renumbered: int) -> Object:
    memory: Object = {"value": device.memory}
    described: Object = {
        "name": device.name,
        "attributes": attributes(config, device, renumbered),
        "capacity": {"memory": memory} if device.memory else {},
    }
    if share := config.identity.share_of_memory:
        described["allowMultipleAllocations"] = True
        memory["requestPolicy"] = {"default": share, "validRange": {"min": share, "step": share}}
    if device.counters:
        described["consumesCounters"] = [
            {"counterSet": _counter_set(device), "counters": _quantities(device.counters)},
        ]
    return described


def shared_counters(devices: Sequence[Device]) -> list[Object]:
    """The counter sets that these devices consume: what a whole device takes is all that there is of it."""
    return [
        {"name": _counter_set(device), "counters": _quantities(device.counters)}
        for device in devices
        if device.counters and not device.partition
    ]


def _counter_set(device: Device) -> str:
    return f"gpu-{device.parent}-counter-set"


def _quantities(counters: Mapping[str, int]) -> Object:
    return {name: {"value": str(amount)} for name, amount in counters.items()}


def _contents(devices: Sequence[Object], counters: Sequence[Object], most: int, version: str) -> list[Object]:
    """What the slices of a pool contain, beside the pool: devices, or counters that these share."""
    most = min(most, MOST_CONSUMING) if counters else most
    shown = [_in_version(device, version) for device in devices]
    return [
        *({"sharedCounters": some} for some in _chunks(counters, MOST_COUNTER_SETS)),
        *({"devices": some} for some in _chunks(shown, most)),
    ]


def _chunks(entries: Sequence[Object], most: int) -> list[list[Object]]:
    return [list(entries[start : start + most]) for start in range(0, len(entries), most)]


def plan(
    existing: Sequence[Object],
    devices: Sequence[Object],
    counters: Sequence[Object] = (),
    *,
    config: AcceleratorConfig,
    version: str,
    node_uid: str,
    last_generation: int = 0,
) -> SlicePlan:
    """The writes that change the existing slices to `devices` (from `describe`) and their `shared_counters`.

    `existing` are all slices of this driver on this node; `last_generation` is the newest one published so far, so
    that it grows even where somebody removed the slices in between.
    """
    contents = _contents(devices, counters, config.devices_per_slice, version)
    newest = max((slice_["spec"]["pool"]["generation"] for slice_ in existing), default=0)
    if _is_current(existing, contents, newest):
        return SlicePlan(generation=newest)
    generation = max(newest, last_generation) + 1
    pool = {"name": config.node_name, "generation": generation, "resourceSliceCount": len(contents)}
    at_hand = sorted(existing, key=lambda slice_: str(slice_["metadata"]["name"]))
    made = SlicePlan(generation=generation, delete=at_hand[len(contents) :])
    for position, content in enumerate(contents):
        spec: Object = {"pool": pool, **content}
        if position < len(at_hand):
            old = at_hand[position]
            # A write since then causes a conflict; then everything is read again.
            unchanged = {"resourceVersion": old["metadata"].get("resourceVersion")}
            # Null removes what the slice contained before, if that is something else now.
            emptied = dict.fromkeys(old["spec"].keys() & CONTENTS)
            made.change.append((old, {"metadata": unchanged, "spec": {**emptied, **spec}}))
        else:
            made.create.append(_new_slice(spec, config, version, node_uid))
    return made


def _new_slice(spec: Object, config: AcceleratorConfig, version: str, node_uid: str) -> Object:
    owner = {"apiVersion": "v1", "kind": "Node", "name": config.node_name, "uid": node_uid, "controller": True}
    return {
        "apiVersion": f"{GROUP}/{version}",
        "kind": "ResourceSlice",
        # The Node owns it: the slice is deleted with the Node, not when this process stops.
        "metadata": {
            "generateName": f"{config.node_name}-{config.identity.driver}-",
            "ownerReferences": [owner],
        },
        "spec": {"driver": config.identity.driver, "nodeName": config.node_name, **spec},
    }


def _is_current(existing: Sequence[Object], contents: Sequence[Object], newest: int) -> bool:
    wanted = list(contents)
    for slice_ in existing:
        pool = slice_["spec"]["pool"]
        published = {key: value for key, value in slice_["spec"].items() if key in CONTENTS and value}
        if pool["generation"] != newest or pool["resourceSliceCount"] != len(contents) or published not in wanted:
            return False
        wanted.remove(published)
    return not wanted


def _in_version(device: Object, version: str) -> Object:
    """v1beta1 keeps a device's properties one level deeper."""
    if version != "v1beta1":
        return device
    return {"name": device["name"], "basic": {key: value for key, value in device.items() if key != "name"}}


def best_version(served: Sequence[str]) -> str | None:
    """The version of the group to use, of those that an API server serves; None if it serves no known one."""
    return next((version for version in VERSIONS if version in served), None)
