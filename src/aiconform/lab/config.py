"""A lab's options, its files on the machine, and its addresses, which are derived from its index."""

from __future__ import annotations

import ipaddress
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

KUBERNETES = {"1.37": "1.37.2", "1.36": "1.36.3", "1.35": "1.35.4", "1.34": "1.34.4"}
"""Minor version -> the release that the lab builds. The first is the default."""
DEFAULT_KUBERNETES = next(iter(KUBERNETES))

ROOT = Path("/var/lib/aiconform")
"""The folder with the state of every lab on this machine."""

CONTROL_PLANE = "control-plane"
"""Name of the machine that runs etcd, the API server, the controller-manager and the scheduler."""

IP_FAMILIES = ("ipv4", "ipv6")
"""Addresses of a lab are all of one family. The first is the default."""
IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network
# Reserved for benchmarks (RFC 2544, RFC 5180): no host outside a lab has one of these addresses.
_RESERVED: Mapping[str, IpNetwork] = {
    "ipv4": ipaddress.IPv4Network("198.18.0.0/15"),
    # Of 2001:2::/48 as much as labs need.
    "ipv6": ipaddress.IPv6Network("2001:2::/55"),
}
# Prefix length of the Pod range of one node; all other ranges follow from it.
_PODS = {"ipv4": 24, "ipv6": 64}
# The API server takes no larger range of Services.
_SERVICES = {"ipv4": 20, "ipv6": 112}
MAX_LABS = 8
MAX_NODES = 32
_FIRST_NODE = 10  # lower machine addresses: 1 is the host, 2 the control plane

REGISTRY_PORT = 5000

NODES = 2
"""Number of nodes of a new lab."""
ACCELERATORS = 4
"""Number of simulated accelerators of a new node."""
ALLOCATIONS = ("dra", "device-plugin", "both")
MOST_ACCELERATORS = 64
"""The highest number of accelerators of a node."""
FAST_LINKS = ("fast0", "fast1")
"""The names of the fast links of every node that has them, in the order of their rails."""

_NAME = re.compile(r"[a-z]([-a-z0-9]{0,18}[a-z0-9])?")
_NODE_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?")


class LabError(Exception):
    """An error that the user can fix; the message says what is wrong and how to fix it."""

    exit_code = 2
    """With which a command ends."""


class Unsupported(LabError):
    """What was asked for is nothing that this machine can have; the message says what it can have."""

    exit_code = 3


def needs(missing: str) -> LabError:
    """The error on a machine that cannot run a lab; it says what still works there."""
    return LabError(
        f"the lab needs {missing}: it runs nodes in namespaces and cgroups of this machine. "
        "All other commands work here; use `run` with --kubeconfig or --context on another cluster"
    )


def require_linux() -> None:
    """Raises LabError on other systems, where the lab's modules cannot be imported."""
    if sys.platform != "linux":
        raise needs("Linux")


@dataclass(frozen=True)
class LabConfig:
    """The options of `aiconform lab up`. None keeps the value of an existing lab and uses the default for a new one.

    Raises LabError for a value that no lab can have.
    """

    name: str = "lab"
    kubernetes: str | None = None
    """Minor version, a key of KUBERNETES; the newest by default."""
    ip_family: str | None = None
    """One of IP_FAMILIES: of nodes, Pods and Services."""
    nodes: int | None = None
    accelerators: int | None = None
    """Simulated accelerators of each node."""
    allocation: str | Mapping[str, str] | None = None
    """How Pods get accelerators: one of ALLOCATIONS for all nodes, or node name -> one of them. Unnamed nodes
    alternate, starting with dra."""
    devices: tuple[str, ...] = ()
    """Patterns of paths: the machine's own devices to offer in place of simulated ones."""
    identity: str | Mapping[str, str] | None = None
    """The identity of the accelerators, see `aiconform.lab.accelerators.identity.find_identity`: of all nodes, or node
    name -> identity."""
    assets: Path | None = None
    """A folder of binaries that take precedence over the cache and over a build."""
    feature_gates: Mapping[str, bool] | None = None
    """Feature gates of every Kubernetes component."""
    runtime_config: Mapping[str, bool] | None = None
    """API groups and versions to enable or disable in the API server, such as {"scheduling.k8s.io/v1beta1": True}."""
    add_ons: tuple[str, ...] = ()
    """Add-ons to install in addition to the installed ones, see `aiconform.lab.addons`; `all` means all of them."""
    without_add_ons: tuple[str, ...] = ()
    """Add-ons to remove."""

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise LabError(
                f"lab name {self.name!r}: use at most 20 lowercase letters, digits and dashes, starting with a letter"
            )
        if self.kubernetes is not None and self.kubernetes not in KUBERNETES:
            raise LabError(
                f"Kubernetes {self.kubernetes} is not supported by the lab; use one of {', '.join(KUBERNETES)}"
            )
        if self.ip_family is not None and self.ip_family not in IP_FAMILIES:
            raise LabError(f"IP family {self.ip_family!r}: use one of {', '.join(IP_FAMILIES)}")
        if self.nodes is not None and not 1 <= self.nodes <= MAX_NODES:
            raise LabError(f"a lab has 1 to {MAX_NODES} nodes, not {self.nodes}")
        if self.devices and self.accelerators is not None:
            raise LabError("--devices offers the machine's own devices, as many as there are: leave out --accelerators")
        check_accelerators(self.accelerators)
        modes = [self.allocation] if isinstance(self.allocation, str) else (self.allocation or {}).values()
        for mode in modes:
            if mode not in ALLOCATIONS:
                raise LabError(f"allocation {mode!r}: use one of {', '.join(ALLOCATIONS)}, or NODE=MODE")


def check_accelerators(count: int | None) -> None:
    """Raises LabError."""
    if count is not None and not 0 <= count <= MOST_ACCELERATORS:
        raise LabError(f"a node has 0 to {MOST_ACCELERATORS} simulated accelerators, not {count}")


def check_node_name(name: str) -> None:
    """Raises LabError."""
    if not _NODE_NAME.fullmatch(name) or name == CONTROL_PLANE:
        raise LabError(
            f"node name {name!r}: use at most 40 lowercase letters, digits and dashes, but not {CONTROL_PLANE}"
        )


@dataclass(frozen=True)
class Network:
    """The addresses of the lab with this index on the machine (0 to MAX_LABS - 1), all of one of IP_FAMILIES."""

    index: int
    family: str = IP_FAMILIES[0]

    def __post_init__(self) -> None:
        if not 0 <= self.index < MAX_LABS:
            raise LabError(f"this machine already has {MAX_LABS} labs; delete one: `aiconform lab down --name NAME`")

    @property
    def is_ipv6(self) -> bool:
        return self.family == "ipv6"

    @property
    def block(self) -> IpNetwork:
        """All addresses of the lab: 64 ranges of the size of a node's Pod range."""
        return _parts(_RESERVED[self.family], _PODS[self.family] - 6)[self.index]

    @property
    def machines(self) -> IpNetwork:
        """The network of the host, the control plane and the nodes: the first of these ranges."""
        return self._ranges(_PODS[self.family])[0]

    @property
    def services(self) -> IpNetwork:
        """The second quarter, or as much of it as the API server takes."""
        quarter = self._ranges(_PODS[self.family] - 4)[1]
        return ipaddress.ip_network((quarter.network_address, _SERVICES[self.family]))

    @property
    def all_pods(self) -> IpNetwork:
        """The range that contains every node's Pod range: the second half."""
        return self._ranges(_PODS[self.family] - 5)[1]

    @property
    def host(self) -> str:
        return str(self.machines[1])

    @property
    def control_plane(self) -> str:
        return str(self.machines[2])

    @property
    def kubernetes_service(self) -> str:
        """The first Service address, which belongs to the API server."""
        return str(self.services[1])

    @property
    def dns(self) -> str:
        return str(self.services[10])

    @property
    def server(self) -> str:
        """The API server's URL, for the host, the nodes and the Pods."""
        return f"https://{self._control_plane_in_url}:6443"

    @property
    def host_device(self) -> str:
        """Name of the only network device that the lab creates on the host."""
        return f"aiconform{self.index}"

    @property
    def registry(self) -> str:
        """Address and port of the lab's registry, which runs while a trait needs it."""
        return f"{self._control_plane_in_url}:{REGISTRY_PORT}"

    @property
    def _control_plane_in_url(self) -> str:
        return f"[{self.control_plane}]" if self.is_ipv6 else self.control_plane

    def node(self, number: int) -> str:
        """Address of the node with this number (1 to MAX_NODES)."""
        return str(self.machines[_FIRST_NODE + number - 1])

    def pods(self, number: int) -> IpNetwork:
        """Pod range of the node with this number."""
        return self._ranges(_PODS[self.family])[MAX_NODES + number - 1]

    def _ranges(self, prefix: int) -> list[IpNetwork]:
        return _parts(self.block, prefix)


def _parts(network: IpNetwork, prefix: int) -> list[IpNetwork]:
    return list(network.subnets(new_prefix=prefix))


@dataclass(frozen=True)
class Paths:
    """Where a lab keeps its files. Sockets are near the top: a socket path has at most 107 characters."""

    name: str
    root: Path = ROOT

    @property
    def state(self) -> Path:
        return self.root / self.name

    @property
    def plan(self) -> Path:
        return self.state / "lab.json"

    @property
    def autoscaled(self) -> Path:
        """Folder of the nodes that an autoscaler ordered, see `aiconform.lab.cloud.orders`."""
        return self.state / "autoscaled"

    @property
    def supervisor_record(self) -> Path:
        return self.state / "supervisor.json"

    @property
    def supervisor_socket(self) -> Path:
        return self.state / "supervisor.sock"

    @property
    def kubeconfig(self) -> Path:
        return self.state / "kubeconfig"

    @property
    def pki(self) -> Path:
        return self.state / "pki"

    @property
    def cgroup(self) -> str:
        """The lab's cgroup in every hierarchy, relative to the hierarchy's root."""
        return f"aiconform-{self.name}"

    def node_cgroup(self, node: str) -> str:
        """The cgroup that is the root of all that a node sees."""
        return f"{self.cgroup}/{node}"

    def machine(self, machine: str) -> Path:
        return self.state / "machines" / machine

    def machine_spec(self, machine: str) -> Path:
        return self.machine(machine) / "machine.json"

    def machine_socket(self, machine: str) -> Path:
        return self.machine(machine) / "init.sock"

    def logs(self, machine: str) -> Path:
        return self.machine(machine) / "logs"
