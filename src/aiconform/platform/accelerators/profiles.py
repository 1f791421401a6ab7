"""The names of known accelerators, from profiles.yaml beside this module, and what a user says of others."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from aiconform.platform.networks.known import known_networks
from aiconform.spec import SpecError, yamlfile

NAMED = "named by --accelerator"
"""The profile of what a user calls an accelerator by a pattern only."""


class BadProfile(ValueError):
    """A file of profiles that cannot be used; the text names the file and the place in it."""


class Profile(BaseModel):
    """The names of one family of accelerators; the fields are explained at the top of profiles.yaml."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    simulated: bool = False
    drivers: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    counts: tuple[str, ...] = ()
    registers: tuple[str, ...] = ()
    partitions: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    whole_host: bool = False
    host_memory: tuple[str, ...] = ()
    other_types: tuple[str, ...] = ()

    def product(self, labels: Mapping[str, str]) -> str:
        """The product that a node's labels name, or empty."""
        return next((labels[label] for label in self.labels if label in labels), "")

    def devices(self, labels: Mapping[str, str], annotations: Mapping[str, str]) -> int:
        """How many physical devices a node has by its labels and annotations; 0 if they do not say."""
        if registered := self.registered(annotations):
            return registered
        return 0 if _fits(self.product(labels), self.partitions) else self._counted(labels)

    def _counted(self, labels: Mapping[str, str]) -> int:
        """The numbers of the labels `counts` together."""
        numbers = (value for label, value in labels.items() if _fits(label, self.counts))
        return sum(int(value) for value in numbers if value.isdecimal())

    def partitions_of(self, resource: str, labels: Mapping[str, str]) -> int:
        """How many partitions of a resource's kind a node has by its labels; 0 if they do not say, or it has others."""
        if _fits(resource, self.parts):
            told = labels.get(f"{resource.removesuffix('.shared')}.count", "")
            return int(told) if told.isdecimal() else 0
        return self._counted(labels) if _fits(self.product(labels), self.partitions) else 0

    def registered(self, annotations: Mapping[str, str]) -> int:
        """How many physical devices the plugin that shares them lists in a node's annotations; 0 if none does."""
        return sum(_listed(value) for name, value in annotations.items() if _fits(name, self.registers))

    def sets(self, resources: Iterable[str]) -> list[list[str]]:
        """These resources of one node by the hardware that they stand for, the one to ask for first."""
        names = sorted(resources)
        alike = [name for pattern in self.aliases for name in names if fnmatchcase(name, pattern)]
        return ([alike] if alike else []) + [[name] for name in names if name not in alike]


@dataclass(frozen=True)
class Profiles:
    """What is an accelerator and what is not. The first profile that fits a name counts.

    others: patterns of drivers and resources that are something else, unless the user says otherwise. parts: of
    resources that are no device, although they are of one. chosen: of resources that administrators name, which are
    something else unless their name fits one of alike.
    own, named, refused: what the user said: profiles, patterns of accelerators, patterns of what is none.
    """

    accelerators: tuple[Profile, ...]
    others: tuple[str, ...]
    own: tuple[Profile, ...] = ()
    named: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()
    chosen: tuple[str, ...] = ()
    alike: tuple[str, ...] = ()

    def by_driver(self, driver: str) -> Profile | None:
        """The profile of a DRA driver, or None if its devices are not known to be accelerators."""
        return self._of(driver, lambda profile: profile.drivers)

    def by_resource(self, resource: str) -> Profile | None:
        """The profile that an extended resource belongs to, or None if it is not a known accelerator."""
        return self._of(resource, lambda profile: profile.resources)

    def is_other(self, name: str) -> bool:
        """Whether a driver or resource without a profile is known to be something else, so that nobody is asked."""
        if _fits(name, (*self.refused, *self.others, *self.parts)):
            return True
        return _fits(name, self.chosen) and not _fits(name.lower(), self.alike)

    def is_part(self, resource: str) -> bool:
        """Whether an extended resource is a part of accelerators that no Pod asks for alone; the user may say no."""
        return _fits(resource, self.parts) and not _fits(resource, self.refused) and self.by_resource(resource) is None

    def is_alike(self, resource: str) -> bool:
        """Whether an unlisted resource is called like an accelerator, or is of a vendor of some."""
        if self.is_other(resource) or self.by_resource(resource):
            return False
        known = (pattern for each in (*self.own, *self.accelerators) for pattern in each.resources)
        vendors = {pattern.partition("/")[0] for pattern in known}
        return resource.partition("/")[0] in vendors or _fits(resource.lower(), self.alike)

    def _of(self, name: str, patterns: Callable[[Profile], tuple[str, ...]]) -> Profile | None:
        if _fits(name, self.refused):
            return None
        named = _fits(name, self.named)
        known = self.accelerators if named or not _fits(name, (*self.others, *self.parts)) else ()
        found = next((each for each in (*self.own, *known) if _fits(name, patterns(each))), None)
        # What has a profile keeps its name in reports.
        return found or (Profile(name=NAMED) if named else None)


def _listed(text: str) -> int:
    """How many devices a list has: JSON, or each device's fields, which commas part, between colons."""
    try:
        found = json.loads(text)
    except ValueError:
        return sum("," in entry for entry in text.split(":"))
    return len(found) if isinstance(found, list) else 0


def _fits(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def has_host_memory(profile: str, product: str) -> bool:
    """Whether a product of this profile has no memory of its own."""
    return any(each.name == profile and _fits(product, each.host_memory) for each in load_profiles().accelerators)


@cache
def load_profiles() -> Profiles:
    """The profiles that come with the suite."""
    content = yamlfile.parse(Path("profiles.yaml"), files(__package__).joinpath("profiles.yaml").read_bytes()).data
    networks = known_networks()
    others = (*content["other_drivers"], *content["other_resources"], *networks.driver_names, *networks.resources)
    accelerators = tuple(map(Profile.model_validate, content["accelerators"]))
    return Profiles(
        accelerators,
        others,
        parts=tuple(content["parts_of_accelerators"]),
        chosen=(*content["other_resources_by_any_name"], *networks.resources_by_any_name),
        alike=tuple(content["like_accelerators"]),
    )


class _File(BaseModel):
    """What a user's file of profiles has."""

    model_config = ConfigDict(extra="forbid")

    accelerators: tuple[Profile, ...]


def read_profiles(path: Path) -> tuple[Profile, ...]:
    """The profiles of a user's file: a list `accelerators`, as in profiles.yaml. Raises BadProfile."""
    try:
        return _File.model_validate(yamlfile.read(path).data).accelerators
    except SpecError as error:
        raise BadProfile(str(error)) from error
    except ValidationError as error:
        problem = error.errors()[0]
        place = ".".join(str(part) for part in problem["loc"]) or "the file"
        raise BadProfile(
            f"{path}: {place}: {problem['msg']}. Such a file has a list `accelerators`; each entry has a name and "
            "lists of drivers, resources or labels"
        ) from error
