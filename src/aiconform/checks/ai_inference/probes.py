"""The probe of ai_inference, and what `aiconform inspect` says of it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from typing import Any

from aiconform.check import Inspection, NothingToLookAt, Settings, inspection, probe
from aiconform.checks.ai_inference import model_servers, routes, traffic
from aiconform.checks.ai_inference.observations import GatewayClassStatus, Routing
from aiconform.checks.ai_inference.options import GATEWAY_CLASS, AiInferenceOptions
from aiconform.checks.ai_inference.routes import BACKENDS, CHANGED, WEIGHTS
from aiconform.cluster import Object, TimedOut, wait
from aiconform.cluster.scratch import Scratch
from aiconform.kit.pods import pod_anywhere
from aiconform.platform import Platform, gateways
from aiconform.platform.gateways import GROUP, NoGatewayClass

# Requests from this machine; their split is judged by itself.
OUTSIDE_REQUESTS = 100
ACCEPT_SECONDS = 30.0


async def _gateway_class(
    platform: Platform, api_version: str, wanted: str
) -> tuple[list[gateways.GatewayClass], gateways.GatewayClass, str]:
    """(all, the one to use, why). Waits if its controller has not decided about it yet. Raises NothingToLookAt."""
    cluster = platform.cluster
    objects = await gateways.classes(platform, api_version)
    in_use = await gateways.in_use(platform, api_version) if len(objects) > 1 else Counter()
    try:
        chosen, _ = gateways.choose([gateways.read_class(entry, in_use) for entry in objects], wanted, GATEWAY_CLASS)
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
    return found, *gateways.choose(found, wanted, GATEWAY_CLASS)


@probe(
    limit=lambda settings: settings.of(AiInferenceOptions).seconds,
    access=routes.ACCESS,
)
async def routing(platform: Platform, scratch: Scratch, settings: Settings, target: None) -> Routing:
    options = settings.of(AiInferenceOptions)
    api_version = await gateways.served(platform)
    if api_version is None:
        raise NothingToLookAt(f"nothing to look at: the API server does not serve {GROUP}, the Gateway API")
    release = await gateways.release(platform)
    classes, chosen, why = await _gateway_class(platform, api_version, options.gateway_class)
    about: dict[str, Any] = {
        "api_version": api_version,
        "release": release,
        "classes": [
            GatewayClassStatus(name=each.name, controller=each.controller, accepted=each.accepted, says=each.says)
            for each in classes
        ],
        "taken": chosen.name,
        "why": why,
    }
    if not chosen.accepted:
        return Routing(**about)
    scratch.tell(f"creating a Gateway of class {chosen.name} and two model servers")
    made = await scratch.create(routes.gateway(scratch.name("gateway"), api_version, chosen.name))
    names = await asyncio.gather(*(routes.serve(platform, scratch, each, settings.patience) for each in BACKENDS))
    services = dict(zip(BACKENDS, names, strict=True))
    scratch.tell(f"waiting for Gateway {made['metadata']['name']} to be programmed")
    programmed, says, address = await routes.programmed(platform, made, options.programmed_seconds)
    about |= {"programmed": programmed, "gateway_says": says, "address": address}
    if not programmed:
        return Routing(**about)
    namespace = made["metadata"]["namespace"]
    host = f"models.{namespace}.example"
    routed = await scratch.create(
        routes.route(scratch.name("route"), api_version, made["metadata"]["name"], host, services)
    )
    accepted, says = await routes.accepted(platform, routed, options.route_seconds)
    about |= {"route_accepted": accepted, "route_says": says}
    if not accepted:
        return Routing(**about)
    image = platform.images["shell"]
    asks = model_servers.client(image, address, host, requests=options.requests, settle=int(options.route_seconds))
    client = await scratch.create(pod_anywhere(scratch.name("client"), [asks]))
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
    options: AiInferenceOptions,
    host: str,
) -> Routing:
    about["weights"] = WEIGHTS
    async for line in lines:
        if line == model_servers.SETTLED:
            break
        if line.startswith(model_servers.UNREACHED):
            return Routing(**about, unreached=line.removeprefix(model_servers.UNREACHED).strip())
    (inside, ended), (outside, problem) = await asyncio.gather(
        traffic.answers_until(lines, model_servers.ASKED),
        asyncio.to_thread(model_servers.ask_from_here, about["address"], host, requests=OUTSIDE_REQUESTS),
    )
    if not ended:
        raise TimedOut(f"the client did not finish its requests; it sent {len(inside)}")
    about["asked"] = [*traffic.tally(inside, "inside"), *traffic.tally(outside, "outside")]
    about["outside"] = problem
    scratch.tell("changing the weights while the client keeps sending requests")

    async def change() -> None:
        changes = {"spec": {"rules": routes.rules(services, CHANGED)}}
        await wait.reaching_webhooks(lambda: platform.cluster.patch(routed, changes))

    return Routing(**about, change=await traffic.watch_change(lines, change, options.requests, options.change_seconds))


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
        chosen, why = gateways.choose(classes, settings.of(AiInferenceOptions).gateway_class, GATEWAY_CLASS)
    except NoGatewayClass as error:
        return Inspection(tuple(found), (str(error),))
    if not chosen.accepted:
        found.append(f"would use {chosen.name}: {why}")
        return Inspection(tuple(found), problems=(f"GatewayClass {chosen.name} is not accepted: {chosen.says}",))
    return Inspection((*found, f"would use {chosen.name}: {why}"))
