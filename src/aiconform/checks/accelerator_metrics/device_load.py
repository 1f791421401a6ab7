"""Puts a load on one accelerator, and follows the utilization of all accelerators of its node."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from aiconform.checks.accelerator_metrics.device_metrics import Advertised
from aiconform.checks.accelerator_metrics.holders import Holder, watched
from aiconform.checks.accelerator_metrics.observations import Load
from aiconform.checks.accelerator_metrics.options import AcceleratorMetrics
from aiconform.checks.accelerator_metrics.page import UNREAD, Page, ended, fell, rose
from aiconform.cluster import Cluster, NotFound, Object, wait
from aiconform.cluster.amounts import with_amounts
from aiconform.cluster.scratch import RESTRICTED, Scratch
from aiconform.kit.container_view import LOOK, LOOKED, OWN_NODES, View, parse_view, special
from aiconform.kit.devices import allocated_claim, request_devices
from aiconform.kit.logs import read_until
from aiconform.kit.pods import STAY, container, pod
from aiconform.kit.starting import holder_started
from aiconform.platform import Platform
from aiconform.platform.accelerators.devices import results
from aiconform.platform.monitoring.matching import match, may_be, plain
from aiconform.platform.monitoring.sources import Source

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


@dataclass(frozen=True)
class _User:
    """The Pod that uses a device; None if it did not start, for the reason `problem`.

    device, label: which device, as far as the claim or the environment says it; `joined` is which of them does.
    """

    claim: Object | None = None
    pod: Object | None = None
    problem: str = ""
    device: str = ""
    label: str = ""
    joined: str = ""

    @property
    def name(self) -> str:
        return f"{self.pod['metadata']['namespace']}/{self.pod['metadata']['name']}" if self.pod else ""


async def under_load(
    platform: Platform,
    scratch: Scratch,
    about: Advertised,
    source: Source,
    options: AcceleratorMetrics,
    patience: float,
) -> Load:
    """Use one device until it shows in the metrics, then stop and wait until that shows."""
    cluster, seconds = platform.cluster, options.load_seconds
    load: Literal["open", "work"] = "work" if options.load_image else "open"
    seen = Load(**about.target.facts, endpoint=source.place, load=load, held=about.target.unit)
    unread: dict[str, str] = {}
    async with watched(platform, about) as holders:
        before, _, unread["before"] = await _until(source, _is_quiet, _QUIET_SECONDS)
        user = await _user(platform, scratch, about, source, options, patience)
        if user.pod is None:
            return seen.model_copy(update={"before": before.utilization, "problem": user.problem})
        # An exporter may say that its own Pod holds everything.
        own = (user.name, f"{source.first.endpoint.namespace}/{source.first.endpoint.pod}")
        scratch.tell(f"a Pod uses {user.label or user.device or 'a device'}; waiting until that shows")
        during, took, unread["during"] = await _until(source, lambda now: _shows(before, now, user, own), seconds)
        # The samples of other devices may come later.
        await asyncio.sleep(min(took, 2 * _POLL_SECONDS))
        again = await _read(source)
        during = again if again.readings else during
        others = holders.besides(user.claim, user.pod)
        covered = about.covered(source.devices)
        shared = covered.expected < about.counted.advertised
        label, joined = _identified(user, during, own, shared=shared)
        if user.device and not label:
            label, joined = _by_its_rise(user.device, about, before, during, alone=not others)
        kind = {each.label for _, each in covered.readings}
        held = during.of_others(*own) | _labels_of(others, about, source)
        idle = [each for each in during.beside(label) if each not in held and each in kind]
        used = [label] if label else list(during.compared(""))
        shows = rose(before, during, [*used, *idle])
        ended_early = "" if shows else await _how_it_ended(cluster, user.pod)
        await cluster.delete(user.pod)
        await wait.gone(cluster, user.pod, seconds=patience)
        after, left = UNREAD, 0.0
        if shows:
            scratch.tell(f"the Pod is gone; waiting until {label or 'the device'} is idle again")
            risen = [each for each in (*used, *idle) if rose(before, during, [each])]
            after, left, unread["after"] = await _until(source, lambda now: fell(before, now, during, risen), seconds)
        later = {uid: each for uid, each in holders.besides(user.claim, user.pod).items() if uid not in others}
    return seen.model_copy(
        update={
            "device": user.device,
            "label": label,
            "joined": joined,
            "before": before.utilization,
            "during": during.compared(label),
            "after": ended(after, during),
            "idle": tuple(idle),
            "foreign": max(0, sum(each.count for each in others.values()) - len(during.of_others(*own))),
            "sharing": _sharing(others, user, during, label, own, shared=shared),
            "followed_by": tuple(each.name for each in later.values() if each.count or _may_have(each, user)),
            "seconds_during": round(took, 1),
            "seconds_after": round(left, 1),
            "ended": ended_early,
            "of_kind": covered.expected,
            "unread": {when: why for when, why in unread.items() if why},
            "samples": {"before": before.samples, "during": during.samples, "after": after.samples},
        }
    )


def _may_have(other: Holder, user: _User) -> bool:
    """Whether another claim has the device that was used, or may have it where that is not known."""
    return user.device in other.devices if user.device else bool(other.devices)


async def _how_it_ended(cluster: Cluster, pod: Object) -> str:
    """Empty if the Pod still runs."""
    metadata = pod["metadata"]
    try:
        seen = await cluster.get("v1", "Pod", metadata["name"], metadata["namespace"])
    except NotFound:
        return "somebody deleted it"
    if not wait.ended(seen):
        return ""
    ends = [each["state"].get("terminated") or {} for each in wait.container_statuses(seen)]
    codes = ", ".join(f"exit code {end['exitCode']}" for end in ends if "exitCode" in end)
    return f"{wait.describe(seen)}{f' ({codes})' if codes else ''}"


def _is_quiet(now: Page) -> bool:
    return all(value < _QUIET for value in now.utilization.values())


def _shows(before: Page, now: Page, user: _User, own: tuple[str, ...]) -> bool:
    """Whether the device rose; any that no other Pod holds, if it is not known which one is in use."""
    label = user.label or now.of_pod(user.name)
    return rose(before, now, [label] if label else now.utilization.keys() - now.of_others(*own))


def _identified(user: _User, during: Page, own: tuple[str, ...], *, shared: bool) -> tuple[str, str]:
    """(the label of the device that the Pod used, by what it is known); empty if nothing says it.

    shared: whether several Pods can hold one device.
    """
    if user.label:
        return user.label, user.joined
    if label := during.of_pod(user.name):
        return label, "the exporter's labels of the Pod"
    left = during.compared("").keys() - (set() if shared else during.of_others(*own))
    return (next(iter(left)), "no other device is left") if len(left) == 1 else ("", "")


def _by_its_rise(device: str, about: Advertised, before: Page, during: Page, *, alone: bool) -> tuple[str, str]:
    """The same for a device of DRA that no label names: by what those that can be it did.

    alone: whether nobody else holds any of them; else several that rise say nothing.
    """
    used = next(each for each in about.devices if each.name == device)
    found = [each.label for each in may_be(used, about.devices, during.readings) if each.label in during.utilization]
    risen = [label for label in found if rose(before, during, [label])]
    if not found or (len(risen) > 1 and not alone):
        return "", ""
    if risen:
        return risen[0], f"its rise, as one of {len(found)} that can be it"
    return min(found, key=lambda label: before.utilization.get(label, 0.0)), f"one of {len(found)}, none of which rose"


def _sharing(
    others: Mapping[str, Holder], user: _User, during: Page, label: str, own: tuple[str, ...], *, shared: bool
) -> tuple[str, ...]:
    """Who else held the device, as far as it can be known: claims, Pods that the exporter names, else all Pods."""
    if user.device:
        return tuple(sorted(each.name for each in others.values() if user.device in each.devices))
    named = {pod for each in during.readings for pod in each.pods} - set(own)
    if named:
        return tuple(sorted(pod for each in during.readings if each.label == label for pod in each.pods & named))
    return tuple(sorted(each.name for each in others.values())) if shared else ()


def _labels_of(others: Mapping[str, Holder], about: Advertised, source: Source) -> set[str]:
    """The labels of devices that other claims hold."""
    matched = match(about.devices, source.devices)
    return {matched[name].label for each in others.values() for name in each.devices if name in matched}


async def _read(source: Source) -> Page:
    """What the exporter says now."""
    scrape = await source.read()
    return Page(tuple(source.readings(scrape)), scrape.message if scrape.problem else "")


async def _until(source: Source, condition: Callable[[Page], bool], seconds: float) -> tuple[Page, float, str]:
    """(the first page for which the condition holds or the last one, seconds waited, why there was none at the end).

    A page without utilization says something only where that is reported of devices in use alone.
    """
    loop = asyncio.get_running_loop()
    begun, pause = loop.time(), _POLL_SECONDS
    may_be_silent = "utilization" in source.convention.only_in_use
    last = UNREAD
    while True:
        now = await _read(source)
        tells = bool(now.utilization) or (may_be_silent and not now.problem)
        last = now if tells or last.problem else last
        waited = loop.time() - begun
        if (tells and condition(now)) or waited + pause > seconds:
            return last, waited, now.problem
        await asyncio.sleep(pause)
        pause = min(_MOST_POLL_SECONDS, pause * 1.2)


async def _user(
    platform: Platform,
    scratch: Scratch,
    about: Advertised,
    source: Source,
    options: AcceleratorMetrics,
    patience: float,
) -> _User:
    """Start a Pod that uses one device of the target."""
    cluster, target = platform.cluster, about.target
    request = await request_devices(platform, scratch, target)
    image, command = options.load_image, options.load_command
    script = command if image else f"{LOOK}{_HOLD}echo {LOOKED}; {STAY}"
    security = {**RESTRICTED, **({"runAsUser": options.load_user} if options.load_user else {})}
    resources = with_amounts(request.resources, options.limits) if image else request.resources
    user = container("user", image or platform.images["shell"], script, resources=resources, securityContext=security)
    if image and not command:
        del user["command"]
    groups = {"securityContext": {"supplementalGroups": options.groups}} if options.groups else {}
    node = await platform.node(target.node)
    created = await scratch.create(pod(scratch.name("user"), node, [user], **groups, **request.pod_spec))
    running, problem = await holder_started(platform, scratch, created, seconds=patience)
    if running is None:
        return _User(problem=problem)
    if target.unit > 1:
        # It has all devices of the host, and which of them it uses is not known.
        return _User(request.claim, running)
    if request.claim is not None:
        claim = await allocated_claim(cluster, request.claim, running)
        device = next((each["device"] for each in results(claim)), "")
        reading = match(about.devices, source.devices).get(device)
        return _User(claim, running, device=device, label=reading.label if reading else "", joined="its claim")
    if image:
        return _User(pod=running)
    view = parse_view(await read_until(cluster, running, "user", LOOKED, seconds=patience))
    if label := _by_environment(view, source):
        return _User(pod=running, label=label, joined="its environment")
    return _User(pod=running, label=_by_device_node(view, source), joined="its device node")


def _by_device_node(view: View, source: Source) -> str:
    """The label of the device that a container has, where the exporter's labels are those of device nodes."""
    named = source.convention.named_by_nodes(node.path for node in special(view))
    found = [each.label for each in source.devices if each.label and named and named in each.identity]
    return found[0] if len(found) == 1 else ""


def _by_environment(view: View, source: Source) -> str:
    """The label of the device that a container has, if the container's environment identifies it."""
    values = {plain(part.strip()) for value in view.environment.values() for part in value.split(",")}
    found = [
        each.label
        for each in source.devices
        if each.label and values & {plain(value) for _, value in each.labels if len(value) > 3}
    ]
    return found[0] if len(found) == 1 else ""
