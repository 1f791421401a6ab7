"""How the plan of a lab is made from the options that the user gives, and how it changes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from aiconform.lab import device_numbers
from aiconform.lab.accelerators import hardware
from aiconform.lab.accelerators.devices import numbers_needed
from aiconform.lab.accelerators.identity import canonical_identity, find_identity
from aiconform.lab.addons.registry import ADD_ONS, chosen
from aiconform.lab.config import (
    DEFAULT_KUBERNETES,
    IP_FAMILIES,
    MAX_LABS,
    MAX_NODES,
    NODES,
    LabConfig,
    LabError,
    Network,
    Paths,
    check_node_name,
)
from aiconform.lab.plan import LabPlan, NodePlan, fresh, labs


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
    identity = canonical_identity(config.identity) if isinstance(config.identity, str) else None
    by_node = config.identity if isinstance(config.identity, Mapping) else {}
    identities = {node: canonical_identity(word) for node, word in by_node.items()}
    if config.devices and identities:
        raise LabError("--devices are of one identity on all nodes: give --identity NAME")
    devices = hardware.matching(config.devices, identity or "") if config.devices else ()
    if devices and identity is None and old is None:
        identity = hardware.identity_of(devices)
        devices = hardware.matching(config.devices, identity)
    if old is None:
        taken = _taken_indexes(root)
        free = [index for index in range(MAX_LABS) if index not in taken]
        if not free:
            raise LabError(f"this machine already has {MAX_LABS} labs; delete one: `aiconform lab down --name NAME`")
        plan = LabPlan(
            config.name,
            free[0],
            config.kubernetes or DEFAULT_KUBERNETES,
            identity or "simulated",
            identities,
            ip_family=config.ip_family or IP_FAMILIES[0],
        )
        nodes = 1 if devices else NODES
        if devices:
            # Nodes that come later have none.
            plan = replace(plan, devices=devices, accelerators=0)
    else:
        for option, asked, is_now in (
            ("kubernetes", config.kubernetes, old.kubernetes),
            ("the IP family", config.ip_family, old.ip_family),
            ("identity", identity, old.identity),
            ("identities of nodes", _in_words(identities), _in_words(old.identities)),
            ("devices", " ".join(devices) or None, " ".join(old.devices) or "that are simulated"),
        ):
            if asked is not None and asked != is_now:
                raise LabError(
                    f"lab {old.name} has {option} {is_now}, which cannot change to {asked}; delete it with "
                    f"`aiconform lab down --name {old.name}`, or start another one with --name"
                )
        if old.devices and config.accelerators is not None:
            raise LabError(f"lab {old.name} offers the machine's own devices, as many as there are")
        plan = fresh(old, root)
        nodes = len(plan.own)
    changes: dict[str, Any] = {
        name: value
        for name in ("accelerators", "allocation", "feature_gates", "runtime_config")
        if (value := getattr(config, name)) is not None
    }
    for each in (plan.identity, *plan.identities.values()):
        if _minor(plan.kubernetes) < _minor(since := find_identity(each).since):
            raise LabError(f"identity {each} needs Kubernetes {since} or newer, not {plan.kubernetes}")
    if config.assets is not None:
        changes["assets"] = str(config.assets.resolve())
    leave = set(config.without_add_ons)
    if unknown := sorted(leave - ADD_ONS.keys()):
        raise LabError(f"the lab has no add-on {', '.join(unknown)}; it has {', '.join(ADD_ONS)}")
    staying = (name for name in plan.add_ons if name not in leave)
    wanted = chosen((*staying, *config.add_ons), plan.kubernetes, plan.ip_family)
    if kept := sorted(leave & set(wanted)):
        raise LabError(f"add-on {', '.join(kept)} stays: another one that stays needs it")
    changes["add_ons"] = wanted
    plan = replace(plan, **changes)
    plan = resize(plan, config.nodes if config.nodes is not None else nodes, root)
    if old is None and devices:
        plan = _hand_out(plan)
    if old is not None and ("accelerators" in changes or "allocation" in changes):
        plan = reoffer(plan, root)
    for node in (*identities, *(() if isinstance(plan.allocation, str) else plan.allocation)):
        plan.node(node)
    return plan


def _hand_out(plan: LabPlan) -> LabPlan:
    """The plan with the machine's devices given to its nodes in turn."""
    parts = [plan.devices[position :: len(plan.own)] for position in range(len(plan.own))]
    own = [replace(node, devices=part, accelerators=len(part)) for node, part in zip(plan.own, parts, strict=True)]
    return replace(plan, nodes=(*own, *plan.autoscaled))


def _minor(version: str) -> int:
    return int(version.rpartition(".")[2] or 0)


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
    identity = identity or plan.identities.get(name, "")
    mode = allocation or _allocation_of(plan, name, len(plan.own), identity)
    node = NodePlan(
        name, number, count, mode, _free_slots(plan, count, identity or plan.identity, root), autoscaled, identity
    )
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
        minor, count = node.first_minor, len(node.devices) if plan.devices else plan.accelerators
        if count != node.accelerators:
            minor = _free_slots(changed, count, plan.identity_of(node), root)
        mode = _allocation_of(plan, node.name, position, node.identity)
        new = replace(node, accelerators=count, allocation=mode, first_minor=minor)
        changed = replace(changed, nodes=(*changed.own, new, *changed.autoscaled))
    return changed


def _in_words(identities: Mapping[str, str]) -> str | None:
    return ", ".join(f"{node}={identity}" for node, identity in sorted(identities.items())) or None


def _allocation_of(plan: LabPlan, node: str, position: int, identity: str) -> str:
    if isinstance(plan.allocation, str):
        return plan.allocation
    usual = find_identity(identity or plan.identity).allocation or ("dra" if position % 2 == 0 else "device-plugin")
    return plan.allocation.get(node, usual)


def _free_slots(plan: LabPlan, count: int, identity: str, root: Path) -> int:
    """The first slot of a new node, whose slots are free on this machine, or else in this lab. Raises LabError."""
    needed = _slots(count, identity)
    if needed > device_numbers.LAST - device_numbers.FIRST + 1:
        raise LabError(f"a node cannot have {count} accelerators of this identity: they need {needed} device nodes")
    others = {slot for other in labs(root) if other.name != plan.name for slot in _taken(other)}
    return device_numbers.first_free(needed, others | _taken(plan), _taken(plan))


def _taken(plan: LabPlan) -> set[int]:
    return {
        node.first_minor + slot
        for node in plan.nodes
        for slot in range(_slots(node.accelerators, plan.identity_of(node)))
    }


def _slots(count: int, identity: str) -> int:
    try:
        return numbers_needed(find_identity(identity), count)
    except LabError:
        return count  # of another release's lab
