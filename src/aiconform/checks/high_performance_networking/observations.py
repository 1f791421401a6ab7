"""What high_performance_networking records: the network devices that are published, and what Pods see of interfaces."""

from __future__ import annotations

from typing import Literal

from aiconform.check import Observation
from aiconform.platform.networks.interfaces import DOWN


class PublishedDevice(Observation):
    """A network device as its driver publishes it.

    interface, mac: of its interface in the node's network, where that is told. kind: (attribute, value).
    characteristics: (attribute, value) of what else it can be selected by; capacities: their names. stays: why it stays
    in the node's network when a Pod has it; without: why a Pod with it need not have an interface. held: whether a
    claim had it when it was published so; down: whether it was published as a link that carries nothing.
    """

    driver: str
    pool: str
    name: str
    node: str = ""
    interface: str = ""
    mac: str = ""
    kind: tuple[str, str] = ("", "")
    characteristics: tuple[tuple[str, str], ...] = ()
    capacities: tuple[str, ...] = ()
    stays: str = ""
    without: str = ""
    held: bool = False
    down: bool = False

    @property
    def words(self) -> str:
        called = f" ({self.interface})" if self.interface and self.interface != self.name else ""
        return f"{self.driver}/{self.pool}/{self.name}{called}"


class Described(Observation):
    """The published network devices that are for workloads. incomplete: pools that the scheduler does not use."""

    devices: tuple[PublishedDevice, ...]
    incomplete: tuple[str, ...] = ()


class Interface(Observation):
    """A network interface that a container sees. addresses: with their prefix, as 10.0.0.5/24.

    up: by its flags. carrier: None if the kernel does not tell. device: the path of its hardware in the kernel's tree,
    /sys/devices/pci0000:16/0000:16:02.0, where a container told it and there is any.
    """

    name: str
    mac: str = ""
    up: bool = False
    state: str = ""
    carrier: bool | None = None
    addresses: tuple[str, ...] = ()
    device: str = ""

    @property
    def works(self) -> bool:
        return self.up and self.state not in DOWN and self.carrier is not False

    @property
    def words(self) -> str:
        """Its state, for people."""
        carrier = {True: "with carrier", False: "without carrier", None: ""}[self.carrier]
        return ", ".join(filter(None, ("up" if self.up else "not up", self.state and f"state {self.state}", carrier)))


class Counted(Observation):
    """Bytes that an interface has received and sent."""

    interface: str
    received: int
    sent: int


class Moment(Observation):
    """The counters of a Pod's own interfaces and of those of the Pod that serves, before a transfer or after it."""

    own: tuple[Counted, ...] = ()
    peer: tuple[Counted, ...] = ()


class Transfer(Observation):
    """What a Pod fetched from another one. address: from where. code: 0 if its program reported no error.

    bytes: that arrived; digest: of them. seconds: that it took. said: the program's last words.
    """

    address: str
    code: int
    bytes: int = 0
    seconds: float = 0.0
    digest: str = ""
    said: str = ""


class NetworkPod(Observation):
    """A Pod of the check.

    offering: nodes with a device that its claim selects; elsewhere: whether there are other nodes it could run on.
    problem: how its device kept it from starting. waits: what the scheduler said, if it did not place the Pod. error:
    why it says nothing of its device. devices: that its claim was given. told: (name, hardware address) of interfaces
    that the driver reports in the claim's status. addresses: of the Pod. digest: of what it serves.
    """

    pod: str
    node: str = ""
    offering: tuple[str, ...] = ()
    elsewhere: bool = False
    problem: str = ""
    waits: str = ""
    error: str = ""
    devices: tuple[PublishedDevice, ...] = ()
    told: tuple[tuple[str, str], ...] = ()
    addresses: tuple[str, ...] = ()
    interfaces: tuple[Interface, ...] = ()
    digest: str = ""

    @property
    def ran(self) -> bool:
        return bool(self.interfaces)

    @property
    def why_not(self) -> str:
        return self.problem or self.waits or self.error


class Data(Observation):
    """What the peer fetched over the claimed interfaces, and over the Pod network, which is for comparison only.

    size: bytes that were to be fetched. route: what the kernel says of the way to the address. way: how the address is
    known to be reached over the claimed interface; empty if it need not be.
    """

    size: int
    address: str
    way: Literal["", "network", "route", "link-local"] = ""
    route: str = ""
    over_interface: Transfer | None = None
    over_pods: Transfer | None = None
    before: Moment = Moment()
    between: Moment = Moment()
    after: Moment = Moment()


class Networking(Observation):
    """Two Pods with an interface each, one without on the node of the first, and what became of their interfaces.

    of_node: the devices that the node of the first publishes. node_before: the interfaces that a Pod on its network
    listed before the first Pod was made; node_interfaces: while that had its own; node_unseen: why there is no list.
    no_peer, no_data: why there was no second Pod, or no transfer. denied: NetworkPolicies that may have been in the
    way. two: a Pod that claims two devices of a node; no_two: why there is none. not_returned: how a device was not
    offered again; next_pod: the next one that claimed that of the first; no_next: why that was not tried.
    """

    first: NetworkPod
    without: NetworkPod | None = None
    of_node: tuple[PublishedDevice, ...] = ()
    node_before: tuple[Interface, ...] = ()
    node_interfaces: tuple[Interface, ...] = ()
    node_unseen: str = ""
    peer: NetworkPod | None = None
    no_peer: str = ""
    data: Data | None = None
    no_data: str = ""
    denied: str = ""
    two: NetworkPod | None = None
    no_two: str = ""
    not_returned: str = ""
    next_pod: NetworkPod | None = None
    no_next: str = ""


class Alignment(Observation):
    """A Pod that claims a network device and an accelerator by one claim, which have to match in an attribute.

    nothing: why there are no such devices; untried: why there was no Pod, or why it says nothing of
    them. accelerator: that the claim was given, in words.
    interface_root, accelerator_root: what both of the claim's devices publish as the attribute.
    """

    nothing: str = ""
    untried: str = ""
    attribute: str = ""
    pod: NetworkPod | None = None
    accelerator: str = ""
    interface_root: str = ""
    accelerator_root: str = ""
