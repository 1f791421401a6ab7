"""Which devices are virtual ones, and how large they are, by what the platform publishes: from virtual.yaml."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from aiconform.cluster import Object, quantity
from aiconform.platform.accelerators.devices import Device
from aiconform.platform.accelerators.profiles import Profiles
from aiconform.platform.accelerators.resource_slices import IncompletePool
from aiconform.platform.accelerators.shares import hardware_of
from aiconform.spec import yamlfile

INSTANCE_TYPE = "node.kubernetes.io/instance-type"
_GIB, _MIB = 2.0**30, 2.0**20


class _Machines(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    resources: tuple[str, ...]
    labels: dict[str, str]


class _Known(BaseModel):
    """What virtual.yaml has; the fields are explained at its top."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    attributes: dict[str, str]
    drivers: dict[str, dict[str, str]]
    parents: dict[str, tuple[str, ...] | dict[str, str]]
    labels: dict[str, dict[str, str]]
    products: dict[str, tuple[str, ...]]
    memory: dict[str, tuple[str, ...]]
    resources: tuple[str, ...]
    instances: dict[str, dict[str, float]]
    machines: _Machines


@cache
def _known() -> _Known:
    name = "virtual.yaml"
    return _Known.model_validate(yamlfile.parse(Path(name), files(__package__).joinpath(name).read_bytes()).data)


def of_device(device: Device, profile: str) -> str:
    """What says that a DRA device of this profile of accelerators is a virtual one; empty if nothing does."""
    wanted = {**_known().attributes, **_known().drivers.get(device.driver, {})}
    for name, value in device.attributes.items():
        if (pattern := wanted.get(name.rpartition("/")[2])) and _is(pattern, str(value)):
            return f"attribute {name}={str(value).lower() if isinstance(value, bool) else value}"
    product = _product(device)
    return f"product {product}" if _of_product(product, profile) else ""


def of_node(profile: str, labels: Mapping[str, str]) -> str:
    """What says that all devices of this profile of a node with these labels are virtual ones; empty if nothing."""
    known = _known()
    for label, pattern in known.labels.get(profile, {}).items():
        if label in labels and _is(pattern, labels[label]):
            return f"label {label}={labels[label]}"
    machine = labels.get(INSTANCE_TYPE, "")
    return f"label {INSTANCE_TYPE}={machine}" if _instance(machine, profile) is not None else ""


def of_resource(resource: str, profile: str, product: str, labels: Mapping[str, str]) -> str:
    """What says that an extended resource of a node with these labels stands for virtual devices; empty if nothing."""
    if any(fnmatchcase(resource, pattern) for pattern in _known().resources):
        return f"{resource} is a virtual device"
    if _is("true", labels.get(f"{resource}.virtual", "")):
        return f"label {resource}.virtual={labels[f'{resource}.virtual']}"
    return of_node(profile, labels) or (f"product {product}" if _of_product(product, profile) else "")


def memory_of_device(device: Device, profile: str) -> float:
    """How many bytes a virtual device should have: as published, else by the name of its type; 0 if none says."""
    return device.memory or _of_name(_product(device), profile)


def memory_of_resource(resource: str, profile: str, product: str, labels: Mapping[str, str]) -> float:
    """How many bytes each of such virtual devices should have, as `memory_of_device`, or by the type of its machine."""
    for label in (f"{resource}.memory", *_known().memory.get(profile, ())):
        if labels.get(label, "").isdecimal():
            return int(labels[label]) * _MIB
    return _of_name(product, profile) or (_instance(labels.get(INSTANCE_TYPE, ""), profile) or 0.0) * _GIB


def parent_of(device: Device) -> str:
    """What tells the physical device of a virtual one, or of any device, on its node; empty if nothing does."""
    found = _known().parents
    if told := device.attribute(*found["any"]):
        return str(told)
    rules = found.get(device.driver, {})
    for name, pattern in rules.items() if isinstance(rules, dict) else ():
        if matched := re.fullmatch(pattern, str(device.attribute(name) or "")):
            return matched[1]
    return hardware_of(device) if device.consumes else ""


def for_machines(nodes: Iterable[Object]) -> list[str]:
    """Virtual devices that only virtual machines can have, in words."""
    known, found = _known().machines, dict[str, list[str]]()
    for node in nodes:
        there = [*(node["status"].get("allocatable") or {})]
        named = [each for each in there if any(fnmatchcase(each, pattern) for pattern in known.resources)]
        labels = node["metadata"].get("labels") or {}
        told = [f"label {label}={value}" for label, value in known.labels.items() if labels.get(label) == value]
        if named or told:
            found.setdefault(", ".join(named or told), []).append(node["metadata"]["name"])
    return [
        f"{what} of {len(names)} node(s), such as {names[0]}: for virtual machines, and not for Pods"
        for what, names in found.items()
    ]


def anywhere(
    nodes: Iterable[Object], devices: Iterable[Device], incomplete: Iterable[IncompletePool], profiles: Profiles
) -> list[str]:
    """What says that there are virtual devices, or leaves it open, in words: of all nodes, whether Pods can use them or
    not, of all published devices, of pools that cannot be read, and of resources that are called like accelerators.
    """
    found: dict[str, list[str]] = defaultdict(list)
    for node in nodes:
        name, labels = node["metadata"]["name"], node["metadata"].get("labels") or {}
        told = [of_node(profile, labels) for profile in {*_known().labels, *_known().instances}]
        amounts = {**(node["status"].get("allocatable") or {}), **(node["status"].get("capacity") or {})}
        for resource in (each for each, amount in amounts.items() if "/" in each and quantity.number(amount) >= 1):
            if profile := profiles.by_resource(resource):
                told.append(of_resource(resource, profile.name, profile.product(labels), labels))
            elif profiles.is_alike(resource):
                told.append(f"{resource}, of which nobody says whether it is an accelerator (--accelerator {resource})")
        for said in filter(None, told):
            found[said].append(name)
    for device in devices:
        known = profiles.by_driver(device.driver)
        if known and device.attribute("type") not in known.other_types and (said := of_device(device, known.name)):
            found[said].append(device.node or device.pool)
    pools = [
        f"pool {pool.name} of {pool.driver}: {pool.problem}" for pool in incomplete if profiles.by_driver(pool.driver)
    ]
    return [*(f"{said} of {', '.join(dict.fromkeys(names[:3]))}" for said, names in sorted(found.items())), *pools]


def looked_at(profiles: Iterable[str]) -> str:
    """Where a virtual device of these profiles would have shown, in words."""
    known, profiles = _known(), list(profiles)
    labels = [label for each in profiles for label in known.labels.get(each, {})]
    names = ["attributes " + ", ".join(known.attributes), "labels " + ", ".join([*labels, INSTANCE_TYPE])]
    return "; ".join([*names, "names of products and extended resources"])


def _product(device: Device) -> str:
    return str(device.attribute("productName", "model", "product") or "")


def _is(pattern: str, value: str) -> bool:
    return re.fullmatch(pattern, value, re.IGNORECASE) is not None


def _of_product(product: str, profile: str) -> bool:
    return any(_is(pattern, product) for pattern in _known().products.get(profile, ()))


def _of_name(product: str, profile: str) -> float:
    """The memory in the name of a product, in bytes; 0 if it has none."""
    for pattern in _known().products.get(profile, ()):
        found = re.fullmatch(pattern, product, re.IGNORECASE)
        if found and (size := found.groupdict().get("gib")):
            return int(size) * _GIB
    return 0.0


def _instance(machine: str, profile: str) -> float | None:
    """The memory of a virtual device of a type of machines, in GiB; None if its devices are not virtual."""
    found = _known().instances.get(profile, {})
    return next((size for pattern, size in found.items() if _is(pattern, machine)), None)
