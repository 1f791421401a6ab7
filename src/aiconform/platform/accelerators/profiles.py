"""The names of known accelerators, from profiles.yaml beside this module."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files
from pathlib import Path

from aiconform.spec import yamlfile


@dataclass(frozen=True)
class Profile:
    """The names of one family of accelerators; the fields are explained at the top of profiles.yaml."""

    name: str
    simulated: bool = False
    drivers: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class Profiles:
    accelerators: tuple[Profile, ...]
    other_drivers: tuple[str, ...]

    def by_driver(self, driver: str) -> Profile | None:
        return next((profile for profile in self.accelerators if driver in profile.drivers), None)

    def by_resource(self, resource: str) -> Profile | None:
        """The profile that an extended resource belongs to, or None if it is not a known accelerator."""
        for profile in self.accelerators:
            if any(fnmatchcase(resource, pattern) for pattern in profile.resources):
                return profile
        return None

    def is_other(self, driver: str) -> bool:
        return any(fnmatchcase(driver, pattern) for pattern in self.other_drivers)


@cache
def load_profiles() -> Profiles:
    content = yamlfile.parse(Path("profiles.yaml"), files(__package__).joinpath("profiles.yaml").read_bytes()).data
    return Profiles(
        accelerators=tuple(
            Profile(
                name=entry["name"],
                simulated=entry.get("simulated", False),
                **{key: tuple(entry.get(key, ())) for key in ("drivers", "resources", "labels")},
            )
            for entry in content["accelerators"]
        ),
        other_drivers=tuple(content["other_drivers"]),
    )
