"""The names and the shape under which a node's simulated accelerators appear: their own, or those of a vendor."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, ValidationError, field_validator, model_validator

from aiconform.lab.accelerators.exporters import exporters
from aiconform.lab.accelerators.strict import Strict
from aiconform.lab.accelerators.templates import NUMBERS, TEXTS, fill
from aiconform.lab.config import LabError
from aiconform.spec import yamlfile
from aiconform.spec.errors import MalformedFile

DEFAULT_IDENTITY = "simulated"


class AcceleratorError(LabError):
    """Something about the simulated accelerators that a user can fix; the message says what and how."""


DnsName = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", max_length=63)]
Version = Annotated[str, Field(pattern=r"^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z.-]+)?$", max_length=64)]


def _canonical(quantity: str) -> str:
    """The form in which the API server stores a binary quantity: 1024Mi becomes 1Gi."""
    units = ["Ki", "Mi", "Gi", "Ti"]
    number, unit = int(quantity[:-2]), quantity[-2:]
    while number % 1024 == 0 and unit != units[-1]:
        number, unit = number // 1024, units[units.index(unit) + 1]
    return f"{number}{unit}"


Memory = Annotated[str, Field(pattern=r"^[1-9]\d*(Ki|Mi|Gi|Ti)$"), AfterValidator(_canonical)]
# An attribute's name: a C identifier, with an optional domain before it (resource.k8s.io rules).
AttributeName = Annotated[str, Field(pattern=r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z_][A-Za-z0-9_]{0,31}$")]
AttributeValue = bool | int | Annotated[str, Field(max_length=64)]
ExtendedResource = Annotated[str, Field(pattern=r"^[a-z0-9.-]+/[A-Za-z0-9._-]+$")]
# The path of a device node in a container; see `templates` for what is between braces.
NodePath = Annotated[str, Field(pattern=r"^/dev/[A-Za-z0-9._/{}+*-]+$")]
DeviceName = Annotated[str, Field(pattern=r"^[a-z0-9{]([-a-z0-9{}+*_]*[a-z0-9}])?$")]


class Partition(Strict):
    """A kind of part that a physical device is cut into: one at each of the places `starts`."""

    profile: str
    """Its vendor's name for the kind, such as `1g.10gb`."""
    starts: Annotated[tuple[int, ...], Field(min_length=1)]
    name: DeviceName
    """Its name in ResourceSlices."""
    extended_resource: ExtendedResource | None = None
    """The resource that the device plugin offers it as, if it is not that of whole devices."""
    memory: Memory
    nodes: Annotated[tuple[NodePath, ...], Field(min_length=1)]
    """Its own nodes. A holder gets those of the whole device, too, which the holders of its other partitions have."""
    first_instance: int = 0
    """The number of the first of these that the hardware gives; the others follow."""
    uuid_prefix: str
    attributes: dict[AttributeName, AttributeValue] = Field(default_factory=dict)
    """In addition to those of its device."""
    counters: dict[str, int] = Field(default_factory=dict)
    """What it takes of its device's `counters`; names are templates."""
    virtual: bool = False
    """Whether it is a virtual function: no node of the physical device comes with it."""


class Model(Strict):
    """What differs between the physical devices of one node. A field that is left out is that of the identity."""

    product: Annotated[str, Field(max_length=64)] | None = None
    memory: Memory | None = None
    extended_resource: ExtendedResource | None = None
    attributes: dict[AttributeName, AttributeValue] = Field(default_factory=dict)
    """In addition to those of the identity."""
    partitions: tuple[Partition, ...] = ()
    """What the device is cut into; it is offered as a whole if this is empty."""
    counters: dict[str, int] = Field(default_factory=dict)
    """What its partitions share. With them, DRA offers the whole device as well as all partitions that it could have
    (sharedCounters), and the scheduler decides; the device plugin offers the whole device."""


class Identity(Strict):
    """The names and the shape under which accelerators appear: see `identities.yaml`. Paths, names and labels are
    templates (`templates`)."""

    driver: DnsName
    """Name of the DRA driver, in ResourceSlices and in the kubelet's registry."""
    device_class: DnsName
    """Name of the DeviceClass that selects this driver's devices."""
    device_classes: dict[DnsName, str] = Field(default_factory=dict)
    """DeviceClasses that also select by the attribute `type`, with its value; `device_class` may be among them."""
    extended_resource: ExtendedResource
    """Name of the resource that the device plugin offers."""
    shares: Annotated[int, Field(ge=1)] = 1
    """How many times the device plugin offers each device: more than once for time slices and the like."""
    aliases: dict[ExtendedResource, Annotated[int, Field(ge=1)]] = Field(default_factory=dict)
    """Further resources for the same devices, with how many of each a device has."""
    whole_host: bool = False
    """A container that asks for the resource can have only all devices of a node together."""
    nodes: tuple[NodePath, ...]
    """The nodes of a device in its holder's container. The first is the one that work is done with; others are its
    companions, such as a node for control. (Earlier spelling: `device_prefix`, the path of the only one without its
    index.)"""
    shared_nodes: tuple[NodePath, ...] = ()
    """Nodes that every holder on a node of the cluster gets."""
    device_name: DeviceName = "accel-{parent}"
    """Name of a whole device in ResourceSlices."""
    models: Annotated[tuple[Model, ...], Field(min_length=1)] = (Model(),)
    """The physical devices of a node are of these in turn."""
    further: tuple[Model, ...] = ()
    """Physical devices of every node beside those that it is said to have, which only DRA offers."""
    virtual_labels: dict[str, str] = Field(default_factory=dict)
    """Labels of a Node whose device plugin offers the virtual ones of `further`."""
    vgpu: str = ""
    """The profile of all devices where a hypervisor gives them, all virtual, to the nodes; else empty."""
    host_memory: Memory | None = None
    """With it: the memory of the hypervisor's physical device."""
    share_of_memory: Memory | None = None
    """With it, DRA lets several claims have a device at once (allowMultipleAllocations). This is how much of its
    memory one gets that asks for no amount, and the step in which it can be had."""
    product: Annotated[str, Field(max_length=64)]
    """Name of the product; the value of the attribute named by `product_attribute`."""
    product_attribute: AttributeName
    """The attribute that carries the product's name: `productName` at some vendors."""
    uuid_prefix: str
    """What each device's UUID starts with."""
    env_prefix: Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]*$")]
    """Prefix of the environment variables that a container with a device gets."""
    driver_version: Version
    """Value of the attribute driverVersion, and of the variable `<env_prefix>_DRIVER_VERSION`."""
    driver_text: str = ""
    """How the driver itself writes its version, where that is no semantic version: 580.65.06 at one vendor."""
    driver_files: dict[str, str] = Field(default_factory=dict)
    """What a holder's container finds of the driver: path -> content, templates with `driver`, its version. Paths under
    /proc and /sys are those of a real driver (`driver.py`)."""
    driver_labels: dict[str, str] = Field(default_factory=dict)
    """Labels of the Node that say which driver it has: templates with `driver`, `runtime` (their versions) and
    `integration`."""
    integration_attribute: Annotated[str, Field(pattern=r"^[A-Za-z_]*$")] = ""
    """The attribute that carries the runtime integration; empty if DRA does not publish it."""
    runtime_version: Version
    """Value of the attribute named by `runtime_version_attribute`, and of `<env_prefix>_RUNTIME_VERSION`."""
    runtime_version_attribute: AttributeName
    """The attribute that carries the runtime's version: `cudaDriverVersion` at one vendor."""
    memory: Memory
    """Memory of one device, a Kubernetes quantity: the capacity `memory`."""
    metrics: str
    """The exporter whose form the metrics have: an entry of `exporters.yaml`."""
    attributes: dict[AttributeName, AttributeValue] = Field(default_factory=dict)
    """Further attributes of every device; text is a template. `simulated` is always added."""
    without_attributes: tuple[str, ...] = ()
    """Which of uuid, index, minor and driverVersion this driver does not publish."""
    node_labels: dict[str, str] = Field(default_factory=dict)
    """Further labels of the Node; values are templates."""
    requested_by: tuple[str, ...] = ()
    """Variables of a container by which its vendor's runtime gives it devices, whatever Kubernetes says."""
    allocation: Literal["", "dra", "device-plugin"] = ""
    """The way in which real clusters offer it, where there is only one: nodes of a lab use it by default."""
    since: Annotated[str, Field(pattern=r"^(1\.\d+)?$")] = ""
    """The first Kubernetes minor version that serves what its driver publishes; empty for all."""
    like: str = ""
    """The entry whose fields it has taken over."""
    sources: tuple[str, ...] = ()
    """Where the facts are from: URLs."""

    @model_validator(mode="after")
    def _templates_can_be_filled(self) -> Self:
        models = [*self.models, *self.further]
        parts = [part for model in models for part in model.partitions]
        paths = [*self.nodes, *self.shared_nodes, *(path for part in parts for path in part.nodes)]
        for template in (*paths, *(name for part in parts for name in part.counters)):
            fill(template, NUMBERS)
        attributes = [self.attributes, *(each.attributes for each in models), *(part.attributes for part in parts)]
        texts = [value for each in attributes for value in each.values() if isinstance(value, str)]
        names = [self.device_name, *(part.name for part in parts)]
        for template in (*names, *texts):
            fill(template, {**NUMBERS, **TEXTS})
        for template in self.node_labels.values():
            fill(template, {**NUMBERS, **TEXTS, "count": 0})
        for template in (*self.driver_files, *self.driver_files.values()):
            fill(template, {"driver": ""})
        for template in self.driver_labels.values():
            fill(template, {"driver": "", "runtime": "", "integration": ""})
        return self

    @field_validator("metrics")
    @classmethod
    def _is_known(cls, name: str) -> str:
        if name not in exporters():
            raise ValueError(f"give one of {', '.join(exporters())}")
        return name

    @model_validator(mode="before")
    @classmethod
    def _earlier_spelling(cls, fields: Any) -> Any:
        if isinstance(fields, dict) and "device_prefix" in fields:
            prefix = fields["device_prefix"]
            return {name: value for name, value in fields.items() if name != "device_prefix"} | {
                "nodes": [f"{prefix}{{parent}}"]
            }
        return fields


# What `simulated` has for itself and for those that are like it.
_OWN = ("attributes", "further", "virtual_labels")


@cache
def identities() -> Mapping[str, Identity]:
    """The known identities by name."""
    data = yamlfile.read(Path(__file__).with_name("identities.yaml")).data

    def fields_of(name: str) -> dict[str, Any]:
        own: dict[str, Any] = data[name]
        if like := own.get("like"):
            return {**fields_of(like), **own}
        common = {} if name == DEFAULT_IDENTITY else data[DEFAULT_IDENTITY]
        return {**{field: value for field, value in common.items() if field not in _OWN}, **own}

    return {name: Identity.model_validate(fields_of(name)) for name in data}


def find_identity(word: str) -> Identity:
    """The identity of this name, or the one in a YAML or JSON file or JSON text; fields left out are `simulated`'s.

    Raises AcceleratorError naming the identities there are, or what is wrong with the file.
    """
    if word in identities():
        return identities()[word]
    source = "identity" if word.startswith("{") else word
    if source == word and not Path(word).is_file():
        known = ", ".join(identities())
        raise AcceleratorError(
            f"identity {word!r}: give one of {known}, or a file with fields such as driver and product"
        )
    try:
        return _made(yamlfile.read(Path(word)).data if source == word else json.loads(word))
    except MalformedFile as err:
        raise AcceleratorError(str(err)) from err
    except json.JSONDecodeError as err:
        raise AcceleratorError(f"{source}: {err}") from err
    except ValidationError as err:
        raise AcceleratorError(f"{source}: {problems(err)}") from err


def canonical_identity(word: str) -> str:
    """What `find_identity` accepts as well, and what does not depend on a file: a known name or JSON."""
    return word if word in identities() else as_json(find_identity(word))


def as_json(identity: Identity) -> str:
    """What `find_identity` accepts for this identity: the fields that differ from those of an empty one."""
    common = _common().model_dump(mode="json")
    return json.dumps(
        {name: value for name, value in identity.model_dump(mode="json").items() if value != common[name]}
    )


def _common() -> Identity:
    """What an identity has where it says nothing."""
    simulated = identities()[DEFAULT_IDENTITY]
    return simulated.model_copy(
        update={name: Identity.model_fields[name].get_default(call_default_factory=True) for name in _OWN}
    )


def _made(fields: Any) -> Identity:
    if isinstance(fields, dict):
        fields = {**_common().model_dump(mode="json"), **fields}
    return Identity.model_validate(fields)


def problems(err: ValidationError) -> str:
    """What is wrong with a file, field by field, in one line."""
    return "; ".join(f"{'.'.join(map(str, p['loc'])) or 'file'}: {p['msg']}" for p in err.errors())
