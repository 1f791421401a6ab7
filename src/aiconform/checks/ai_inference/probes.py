"""ai_inference: the platform's Gateway API routes requests to models as its routes say, and changes without a loss.

A Gateway of the platform's class is made, with two model servers behind one HTTPRoute: by a header or a path that
names a model, else by weights. A client in the cluster asks through the data plane, and so does this machine where the
Gateway's address is reached from it; each answer names its server. Then the weights are changed while the client goes
on asking, with short and with long answers.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from typing import Any

from pydantic import Field

from aiconform.check import (
    Finding,
    Inspection,
    NothingToLookAt,
    Observation,
    Options,
    Settings,
    assertion,
    holds,
    inspection,
    probe,
    undecided,
)
from aiconform.checks.ai_inference import model_servers, routes
from aiconform.checks.ai_inference import traffic as flow
from aiconform.checks.ai_inference.routes import BACKENDS, CHANGED, WEIGHTS
from aiconform.checks.ai_inference.traffic import Asked, Change, Part, share
from aiconform.cluster import Object, TimedOut, wait
from aiconform.cluster.scratch import Scratch
from aiconform.platform import Platform, gateways
from aiconform.platform.gateways import GROUP, NoGatewayClass

# The host's own part of the split: it is not asked to say anything alone.
OUTSIDE_REQUESTS = 100
ACCEPT_SECONDS = 30.0
OPTION = "--set ai_inference.gateway_class"


class IngressOptions(Options):
    gateway_class: str = Field("", description="GatewayClass to use, where there are several.")
    requests: int = Field(200, ge=100, le=5000, description="Requests by which each split of traffic is judged.")
    programmed_within: float = Field(300.0, ge=1, description="Seconds that a Gateway may take to be programmed.")
    route_within: float = Field(
        60.0, ge=1, description="Seconds that a route may take to be accepted, and then to be followed by requests."
    )
    change_within: float = Field(60.0, ge=1, description="Seconds that a change of weights may take to be in force.")

    @property
    def seconds(self) -> float:
        """What the probe may take in all: also for the Pods, and for as many requests as a slow machine sends."""
        return self.programmed_within + 2 * self.route_within + self.change_within + 120 + self.requests / 2


# What is seen


class Class(Part):
    """A GatewayClass; `accepted` is None while its controller has not said."""

    name: str
    controller: str
    accepted: bool | None
    says: str


class Routing(Observation):
    """What became of a Gateway and its route, and of the requests through it.

    What was not come to is None or empty. `unreached` says what the client got if the data plane never answered;
    `outside` why nothing was asked from this machine.
    """

    api_version: str
    release: str
    classes: tuple[Class, ...]
    taken: str
    why: str
    programmed: bool | None = None
    gateway_says: str = ""
    address: str = ""
    route_accepted: bool | None = None
    route_says: str = ""
    weights: dict[str, int] = Field(default_factory=dict)
    unreached: str = ""
    asked: tuple[Asked, ...] = ()
    outside: str = ""
    change: Change | None = None


# The probe


async def _gateway_class(
    platform: Platform, api_version: str, wanted: str
) -> tuple[list[gateways.GatewayClass], gateways.GatewayClass, str]:
    """(all, the one to take, why); a controller that has not decided yet is waited for. Raises NothingToLookAt."""
    cluster = platform.cluster
    objects = await gateways.classes(platform, api_version)
    in_use = await gateways.in_use(platform, api_version) if len(objects) > 1 else Counter()
    try:
        chosen, _ = gateways.choose([gateways.read_class(entry, in_use) for entry in objects], wanted, OPTION)
    except NoGatewayClass as error:
        raise NothingToLookAt(f"nothing to look at: {error}") from error
    if chosen.accepted is None:
        (entry,) = (entry for entry in objects if entry["metadata"]["name"] == chosen.name)
        try:
            decided = await wait.until(
                cluster,
                entry,
                lambda seen: seen if gateways.condition(seen, "Accepted")[0] is not None else None,
                seconds=ACCEPT_SECONDS,
                what=f"GatewayClass {chosen.name} to be accepted",
            )
            objects = [decided if each is entry else each for each in objects]
        except TimedOut:
            pass
    found = [gateways.read_class(entry, in_use) for entry in objects]
    return found, *gateways.choose(found, wanted, OPTION)


@probe(
    limit=lambda settings: settings.of(IngressOptions).seconds,
    access=routes.ACCESS,
)
async def routing(platform: Platform, scratch: Scratch, settings: Settings, target: None) -> Routing:
    options = settings.of(IngressOptions)
    api_version = await gateways.served(platform)
    if api_version is None:
        raise NothingToLookAt(f"nothing to look at: the API server does not serve {GROUP}, the Gateway API")
    release = await gateways.release(platform)
    classes, chosen, why = await _gateway_class(platform, api_version, options.gateway_class)
    about: dict[str, Any] = {
        "api_version": api_version,
        "release": release,
        "classes": [
            Class(name=each.name, controller=each.controller, accepted=each.accepted, says=each.says)
            for each in classes
        ],
        "taken": chosen.name,
        "why": why,
    }
    if not chosen.accepted:
        return Routing(**about)
    scratch.tell(f"making a Gateway of class {chosen.name} and two model servers")
    made = await scratch.create(routes.gateway(scratch.name("gateway"), api_version, chosen.name))
    names = await asyncio.gather(*(routes.serve(platform, scratch, each, settings.patience) for each in BACKENDS))
    services = dict(zip(BACKENDS, names, strict=True))
    scratch.tell(f"waiting for Gateway {made['metadata']['name']} to be programmed")
    programmed, says, address = await routes.programmed(platform, made, options.programmed_within)
    about |= {"programmed": programmed, "gateway_says": says, "address": address}
    if not programmed:
        return Routing(**about)
    namespace = made["metadata"]["namespace"]
    host = f"models.{namespace}.example"
    routed = await scratch.create(
        routes.route(scratch.name("route"), api_version, made["metadata"]["name"], host, services)
    )
    accepted, says = await routes.accepted(platform, routed, options.route_within)
    about |= {"route_accepted": accepted, "route_says": says}
    if not accepted:
        return Routing(**about)
    image = platform.images["shell"]
    asks = model_servers.client(image, address, host, requests=options.requests, settle=int(options.route_within))
    client = await scratch.create(model_servers.pod(scratch.name("client"), {}, [asks]))
    await wait.until(platform.cluster, client, wait.running, seconds=settings.patience, what="the client to start")
    lines = platform.cluster.follow(namespace, client["metadata"]["name"], "client", seconds=options.seconds)
    scratch.tell(f"sending {options.requests} requests through {address}")
    return await _talk(lines, about, platform, scratch, routed, services, options, host)


async def _talk(
    lines: AsyncIterator[str],
    about: dict[str, Any],
    platform: Platform,
    scratch: Scratch,
    routed: Object,
    services: Mapping[str, str],
    options: IngressOptions,
    host: str,
) -> Routing:
    about["weights"] = WEIGHTS
    async for line in lines:
        if line == model_servers.SETTLED:
            break
        if line.startswith(model_servers.UNREACHED):
            return Routing(**about, unreached=line.removeprefix(model_servers.UNREACHED).strip())
    (inside, ended), (outside, problem) = await asyncio.gather(
        flow.answers_until(lines, model_servers.ASKED),
        asyncio.to_thread(model_servers.ask_from_here, about["address"], host, requests=OUTSIDE_REQUESTS),
    )
    if not ended:
        raise TimedOut(f"the client did not finish its requests; it made {len(inside)}")
    about["asked"] = [*flow.tally(inside, "inside"), *flow.tally(outside, "outside")]
    about["outside"] = problem
    scratch.tell("changing the weights while the client goes on asking")

    async def change() -> None:
        await platform.cluster.patch(routed, {"spec": {"rules": routes.rules(services, CHANGED)}})

    return Routing(**about, change=await flow.watch_change(lines, change, options.requests, options.change_within))


# What it means


@assertion("class_accepted", "A GatewayClass is accepted by its controller")
def class_accepted(seen: Routing) -> Finding:
    taken = next(entry for entry in seen.classes if entry.name == seen.taken)
    said = f"{taken.name} of {taken.controller} ({seen.why}): {taken.says}"
    return holds(taken.accepted is True, said, subjects=1)


@assertion("gateway_programmed", "A Gateway of it is programmed and has an address")
def gateway_programmed(seen: Routing) -> Finding:
    if seen.programmed is None:
        return undecided("no Gateway was made: the class is not accepted")
    where = f"at {seen.address}: " if seen.address else ""
    return holds(seen.programmed, f"{where}{seen.gateway_says}", subjects=1)


@assertion(
    "route_accepted", "An HTTPRoute with weights, header and path rules is accepted and its references are resolved"
)
def route_accepted(seen: Routing) -> Finding:
    if seen.route_accepted is None:
        return undecided("no route was made: there is no programmed Gateway")
    return holds(seen.route_accepted, seen.route_says, subjects=1)


NOT_SENT = "no requests were sent: there is no accepted route"


def _of(seen: Routing, rule: str) -> list[Asked]:
    return [entry for entry in seen.asked if entry.rule == rule]


def _told(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{words} ({count})" for words, count in counts.items())


@assertion(
    "traffic_split_by_weight",
    "Requests are split between backends by their weights",
    serves=("traffic_split_by_weight", "every_request_is_answered"),
)
def traffic_split_by_weight(seen: Routing) -> Finding:
    if seen.unreached:
        return holds(False, f"no request was answered through {seen.address}: {seen.unreached}", subjects=1)
    asked = _of(seen, "weights")
    if not asked:
        return undecided(NOT_SENT)
    reasons, good = [], True
    for entry in asked:
        agrees, words = share(entry.answers, seen.weights)
        if entry.failures:
            agrees, words = False, f"{_told(entry.failures)}; {words}"
        good = good and agrees
        reasons.append(f"from {entry.origin}: {words}")
    if seen.outside:
        reasons.append(f"not from outside: {seen.outside}")
    subjects = sum(sum(entry.answers.values()) + sum(entry.failures.values()) for entry in asked)
    return holds(good, "; ".join(reasons), subjects=subjects)


@assertion(
    "routed_by_header",
    "A header that names a model selects that model's backend",
    serves=("routed_by_header", "unknown_header_follows_weights"),
)
def routed_by_header(seen: Routing) -> Finding:
    return _selected(seen, "header")


@assertion("routed_by_path", "A path that names a model selects that model's backend")
def routed_by_path(seen: Routing) -> Finding:
    return _selected(seen, "path")


def _selected(seen: Routing, rule: str) -> Finding:
    asked = _of(seen, rule)
    if not asked:
        return undecided(NOT_SENT)
    wrong, requests = [], 0
    for entry in asked:
        requests += sum(entry.answers.values()) + sum(entry.failures.values())
        # A model that no rule names is anybody's, as the route's last rule says.
        astray = {name: n for name, n in entry.answers.items() if entry.model in BACKENDS and name != entry.model}
        if astray or entry.failures:
            answers = _told({f"answered by {name}": count for name, count in astray.items()} | entry.failures)
            wrong.append(f"asked for {entry.model} from {entry.origin}: {answers}")
    said = "; ".join(wrong) or f"{requests} requests for {', '.join(sorted({e.model for e in asked}))} went as declared"
    return holds(not wrong, said, subjects=requests)


@assertion("unmatched_gets_404", "A request that no rule matches gets 404")
def unmatched_gets_404(seen: Routing) -> Finding:
    asked = _of(seen, "none")
    if not asked:
        return undecided(NOT_SENT)
    wrong = {words: count for entry in asked for words, count in entry.failures.items() if " 404 " not in f"{words} "}
    wrong |= {f"answered by {name}": count for entry in asked for name, count in entry.answers.items()}
    requests = sum(sum(entry.answers.values()) + sum(entry.failures.values()) for entry in asked)
    return holds(not wrong, _told(wrong) or f"each of {requests} got 404", subjects=requests)


@assertion("changed_weights_take_effect", "Changed weights take effect under load")
def changed_weights_take_effect(seen: Routing) -> Finding:
    if seen.change is None:
        return undecided(NOT_SENT)
    change = seen.change
    if not change.sample:
        return holds(False, f"no request was answered after the change: {_told(change.lost)}", subjects=1)
    agrees, words = share(change.sample, change.weights)
    when = (
        f"in force after {change.in_force_after:.1f} s"
        if change.in_force_after is not None
        else f"not in force within {change.within:.0f} s"
    )
    good = agrees and change.in_force_after is not None
    return holds(good, f"{when}; {words}", subjects=sum(change.sample.values()))


@assertion("no_request_lost", "No request is lost while weights change")
def no_request_lost(seen: Routing) -> Finding:
    if seen.change is None:
        return undecided(NOT_SENT)
    change = seen.change
    lost = sum(change.lost.values())
    said = f"{change.requests} requests, {change.long_requests} of them for long answers, "
    said += f"{lost} lost: {_told(change.lost)}" if lost else "each answered whole"
    return holds(not lost, said, subjects=change.requests)


# What `inspect` says


@inspection
async def look(platform: Platform, settings: Settings) -> Inspection:
    api_version = await gateways.served(platform)
    if api_version is None:
        return Inspection(missing=(f"the Gateway API ({GROUP}) is not served",))
    release = await gateways.release(platform)
    found = [f"Gateway API {api_version.rpartition('/')[2]}" + (f", release {release}" if release else "")]
    objects = await gateways.classes(platform, api_version)
    in_use = await gateways.in_use(platform, api_version) if objects else Counter()
    classes = [gateways.read_class(entry, in_use) for entry in objects]
    found += [
        f"GatewayClass {each.name} of {each.controller}: {'accepted' if each.accepted else each.says}"
        for each in classes
    ]
    try:
        chosen, why = gateways.choose(classes, settings.of(IngressOptions).gateway_class, OPTION)
    except NoGatewayClass as error:
        return Inspection(tuple(found), (str(error),))
    if not chosen.accepted:
        return Inspection(tuple(found), (f"GatewayClass {chosen.name} is not accepted: {chosen.says}",))
    return Inspection((*found, f"would use {chosen.name}: {why}"))
