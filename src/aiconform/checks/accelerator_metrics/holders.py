"""Who else holds accelerators of a node while one of them is under load: their work shows in the same metrics."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiconform.checks.accelerator_metrics.device_metrics import Advertised
from aiconform.cluster import Cluster, Object, wait
from aiconform.kit.following import background
from aiconform.platform import Platform
from aiconform.platform.accelerators.devices import results
from aiconform.platform.accelerators.offered import extended_resources


@dataclass(frozen=True)
class Holder:
    """A ResourceClaim or Pod that holds accelerators: their names, or their number where they have no names."""

    name: str
    devices: frozenset[str] = frozenset()
    count: int = 0


class Holders:
    """All that hold accelerators of one kind on a node, or held some since the watch began; by UID.

    names: further extended resources of the same hardware, beside its aliases.
    """

    def __init__(self, about: Advertised, names: Iterable[str] = ()) -> None:
        self._target = about.target
        self._names = {about.target.name, *about.target.aliases, *names}
        self._pools = {device.pool for device in about.devices}
        self._found: dict[str, Holder] = {}

    def note(self, obj: Object) -> None:
        """A ResourceClaim, or a Pod of the node."""
        metadata = obj["metadata"]
        name = f"{metadata.get('namespace')}/{metadata['name']}"
        if obj["kind"] == "ResourceClaim":
            devices = {
                each["device"]
                for each in results(obj)
                if each["driver"] == self._target.name and each["pool"] in self._pools
            }
            before = self._found.get(metadata["uid"], Holder(name))
            holder = Holder(name, before.devices | devices)
        elif wait.ended(obj):
            return
        else:
            asked = extended_resources(obj)
            holder = Holder(name, count=sum(asked[each] for each in self._names))
        if holder.devices or holder.count:
            self._found[metadata["uid"]] = holder

    def besides(self, *own: Object | None) -> dict[str, Holder]:
        """The holders that are none of these objects, by UID."""
        mine = {each["metadata"]["uid"] for each in own if each is not None}
        return {uid: holder for uid, holder in self._found.items() if uid not in mine}


@asynccontextmanager
async def watched(platform: Platform, about: Advertised) -> AsyncIterator[Holders]:
    """The holders, kept up to date. Raises ClusterError if they cannot be: those who come later would decide unseen."""
    target = about.target
    others = (await platform.accelerators()).others
    names = [each.name for each in others if (each.node, each.same_as) == (target.node, target.kind)]
    holders = Holders(about, names)
    kinds = [(await platform.resource_api() or "", "ResourceClaim", "")] if target.way == "dra" else []
    # The same hardware may be had by DRA and by a device plugin.
    if target.way == "device-plugin" or names:
        kinds.append(("v1", "Pod", f"spec.nodeName={target.node}"))
    async with background(*(_watch(platform.cluster, *what, holders.note) for what in kinds)):
        yield holders


async def _watch(cluster: Cluster, api_version: str, kind: str, fields: str, note: Callable[[Object], None]) -> None:
    async for there, _ in wait.states(cluster, api_version, kind, fields=fields):
        for obj in there.values():
            note(obj)
