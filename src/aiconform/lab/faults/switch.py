"""Turning faults of a lab on and off, and waiting until that has taken effect."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from aiconform.lab.accelerators.config import AcceleratorConfig, read_config, write_config
from aiconform.lab.accelerators.status import digest, read_status, unsettled
from aiconform.lab.config import LabError
from aiconform.lab.faults.accelerators import DRA_VERSIONS
from aiconform.lab.faults.fault import Fault, InApiServer, InCluster, InDriver, InRuntime
from aiconform.lab.faults.registry import FAULTS, find
from aiconform.lab.faults.runtime import set_runtime
from aiconform.lab.faults.state import changing, driver_faults, names_on, record

IN_FORCE_SECONDS = 30.0
_LOOK_SECONDS = 0.05
_SIGNAL_AGAIN_SECONDS = 1.0
_KINDS = (InDriver, InRuntime, InApiServer)


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


def turn(lab: FaultyLab, name: str, *, on: bool) -> None:
    """Turn one fault on or off; returns when that has taken effect.

    Raises UnknownFault, LabError.
    """
    fault = find(name)
    if on and (missing := [each for each in fault.needs if each not in lab.add_ons]):
        raise LabError(
            f"{name} needs add-on {missing[0]}, which is not installed: `aiconform lab up --with {missing[0]}`"
        )
    with changing(lab.state):
        if not isinstance(fault.how, InCluster):
            record(lab.state, name, on)
            _enforce(lab, {type(fault.how)})
            return
        # Recorded as on before it takes effect, as off only after it has ended: a failed change can be retried.
        if on:
            record(lab.state, name, on)
        _change(lab, {fault: on})
        record(lab.state, name, on)


def reapply(lab: FaultyLab) -> None:
    """Turn on the faults that the state folder records, in a lab that has just come up."""
    with changing(lab.state):
        _enforce(lab, set(_KINDS))
        on = [fault for fault in faults_on(lab.state) if isinstance(fault.how, InCluster)]
        _change(lab, {fault: True for fault in on if set(fault.needs) <= set(lab.add_ons)})


def faults_on(state: Path) -> tuple[Fault, ...]:
    """The faults that are on in the lab with this state folder; names of other releases are ignored."""
    return tuple(FAULTS[name] for name in names_on(state) if name in FAULTS)


def _enforce(lab: FaultyLab, kinds: set[type]) -> None:
    on = faults_on(lab.state)
    unserved = [version for fault in on if isinstance(fault.how, InApiServer) for version in fault.how.unserved]
    if InApiServer in kinds:
        lab.override_runtime_config(dict.fromkeys(unserved, False))
    waits: list[Callable[[], str]] = []
    for node in lab.nodes:
        config = read_config(node.accelerators) if node.accelerators else None
        if InRuntime in kinds:
            set_runtime(node.runtime_switch, [fault.name for fault in on], config)
        if config is None or node.accelerators is None or not config.count:
            continue
        if InDriver in kinds:
            # The serial makes this configuration unique, so that an earlier report of the process does not confirm it.
            update = {"faults": driver_faults(lab.state), "serial": time.time_ns()}
            config = config.model_copy(update=update)
            write_config(node.accelerators, config)
        if kinds & {InDriver, InApiServer}:
            waits.append(_missing(node, config, dra_served=not set(DRA_VERSIONS) & set(unserved)))
    _wait(waits)


def _change(lab: FaultyLab, faults: Mapping[Fault, bool]) -> None:
    """Turn faults by objects in the cluster on (True) or off. Raises LabError."""
    if not faults:
        return
    from aiconform.cluster import ClusterError, connect

    async def change() -> None:
        async with connect(str(lab.kubeconfig)) as cluster:
            for fault, on in faults.items():
                if isinstance(fault.how, InCluster):
                    await (fault.how.on if on else fault.how.off)(cluster)

    try:
        asyncio.run(change())
    except ClusterError as error:
        raise LabError(f"{', '.join(fault.name for fault in faults)}: {error}") from error


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


def _wait(waits: Sequence[Callable[[], str]]) -> None:
    deadline = time.monotonic() + IN_FORCE_SECONDS
    while missing := [problem for look in waits if (problem := look())]:
        if time.monotonic() > deadline:
            raise LabError(f"no effect after {IN_FORCE_SECONDS:.0f} s: {'; '.join(missing)}")
        time.sleep(_LOOK_SECONDS)


def describe(faults: Sequence[Fault], state: Path | None) -> list[dict[str, object]]:
    """The faults as data: name, description, whether each is on, what it breaks and needs, and its scope."""
    on = names_on(state) if state else ()
    return [
        {
            "name": fault.name,
            "description": fault.description,
            "on": fault.name in on,
            "breaks": sorted(fault.breaks),
            "may_break": sorted(fault.may_break),
            "needs": list(fault.needs),
            "scope": str(fault.scope),
        }
        for fault in faults
    ]
