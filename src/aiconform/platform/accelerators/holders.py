"""Who holds the accelerators of a node, for errors when none is free."""

from __future__ import annotations

from collections.abc import Iterable

from aiconform.cluster import Object
from aiconform.platform.accelerators.devices import Device, results
from aiconform.platform.accelerators.offered import NodeAccelerators, requested
from aiconform.platform.inventory import Platform

_NAMED = 5


async def holders(platform: Platform, members: Iterable[NodeAccelerators]) -> str:
    """`namespace/name (2), ...` of the Pods, or of the claims, that hold these accelerators; `nobody` if none does.

    Reads are shared with the platform's others; for the holders at this moment pass `platform.afresh()`.
    """
    members = list(members)
    known = {(member.node, member.kind) for member in members}
    members += [each for each in (await platform.accelerators()).others if (each.node, each.same_as) in known]
    devices, _ = await platform.devices()
    return describe(members, await platform.pods(), await platform.claims(), devices)


def describe(
    members: Iterable[NodeAccelerators], pods: Iterable[Object], claims: Iterable[Object], devices: Iterable[Device]
) -> str:
    """As `holders`, over objects that were read already: the largest holders first, and how many more there are."""
    wanted = {(member.way, member.node, name) for member in members for name in (member.name, *member.aliases)}
    counts: dict[str, int] = {}
    for pod in pods:
        name = f"{pod['metadata'].get('namespace')}/{pod['metadata']['name']}"
        for (node, resource), number in requested([pod]).items():
            if ("device-plugin", node, resource) in wanted:
                counts[name] = counts.get(name, 0) + number
    places = {device.id: device.node for device in devices}
    for claim in claims:
        metadata = claim["metadata"]
        reserved = (claim.get("status") or {}).get("reservedFor") or [{"name": f"claim {metadata['name']}"}]
        user = f"{metadata.get('namespace')}/{reserved[0]['name']}"
        for result in results(claim):
            device = (result["driver"], result["pool"], result["device"])
            if not result.get("adminAccess") and ("dra", places.get(device), device[0]) in wanted:
                counts[user] = counts.get(user, 0) + 1
    names = [f"{name} ({count})" for name, count in sorted(counts.items(), key=lambda entry: (-entry[1], entry[0]))]
    more = [f"and {len(names) - _NAMED} more"] if len(names) > _NAMED else []
    return ", ".join([*names[:_NAMED], *more]) or "nobody"
