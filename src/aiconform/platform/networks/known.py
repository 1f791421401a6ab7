"""What is known of network devices by their names, from networks.yaml beside this module."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from aiconform.spec import yamlfile


class KnownDriver(BaseModel):
    """A DRA driver of network interfaces; the fields are explained at the top of networks.yaml."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str
    names: tuple[str, ...]
    stays: str = ""
    without: str = ""
    asks: str = ""
    source: str


class Attributes(BaseModel):
    """Names of attributes without their domain, by what they say of a device."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    interface: tuple[str, ...]
    mac: tuple[str, ...]
    kind: tuple[str, ...]
    rdma: tuple[str, ...]
    state: tuple[str, ...]
    identity: tuple[str, ...]
    passing: tuple[str, ...]
    configured: tuple[str, ...]
    addresses: tuple[str, ...]


class KnownNetworks(BaseModel):
    """The whole of networks.yaml."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    drivers: tuple[KnownDriver, ...]
    attributes: Attributes
    shared_types: tuple[str, ...]
    shared_names: tuple[str, ...]
    resources: tuple[str, ...]
    resources_by_any_name: tuple[str, ...]

    @property
    def driver_names(self) -> tuple[str, ...]:
        return tuple(name for each in self.drivers for name in each.names)


@cache
def known_networks() -> KnownNetworks:
    """What comes with the suite."""
    name = "networks.yaml"
    content = yamlfile.parse(Path(name), files(__package__).joinpath(name).read_bytes()).data
    return KnownNetworks.model_validate(content)


def driver_of(name: str) -> KnownDriver | None:
    """The known driver of this name."""
    return next((each for each in known_networks().drivers if fits(name, each.names)), None)


def names_interface(attributes: Iterable[str]) -> bool:
    """Whether one of these attributes of a device names a network interface, whatever its driver."""
    return any(short(name) in known_networks().attributes.interface for name in attributes)


def fits(name: str, patterns: Iterable[str]) -> bool:
    """Whether one of these shell patterns fits a name."""
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def short(name: str) -> str:
    """The name of an attribute without its domain."""
    return name.rpartition("/")[2]
