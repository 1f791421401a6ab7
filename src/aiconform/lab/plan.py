"""What a lab is to be: kept in its state folder as lab.json, read by the supervisor and by every later command."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from aiconform.lab.accelerators.identity import canonical_identity
from aiconform.lab.addons.registry import ADD_ONS, chosen
from aiconform.lab.cloud import orders as cloudnodes
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
    Network,
    Paths,
    check_node_name,
    needs,
)
from aiconform.lab.machines.files import write_json


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
    autoscaled: bool = False
    """It was asked for by the cluster's autoscaler, and goes when its Node goes."""
    identity: str = ""
    """Whose names its accelerators carry; the lab's if empty."""


@dataclass(frozen=True)
class Plan:
    """A lab."""

    name: str
    index: int
    """The lab's number on this machine, from 0."""
    kubernetes: str = DEFAULT_KUBERNETES
    identity: str = "simulated"
    nodes: tuple[NodePlan, ...] = ()
    """The lab's own, then those that an autoscaler asked for."""
    unreadable: frozenset[int] = frozenset()
    """Numbers of autoscaled nodes of which nothing else is known: nobody else may have them."""
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

    @property
    def own(self) -> tuple[NodePlan, ...]:
        """The nodes that `lab up` and `lab node` make and remove."""
        return tuple(node for node in self.nodes if not node.autoscaled)

    @property
    def autoscaled(self) -> tuple[NodePlan, ...]:
        return tuple(node for node in self.nodes if node.autoscaled)

    def node(self, name: str) -> NodePlan:
        """Raises LabError naming the nodes there are."""
        for node in self.nodes:
            if node.name == name:
                return node
        raise LabError(f"lab {self.name} has no node {name}; it has {', '.join(node.name for node in self.nodes)}")

    def save(self, paths: Paths) -> None:
        """All but the autoscaled nodes, which have files of their own."""
        machines = {CONTROL_PLANE: {"number": 0}} | {node.name: {"number": node.number} for node in self.own}
        value = asdict(replace(self, nodes=self.own))
        # What an older release does not know is left out where it says nothing: it, too, has to see whose the index is.
        del value["unreadable"]
        for node in value["nodes"]:
            del node["autoscaled"], node["identity"]
        write_json(paths.plan, value | {"machines": machines})


def read(paths: Paths) -> Plan | None:
    """The lab's plan; None if there is no such lab. Raises LabError if the file is broken, or only root's."""
    try:
        value = json.loads(paths.plan.read_text())
        del value["machines"]
        nodes = tuple(NodePlan(**node) for node in value.pop("nodes"))
        value["add_ons"] = tuple(value["add_ons"])
        return _with_autoscaled(Plan(nodes=nodes, **value), paths)
    except FileNotFoundError:
        return None
    except PermissionError:
        raise needs("root") from None
    except (ValueError, KeyError, TypeError) as error:
        raise LabError(
            f"{paths.plan} is not a lab's plan ({error}); `aiconform lab down --name {paths.name}` removes that lab"
        ) from error


def fresh(plan: Plan, root: Path) -> Plan:
    """The plan with the autoscaled nodes of this moment: they come and go while commands run."""
    return _with_autoscaled(plan, Paths(plan.name, root))


def _with_autoscaled(plan: Plan, paths: Paths) -> Plan:
    values, unreadable = cloudnodes.read(paths)
    nodes, broken = [], set(unreadable)
    for value in values:
        try:
            nodes.append(NodePlan(**value))
        except TypeError:
            broken.add(value["number"])
    return replace(plan, nodes=(*plan.own, *nodes), unreadable=frozenset(broken))


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


def _taken_indexes(root: Path) -> set[int]:
    """Indexes that are somebody's, also of labs whose plan cannot be read."""
    taken = {plan.index for plan in labs(root)}
    known = {plan.name for plan in labs(root)}
    for folder in root.iterdir() if root.is_dir() else ():
        if folder.name in known or not (file := Paths(folder.name, root).plan).is_file():
            continue
        if found := re.search(r'"index":\s*(\d+)', file.read_text(errors="replace")):
            taken.add(int(found[1]))
        else:
            # It may be any: what is in use shows on the machine.
            devices = {index: Path("/sys/class/net", Network(index).host_device) for index in range(MAX_LABS)}
            taken |= {index for index, device in devices.items() if device.exists()}
    return taken


def make(config: LabConfig, old: Plan | None, root: Path) -> Plan:
    """The plan that `config` asks for: a new one, or `old` with what may change while a lab runs.

    Raises LabError for what may not, and when the machine has no room for another lab.
    """
    identity = canonical_identity(config.identity) if config.identity else None
    if old is None:
        taken = _taken_indexes(root)
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
        plan = fresh(old, root)
        nodes = len(plan.own)
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
    plan = replace(plan, nodes=(*plan.own[:nodes], *plan.autoscaled))
    while len(plan.own) < nodes:
        names = {node.name for node in plan.nodes}
        plan = add_node(plan, next(n for i in range(1, MAX_NODES + 1) if (n := f"node-{i}") not in names), root)
    return plan


def add_node(
    plan: Plan,
    name: str,
    root: Path,
    allocation: str | None = None,
    accelerators: int | None = None,
    *,
    autoscaled: bool = False,
    identity: str = "",
) -> Plan:
    """The plan with one node more. Raises LabError for a name that is taken or no name, or when the lab is full."""
    check_node_name(name)
    plan = fresh(plan, root)
    if any(node.name == name for node in plan.nodes):
        raise LabError(f"lab {plan.name} has a node {name} already")
    taken = {node.number for node in plan.nodes} | plan.unreadable
    number = next((i for i in range(1, MAX_NODES + 1) if i not in taken), None)
    if number is None:
        raise LabError(f"lab {plan.name} has {MAX_NODES} nodes already, and that is the most")
    count = plan.accelerators if accelerators is None else accelerators
    way = allocation or _allocation_of(plan, name, len(plan.own))
    node = NodePlan(name, number, count, way, _free_minors(plan, count, root), autoscaled, identity)
    own, others = (plan.own, (*plan.autoscaled, node)) if autoscaled else ((*plan.own, node), plan.autoscaled)
    return replace(plan, nodes=(*own, *others))


def remove_node(plan: Plan, name: str) -> Plan:
    """The plan without a node. Raises LabError."""
    if plan.node(name).autoscaled:
        raise LabError(f"{name} is the autoscaler's: it goes with its NodeClaim (kubectl delete nodeclaim)")
    if len(plan.own) == 1:
        raise LabError(f"{name} is the last node of lab {plan.name}; end the lab with `aiconform lab down`")
    return replace(plan, nodes=tuple(node for node in plan.nodes if node.name != name))


def reoffer(plan: Plan, root: Path) -> Plan:
    """The plan with every own node's accelerators as the plan now says."""
    changed = replace(plan, nodes=plan.autoscaled)
    for position, node in enumerate(plan.own):
        minor = node.first_minor
        if plan.accelerators != node.accelerators:
            minor = _free_minors(changed, plan.accelerators, root)
        way = _allocation_of(plan, node.name, position)
        new = replace(node, accelerators=plan.accelerators, allocation=way, first_minor=minor)
        changed = replace(changed, nodes=(*changed.own, new, *changed.autoscaled))
    return changed


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
