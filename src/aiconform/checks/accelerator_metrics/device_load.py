"""Puts a load on one accelerator, and follows the utilization of all accelerators of its node."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from aiconform.checks.accelerator_metrics.observations import MARGIN, Load
from aiconform.cluster import Cluster, Object, wait
from aiconform.cluster.scratch import Scratch
from aiconform.kit.container_view import LOOK, LOOKED, OWN_NODES, parse_view
from aiconform.kit.devices import request_devices
from aiconform.kit.logs import read_until
from aiconform.kit.pods import STAY, container, pod
from aiconform.kit.starting import holder_started
from aiconform.platform import Device, NodeAccelerators, Platform
from aiconform.platform.accelerators.devices import results
from aiconform.platform.accelerators.offered import extended_resources
from aiconform.platform.monitoring.exporters import Source
from aiconform.platform.monitoring.metrics import match

# Exporters sample every second at best.
_POLL_SECONDS = 1.0
_MOST_POLL_SECONDS = 5.0
# A device above this is busy: the exporter may still average over what used it before.
_QUIET = 50.0
_QUIET_SECONDS = 15.0
# Opens each device of this container and keeps it open, not in the first shell: a console would become its terminal.
_HOLD = f"""
{OWN_NODES} |
while read -r path; do (exec 3<"$path" && exec sleep 86400) & done
"""


async def under_load(
    platform: Platform,
    scratch: Scratch,
    target: NodeAccelerators,
    source: Source,
    devices: Sequence[Device],
    *,
    image: str,
    command: str,
    seconds: float,
    patience: float,
) -> Load:
    """Use one device of the target until it shows in the metrics, then stop and wait until that shows.

    seconds: the longest time for either.
    """
    cluster = platform.cluster
    seen = Load(
        **target.facts,
        endpoint=source.place,
        load="work" if image else "open",
    )
    labels = {name: each.label for name, each in match(devices, source.readings(source.first)).items()}
    async with _watched(platform, target, devices) as others:
        before, _ = await _until(source, lambda now: all(value < _QUIET for value in now.values()), _QUIET_SECONDS)
        made, created = await _user(platform, scratch, target, image, command)
        running, problem = await holder_started(platform, scratch, created, seconds=patience)
        if running is None:
            return seen.model_copy(update={"before": before, "problem": problem})
        device, label = "", ""
        if made is not None:
            about = made["metadata"]
            held = results(await cluster.get(made["apiVersion"], made["kind"], about["name"], about["namespace"]))
            device = held[0]["device"] if held else ""
            label = labels.get(device, "")
        elif not image:
            label = _label_of(await read_until(cluster, running, "user", LOOKED, seconds=patience), source)
        scratch.tell(f"a Pod uses {label or device or 'a device'}; waiting until that shows")

        def shows(now: dict[str, float]) -> bool:
            watched = [label] if label else list(now)
            return any(name in now and now[name] - before.get(name, 0.0) >= MARGIN for name in watched)

        during, took = await _until(source, shows, seconds)
        # The samples of other devices may come later.
        await asyncio.sleep(min(took, 2 * _POLL_SECONDS))
        during = await _read(source) or during
        await cluster.delete(running)
        await wait.gone(cluster, running, seconds=patience)
        after: dict[str, float] = {}
        left = 0.0
        if shows(during):
            scratch.tell(f"the Pod is gone; waiting until {label or 'the device'} is idle again")
            after, left = await _until(source, lambda now: not shows(now), seconds)
    busy = {labels.get(name) for name in others.devices(made)}
    idle = tuple(each for each in (labels.values() if devices else during) if each != label and each not in busy)
    return seen.model_copy(
        update={
            "device": device,
            "label": label,
            "before": before,
            "during": during,
            "after": after,
            "idle": idle,
            "foreign": others.count(running),
            "seconds_during": round(took, 1),
            "seconds_after": round(left, 1),
        }
    )


async def _read(source: Source) -> dict[str, float]:
    """Utilization by label; empty if this scrape failed."""
    found = {}
    for each in source.readings(await source.read()):
        value = each.highest("utilization")
        if each.label and value is not None:
            found[each.label] = value
    return found


async def _until(
    source: Source, condition: Callable[[dict[str, float]], bool], seconds: float
) -> tuple[dict[str, float], float]:
    """(the first utilization for which the condition holds or the last one, seconds waited)."""
    loop = asyncio.get_running_loop()
    begun, pause = loop.time(), _POLL_SECONDS
    last: dict[str, float] = {}
    while True:
        now = await _read(source)
        last = now or last
        waited = loop.time() - begun
        if (now and condition(now)) or waited + pause > seconds:
            return last, waited
        await asyncio.sleep(pause)
        pause = min(_MOST_POLL_SECONDS, pause * 1.2)


async def _user(
    platform: Platform, scratch: Scratch, target: NodeAccelerators, image: str, command: str
) -> tuple[Object | None, Object]:
    """(the ResourceClaim or None, the Pod that uses one device of the target)."""
    request = await request_devices(platform, scratch, target)
    script = command if image else f"{LOOK}{_HOLD}echo {LOOKED}; {STAY}"
    user = container("user", image or platform.images["shell"], script, resources=request.resources)
    if image and not command:
        del user["command"]
    node = await platform.node(target.node)
    return request.claim, await scratch.create(pod(scratch.name("user"), node, [user], **request.pod_spec))


def _label_of(lines: list[str], source: Source) -> str:
    """The label of the device that a container has, if the container's environment identifies it."""
    view = parse_view(lines)
    values = {part.strip().lower() for value in view.environment.values() for part in value.split(",")}
    for each in source.readings(source.first):
        if each.label and values & {value.lower() for _, value in each.labels if len(value) > 3}:
            return each.label
    return ""


class _Others:
    """Who else holds devices of the target, or held some since the watch began; by UID of the claim or Pod."""

    def __init__(self, target: NodeAccelerators, devices: Sequence[Device]) -> None:
        self._target = target
        self._pools = {device.pool for device in devices}
        self._devices: dict[str, set[str]] = {}
        self._counts: dict[str, int] = {}

    def note(self, obj: Object) -> None:
        """A ResourceClaim, or a Pod of the target's node."""
        uid = obj["metadata"]["uid"]
        if obj["kind"] == "ResourceClaim":
            names = {
                each["device"]
                for each in results(obj)
                if each["driver"] == self._target.name and each["pool"] in self._pools
            }
            self._devices.setdefault(uid, set()).update(names)
        elif not wait.ended(obj):
            self._counts[uid] = extended_resources(obj)[self._target.name]

    def devices(self, own: Object | None) -> set[str]:
        """Names of the devices that other claims hold."""
        mine = own["metadata"]["uid"] if own else ""
        return {name for uid, names in self._devices.items() if uid != mine for name in names}

    def count(self, own: Object) -> int:
        """How many devices other Pods ask for."""
        return sum(count for uid, count in self._counts.items() if uid != own["metadata"]["uid"])


@asynccontextmanager
async def _watched(platform: Platform, target: NodeAccelerators, devices: Sequence[Device]) -> AsyncIterator[_Others]:
    others = _Others(target, devices)
    if target.way == "dra":
        what = (await platform.resource_api() or "", "ResourceClaim", "")
    else:
        what = ("v1", "Pod", f"spec.nodeName={target.node}")
    watching = asyncio.create_task(_watch(platform.cluster, *what, others.note))
    try:
        yield others
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


async def _watch(cluster: Cluster, api_version: str, kind: str, fields: str, note: Callable[[Object], None]) -> None:
    async for there, _ in wait.states(cluster, api_version, kind, fields=fields):
        for obj in there.values():
            note(obj)
