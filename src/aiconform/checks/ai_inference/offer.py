"""What the platform offers for requests: its GatewayClasses, and which of them or which existing Gateway is used."""

from __future__ import annotations

from dataclasses import dataclass

from aiconform.check import NothingToLookAt
from aiconform.checks.ai_inference import entrance
from aiconform.checks.ai_inference.entrance import Entrance
from aiconform.checks.ai_inference.options import GATEWAY_CLASS, MOST_CLASSES, AiInferenceOptions
from aiconform.cluster import Object, TimedOut, wait
from aiconform.platform import Platform, gateways
from aiconform.platform.gateways import GatewayClass, NoGatewayClass

ACCEPT_SECONDS = 30.0


@dataclass(frozen=True)
class Offer:
    """classes: all. candidates: those to use, the best first; why: why that one. gateways: those that are programmed.

    existing: the Gateway that the user names. named: the user named it, or the class.
    """

    classes: list[GatewayClass]
    candidates: list[GatewayClass]
    why: str
    gateways: list[Object]
    existing: Entrance | None
    named: bool

    @property
    def chosen(self) -> GatewayClass:
        return self.candidates[0]

    @property
    def tried(self) -> list[GatewayClass]:
        """The classes to try one after the other, if the first is accepted."""
        return [self.chosen, *(each for each in self.candidates[1:] if each.accepted)][:MOST_CLASSES]

    def ports(self, of: GatewayClass, options: AiInferenceOptions) -> tuple[int, ...]:
        """The ports to try for a listener of a Gateway of this class.

        Several only where neither the user nor another Gateway of the class tells which one is served.
        """
        if options.port:
            return (options.port,)
        used = gateways.port_of(of.name, self.gateways, 0)
        return (used,) if used else tuple(dict.fromkeys((of.facts.port or gateways.HTTP_PORT, gateways.HTTP_PORT)))

    def shares(self, of: GatewayClass, port: int) -> bool:
        """Whether another Gateway of the class listens on this port for any host name."""
        return any(
            listener["port"] == port and listener.get("protocol") == "HTTP" and not listener.get("hostname")
            for gateway in self.gateways
            if gateway["spec"]["gatewayClassName"] == of.name
            for listener in gateway["spec"].get("listeners") or []
        )


async def read_offer(
    platform: Platform, api_version: str, options: AiInferenceOptions, namespace: str, *, patient: bool
) -> Offer:
    """patient: wait if the controller of the best class has not decided about it yet. Raises NothingToLookAt.

    namespace: where routes will be.
    """
    existing = await entrance.existing(platform, api_version, options, namespace) if options.gateway else None
    wanted = existing.class_name if existing else options.gateway_class
    given = entrance.given_annotations(options)
    objects = await gateways.classes(platform, api_version)
    programmed = await gateways.programmed_gateways(platform, api_version) if objects else []

    def read() -> list[GatewayClass]:
        return [gateways.read_class(entry, programmed, given) for entry in objects]

    try:
        best, _ = gateways.choose(read(), wanted, GATEWAY_CLASS)
    except NoGatewayClass as error:
        raise NothingToLookAt(f"nothing to look at: {error}") from error
    if best.accepted is None and patient:
        objects = [
            await _decided(platform, entry) if entry["metadata"]["name"] == best.name else entry for entry in objects
        ]
    found = read()
    _, why = gateways.choose(found, wanted, GATEWAY_CLASS)
    return Offer(
        classes=found,
        candidates=gateways.candidates(found, wanted, GATEWAY_CLASS),
        why=f"the class of Gateway {options.gateway}" if existing else why,
        gateways=programmed,
        existing=existing,
        named=bool(wanted),
    )


async def _decided(platform: Platform, entry: Object) -> Object:
    """The GatewayClass when its controller has decided about it, or as it was if that takes too long."""
    try:
        return await wait.until(
            platform.cluster,
            entry,
            lambda seen: seen if gateways.condition(seen, "Accepted")[0] is not None else None,
            seconds=ACCEPT_SECONDS,
            what=f"GatewayClass {entry['metadata']['name']} to be accepted",
        )
    except TimedOut:
        return entry


def require_accepted(offer: Offer) -> None:
    """Raises NothingToLookAt for a class that is not accepted and of which that is no verdict.

    A class that nobody named may be left over from something that was removed; one that is not decided may come.
    """
    chosen = offer.chosen
    if chosen.accepted or (offer.named and chosen.accepted is False):
        return
    raise NothingToLookAt(
        f"nothing to look at: GatewayClass {chosen.name} ({offer.why}) is not accepted: {chosen.says}. "
        f"{entrance.WAYS_OUT}"
    )
