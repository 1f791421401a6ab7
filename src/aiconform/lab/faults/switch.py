"""Turning faults of a lab on and off, and waiting until that has taken effect."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from aiconform.lab.accelerators.config import AcceleratorConfig, read_config, write_config
from aiconform.lab.accelerators.identity import identities
from aiconform.lab.accelerators.status import digest, read_status, unsettled
from aiconform.lab.accelerators.virtual import VirtualWay
from aiconform.lab.addons import dranet
from aiconform.lab.config import LabError
from aiconform.lab.faults.accelerators import DRA_VERSIONS
from aiconform.lab.faults.fault import IN_RUNTIMES, Change, Fault, InApiServer, InCluster, InDriver, InNetworks, Scope
from aiconform.lab.faults.registry import FAULTS, find
from aiconform.lab.faults.runtime import set_runtime
from aiconform.lab.faults.state import (
    AUTOSCALED,
    EVERYWHERE,
    changing,
    driver_faults,
    names_on,
    names_on_node,
    places,
    record,
)
from aiconform.lab.kubernetes.administrator import administrator

# Ten times what a restart of the API server and of all watches takes on two quiet CPUs.
IN_FORCE_SECONDS = 120.0
_LOOK_SECONDS = 0.05
_SIGNAL_AGAIN_SECONDS = 1.0
_KINDS = (InDriver, *IN_RUNTIMES, InApiServer)


class FaultyNode(Protocol):
    """What faults need from a node."""

    @property
    def name(self) -> str: ...

    @property
    def accelerators(self) -> Path | None:
        """Its AcceleratorConfig file, None without accelerators."""

    @property
    def runtime_switch(self) -> Path:
        """The switch file of its runtime wrapper."""

    def reload_accelerators(self) -> None:
        """Send SIGHUP to its accelerator process. Raises LabError."""

    def renew_links(self) -> Callable[[], bool]:
        """Have its keeper of fast links undo what faults left; the result tells whether it has. Raises LabError."""


class FaultyLab(Protocol):
    """What faults need from a lab that is up."""

    @property
    def state(self) -> Path:
        """Its state folder."""

    @property
    def nodes(self) -> Sequence[FaultyNode]: ...

    @property
    def kubeconfig(self) -> Path:
        """The administrator's."""

    @property
    def add_ons(self) -> Sequence[str]:
        """Names of the installed add-ons."""

    def override_runtime_config(self, served: Mapping[str, bool]) -> None:
        """Restart the API server with these groups and versions served or not, in addition to its options.

        An empty mapping removes earlier overrides. Nothing is restarted if nothing changes. Returns when the API
        server is ready again.
        """


def turn(lab: FaultyLab, where: Mapping[str, Collection[str]], *, on: bool) -> None:
    """Turn faults on or off, side by side; returns when that has taken effect.

    where: name -> at which nodes, for faults of scope node; AUTOSCALED stands for all nodes that an autoscaler orders,
    and none for all nodes. If some of them fail, the others are carried out. Raises UnknownFault, LabError naming those
    that failed.
    """
    faults = {find(name): nodes for name, nodes in where.items()}
    _check(lab, faults, on)
    with changing(lab.state):
        of = [node.name for node in lab.nodes]
        in_cluster = [fault for fault in faults if isinstance(fault.how, InCluster)]
        others = [fault for fault in faults if fault not in in_cluster]
        # A change in the cluster is recorded as on before it takes effect, as off only after it has ended: if it fails,
        # it can be retried.
        record(lab.state, {fault.name: faults[fault] for fault in (faults if on else others)}, on, of)
        problems = _enforced(lab, {type(fault.how) for fault in others}, others)
        failed = _change(lab, dict.fromkeys(in_cluster, on))
        if not on:
            record(lab.state, {fault.name: faults[fault] for fault in in_cluster if fault not in failed}, on, of)
    _raise([*problems, *_told(failed)])


def _check(lab: FaultyLab, faults: Mapping[Fault, Collection[str]], on: bool) -> None:
    """Raises LabError for what cannot be turned on, or not at its nodes."""
    for fault, nodes in faults.items():
        if on and (missing := [each for each in fault.needs if each not in lab.add_ons]):
            raise LabError(
                f"{fault.name} needs add-on {missing[0]}, which is not installed: "
                f"`aiconform lab up --with {missing[0]}`"
            )
        if nodes and fault.scope is not Scope.NODE:
            raise LabError(f"{fault.name} is a fault of the whole lab: it cannot be on at single nodes")
    known = [node.name for node in lab.nodes]
    if unknown := sorted({node for nodes in faults.values() for node in nodes} - {*known, AUTOSCALED}):
        raise LabError(f"the lab has no node {unknown[0]}; it has {', '.join(known)}")
    for fault, nodes in faults.items():
        if on and (fault.roles or fault.ways):
            _check_accelerators(lab, fault, nodes)


def _check_accelerators(lab: FaultyLab, fault: Fault, nodes: Collection[str]) -> None:
    """Raises LabError if none of the lab's accelerators can have the fault, or those of one of these nodes."""
    configs = {node.name: read_config(node.accelerators) for node in lab.nodes if node.accelerators}
    able = {name for name, config in configs.items() if fault.suits(config.identity, config.offer)}
    unable = sorted(set(nodes) - able - {AUTOSCALED})
    if able and not unable:
        return
    words = [f"{' and '.join(sorted(fault.roles))} nodes"] if fault.roles else []
    kind = "" if fault.ways <= {*VirtualWay} else "shares: "
    words += [f"{kind}{' or '.join(sorted(fault.ways))}"] if fault.ways else []
    others = [name for name, identity in identities().items() if fault.suits(identity)]
    raise LabError(
        f"{fault.name} needs accelerators with {' and '.join(words)}"
        + (f", which those of {unable[0]} have not" if unable else "")
        + f": start a lab with another --identity, such as {others[0] if others else 'amd'}"
    )


def reapply(lab: FaultyLab) -> None:
    """Turn on the faults that the state folder records, in a lab that has just come up. Raises LabError."""
    with changing(lab.state):
        on = faults_on(lab.state)
        problems = _enforced(lab, set(_KINDS), [fault for fault in on if not isinstance(fault.how, InCluster)])
        on = tuple(fault for fault in on if isinstance(fault.how, InCluster))
        failed = _change(lab, {fault: True for fault in on if set(fault.needs) <= set(lab.add_ons)})
    _raise([*problems, *_told(failed)])


def faults_on(state: Path) -> tuple[Fault, ...]:
    """The faults that are on in the lab with this state folder; names of other releases are ignored."""
    return tuple(FAULTS[name] for name in names_on(state) if name in FAULTS)


def _enforced(lab: FaultyLab, kinds: set[type], faults: Sequence[Fault]) -> list[str]:
    """Have nodes and API server follow the recorded state; returns what failed of these faults."""
    if not kinds:
        return []
    try:
        _enforce(lab, kinds)
    except LabError as error:
        named = ", ".join(fault.name for fault in faults)
        return [f"{named}: {error}" if named else str(error)]
    return []


def _enforce(lab: FaultyLab, kinds: set[type]) -> None:
    on = faults_on(lab.state)
    unserved = [version for fault in on if isinstance(fault.how, InApiServer) for version in fault.how.unserved]
    if InApiServer in kinds:
        lab.override_runtime_config(dict.fromkeys(unserved, False))
    waits: list[Callable[[], str]] = []
    for node in lab.nodes:
        config = read_config(node.accelerators) if node.accelerators else None
        if kinds & set(IN_RUNTIMES):
            set_runtime(node.runtime_switch, names_on_node(lab.state, node.name), config)
        if InNetworks in kinds and config and config.count and dranet.NAME in lab.add_ons:
            waits.append(_unkept(node))
        if config is None or node.accelerators is None or not config.count:
            continue
        if InDriver in kinds:
            # The serial makes this configuration unique, so that an earlier report of the process does not confirm it.
            update = {"faults": driver_faults(lab.state, node.name), "serial": time.time_ns()}
            config = config.model_copy(update=update)
            write_config(node.accelerators, config)
        if kinds & {InDriver, InApiServer}:
            waits.append(_missing(node, config, dra_served=not set(DRA_VERSIONS) & set(unserved)))
    _wait(waits)


def _change(lab: FaultyLab, faults: Mapping[Fault, bool]) -> dict[Fault, Exception]:
    """Turn faults by objects in the cluster on (True) or off; returns those that failed, and why.

    Faults of different checks change side by side. Those of one check can change the same objects, so they take turns.
    """
    if not faults:
        return {}
    from aiconform.cluster import Cluster, ClusterError

    failed: dict[Fault, Exception] = {}
    groups: dict[frozenset[str], list[tuple[Fault, Change]]] = {}
    for fault, on in faults.items():
        if isinstance(fault.how, InCluster):
            groups.setdefault(fault.checks, []).append((fault, fault.how.on if on else fault.how.off))

    async def take_turns(cluster: Cluster, group: Sequence[tuple[Fault, Change]]) -> None:
        for fault, change in group:
            try:
                await change(cluster)
            except (ClusterError, LabError) as error:
                failed[fault] = error

    async def change_all() -> None:
        async with administrator(lab.kubeconfig) as cluster:
            await asyncio.gather(*(take_turns(cluster, group) for group in groups.values()))

    try:
        asyncio.run(change_all())
    except ClusterError as error:
        return dict.fromkeys(faults, error)
    return failed


def _told(failed: Mapping[Fault, Exception]) -> list[str]:
    return [f"{fault.name}: {error}" for fault, error in failed.items()]


def _raise(problems: Sequence[str]) -> None:
    if problems:
        raise LabError("; ".join(problems))


def _missing(node: FaultyNode, config: AcceleratorConfig, *, dra_served: bool) -> Callable[[], str]:
    """What is still missing until a node uses its configuration; empty if nothing is."""
    signalled = 0.0

    def look() -> str:
        nonlocal signalled
        status = read_status(config.state_dir)
        # Without a status the process is still starting: it will read the file, and a signal would end it now.
        if status and status["config"] != digest(config) and time.monotonic() > signalled + _SIGNAL_AGAIN_SECONDS:
            signalled = time.monotonic()
            node.reload_accelerators()
        problem = unsettled(status, config, dra_served=dra_served)
        return f"{node.name}: {problem}" if problem else ""

    return look


def _unkept(node: FaultyNode) -> Callable[[], str]:
    """What is still missing until the node's links are as faults found them; empty if nothing is."""
    renewed = node.renew_links()
    return lambda: "" if renewed() else f"{node.name}: its links are not restored"


def _wait(waits: Sequence[Callable[[], str]]) -> None:
    deadline = time.monotonic() + IN_FORCE_SECONDS
    while missing := [problem for look in waits if (problem := look())]:
        if time.monotonic() > deadline:
            raise LabError(f"no effect after {IN_FORCE_SECONDS:.0f} s: {'; '.join(missing)}")
        time.sleep(_LOOK_SECONDS)


def describe(faults: Sequence[Fault], state: Path | None) -> list[dict[str, object]]:
    """The faults as data: name, description, whether each is on and where, what it breaks, disturbs and needs,
    and its scope.

    `nodes` is empty for a fault that is on everywhere.
    """
    on = places(state) if state else {}
    return [
        {
            "name": fault.name,
            "description": fault.description,
            "on": fault.name in on,
            "nodes": sorted(on.get(fault.name, frozenset()) - {EVERYWHERE}),
            "breaks": sorted(fault.breaks),
            "may_break": sorted(fault.may_break),
            "disturbs": sorted(fault.disturbs),
            "needs": list(fault.needs),
            "roles": sorted(fault.roles),
            "ways": sorted(fault.ways),
            "scope": str(fault.scope),
        }
        for fault in faults
    ]
