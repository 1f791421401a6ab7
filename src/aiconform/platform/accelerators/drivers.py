"""Where the version of an accelerator's driver is advertised, and where it is installed, from drivers.yaml."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import takewhile
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from aiconform.cluster import Object
from aiconform.platform.accelerators.devices import Device
from aiconform.platform.accelerators.versions import parse
from aiconform.spec import yamlfile

Place = Literal["attribute", "label", "annotation", "node"]
"""Of a device by DRA; of the Node's metadata; or a field of the Node's status."""
Integration = Literal["cdi", "hook", "device-plugin"]
"""What puts a device into a container: the runtime by a CDI specification, a hook or another runtime that reads the
container's environment, or the device nodes and mounts that the device plugin names."""
INTEGRATIONS: tuple[Integration, ...] = ("cdi", "hook", "device-plugin")
KERNEL_VERSION = "status.nodeInfo.kernelVersion"
KERNEL_LABEL = "feature.node.kubernetes.io/kernel-version.full"


@dataclass(frozen=True)
class Told:
    """A value that the platform advertises, and where."""

    place: Place
    name: str
    value: str

    def __str__(self) -> str:
        return f"{self.place} {self.name}={self.value}"


Unit = Literal["B", "KiB", "MiB", "GiB"]


class Reading(BaseModel):
    """A file, or an injected program, that shows something of a device; the fields are explained in drivers.yaml."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: str = ""
    program: str = ""
    value: str
    unit: Unit = "B"
    of_parts: bool = False
    means: str = ""

    def values(self, text: str) -> tuple[str, ...]:
        """What the text shows, each value once."""
        return tuple(dict.fromkeys(re.findall(self.value, text)))


class Family(BaseModel):
    """The driver of one family of accelerators; the fields are explained at the top of drivers.yaml."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    profile: str = ""
    simulated: bool = False
    published: bool = False
    labels: tuple[str | tuple[str, ...], ...] = ()
    runtime: tuple[str, ...] = ()
    in_kernel: bool = False
    modules: tuple[str, ...] = ()
    kernel_files: dict[str, str] = {}
    libraries: tuple[str, ...] = ()
    files: dict[str, str] = {}
    integration: tuple[str, ...] = ()
    traces: dict[Integration, dict[str, str]] = {}
    memory: tuple[Reading, ...] = ()
    parent: tuple[Reading, ...] = ()
    device_memory: tuple[Reading, ...] = ()
    virtual: tuple[Reading, ...] = ()
    functions: bool = False

    def driver(self, devices: Iterable[Device], node: Object, more: Iterable[str] = ()) -> tuple[Told, ...]:
        """The versions of the driver that are advertised for these devices of a node, and for the node.

        more: further names of attributes, labels or annotations, which are read where the known ones have no version:
        on a node of two vendors they are about one of them. A driver that can be part of the kernel has the kernel's
        version where nothing else is told.
        """
        devices, more = tuple(devices), tuple(more)
        told = [*self._versions(devices), *_metadata(node, self.labels)]
        if not any(parse(each.value) for each in told):
            named = (each for each in _attributes(devices) if {each.name, _short(each.name)} & {*more})
            told += [*named, *_metadata(node, more)]
        if told or not self.in_kernel:
            return tuple(dict.fromkeys(told))
        kernel = (node["status"].get("nodeInfo") or {}).get("kernelVersion")
        labelled = _metadata(node, [KERNEL_LABEL])
        return (*labelled, *([Told("node", KERNEL_VERSION, kernel)] if kernel else ()))

    def _versions(self, devices: Iterable[Device]) -> Iterator[Told]:
        pattern = re.compile(_drivers().attribute)
        for told in _attributes(devices):
            short = _short(told.name)
            if short not in self.runtime and pattern.fullmatch(short):
                yield told

    def runtimes(self, devices: Iterable[Device], node: Object) -> tuple[Told, ...]:
        """The versions of the runtime library, and of the container runtime."""
        runtime = (node["status"].get("nodeInfo") or {}).get("containerRuntimeVersion")
        told = (*_named(devices, self.runtime), *_metadata(node, self.runtime))
        status = (Told("node", "status.nodeInfo.containerRuntimeVersion", runtime),) if runtime else ()
        return (*dict.fromkeys(told), *status)

    def integrations(self, devices: Iterable[Device], node: Object) -> tuple[Told, ...]:
        """The runtime integrations that are declared of these devices, or else of the node."""
        told = tuple(dict.fromkeys(_named(devices, self.integration)))
        return told or tuple(_metadata(node, self.integration))


def _attributes(devices: Iterable[Device]) -> Iterator[Told]:
    for device in devices:
        for name, value in device.attributes.items():
            yield Told("attribute", name, str(value))


def _named(devices: Iterable[Device], names: tuple[str, ...]) -> Iterator[Told]:
    return (told for told in _attributes(devices) if _short(told.name) in names)


def _short(attribute: str) -> str:
    """The name of an attribute without its domain."""
    return attribute.rpartition("/")[2]


def _metadata(node: Object, names: Iterable[str | tuple[str, ...]]) -> Iterator[Told]:
    places: tuple[tuple[Place, Mapping[str, str]], ...] = (
        ("label", node["metadata"].get("labels") or {}),
        ("annotation", node["metadata"].get("annotations") or {}),
    )
    for name in names:
        parts = (name,) if isinstance(name, str) else name
        for place, values in places:
            if parts[0] in values:
                # Without its minor version, the revision says nothing.
                known = takewhile(values.get, parts)
                yield Told(place, parts[0], ".".join(values[part] for part in known))


class _Drivers(BaseModel):
    """What drivers.yaml has."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    simulated_kernel: str
    attribute: str
    families: tuple[Family, ...]


@cache
def _drivers() -> _Drivers:
    name = "drivers.yaml"
    return _Drivers.model_validate(yamlfile.parse(Path(name), files(__package__).joinpath(name).read_bytes()).data)


def families() -> tuple[Family, ...]:
    """All known families."""
    return _drivers().families


def family_of(profile: str) -> Family:
    """The driver of a profile of accelerators; of one that is not known, nothing but what its attributes say."""
    return next((each for each in families() if each.profile == profile), Family())


def simulated_family() -> Family:
    """The driver of simulated accelerators; whatever name they act under, their kernel files are its own."""
    return next(each for each in families() if each.simulated)


def simulated_kernel() -> str:
    """The folder in which a container finds what the driver of a simulated device would show under /proc and /sys."""
    return _drivers().simulated_kernel
