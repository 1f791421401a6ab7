"""What one node's simulated accelerators are and how they are offered: the file given to `--config`.

Nothing is assumed about the lab: every path is in the file. The process reads it again on SIGHUP; the fields marked
(start) are read only once. `write_config` replaces a file whole, so that a reader never sees half of one.
"""

from __future__ import annotations

import uuid
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Self

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from aiconform.lab.config import LabError
from aiconform.lab.machines.files import write_json

# Virtual consoles: the character devices that exist and open on any Linux, and that containers may not open by default.
VT_MAJOR = 4
VT_FIRST, VT_LAST = 10, 63
# Where a node's accelerators tell the exporter of their metrics what they are: a folder of the node's own.
TELEMETRY_FOLDER = "/run/aiconform-accelerators"


class AcceleratorError(LabError):
    """Something about the simulated accelerators that a user can mend; the message says what and how."""


class Offer(StrEnum):
    """The way Pods can ask for a node's accelerators."""

    DRA = "dra"
    DEVICE_PLUGIN = "device-plugin"
    BOTH = "both"


class DriverFault(StrEnum):
    """Deliberate defects that the accelerator process itself acts out; `aiconform.lab.faults` describes them."""

    PREPARES_ALL = "driver-prepares-all"
    PREPARES_NOTHING = "driver-prepares-nothing"
    WITHHOLDS_ACCESS = "driver-withholds-access"
    NEVER_PREPARES = "driver-never-prepares"
    NO_DRIVER = "no-driver"
    RENUMBERS = "driver-renumbers-devices"
    OVERCOMMITS = "allocator-overcommits"
    METRICS_OMIT_DEVICE = "metrics-omit-a-device"
    METRICS_OMIT_UTILIZATION = "metrics-omit-utilization"
    METRICS_WITHOUT_MEMORY = "metrics-without-memory"
    METRICS_UNLABELLED = "metrics-without-labels"
    METRICS_FROZEN = "metrics-frozen"
    METRICS_OF_ANOTHER = "metrics-of-another-device"
    METRICS_OF_NODE = "metrics-of-the-whole-node"
    METRICS_KEEP_PEAKS = "metrics-keep-peaks"
    METRICS_GARBAGE = "metrics-are-garbage"


class Metrics(StrEnum):
    """Whose names the metrics of the accelerators have; see `telemetry`."""

    OPENTELEMETRY = "opentelemetry"
    DCGM = "dcgm"
    AMD = "amd"
    TPU = "tpu"
    NEURON = "neuron"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


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


class Identity(_Strict):
    """Under which names the accelerators appear. The default says that they are simulated; a vendor's can be given."""

    driver: DnsName = "simulated-accelerator.aiconform.dev"
    """Name of the DRA driver, in ResourceSlices and in the kubelet's registry."""
    device_class: DnsName = "simulated-accelerator.aiconform.dev"
    """Name of the DeviceClass that selects this driver's devices."""
    extended_resource: Annotated[str, Field(pattern=r"^[a-z0-9.-]+/[A-Za-z0-9._-]+$")] = (
        "aiconform.dev/simulated-accelerator"
    )
    """Name of the resource that the device plugin offers."""
    device_prefix: Annotated[str, Field(pattern=r"^/dev/[A-Za-z0-9._/-]*[A-Za-z._-]$")] = "/dev/aiconform-accel"
    """Path of a device in a container, without its index: `/dev/nvidia` gives `/dev/nvidia0`."""
    product: Annotated[str, Field(max_length=64)] = "Simulated Accelerator A1"
    """Name of the product; the value of the attribute named by `product_attribute`."""
    product_attribute: AttributeName = "model"
    """The attribute that carries the product's name: `productName` at some vendors."""
    uuid_prefix: str = "SIM-"
    """What each device's UUID starts with."""
    env_prefix: Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]*$")] = "SIMULATED_ACCELERATOR"
    """Prefix of the environment variables that a container with a device gets."""
    driver_version: Version = "1.4.2"
    """Value of the attribute driverVersion, and of the variable `<env_prefix>_DRIVER_VERSION`."""
    runtime_version: Version = "12.8.0"
    """Value of the attribute named by `runtime_version_attribute`, and of `<env_prefix>_RUNTIME_VERSION`."""
    runtime_version_attribute: AttributeName = "runtimeVersion"
    """The attribute that carries the runtime's version: `cudaDriverVersion` at one vendor."""
    memory: Memory = "16Gi"
    """Memory of one device, a Kubernetes quantity: the capacity `memory`."""
    metrics: Metrics = Metrics.OPENTELEMETRY
    """Under whose names the exporter reports them."""
    attributes: dict[AttributeName, AttributeValue] = {}
    """Further attributes of every device. `simulated: true` is always added."""


DEFAULT_IDENTITY = Identity()
IDENTITIES = {
    "simulated": DEFAULT_IDENTITY,
    # Stand-ins for vendors' naming, so that checks meet the names of real platforms. Each product says what it is.
    "nvidia": Identity(
        driver="gpu.nvidia.com",
        device_class="gpu.nvidia.com",
        extended_resource="nvidia.com/gpu",
        device_prefix="/dev/nvidia",
        product="Simulated H100",
        product_attribute="productName",
        uuid_prefix="GPU-",
        env_prefix="NVIDIA",
        driver_version="580.65.6",
        runtime_version="13.0.0",
        runtime_version_attribute="cudaDriverVersion",
        memory="80Gi",
        metrics=Metrics.DCGM,
        attributes={"type": "gpu", "brand": "Simulated", "architecture": "Hopper"},
    ),
    "amd": Identity(
        driver="gpu.amd.com",
        device_class="gpu.amd.com",
        extended_resource="amd.com/gpu",
        device_prefix="/dev/dri/renderD",
        product="Simulated MI300X",
        product_attribute="productName",
        uuid_prefix="AMD-",
        env_prefix="AMD",
        memory="192Gi",
        metrics=Metrics.AMD,
    ),
    "tpu": Identity(
        driver="tpu.google.com",
        device_class="tpu.google.com",
        extended_resource="google.com/tpu",
        device_prefix="/dev/accel",
        product="Simulated TPU v6e",
        uuid_prefix="TPU-",
        env_prefix="TPU",
        metrics=Metrics.TPU,
    ),
    "neuron": Identity(
        driver="neuron.aws.com",
        device_class="neuron.aws.com",
        extended_resource="aws.amazon.com/neuron",
        device_prefix="/dev/neuron",
        product="Simulated Trainium2",
        uuid_prefix="NEURON-",
        env_prefix="NEURON",
        metrics=Metrics.NEURON,
    ),
}
"""Known identities by name."""


def find_identity(word: str) -> Identity:
    """The identity of this name, or that in a YAML or JSON file: fields of Identity, the others as by default.

    Raises AcceleratorError naming the identities there are, or what is wrong with the file.
    """
    if word in IDENTITIES:
        return IDENTITIES[word]
    if word.startswith("{"):
        return Identity.model_validate_json(word)
    path = Path(word)
    if not path.is_file():
        raise AcceleratorError(
            f"identity {word!r}: give one of {', '.join(IDENTITIES)}, or a file with fields such as driver and product"
        )
    try:
        return Identity.model_validate(yaml.safe_load(path.read_text()) or {})
    except (OSError, ValueError, yaml.YAMLError) as err:
        raise AcceleratorError(f"{path}: {problems(err) if isinstance(err, ValidationError) else err}") from err


def canonical_identity(word: str) -> str:
    """What `find_identity` takes as well, and what does not depend on a file: a known name or JSON."""
    return word if word in IDENTITIES else find_identity(word).model_dump_json(exclude_defaults=True)


class AcceleratorConfig(_Strict):
    """The whole file."""

    node_name: DnsName
    """Name of the Node object these accelerators are on. (start)"""
    kubeconfig: Path
    """Credentials for the API server, with the rights that `cluster_objects` gives to a group. (start)"""
    state_dir: Path
    """Where the process keeps prepared claims and `status.json`; made if missing. (start)"""
    device_dir: Path
    """Where the device nodes are made, on a file system mounted without `nodev`. Never the machine's /dev. (start)"""
    cdi_dir: Path
    """A folder of the runtime's CDI spec folders. (start)"""
    plugins_dir: Path
    """The kubelet's folder for plugins' sockets, `<root>/plugins`. (start)"""
    registry_dir: Path
    """The kubelet's folder for registration sockets, `<root>/plugins_registry`. (start)"""
    device_plugin_dir: Path
    """The kubelet's folder for device plugins, which holds its `kubelet.sock`. (start)"""
    telemetry: Path | None = None
    """The file that the metrics' exporter reads; none is written without it. (start)"""
    offer: Offer = Offer.DRA
    """How Pods ask for the devices. With `both`, the first half (rounded up) goes to DRA, the rest to the plugin."""
    count: Annotated[int, Field(ge=0, le=VT_LAST - VT_FIRST + 1)] = 4
    """How many devices the node has."""
    major: Annotated[int, Field(ge=1)] = VT_MAJOR
    """Device number of all devices: the major. (start)"""
    first_minor: Annotated[int, Field(ge=0)] = VT_FIRST
    """The minor of device 0; the others follow. Nodes of one machine must not overlap. (start)"""
    identity: Identity = DEFAULT_IDENTITY
    """The names they appear under. (start)"""
    devices_per_slice: Annotated[int, Field(ge=1, le=128)] = 128
    """The most devices in one ResourceSlice; lower it to see a pool of several slices."""
    faults: tuple[DriverFault, ...] = ()
    """The defects in force."""
    serial: int = 0
    """Any number. Whoever writes a new one can tell from `status.json` that this very file was taken up."""

    @property
    def permissions(self) -> str:
        """What the runtime lets a container do with the device it got, in the device cgroup's letters."""
        return "m" if DriverFault.WITHHOLDS_ACCESS in self.faults else "rw"

    @model_validator(mode="after")
    def _numbers_fit(self) -> Self:
        last = self.first_minor + self.count - 1
        if self.major == VT_MAJOR and self.count and not VT_FIRST <= self.first_minor <= last <= VT_LAST:
            raise ValueError(
                f"first_minor {self.first_minor} with count {self.count} leaves "
                f"{VT_FIRST}-{VT_LAST}, the free virtual consoles"
            )
        if self.device_dir.resolve() == Path("/dev"):
            raise ValueError("device_dir is the machine's own /dev; give a folder of the lab")
        return self


class Device(_Strict):
    """One simulated accelerator: a character device and the names it has."""

    index: int
    name: str
    """In ResourceSlices: `accel-0`."""
    uuid: str
    major: int
    minor: int
    host_path: Path
    container_path: str


def devices_of(config: AcceleratorConfig) -> tuple[Device, ...]:
    """All devices of the node, in order of their index; the same at every start."""
    identity = config.identity
    return tuple(
        Device(
            index=index,
            name=f"accel-{index}",
            uuid=identity.uuid_prefix
            + str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{index}.{config.node_name}.{identity.driver}")),
            major=config.major,
            minor=config.first_minor + index,
            host_path=config.device_dir / f"accel{index}",
            container_path=f"{identity.device_prefix}{index}",
        )
        for index in range(config.count)
    )


def split(config: AcceleratorConfig) -> tuple[tuple[Device, ...], tuple[Device, ...]]:
    """(those offered through DRA, those offered through the device plugin)."""
    devices = devices_of(config)
    to_dra = {Offer.DRA: len(devices), Offer.DEVICE_PLUGIN: 0, Offer.BOTH: (len(devices) + 1) // 2}[config.offer]
    return devices[:to_dra], devices[to_dra:]


def read_config(path: Path) -> AcceleratorConfig:
    """The configuration in a JSON file.

    Raises AcceleratorError naming the file and what is wrong with it.
    """
    try:
        return AcceleratorConfig.model_validate_json(path.read_bytes())
    except OSError as err:
        raise AcceleratorError(f"cannot read {path}: {err.strerror}") from err
    except ValidationError as err:
        raise AcceleratorError(f"{path}: {problems(err)}") from err


def problems(err: ValidationError) -> str:
    """What is wrong with a file, field by field, in one line."""
    return "; ".join(f"{'.'.join(map(str, p['loc'])) or 'file'}: {p['msg']}" for p in err.errors())


def write_config(path: Path, config: AcceleratorConfig) -> None:
    """Write the file whole. The process takes it up on SIGHUP and says so in `status.json` (see `status`)."""
    write_json(path, config.model_dump(mode="json"))
