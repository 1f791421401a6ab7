"""The probe of ai_inference, and what `aiconform inspect` says of it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from aiconform.check import Inspection, NothingToLookAt, Settings, inspection, probe
from aiconform.checks.ai_inference import entrance, listeners, model_servers, routes, traffic
from aiconform.checks.ai_inference.entrance import Entrance, Programming
from aiconform.checks.ai_inference.observations import GatewayClassStatus, Routing
from aiconform.checks.ai_inference.offer import Offer, read_offer, require_accepted
from aiconform.checks.ai_inference.options import AiInferenceOptions
from aiconform.checks.ai_inference.routes import BACKENDS, CHANGED, WEIGHTS
from aiconform.cluster import Object, TimedOut, wait
from aiconform.cluster.scratch import Scratch
from aiconform.kit.meshes import without_sidecar
from aiconform.kit.network import allow
from aiconform.kit.pods import pod_anywhere
from aiconform.kit.together import gather
from aiconform.platform import Platform, gateways
from aiconform.platform.gateways import OF_GATEWAY

# Requests from this machine; their split is judged by itself.
OUTSIDE_REQUESTS = 100
# Why a listener of a Gateway that is there already does not take the check's route.
_NOT_FOR_US = re.compile(r"NotAllowedByListeners|NoMatchingListenerHostname|NoMatchingParent")


@dataclass(frozen=True)
class _Opened:
    """A Gateway with a route to it, and what became of the Gateway. why: why it is this one."""

    place: Entrance
    routed: Object
    came: Programming
    why: str
    address_annotation: str


async def _open(
    platform: Platform,
    scratch: Scratch,
    options: AiInferenceOptions,
    api_version: str,
    offer: Offer,
    services: Mapping[str, str],
    families: Collection[str],
) -> _Opened:
    """The first Gateway that is programmed; or the one that the user named, if its conditions refuse it.

    families: of the addresses that Pods have. Raises TimedOut if there is none, or if what the user named says nothing.
    """
    failures: list[str] = []
    left = [(each, offer.ports(each, options)) for each in offer.tried]
    number = 0
    while left:
        (each, (port, *ports)), *left = left
        suffix = f"-{number}" if number else ""
        number += 1
        place, draft = offer.existing, None
        if place is None:
            name = scratch.name(f"gateway{suffix}")
            # Data planes may be Pods in the Namespace of their Gateway.
            await allow(scratch, f"data-plane{suffix}", "Ingress", "Egress", pods={OF_GATEWAY: name})
            # Gateways of some implementations share their listeners: of one port, each needs a host name of its own.
            host = entrance.own_host(await scratch.namespace()) if offer.shares(each, port) else ""
            draft = entrance.gateway(name, api_version, each.name, port, options, needed=each.annotations, host=host)
            made = await scratch.create(draft)
            place = entrance.of_own(made)
        # Some implementations deliver a load balancer only for a Gateway with a route.
        route = routes.route(scratch.name(f"route{suffix}"), api_version, place.parent, place.host, services)
        routed = await scratch.create(route)
        seconds, what = options.programmed_seconds, f"Gateway {place.name} of class {each.name}"
        scratch.tell(f"waiting up to {seconds:.0f} s for {what} to be programmed")
        annotation = each.facts.address
        other_port = bool(ports) and offer.existing is None
        came = await entrance.programmed(
            platform,
            place.gateway,
            seconds,
            families,
            addressless=bool(annotation),
            other_port=other_port,
            draft=draft,
        )
        if came.programmed or (offer.named and came.refused):
            why = f"{offer.why}; {' | '.join(failures)}" if failures else offer.why
            return _Opened(place, routed, came, why, annotation)
        if other_port and came.port_unavailable:
            left.insert(0, (each, tuple(ports)))
            failures.append(f"{what} has no port {port}: {came.says}")
        else:
            failures.append(f"{what} was not programmed within {seconds:.0f} s: {came.says}")
        scratch.tell(failures[-1])
        await gather(*(platform.cluster.delete(obj) for obj in (routed, place.gateway) if obj is not _kept(offer)))
    raise TimedOut(f"{' | '.join(failures)}. {entrance.WAYS_OUT}")


def _kept(offer: Offer) -> Object | None:
    """The Gateway that is not the check's to delete."""
    return offer.existing.gateway if offer.existing else None


@probe(
    limit=lambda settings: settings.of(AiInferenceOptions).seconds,
    access=routes.ACCESS,
)
async def routing(platform: Platform, scratch: Scratch, settings: Settings, target: None) -> Routing:
    options = settings.of(AiInferenceOptions)
    api_version = await gateways.served(platform)
    if api_version is None:
        raise NothingToLookAt(f"nothing to look at: {await gateways.unserved(platform)}")
    # Only a route to a Gateway of others depends on the Namespace, which is not created before it is needed.
    namespace = await scratch.namespace() if options.gateway else ""
    offer = await read_offer(platform, api_version, options, namespace, patient=True)
    require_accepted(offer)
    about: dict[str, Any] = {
        "api_version": api_version,
        "release": await gateways.release(platform),
        "classes": [
            GatewayClassStatus(name=each.name, controller=each.controller, accepted=each.accepted, says=each.says)
            for each in offer.classes
        ],
        "taken": offer.chosen.name,
        "why": offer.why,
    }
    if not offer.chosen.accepted:
        return Routing(**about)
    scratch.tell(f"creating two model servers, for a Gateway of class {offer.chosen.name}")
    await allow(scratch, "requests", "Ingress", "Egress")
    kind = "NodePort" if any(each.facts.service == "NodePort" for each in offer.tried) else "ClusterIP"
    servers = await gather(*(routes.serve(platform, scratch, each, settings.patience, kind) for each in BACKENDS))
    namespace = servers[0]["metadata"]["namespace"]
    services = {backend: made["metadata"]["name"] for backend, made in zip(BACKENDS, servers, strict=True)}
    families = entrance.families(servers[0])
    opened = await _open(platform, scratch, options, api_version, offer, services, families)
    place, routed, came = opened.place, opened.routed, opened.came
    about |= {"taken": place.class_name, "why": opened.why}
    about |= {"programmed": came.programmed, "gateway_says": came.says, "address": came.address}
    if not came.programmed:
        return Routing(**about)
    accepted, says = await routes.accepted(platform, routed, options.route_seconds)
    if offer.existing and not accepted and _NOT_FOR_US.search(says):
        raise NothingToLookAt(
            f"nothing to look at: Gateway {options.gateway} takes no routes from Namespace {namespace}: {says}. Let "
            "its listener allow them, or name another Gateway"
        )
    about |= {"route_accepted": accepted, "route_says": says}
    if not accepted:
        return Routing(**about)
    if opened.address_annotation and not came.address:
        about["address"] = await entrance.address_of_route(
            platform, routed, opened.address_annotation, options.route_seconds
        )
    asks = model_servers.client(
        platform.images["shell"],
        about["address"],
        place.ports,
        place.host,
        requests=options.requests,
        settle=int(options.route_seconds),
    )
    client = await scratch.create(without_sidecar(pod_anywhere(scratch.name("client"), [asks])))
    await wait.until(platform.cluster, client, wait.running, seconds=settings.patience, what="the client to start")
    lines = platform.cluster.follow(namespace, client["metadata"]["name"], "client", seconds=options.seconds)
    scratch.tell(
        f"waiting up to {options.route_seconds:.0f} s for answers through {about['address']}, then sending "
        f"{options.requests} requests"
    )
    seen = await _talk(lines, about, platform, scratch, client, opened, services, options)
    await routes.undisturbed(platform, (*servers, client), failed=_lost(seen))
    return seen


def _lost(seen: Routing) -> bool:
    """Whether requests failed that should not."""
    asked = any(entry.failures for entry in seen.asked if entry.rule != "none")
    return asked or bool(seen.unreached) or bool(seen.change and seen.change.lost)


async def _talk(
    lines: AsyncIterator[str],
    about: dict[str, Any],
    platform: Platform,
    scratch: Scratch,
    client: Object,
    opened: _Opened,
    services: Mapping[str, str],
    options: AiInferenceOptions,
) -> Routing:
    address, host, port = about["address"], opened.place.host, 0
    about["weights"] = WEIGHTS
    async for line in lines:
        if settled := model_servers.settled_port(line):
            port = settled
            break
        if line.startswith(model_servers.UNREACHED):
            said = line.removeprefix(model_servers.UNREACHED).strip()
            if model_servers.was_answered(said):
                return Routing(**about, unreached=said)
            way_out = await routes.shut_off(platform, client) or (
                "let Pods of the run's Namespace reach it (network policies, security groups), or allow more time "
                "(--set ai_inference.route_seconds=SECONDS)"
            )
            raise TimedOut(
                f"no request from a Pod came to {address} within {options.route_seconds:.0f} s (ports "
                f"{', '.join(map(str, opened.place.ports))}): {said}; {way_out}"
            )
    (inside, ended), (outside, problem) = await gather(
        traffic.answers_until(lines, model_servers.ASKED),
        asyncio.to_thread(model_servers.ask_from_here, address, host, requests=OUTSIDE_REQUESTS, port=port),
    )
    if not ended:
        raise TimedOut(f"the client did not finish its requests; it sent {len(inside)}")
    about["asked"] = [*traffic.tally(inside, "inside"), *traffic.tally(outside, "outside")]
    about["outside"] = problem
    scratch.tell("changing the weights while the client keeps sending requests")

    async def change() -> None:
        changes = {"spec": {"rules": routes.rules(services, CHANGED)}}
        await wait.reaching_webhooks(lambda: platform.cluster.patch(opened.routed, changes))

    return Routing(**about, change=await traffic.watch_change(lines, change, options.requests, options.change_seconds))


@inspection
async def look(platform: Platform, settings: Settings) -> Inspection:
    options = settings.of(AiInferenceOptions)
    api_version = await gateways.served(platform)
    if api_version is None:
        return Inspection(missing=(await gateways.unserved(platform),))
    release = await gateways.release(platform)
    found = [f"Gateway API {api_version.rpartition('/')[2]}" + (f", release {release}" if release else "")]
    try:
        offer = await read_offer(platform, api_version, options, "", patient=False)
    except NothingToLookAt as error:
        return Inspection(tuple(found), (str(error),))
    for each in offer.classes:
        words = [each.controller, "accepted" if each.accepted else each.says]
        words += [f"for {each.facts.left_out}"] if each.facts.left_out else []
        words += [each.last] if each.last else []
        found.append(f"GatewayClass {each.name} of {'; '.join(words)}")
    chosen = offer.chosen
    found.append(f"would use {chosen.name}: {offer.why}")
    if offer.existing:
        found.append(f"requests would go through Gateway {options.gateway}, ports {offer.existing.ports}")
    else:
        ports = " or ".join(map(str, offer.ports(chosen, options)))
        found.append(f"a Gateway of it would listen on port {ports}")
    if others := [each.name for each in offer.tried[1:]]:
        found.append(f"if no Gateway of it is programmed: {', '.join(others)}")
    if not chosen.accepted:
        problem = f"GatewayClass {chosen.name} is not accepted: {chosen.says}"
        # Named and refused, it is a fail; else there is nothing to look at.
        return Inspection(tuple(found), **{"problems" if offer.named else "missing": (problem,)})
    return Inspection(tuple(found), problems=tuple(_doubts(offer, options)))


def _doubts(offer: Offer, options: AiInferenceOptions) -> Iterator[str]:
    """Why requests may not come to a Gateway of the accepted class."""
    if offer.existing:
        ready, says = gateways.condition(offer.existing.gateway, "Programmed")
        if not ready:
            yield f"Gateway {options.gateway} is not programmed: {says or 'it has no condition Programmed'}"
        made, name = offer.existing.gateway, offer.existing.parent["sectionName"]
        listener = next(each for each in made["spec"]["listeners"] if each["name"] == name)
        if limit := listeners.refuses(listener, made["metadata"]["namespace"], entrance.ANY_OTHER, {}):
            yield f"listener {name} of Gateway {options.gateway} takes {limit}"
    elif lacks := offer.chosen.lacks:
        yield (
            f"a Gateway of class {offer.chosen.name} needs {lacks}, and no other Gateway shows them: "
            "--set ai_inference.annotations=KEY=VALUE,..., or gateway=NAMESPACE/NAME for one that is there"
        )
