"""The network interfaces among the devices that DRA drivers publish, and what a device says of itself."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from aiconform.cluster import Object
from aiconform.platform.accelerators.devices import Attribute, Device, Id
from aiconform.platform.accelerators.selecting import expression
from aiconform.platform.networks.known import (
    KnownDriver,
    driver_of,
    fits,
    known_networks,
    names_interface,
    short,
)

DOWN = ("down", "lowerlayerdown", "notpresent")
"""States of an interface in which it carries nothing (linux/Documentation/networking/operstates.rst)."""
_MOST_OTHERS = 3


@dataclass(frozen=True)
class NetworkDevice:
    """A published device that is a network interface. known: its driver, if it is a known one."""

    device: Device
    known: KnownDriver | None = None

    @property
    def interface(self) -> str:
        """The name of its interface in the node's network; empty if it does not say."""
        return self._text(known_networks().attributes.interface)

    @property
    def mac(self) -> str:
        """Its hardware address in lower case; empty if it does not say."""
        return self._text(known_networks().attributes.mac).lower()

    @property
    def kind(self) -> tuple[str, str]:
        """(attribute, value) that says of which kind it is; empty if nothing does."""
        about = known_networks().attributes
        for name, value in self._told(about.kind):
            if isinstance(value, str) and value:
                return name, value
        return ("rdma", "true") if self.rdma and not self.interface else ("", "")

    @property
    def rdma(self) -> bool | None:
        """Whether it has RDMA; None if it does not say."""
        return next(
            (value for _, value in self._told(known_networks().attributes.rdma) if isinstance(value, bool)), None
        )

    @property
    def down(self) -> bool:
        """Whether it says that it carries nothing, as a port without a cable."""
        return self._text(known_networks().attributes.state).lower().replace("-", "") in DOWN

    @property
    def characteristics(self) -> dict[str, Attribute]:
        """Attribute -> value of what it can be selected by that its kind has in common, but its kind itself."""
        about = known_networks().attributes
        told = {*about.kind, *about.identity, *about.passing}
        kind = self.kind[0]
        return {
            name: value
            for name, value in self.device.attributes.items()
            if short(name) not in told and short(name) != kind
        }

    @property
    def capacities(self) -> tuple[str, ...]:
        """The names of its capacities, by which a claim can select it, too."""
        return self.device.sizes

    @property
    def networks(self) -> frozenset[str]:
        """The networks that it has addresses of, as it publishes them."""
        return networks_of(self._addresses)

    @property
    def families(self) -> frozenset[int]:
        """The versions of IP that it has addresses of, as it publishes them, also of those that are of no network."""
        return frozenset(read.version for text in self._addresses if (read := _read(text)))

    @property
    def _addresses(self) -> list[str]:
        texts = [value for _, value in self._told(known_networks().attributes.addresses) if isinstance(value, str)]
        return [part for text in texts for part in text.split(",")]

    @property
    def selection(self) -> dict[str, Attribute]:
        """What a claim selects it by: its kind, what that has in common, and what tells it from others."""
        about = known_networks().attributes
        kept = {
            name: value
            for name, value in self.device.attributes.items()
            if short(name) not in (*about.passing, *about.configured)
            and type(value) in (str, int, bool)
            and value != ""
        }
        # The scheduler evaluates no expression of any length.
        others = [name for name in kept if short(name) not in (*about.kind, *about.identity)][:_MOST_OTHERS]
        return {
            name: value
            for name, value in kept.items()
            if name in others or short(name) in (*about.kind, *about.identity)
        }

    def selector(self) -> str:
        """A CEL expression that it satisfies, whether a Pod has had it or not."""
        return expression(self.device.driver, self.selection)

    @property
    def shared(self) -> str:
        """Its type or its name, if that is one of links that nodes have for themselves, or for their Pods."""
        known = known_networks()
        types = [str(value).lower() for _, value in self._told(known.attributes.kind)]
        named = self.interface if fits(self.interface, known.shared_names) else ""
        return next((each for each in types if each in known.shared_types), named)

    def _text(self, names: Iterable[str]) -> str:
        return next((value for _, value in self._told(names) if isinstance(value, str) and value), "")

    def _told(self, names: Iterable[str]) -> list[tuple[str, Attribute]]:
        found = {short(name): value for name, value in self.device.attributes.items()}
        return [(name, found[name]) for name in names if name in found]

    def __str__(self) -> str:
        called = f" ({self.interface})" if self.interface and self.interface != self.device.name else ""
        return f"device {self.device.name}{called} of {self.device.driver} on {self.device.node or 'several nodes'}"


def networks_of(addresses: Iterable[str]) -> frozenset[str]:
    """The networks of addresses such as 10.0.0.5/24; what is no address with a prefix is of none."""
    every = [each for each in map(_read, addresses) if each]
    return frozenset(str(each.network) for each in every if each.network.prefixlen < each.max_prefixlen)


def _read(text: str) -> ipaddress.IPv4Interface | ipaddress.IPv6Interface | None:
    try:
        return ipaddress.ip_interface(text.strip())
    except ValueError:
        return None


def network_devices(devices: Iterable[Device]) -> list[NetworkDevice]:
    """Those of these devices that are network interfaces."""
    found = []
    for device in devices:
        known = driver_of(device.driver)
        if known or names_interface(device.attributes):
            found.append(NetworkDevice(device, known))
    return found


def carrying_others(devices: Iterable[NetworkDevice]) -> dict[Id, str]:
    """Device -> why a Pod that gets it takes it from others; without those of which nothing says so.

    A bond, a bridge or a VLAN has the hardware address of a link that it is on, which it does not work without.
    """
    devices = list(devices)
    shared = [each for each in devices if each.shared]
    found = {each.device.id: f"carries others' traffic ({each.shared})" for each in shared}
    above = {(each.device.node, each.mac): each for each in shared if each.mac}
    for each in devices:
        if (upper := above.get((each.device.node, each.mac))) and not each.shared:
            found[each.device.id] = f"carries others' traffic (that of {upper.interface or upper.device.name})"
    return found


def by_resource(nodes: Iterable[Object], alike: Iterable[str] = ()) -> dict[str, int]:
    """Extended resource -> how many nodes offer some, of network interfaces that are not offered by DRA.

    alike: what names of accelerators look like.
    """
    known, alike = known_networks(), tuple(alike)
    found: dict[str, int] = {}
    for node in nodes:
        offered: Mapping[str, str] = (node.get("status") or {}).get("allocatable") or {}
        for name, amount in offered.items():
            chosen = fits(name, known.resources_by_any_name) and not fits(name.lower(), alike)
            if amount != "0" and (fits(name, known.resources) or chosen):
                found[name] = found.get(name, 0) + 1
    return found
