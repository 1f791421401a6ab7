"""The names under which a node's simulated accelerators appear: their own, or those of a vendor."""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from aiconform.lab.config import LabError
from aiconform.spec import yamlfile
from aiconform.spec.errors import MalformedFile

DEFAULT_IDENTITY = "simulated"


class AcceleratorError(LabError):
    """Something about the simulated accelerators that a user can fix; the message says what and how."""


class Strict(BaseModel):
    """Immutable; unknown fields are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Metrics(StrEnum):
    """A family of metric names; see `telemetry`."""

    OPENTELEMETRY = "opentelemetry"
    DCGM = "dcgm"
    AMD = "amd"
    TPU = "tpu"
    NEURON = "neuron"


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


class Identity(Strict):
    """The names under which accelerators appear: see `identities.yaml`."""

    driver: DnsName
    """Name of the DRA driver, in ResourceSlices and in the kubelet's registry."""
    device_class: DnsName
    """Name of the DeviceClass that selects this driver's devices."""
    extended_resource: Annotated[str, Field(pattern=r"^[a-z0-9.-]+/[A-Za-z0-9._-]+$")]
    """Name of the resource that the device plugin offers."""
    device_prefix: Annotated[str, Field(pattern=r"^/dev/[A-Za-z0-9._/-]*[A-Za-z._-]$")]
    """Path of a device in a container, without its index: `/dev/nvidia` gives `/dev/nvidia0`."""
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
    runtime_version: Version
    """Value of the attribute named by `runtime_version_attribute`, and of `<env_prefix>_RUNTIME_VERSION`."""
    runtime_version_attribute: AttributeName
    """The attribute that carries the runtime's version: `cudaDriverVersion` at one vendor."""
    memory: Memory
    """Memory of one device, a Kubernetes quantity: the capacity `memory`."""
    metrics: Metrics
    """The family of metric names that the exporter uses."""
    attributes: dict[AttributeName, AttributeValue] = {}
    """Further attributes of every device. `simulated: true` is always added."""


@cache
def identities() -> Mapping[str, Identity]:
    """The known identities by name."""
    data = yamlfile.read(Path(__file__).with_name("identities.yaml")).data
    return {name: Identity.model_validate({**data[DEFAULT_IDENTITY], **fields}) for name, fields in data.items()}


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
    """What `find_identity` accepts for this identity: the fields that differ from those of `simulated`."""
    common = identities()[DEFAULT_IDENTITY].model_dump(mode="json")
    return json.dumps(
        {name: value for name, value in identity.model_dump(mode="json").items() if value != common[name]}
    )


def _made(fields: Any) -> Identity:
    if isinstance(fields, dict):
        fields = {**identities()[DEFAULT_IDENTITY].model_dump(mode="json"), **fields}
    return Identity.model_validate(fields)


def problems(err: ValidationError) -> str:
    """What is wrong with a file, field by field, in one line."""
    return "; ".join(f"{'.'.join(map(str, p['loc'])) or 'file'}: {p['msg']}" for p in err.errors())
