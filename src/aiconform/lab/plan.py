"""The desired state of a lab: kept in its state folder as lab.json, read by the supervisor and by later commands."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from aiconform.lab.addons.registry import ADD_ONS
from aiconform.lab.cloud import orders as cloudnodes
from aiconform.lab.config import (
    ACCELERATORS,
    CONTROL_PLANE,
    DEFAULT_KUBERNETES,
    IP_FAMILIES,
    LabError,
    Network,
    Paths,
    needs,
)
from aiconform.lab.machines.files import write_json


@dataclass(frozen=True)
class NodePlan:
    """One node."""

    name: str
    number: int
    """From 1; addresses are derived from it."""
    accelerators: int
    allocation: str
    first_minor: int
    """The slot of its first device node, see `device_numbers`; those of its other device nodes follow."""
    autoscaled: bool = False
    """The cluster's autoscaler has ordered it; it is removed with its Node."""
    identity: str = ""
    """The identity of its accelerators; the lab's if empty."""
    devices: tuple[str, ...] = ()
    """Paths of the machine's own devices that are its accelerators; they are simulated if empty."""


@dataclass(frozen=True)
class LabPlan:
    """A lab."""

    name: str
    index: int
    """The lab's number on this machine, from 0."""
    kubernetes: str = DEFAULT_KUBERNETES
    identity: str = "simulated"
    identities: Mapping[str, str] = field(default_factory=dict)
    """Node name -> the identity of its accelerators, if not the lab's."""
    nodes: tuple[NodePlan, ...] = ()
    """The lab's own, then those that an autoscaler has ordered."""
    unreadable: frozenset[int] = frozenset()
    """Numbers of autoscaled nodes of which nothing else is known; no other node may use them."""
    accelerators: int = ACCELERATORS
    """The number for a new node."""
    allocation: str | Mapping[str, str] = field(default_factory=dict)
    feature_gates: Mapping[str, bool] = field(default_factory=dict)
    runtime_config: Mapping[str, bool] = field(default_factory=dict)
    runtime_overrides: Mapping[str, bool] = field(default_factory=dict)
    """In addition to runtime_config, by a fault that is on."""
    assets: str = ""
    """The folder of binaries that the user gave."""
    add_ons: tuple[str, ...] = ()
    """Each after what it needs."""
    devices: tuple[str, ...] = ()
    """Paths of the machine's own devices that it offers in place of simulated ones."""
    ip_family: str = IP_FAMILIES[0]

    @property
    def network(self) -> Network:
        """Its addresses."""
        return Network(self.index, self.ip_family)

    @property
    def gates(self) -> dict[str, bool]:
        """The feature gates of every component: those that add-ons need, and those of the user."""
        needed = {gate: on for name in self.add_ons for gate, on in ADD_ONS[name].feature_gates.items()}
        return {**needed, **self.feature_gates}

    @property
    def served(self) -> dict[str, bool]:
        """The API groups and versions to enable or disable in the API server."""
        needed = {api: on for name in self.add_ons for api, on in ADD_ONS[name].runtime_config.items()}
        return {**needed, **self.runtime_config, **self.runtime_overrides}

    @property
    def own(self) -> tuple[NodePlan, ...]:
        """The nodes that `lab up` and `lab node` create and remove."""
        return tuple(node for node in self.nodes if not node.autoscaled)

    @property
    def autoscaled(self) -> tuple[NodePlan, ...]:
        return tuple(node for node in self.nodes if node.autoscaled)

    def identity_of(self, node: NodePlan) -> str:
        return node.identity or self.identity

    def node(self, name: str) -> NodePlan:
        """Raises LabError naming the nodes there are."""
        for node in self.nodes:
            if node.name == name:
                return node
        raise LabError(f"lab {self.name} has no node {name}; it has {', '.join(node.name for node in self.nodes)}")

    def save(self, paths: Paths) -> None:
        """Save everything except the autoscaled nodes, which have their own files."""
        machines = {CONTROL_PLANE: {"number": 0}} | {node.name: {"number": node.number} for node in self.own}
        value = asdict(replace(self, nodes=self.own))
        # What an older release does not know is left out if it is usual: it, too, has to find the lab's index.
        del value["unreadable"]
        if self.ip_family == IP_FAMILIES[0]:
            del value["ip_family"]
        for node in value["nodes"]:
            del node["autoscaled"]
        for each in (value, *value["nodes"]):
            for name in ("devices", "identities", "identity"):
                if name in each and not each[name]:
                    del each[name]
        write_json(paths.plan, value | {"machines": machines})


def read(paths: Paths) -> LabPlan | None:
    """The lab's plan; None if there is no such lab. Raises LabError if the file is invalid or not readable."""
    try:
        value = json.loads(paths.plan.read_text())
        del value["machines"]
        for each in (value, *value["nodes"]):
            each["devices"] = tuple(each.get("devices", ()))
        nodes = tuple(NodePlan(**node) for node in value.pop("nodes"))
        value["add_ons"] = tuple(value["add_ons"])
        return _with_autoscaled(LabPlan(nodes=nodes, **value), paths)
    except FileNotFoundError:
        return None
    except PermissionError:
        raise needs("root") from None
    except (ValueError, KeyError, TypeError) as error:
        raise LabError(
            f"{paths.plan} is not a valid plan ({error}); `aiconform lab down --name {paths.name}` deletes that lab"
        ) from error


def fresh(plan: LabPlan, root: Path) -> LabPlan:
    """The plan with the current autoscaled nodes, which come and go while commands run."""
    return _with_autoscaled(plan, Paths(plan.name, root))


def _with_autoscaled(plan: LabPlan, paths: Paths) -> LabPlan:
    values, unreadable = cloudnodes.read(paths)
    nodes, broken = [], set(unreadable)
    for value in values:
        try:
            nodes.append(NodePlan(**{**value, "devices": tuple(value.get("devices", ()))}))
        except TypeError:
            broken.add(value["number"])
    return replace(plan, nodes=(*plan.own, *nodes), unreadable=frozenset(broken))


def labs(root: Path) -> Iterator[LabPlan]:
    """Every lab on this machine whose plan can be read."""
    if not root.is_dir():
        return
    for folder in sorted(entry for entry in root.iterdir() if entry.is_dir()):
        try:
            found = read(Paths(folder.name, root))
        except LabError:
            continue
        if found is not None:
            yield found
