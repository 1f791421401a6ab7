"""The address of a claimed interface that data is sent to, and whether the way there is over the other one."""

from __future__ import annotations

import contextlib
import ipaddress
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from aiconform.checks.high_performance_networking.observations import Interface


@dataclass(frozen=True)
class Way:
    """text: the address with its prefix."""

    text: str

    @property
    def _parsed(self) -> ipaddress.IPv4Interface | ipaddress.IPv6Interface:
        return ipaddress.ip_interface(self.text)

    @property
    def _is_link_local(self) -> bool:
        return self._parsed.version == 6 and self._parsed.is_link_local

    @property
    def written(self) -> str:
        """The address as in a URL; empty if it is a link-local one, which is none without an interface."""
        if self._is_link_local:
            return ""
        return f"[{self._parsed.ip}]" if self._parsed.version == 6 else str(self._parsed.ip)

    @property
    def link(self) -> str:
        """The link-local address; empty if it is another one."""
        return str(self._parsed.ip) if self._is_link_local else ""

    def reached_over(self, mine: Interface, route: str) -> Literal["", "network", "route", "link-local"]:
        """What says that this interface reaches the address: that both are of one network, or the kernel's route."""
        if self._is_link_local:
            return "link-local"
        for own in _read(mine.addresses):
            if own.version == self._parsed.version and self._parsed.ip in own.network and own.ip != self._parsed.ip:
                return "network"
        return "route" if re.search(rf"\bdev {re.escape(mine.name)}(\s|$)", route) else ""


def way_to(interface: Interface) -> Way | None:
    """The best address of an interface: a global one of IPv4, then of IPv6, then a link-local one of IPv6."""
    found = [
        (each.is_link_local, each.version, str(each))
        for each in _read(interface.addresses)
        if not each.is_loopback and not (each.version == 4 and each.is_link_local)
    ]
    return Way(min(found)[2]) if found else None


def _read(addresses: Iterable[str]) -> Iterator[ipaddress.IPv4Interface | ipaddress.IPv6Interface]:
    """Those of these texts that are addresses."""
    for text in addresses:
        with contextlib.suppress(ValueError):
            yield ipaddress.ip_interface(text)
