"""What a lab is made of: its options, its place on the machine, and its addresses, which follow from its index."""

from __future__ import annotations

import ipaddress
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

KUBERNETES = {"1.37": "1.37.2", "1.36": "1.36.3", "1.35": "1.35.4", "1.34": "1.34.4"}
"""Minor -> the release the lab builds; the first is the default."""
DEFAULT_KUBERNETES = next(iter(KUBERNETES))

ROOT = Path("/var/lib/aiconform")
"""Where the state of every lab of the machine is."""

CONTROL_PLANE = "control-plane"
"""Name of the machine that runs etcd, the API server, the controller-manager and the scheduler."""

# Reserved for benchmarks (RFC 2544): nothing outside of a lab can be meant by these addresses.
_RESERVED = ipaddress.IPv4Network("198.18.0.0/15")
_BLOCK = 18  # prefix length of one lab's share
MAX_LABS = 2 ** (_BLOCK - _RESERVED.prefixlen)
MAX_NODES = 32
_FIRST_NODE = 10  # machine addresses below: 1 the host, 2 the control plane

NODES = 2
"""Nodes of a new lab."""
ACCELERATORS = 4
"""Simulated accelerators of a new node."""
ALLOCATIONS = ("dra", "device-plugin", "both")
# Virtual consoles, 4:10 to 4:63: character devices that any Linux has and that containers may not open by default.
FIRST_MINOR, LAST_MINOR = 10, 63

_NAME = re.compile(r"[a-z]([-a-z0-9]{0,18}[a-z0-9])?")
_NODE_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?")


class LabError(Exception):
    """Something that the user can mend; the message says what and how."""


def needs(missing: str) -> LabError:
    """The error where no lab can be, and what still works there."""
    return LabError(
        f"the lab needs {missing}: it runs real nodes in namespaces and cgroups of this machine. "
        "Everything but `lab` works here; give `run` another cluster with --kubeconfig or --context"
    )


def require_linux() -> None:
    """Raises LabError elsewhere: the lab's modules cannot even be imported there."""
    if sys.platform != "linux":
        raise needs("Linux")


@dataclass(frozen=True)
class LabConfig:
    """The options of `aiconform lab up`. None leaves an existing lab as it is and gives a new one the default.

    Raises LabError for a value that no lab can have.
    """

    name: str = "lab"
    kubernetes: str | None = None
    """Minor version, a key of KUBERNETES; the newest by default."""
    nodes: int | None = None
    accelerators: int | None = None
    """Simulated accelerators of each node."""
    allocation: str | Mapping[str, str] | None = None
    """How Pods get accelerators: one of ALLOCATIONS for every node, or node name -> one of them. Nodes without a word
    alternate, beginning with dra."""
    identity: str | None = None
    """Whose names the accelerators carry, see `aiconform.lab.accelerators.identity.find_identity`."""
    assets: Path | None = None
    """A folder of binaries to prefer over the cache and a build."""
    feature_gates: Mapping[str, bool] | None = None
    """Feature gates of every Kubernetes component."""
    runtime_config: Mapping[str, bool] | None = None
    """API groups and versions that the API server serves or not, such as {"scheduling.k8s.io/v1beta1": True}."""
    add_ons: tuple[str, ...] = ()
    """Add-ons to install beside those that are installed, see `aiconform.lab.addons`; `all` stands for all of them."""
    without_add_ons: tuple[str, ...] = ()
    """Add-ons to remove."""

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise LabError(
                f"lab name {self.name!r}: use at most 20 lower-case letters, digits and dashes, beginning with a letter"
            )
        if self.kubernetes is not None and self.kubernetes not in KUBERNETES:
            raise LabError(
                f"the lab has no Kubernetes {self.kubernetes}; it has {', '.join(KUBERNETES)} (--kubernetes X.Y)"
            )
        if self.nodes is not None and not 1 <= self.nodes <= MAX_NODES:
            raise LabError(f"a lab has 1 to {MAX_NODES} nodes, not {self.nodes}")
        check_accelerators(self.accelerators)
        ways = [self.allocation] if isinstance(self.allocation, str) else (self.allocation or {}).values()
        for way in ways:
            if way not in ALLOCATIONS:
                raise LabError(f"allocation {way!r}: use one of {', '.join(ALLOCATIONS)}, or NODE=ONE-OF-THEM")


def check_accelerators(count: int | None) -> None:
    """Raises LabError."""
    most = LAST_MINOR - FIRST_MINOR + 1
    if count is not None and not 0 <= count <= most:
        raise LabError(f"a node has 0 to {most} simulated accelerators, not {count}")


def check_node_name(name: str) -> None:
    """Raises LabError."""
    if not _NODE_NAME.fullmatch(name) or name == CONTROL_PLANE:
        raise LabError(f"node name {name!r}: use at most 40 lower-case letters, digits and dashes, not {CONTROL_PLANE}")


@dataclass(frozen=True)
class Network:
    """The addresses of the lab with this index on the machine (0 to MAX_LABS - 1)."""

    index: int

    def __post_init__(self) -> None:
        if not 0 <= self.index < MAX_LABS:
            raise LabError(f"this machine has {MAX_LABS} labs already; end one with `aiconform lab down --name NAME`")

    @property
    def block(self) -> ipaddress.IPv4Network:
        """All addresses of the lab."""
        return list(_RESERVED.subnets(new_prefix=_BLOCK))[self.index]

    @property
    def machines(self) -> ipaddress.IPv4Network:
        """The network that host, control plane and nodes share."""
        return next(self.block.subnets(new_prefix=24))

    @property
    def services(self) -> ipaddress.IPv4Network:
        return list(self.block.subnets(new_prefix=20))[1]

    @property
    def all_pods(self) -> ipaddress.IPv4Network:
        """What every node's Pod range is in."""
        return list(self.block.subnets(new_prefix=19))[1]

    @property
    def host(self) -> str:
        return str(self.machines[1])

    @property
    def control_plane(self) -> str:
        return str(self.machines[2])

    @property
    def kubernetes_service(self) -> str:
        """The first Service address, which the API server takes."""
        return str(self.services[1])

    @property
    def dns(self) -> str:
        return str(self.services[10])

    @property
    def server(self) -> str:
        """The API server's URL, for the host, the nodes and the Pods."""
        return f"https://{self.control_plane}:6443"

    @property
    def host_device(self) -> str:
        """Name of the one network device that the lab puts on the host."""
        return f"aiconform{self.index}"

    def node(self, number: int) -> str:
        """Address of the node with this number (1 to MAX_NODES)."""
        return str(self.machines[_FIRST_NODE + number - 1])

    def pods(self, number: int) -> ipaddress.IPv4Network:
        """Pod range of the node with this number."""
        return list(self.block.subnets(new_prefix=24))[MAX_NODES + number - 1]


@dataclass(frozen=True)
class Paths:
    """Where a lab keeps its things. Sockets are near the top: their paths may have 107 characters."""

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
        """Folder of the nodes that an autoscaler asked for, see `aiconform.lab.cloud.orders`."""
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
        """What the kubelet of a node takes for the root of all cgroups."""
        return f"{self.cgroup}/{node}"

    def machine(self, machine: str) -> Path:
        return self.state / "machines" / machine

    def machine_spec(self, machine: str) -> Path:
        return self.machine(machine) / "machine.json"

    def machine_socket(self, machine: str) -> Path:
        return self.machine(machine) / "init.sock"

    def logs(self, machine: str) -> Path:
        return self.machine(machine) / "logs"
