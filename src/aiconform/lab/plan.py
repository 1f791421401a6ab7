"""What a lab is to be: kept in its state folder as lab.json, read by the supervisor and by every later command."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from aiconform.lab.accelerators.config import canonical_identity
from aiconform.lab.addons import ADD_ONS, chosen
from aiconform.lab.config import (
    ACCELERATORS,
    CONTROL_PLANE,
    DEFAULT_KUBERNETES,
    FIRST_MINOR,
    LAST_MINOR,
    MAX_LABS,
    MAX_NODES,
    NODES,
    LabConfig,
    LabError,
    Paths,
    check_node_name,
    needs,
)
from aiconform.lab.processes import write_json


@dataclass(frozen=True)
class NodePlan:
    """One node."""

    name: str
    number: int
    """From 1; addresses come from it."""
    accelerators: int
    allocation: str
    first_minor: int
    """Device number of its first accelerator: the minor."""


@dataclass(frozen=True)
class Plan:
    """A lab."""

    name: str
    index: int
    """The lab's number on this machine, from 0."""
    kubernetes: str = DEFAULT_KUBERNETES
    identity: str = "simulated"
    nodes: tuple[NodePlan, ...] = ()
    accelerators: int = ACCELERATORS
    """What a new node gets."""
    allocation: str | Mapping[str, str] = field(default_factory=dict)
    feature_gates: Mapping[str, bool] = field(default_factory=dict)
    runtime_config: Mapping[str, bool] = field(default_factory=dict)
    runtime_overrides: Mapping[str, bool] = field(default_factory=dict)
    """On top of runtime_config, by a fault that is on."""
    assets: str = ""
    """The folder of binaries that was given."""
    add_ons: tuple[str, ...] = ()
    """Each after what it needs."""

    @property
    def gates(self) -> dict[str, bool]:
        """The feature gates of every component: those that add-ons need, and those that were asked for."""
        needed = {gate: on for name in self.add_ons for gate, on in ADD_ONS[name].feature_gates.items()}
        return {**needed, **self.feature_gates}

    @property
    def served(self) -> dict[str, bool]:
        """The API groups and versions that the API server is told to serve or not."""
        needed = {api: on for name in self.add_ons for api, on in ADD_ONS[name].runtime_config.items()}
        return {**needed, **self.runtime_config, **self.runtime_overrides}

    def node(self, name: str) -> NodePlan:
        """Raises LabError naming the nodes there are."""
        for node in self.nodes:
            if node.name == name:
                return node
        raise LabError(f"lab {self.name} has no node {name}; it has {', '.join(node.name for node in self.nodes)}")

    def save(self, paths: Paths) -> None:
        machines = {CONTROL_PLANE: {"number": 0}} | {node.name: {"number": node.number} for node in self.nodes}
        write_json(paths.plan, asdict(self) | {"machines": machines})


def read(paths: Paths) -> Plan | None:
    """The lab's plan; None if there is no such lab. Raises LabError if the file is broken, or only root's."""
    try:
        value = json.loads(paths.plan.read_text())
        del value["machines"]
        nodes = tuple(NodePlan(**node) for node in value.pop("nodes"))
        value["add_ons"] = tuple(value["add_ons"])
        return Plan(nodes=nodes, **value)
    except FileNotFoundError:
        return None
    except PermissionError:
        raise needs("root") from None
    except (ValueError, KeyError, TypeError) as error:
        raise LabError(
            f"{paths.plan} is not a lab's plan ({error}); `aiconform lab down --name {paths.name}` removes that lab"
        ) from error


def labs(root: Path) -> Iterator[Plan]:
    """Every lab of the machine whose plan can be read."""
    if not root.is_dir():
        return
    for folder in sorted(entry for entry in root.iterdir() if entry.is_dir()):
        try:
            found = read(Paths(folder.name, root))
        except LabError:
            continue
        if found is not None:
            yield found


def make(config: LabConfig, old: Plan | None, root: Path) -> Plan:
    """The plan that `config` asks for: a new one, or `old` with what may change while a lab runs.

    Raises LabError for what may not, and when the machine has no room for another lab.
    """
    identity = canonical_identity(config.identity) if config.identity else None
    if old is None:
        taken = {plan.index for plan in labs(root)}
        free = [index for index in range(MAX_LABS) if index not in taken]
        if not free:
            raise LabError(f"this machine has {MAX_LABS} labs already; end one with `aiconform lab down --name NAME`")
        plan = Plan(config.name, free[0], config.kubernetes or DEFAULT_KUBERNETES, identity or "simulated")
        nodes = NODES
    else:
        for option, asked, is_now in (
            ("kubernetes", config.kubernetes, old.kubernetes),
            ("identity", identity, old.identity),
        ):
            if asked is not None and asked != is_now:
                raise LabError(
                    f"lab {old.name} is up with {option} {is_now}, not {asked}; end it with "
                    f"`aiconform lab down --name {old.name}`, or bring up another with --name"
                )
        plan, nodes = old, len(old.nodes)
    changes: dict[str, Any] = {
        name: value
        for name in ("accelerators", "allocation", "feature_gates", "runtime_config")
        if (value := getattr(config, name)) is not None
    }
    if config.assets is not None:
        changes["assets"] = str(config.assets.resolve())
    leave = set(config.without_add_ons)
    if unknown := sorted(leave - ADD_ONS.keys()):
        raise LabError(f"the lab has no add-on {', '.join(unknown)}; it has {', '.join(ADD_ONS)}")
    wanted = chosen((*(name for name in plan.add_ons if name not in leave), *config.add_ons), plan.kubernetes)
    if kept := sorted(leave & set(wanted)):
        raise LabError(f"add-on {', '.join(kept)} stays: another one that stays needs it")
    changes["add_ons"] = wanted
    plan = replace(plan, **changes)
    plan = resize(plan, config.nodes if config.nodes is not None else nodes, root)
    if old is not None and ("accelerators" in changes or "allocation" in changes):
        plan = reoffer(plan, root)
    if not isinstance(plan.allocation, str):
        for node in plan.allocation:
            plan.node(node)
    return plan


def resize(plan: Plan, nodes: int, root: Path) -> Plan:
    """The plan with this many nodes: the newest go first, and new ones are node-1, node-2, …"""
    plan = replace(plan, nodes=plan.nodes[:nodes])
    while len(plan.nodes) < nodes:
        names = {node.name for node in plan.nodes}
        plan = add_node(plan, next(n for i in range(1, MAX_NODES + 1) if (n := f"node-{i}") not in names), root)
    return plan


def add_node(plan: Plan, name: str, root: Path, allocation: str | None = None, accelerators: int | None = None) -> Plan:
    """The plan with one node more. Raises LabError for a name that is taken or no name, or when the lab is full."""
    check_node_name(name)
    if any(node.name == name for node in plan.nodes):
        raise LabError(f"lab {plan.name} has a node {name} already")
    if len(plan.nodes) >= MAX_NODES:
        raise LabError(f"lab {plan.name} has {MAX_NODES} nodes already, and that is the most")
    number = next(i for i in range(1, MAX_NODES + 1) if i not in {node.number for node in plan.nodes})
    count = plan.accelerators if accelerators is None else accelerators
    way = allocation or _allocation_of(plan, name, len(plan.nodes))
    node = NodePlan(name, number, count, way, _free_minors(plan, count, root))
    return replace(plan, nodes=(*plan.nodes, node))


def remove_node(plan: Plan, name: str) -> Plan:
    """The plan without a node. Raises LabError."""
    plan.node(name)
    if len(plan.nodes) == 1:
        raise LabError(f"{name} is the last node of lab {plan.name}; end the lab with `aiconform lab down`")
    return replace(plan, nodes=tuple(node for node in plan.nodes if node.name != name))


def reoffer(plan: Plan, root: Path) -> Plan:
    """The plan with every node's accelerators as the plan now says."""
    fresh = replace(plan, nodes=())
    for position, node in enumerate(plan.nodes):
        minor = node.first_minor
        if plan.accelerators != node.accelerators:
            minor = _free_minors(fresh, plan.accelerators, root)
        way = _allocation_of(plan, node.name, position)
        fresh = replace(
            fresh,
            nodes=(*fresh.nodes, replace(node, accelerators=plan.accelerators, allocation=way, first_minor=minor)),
        )
    return fresh


def _allocation_of(plan: Plan, node: str, position: int) -> str:
    if isinstance(plan.allocation, str):
        return plan.allocation
    return plan.allocation.get(node, "dra" if position % 2 == 0 else "device-plugin")


def _free_minors(plan: Plan, count: int, root: Path) -> int:
    """The first of `count` device numbers that no node of the machine has; with none free, of those of other labs."""
    others = [node for other in labs(root) if other.name != plan.name for node in other.nodes]
    for nodes in ([*others, *plan.nodes], plan.nodes):
        taken = {node.first_minor + i for node in nodes for i in range(node.accelerators)}
        for first in range(FIRST_MINOR, LAST_MINOR - count + 2):
            if not any(first + i in taken for i in range(count)):
                return first
    # More accelerators than numbers: nodes share them, and each still keeps its own apart.
    return FIRST_MINOR
