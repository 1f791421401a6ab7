"""The process of one node: applies the configuration at start and on every SIGHUP."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

from aiconform.cluster import Cluster, ClusterError, Object, connect
from aiconform.lab.accelerators import slices
from aiconform.lab.accelerators.allocatable import Allocatable
from aiconform.lab.accelerators.allocator import RogueAllocator
from aiconform.lab.accelerators.config import AcceleratorConfig, DriverFault, devices_of, read_config, split
from aiconform.lab.accelerators.devices import nodes_of, resources
from aiconform.lab.accelerators.dra import DraDriver
from aiconform.lab.accelerators.driver import write_driver_files
from aiconform.lab.accelerators.identity import AcceleratorError
from aiconform.lab.accelerators.links import LinkAttributes
from aiconform.lab.accelerators.plugin import DevicePlugin
from aiconform.lab.accelerators.prepared import Prepared, make_device_nodes, write_plugin_spec
from aiconform.lab.accelerators.publisher import Publisher
from aiconform.lab.accelerators.sharing import Way, acts, plugged
from aiconform.lab.accelerators.status import FILE, digest
from aiconform.lab.accelerators.telemetry import write_telemetry
from aiconform.lab.machines.files import write_json

# Fields that are read only at start: sockets, folders and names depend on them.
FIXED = (
    "node_name",
    "kubeconfig",
    "state_dir",
    "device_dir",
    "cdi_dir",
    "plugins_dir",
    "registry_dir",
    "device_plugin_dir",
    "telemetry",
    "cgroup",
    "first_minor",
    "identity",
    "real",
)


class AcceleratorProcess:
    """All parts of one node's accelerators."""

    def __init__(self, cluster: Cluster, config: AcceleratorConfig) -> None:
        self._cluster = cluster
        self._config = config
        self._in_force = ""
        self._problem = ""
        self._renumbered = 0
        self._written: dict[str, object] = {}
        self._prepared = Prepared(config)
        self._publisher = Publisher(cluster, config, self.write_status)
        self._driver = DraDriver(config, self._prepared, self._find_claim, self._after_prepare, self.write_status)
        names = resources(config.identity)
        self._plugins = [DevicePlugin(config, name, self.write_status) for name in names]
        self._allocator = RogueAllocator(cluster, config, self._publisher, self._prepared)
        self._allocatable = Allocatable(cluster, config, names, self.write_status)
        self._links = LinkAttributes(lambda: self._config)
        self._background: dict[str, asyncio.Task[None]] = {}
        # The status of an earlier process no longer holds.
        self.write_status()

    async def start(self) -> None:
        """Begin to say where links are: their driver asks once whether anybody does. Raises AcceleratorError."""
        await self._links.start()

    async def apply(self, config: AcceleratorConfig) -> None:
        """Apply a configuration. Raises AcceleratorError if that is not possible."""
        changed = [name for name in FIXED if getattr(config, name) != getattr(self._config, name)]
        if changed:
            raise AcceleratorError(f"{', '.join(changed)} can only change with a restart")
        self._config = self._publisher.config = self._driver.config = self._prepared.config = config
        self._allocator.config = config
        to_dra, to_plugin = split(config)
        if not config.real:
            make_device_nodes(nodes_of(devices_of(config)))
        write_telemetry(config)
        write_driver_files(config)
        config.cdi_dir.mkdir(parents=True, exist_ok=True)
        write_plugin_spec(config)
        runs = DriverFault.NO_DRIVER not in config.faults
        if DriverFault.RENUMBERS not in config.faults:
            self._renumbered = 0
        self._describe()
        await (self._driver.start() if runs and to_dra else self._driver.stop())
        offered = plugged(config) if runs else {}
        for plugin in self._plugins:
            plugin.update(config)
            await (plugin.start() if plugin.resource in offered else plugin.stop())
        self._run("publisher", bool(to_dra) or runs)
        self._run("allocatable", bool(to_plugin))
        too_many = acts(config, DriverFault.MORE_SHARES, Way.CAPACITY, Way.DRA_PARTITIONS)
        again = {DriverFault.OVERCOMMITS, DriverFault.VIRTUAL_TWICE} & {*config.faults}
        self._run("allocator", too_many or bool(again))
        try:
            await self._publisher.publish()
        except (ClusterError, AcceleratorError) as err:
            # This is retried in the background; the rest of the configuration is in force.
            self._publisher.problem = str(err)
        self._problem = ""
        self._in_force = digest(config)
        self.write_status()

    async def stop(self) -> None:
        """Stop all parts. The ResourceSlices stay: they belong to the Node, and this process is restarted."""
        for name in list(self._background):
            self._run(name, False)
        await self._driver.stop()
        for plugin in self._plugins:
            await plugin.stop()
        await self._links.stop()
        (self._config.state_dir / FILE).unlink(missing_ok=True)

    def write_status(self) -> None:
        """Write what is in force, if it has changed."""
        status = {
            "pid": os.getpid(),
            "config": self._in_force,
            "faults": list(self._config.faults),
            "generation": self._publisher.generation,
            "devices": self._publisher.names,
            "version": self._publisher.version,
            "published": self._publisher.published,
            "dra_registered": self._driver.registered,
            "plugins_registered": [plugin.resource for plugin in self._plugins if plugin.registered],
            "allocatable": dict(self._allocatable.counts),
            "prepared": len(self._prepared),
            "problem": self._problem or self._publisher.problem,
        }
        if status != self._written:
            write_json(self._config.state_dir / FILE, status)
            self._written = status

    def refuse(self, err: AcceleratorError) -> None:
        """Keep the current configuration and say why."""
        self._problem = str(err)
        print(err, file=sys.stderr)
        self.write_status()

    def _describe(self) -> None:
        shown = () if DriverFault.NO_DRIVER in self._config.faults else split(self._config)[0]
        self._publisher.show(slices.describe(self._config, shown, self._renumbered), slices.shared_counters(shown))

    def _run(self, name: str, wanted: bool) -> None:
        task = self._background.get(name)
        if wanted and task is None:
            part = {
                "publisher": self._publisher.keep,
                "allocatable": self._allocatable.keep,
                "allocator": self._allocator.run,
            }[name]
            self._background[name] = asyncio.create_task(part(), name=name)
        if not wanted and task is not None:
            self._background.pop(name).cancel()

    async def _find_claim(self, namespace: str, name: str) -> Object:
        version = await self._publisher.served_version()
        return await self._cluster.get(f"{slices.GROUP}/{version}", "ResourceClaim", name, namespace)

    async def _after_prepare(self) -> None:
        if DriverFault.RENUMBERS in self._config.faults:
            self._renumbered += 1
            self._describe()
            await self._publisher.publish()


async def run(path: Path) -> None:
    """Serve until SIGTERM or SIGINT. Raises AcceleratorError or ClusterError if it cannot start."""
    stop, again = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGHUP, again.set)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    config = read_config(path)
    async with connect(str(config.kubeconfig)) as cluster:
        parts = AcceleratorProcess(cluster, config)
        try:
            await parts.start()
            await parts.apply(config)
            while not stop.is_set():
                if again.is_set():
                    again.clear()
                    try:
                        await parts.apply(read_config(path))
                    except AcceleratorError as err:
                        parts.refuse(err)
                await _first(stop, again)
        finally:
            await parts.stop()


async def _first(*events: asyncio.Event) -> None:
    """Return when one of the events is set."""
    waits = [asyncio.create_task(event.wait()) for event in events]
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    for wait in waits:
        wait.cancel()
