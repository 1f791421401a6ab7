"""The configuration of one node's simulated accelerators: the file given to `--config`.

It contains every path, so nothing is assumed about the lab. The process reads it again on SIGHUP; the fields marked
(start) are read only at start.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, ValidationError, model_validator

from aiconform.lab import device_numbers
from aiconform.lab.accelerators.devices import Device, RealDevice, make_devices, numbers_needed, real_devices
from aiconform.lab.accelerators.identity import (
    DEFAULT_IDENTITY,
    AcceleratorError,
    DnsName,
    Identity,
    identities,
    problems,
)
from aiconform.lab.accelerators.strict import Strict
from aiconform.lab.config import MOST_ACCELERATORS
from aiconform.lab.machines.files import write_json

# The folder on a node in which its accelerators describe themselves to the exporter of metrics.
TELEMETRY_FOLDER = "/run/aiconform-accelerators"
KUBELET_PLUGINS = "/var/lib/kubelet/plugins"
# The socket at which a driver of network interfaces asks where they are, in the kubelet's folder of plugins.
LINKS_SOCKET = "links.aiconform.dev/attributes.sock"


class Offer(StrEnum):
    """How Pods request a node's accelerators."""

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
    DRIVER_DIFFERS = "driver-differs-from-advertised"
    VERSION_UNADVERTISED = "driver-version-unadvertised"
    VERSION_BY_LABEL = "driver-version-by-label-only"
    VERSION_IMPRECISE = "driver-version-imprecise"
    LIBRARIES_DIFFER = "driver-libraries-differ"
    INTEGRATION_MISSTATED = "runtime-integration-misstated"
    SHARES_APART = "shares-of-separate-devices"
    MORE_SHARES = "more-shares-than-advertised"
    SECOND_SHARE_REFUSED = "second-share-refused"
    LAST_SHARE_REFUSED = "last-share-refused"
    SHARES_NOT_OFFERED = "shares-not-offered"
    MEMORY_OF_WHOLE = "partition-shows-whole-memory"
    VIRTUAL_ELSEWHERE = "virtual-by-another-interface"
    VIRTUAL_NAMES = "virtual-names-differ"
    VIRTUAL_CLOSED = "virtual-device-does-not-open"
    VIRTUAL_TWICE = "virtual-device-is-given-twice"
    VIRTUAL_KEPT = "virtual-device-is-not-released"
    VIRTUAL_WHOLE_MEMORY = "virtual-shows-whole-memory"
    VIRTUAL_SECOND_REFUSED = "second-virtual-device-refused"
    VIRTUAL_LEAK = "virtual-devices-leak"
    METRICS_OMIT_DEVICE = "metrics-omit-a-device"
    METRICS_OMIT_UTILIZATION = "metrics-omit-utilization"
    METRICS_WITHOUT_MEMORY = "metrics-without-memory"
    METRICS_UNLABELLED = "metrics-without-labels"
    METRICS_FROZEN = "metrics-frozen"
    METRICS_OF_ANOTHER = "metrics-of-another-device"
    METRICS_OF_NODE = "metrics-of-the-whole-node"
    METRICS_KEEP_PEAKS = "metrics-keep-peaks"
    METRICS_GARBAGE = "metrics-are-garbage"


class AcceleratorConfig(Strict):
    """The content of the file."""

    node_name: DnsName
    """Name of the Node object these accelerators are on. (start)"""
    kubeconfig: Path
    """Credentials for the API server, with the permissions that `cluster_objects` gives to a group. (start)"""
    state_dir: Path
    """Where the process keeps prepared claims and `status.json`; created if missing. (start)"""
    device_dir: Path
    """Where the device nodes are created, on a file system without `nodev`. Never the machine's /dev. (start)"""
    cdi_dir: Path
    """A folder of the runtime's CDI spec folders. (start)"""
    plugins_dir: Path
    """The kubelet's folder for plugins' sockets, `<root>/plugins`. (start)"""
    registry_dir: Path
    """The kubelet's folder for registration sockets, `<root>/plugins_registry`. (start)"""
    device_plugin_dir: Path
    """The kubelet's folder for device plugins, which holds its `kubelet.sock`. (start)"""
    telemetry: Path | None = None
    """The file that the exporter of metrics reads; not written if None. (start)"""
    cgroup: Path = Path()
    """The cgroup of the node's Pods, below /sys/fs/cgroup: the exporter looks there for users of a device. (start)"""
    offer: Offer = Offer.DRA
    """How Pods request the devices. With `both`, DRA offers the first half (rounded up), the plugin the rest."""
    count: Annotated[int, Field(ge=0, le=MOST_ACCELERATORS)] = 4
    """How many physical devices the node has, beside the identity's further ones."""
    first_minor: Annotated[int, Field(ge=0)] = device_numbers.FIRST
    """The slot (`device_numbers`) of the first device node; the others follow. Nodes of one machine must not overlap.
    (start)"""
    identity: Identity = Field(default_factory=lambda: identities()[DEFAULT_IDENTITY])
    """The names they appear under. (start)"""
    real: tuple[RealDevice, ...] = ()
    """The machine's own devices, in place of simulated ones; there are `count` of them. (start)"""
    devices_per_slice: Annotated[int, Field(ge=1, le=128)] = 128
    """The maximum number of devices in one ResourceSlice; if it is low, a pool has several slices."""
    faults: tuple[DriverFault, ...] = ()
    """The faults that are on."""
    serial: int = 0
    """Any number. A new one shows in `status.json` that this version of the file is in force."""

    def permissions(self, device: Device) -> str:
        """What a container may do with its device, in the device cgroup's letters."""
        closed = device.virtual and DriverFault.VIRTUAL_CLOSED in self.faults
        return "m" if closed or DriverFault.WITHHOLDS_ACCESS in self.faults else "rw"

    @model_validator(mode="after")
    def _numbers_fit(self) -> Self:
        last = self.first_minor + numbers_needed(self.identity, self.count) - 1
        if self.real and self.count != len(self.real):
            raise ValueError(f"count is {self.count}, but there are {len(self.real)} real devices")
        if self.count and not self.real and not device_numbers.FIRST <= self.first_minor <= last <= device_numbers.LAST:
            raise ValueError(
                f"first_minor {self.first_minor} with count {self.count} leaves "
                f"{device_numbers.FIRST}-{device_numbers.LAST}, the free device numbers"
            )
        if self.device_dir.resolve() == Path("/dev"):
            raise ValueError("device_dir is the machine's own /dev; use a folder of the lab")
        return self


def devices_of(config: AcceleratorConfig) -> tuple[Device, ...]:
    """All devices of the node in order of their index, the same at every start."""
    if config.real:
        return real_devices(config.identity, config.real, node=config.node_name)
    made = make_devices(
        config.identity, config.count, node=config.node_name, first=config.first_minor, folder=config.device_dir
    )
    by_plugin = config.offer is Offer.DEVICE_PLUGIN
    return tuple(device for device in made if device.parent < config.count or not by_plugin)


def split(config: AcceleratorConfig) -> tuple[tuple[Device, ...], tuple[Device, ...]]:
    """(those offered through DRA, those offered through the device plugin)."""
    to_dra = {Offer.DRA: config.count, Offer.DEVICE_PLUGIN: 0, Offer.BOTH: (config.count + 1) // 2}[config.offer]
    elsewhere = DriverFault.VIRTUAL_ELSEWHERE in config.faults

    def by_dra(device: Device) -> bool:
        if device.parent < config.count:
            return device.parent < to_dra
        return not (elsewhere and device.virtual)

    devices = devices_of(config)
    return (
        tuple(device for device in devices if by_dra(device)),
        tuple(device for device in devices if not by_dra(device) and not device.on_demand),
    )


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


def write_config(path: Path, config: AcceleratorConfig) -> None:
    """Replace the file. The process reads it on SIGHUP and reports that in `status.json` (see `status`)."""
    write_json(path, config.model_dump(mode="json"))
