"""All add-ons of the lab: each is the ADD_ON of a module of its own; this module collects them."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path

from aiconform.lab import addons
from aiconform.lab.addons.model import AddOn, OnNode, RuntimeHandler
from aiconform.lab.build.assets import Assets
from aiconform.lab.build.components import Component
from aiconform.lab.config import LabError, Unsupported
from aiconform.lab.declared import declared
from aiconform.lab.machines.processes import ProcessSpec
from aiconform.spec import Requirement

# The modules of the package that are no add-ons.
_MACHINERY = ("enforcement", "fast_links", "install", "manifests", "model", "packet_filter", "registry", "working")

ADD_ONS: dict[str, AddOn] = {add_on.name: add_on for add_on in declared(addons, "ADD_ON", besides=_MACHINERY)}
"""Every add-on, by name."""

ALL = "all"


def chosen(names: Iterable[str], minor: str, ip_family: str = "") -> tuple[str, ...]:
    """The add-ons of these names (or `all`) and those that they need, each after the ones it needs.

    Raises LabError for an unknown name, for an add-on that does not support this Kubernetes minor version, and, if an
    IP family is given, for one that this machine cannot have in a lab of it; `all` leaves such add-ons out.
    """
    found: dict[str, None] = {}
    names = list(names)
    for name in ADD_ONS if ALL in names else names:
        if name not in ADD_ONS:
            close = difflib.get_close_matches(name, ADD_ONS, n=1, cutoff=0.4)
            hint = f"did you mean {close[0]}?" if close else ""
            raise LabError(
                f"the lab has no add-on {name!r}; {hint} It has {', '.join(ADD_ONS)}, and all for all of them"
            )
        add_on = ADD_ONS[name]
        if add_on.since and _number(minor) < _number(add_on.since):
            if ALL in names:
                continue
            raise LabError(f"the add-on {name} needs Kubernetes {add_on.since} or newer, the lab has {minor}")
        try:
            if ip_family:
                add_on.requires(ip_family)
        except Unsupported:
            if ALL in names:
                continue
            raise
        found.update(dict.fromkeys(chosen(add_on.needs, minor, ip_family)))
        found[name] = None
    return tuple(found)


def needed(requirements: Iterable[Requirement]) -> tuple[str, ...]:
    """The add-ons that the checks of these requirements need in the lab, each once."""
    return tuple(dict.fromkeys(name for requirement in requirements for name in requirement.lab.add_ons))


def packages_of(add_ons: Iterable[str]) -> dict[str, str]:
    """The commands that these add-ons need on this machine -> the Debian package that contains each."""
    return {command: package for name in add_ons for command, package in ADD_ONS[name].packages.items()}


def components_of(add_ons: Iterable[str]) -> list[Component]:
    """The components to build for these add-ons, each once."""
    return list(dict.fromkeys(component for name in add_ons for component in ADD_ONS[name].components))


def handlers_of(add_ons: Iterable[str], assets: Assets, folder: Path) -> list[RuntimeHandler]:
    """The runtimes that these add-ons configure on a node with this state folder."""
    return [handler for name in add_ons for handler in ADD_ONS[name].runtime_handlers(assets, folder)]


def processes_of(add_ons: Iterable[str], node: OnNode) -> list[ProcessSpec]:
    """What these add-ons run on a node."""
    return [process for name in add_ons for process in ADD_ONS[name].node_processes(node)]


def _number(minor: str) -> tuple[int, ...]:
    return tuple(int(part) for part in minor.split("."))
