"""The desired state of a lab: kept in its state folder as lab.json, read by the supervisor and by later commands."""

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
    """From 1; addresses are derived from it."""
    accelerators: int
    allocation: str
    first_minor: int
    """Device number of its first accelerator: the minor."""
    autoscaled: bool = False
    """The cluster's autoscaler has ordered it; it is removed with its Node."""
    identity: str = ""
    """The identity of its accelerators; the lab's if empty."""


@dataclass(frozen=True)
class LabPlan:
    """A lab."""

    name: str
    index: int
    """The lab's number on this machine, from 0."""
    kubernetes: str = DEFAULT_KUBERNETES
    identity: str = "simulated"
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
        # Fields that an older release does not know are left out if empty: it, too, has to find the lab's index.
        del value["unreadable"]
        for node in value["nodes"]:
            del node["autoscaled"], node["identity"]
        write_json(paths.plan, value | {"machines": machines})


def read(paths: Paths) -> LabPlan | None:
    """The lab's plan; None if there is no such lab. Raises LabError if the file is invalid or not readable."""
    try:
        value = json.loads(paths.plan.read_text())
        del value["machines"]
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
            nodes.append(NodePlan(**value))
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


def _taken_indexes(root: Path) -> set[int]:
    """Indexes in use, also by labs whose plan cannot be read."""
    taken = {plan.index for plan in labs(root)}
    known = {plan.name for plan in labs(root)}
    for folder in root.iterdir() if root.is_dir() else ():
        if folder.name in known or not (file := Paths(folder.name, root).plan).is_file():
            continue
        if found := re.search(r'"index":\s*(\d+)', file.read_text(errors="replace")):
            taken.add(int(found[1]))
        else:
            # It may have any index: network devices show which are in use.
            devices = {index: Path("/sys/class/net", Network(index).host_device) for index in range(MAX_LABS)}
            taken |= {index for index, device in devices.items() if device.exists()}
    return taken


def make(config: LabConfig, old: LabPlan | None, root: Path) -> LabPlan:
    """The plan for `config`: a new one, or `old` with the changes that are possible while a lab runs.

    Raises LabError for other changes, and if the machine cannot have another lab.
    """
    identity = canonical_identity(config.identity) if config.identity else None
    if old is None:
        taken = _taken_indexes(root)
        free = [index for index in range(MAX_LABS) if index not in taken]
        if not free:
            raise LabError(f"this machine already has {MAX_LABS} labs; delete one: `aiconform lab down --name NAME`")
        plan = LabPlan(config.name, free[0], config.kubernetes or DEFAULT_KUBERNETES, identity or "simulated")
        nodes = NODES
    else:
        for option, asked, is_now in (
            ("kubernetes", config.kubernetes, old.kubernetes),
            ("identity", identity, old.identity),
        ):
            if asked is not None and asked != is_now:
                raise LabError(
                    f"lab {old.name} has {option} {is_now}, which cannot change to {asked}; delete it with "
                    f"`aiconform lab down --name {old.name}`, or start another one with --name"
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


def resize(plan: LabPlan, nodes: int, root: Path) -> LabPlan:
    """The plan with this many nodes: the newest are removed first, and new ones are node-1, node-2, …"""
    plan = replace(plan, nodes=(*plan.own[:nodes], *plan.autoscaled))
    while len(plan.own) < nodes:
        names = {node.name for node in plan.nodes}
        plan = add_node(plan, next(n for i in range(1, MAX_NODES + 1) if (n := f"node-{i}") not in names), root)
    return plan


def add_node(
    plan: LabPlan,
    name: str,
    root: Path,
    allocation: str | None = None,
    accelerators: int | None = None,
    *,
    autoscaled: bool = False,
    identity: str = "",
) -> LabPlan:
    """The plan with one more node. Raises LabError for an invalid or used name, and if the lab is full."""
    check_node_name(name)
    plan = fresh(plan, root)
    if any(node.name == name for node in plan.nodes):
        raise LabError(f"lab {plan.name} already has a node {name}")
    taken = {node.number for node in plan.nodes} | plan.unreadable
    number = next((i for i in range(1, MAX_NODES + 1) if i not in taken), None)
    if number is None:
        raise LabError(f"lab {plan.name} already has {MAX_NODES} nodes, the maximum")
    count = plan.accelerators if accelerators is None else accelerators
    mode = allocation or _allocation_of(plan, name, len(plan.own))
    node = NodePlan(name, number, count, mode, _free_minors(plan, count, root), autoscaled, identity)
    own, others = (plan.own, (*plan.autoscaled, node)) if autoscaled else ((*plan.own, node), plan.autoscaled)
    return replace(plan, nodes=(*own, *others))


def remove_node(plan: LabPlan, name: str) -> LabPlan:
    """The plan without this node. Raises LabError."""
    if plan.node(name).autoscaled:
        raise LabError(f"{name} belongs to the autoscaler: delete its NodeClaim (kubectl delete nodeclaim)")
    if len(plan.own) == 1:
        raise LabError(f"{name} is the last node of lab {plan.name}; delete the lab with `aiconform lab down`")
    return replace(plan, nodes=tuple(node for node in plan.nodes if node.name != name))


def reoffer(plan: LabPlan, root: Path) -> LabPlan:
    """The plan with the accelerators of its own nodes changed to the plan's number and allocation."""
    changed = replace(plan, nodes=plan.autoscaled)
    for position, node in enumerate(plan.own):
        minor = node.first_minor
        if plan.accelerators != node.accelerators:
            minor = _free_minors(changed, plan.accelerators, root)
        mode = _allocation_of(plan, node.name, position)
        new = replace(node, accelerators=plan.accelerators, allocation=mode, first_minor=minor)
        changed = replace(changed, nodes=(*changed.own, new, *changed.autoscaled))
    return changed


def _allocation_of(plan: LabPlan, node: str, position: int) -> str:
    if isinstance(plan.allocation, str):
        return plan.allocation
    return plan.allocation.get(node, "dra" if position % 2 == 0 else "device-plugin")


def _free_minors(plan: LabPlan, count: int, root: Path) -> int:
    """The first of `count` device numbers that are free on this machine, or else free in this lab."""
    others = [node for other in labs(root) if other.name != plan.name for node in other.nodes]
    for nodes in ([*others, *plan.nodes], plan.nodes):
        taken = {node.first_minor + i for node in nodes for i in range(node.accelerators)}
        for first in range(FIRST_MINOR, LAST_MINOR - count + 2):
            if not any(first + i in taken for i in range(count)):
                return first
    # There are more accelerators than numbers: nodes share them, and each node's own still differ.
    return FIRST_MINOR
