"""Which images a run pulls, from where, and which nodes have them already."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from aiconform.check import Check, Settings
from aiconform.cluster import Cluster, ClusterError
from aiconform.engine.doctor.points import Point
from aiconform.engine.options import in_force
from aiconform.platform.images import Images, registry, whole_name

KUBELET_NAMES = 50
"""How many images a kubelet names at most, the largest first (nodeStatusMaxImages, by default)."""
MIRROR = "`aiconform images` lists what to mirror (--image-registry), --pull-secret opens a private registry"
HELP = f"`aiconform doctor --try-images` pulls them with one Pod; {MIRROR}"
_OF_IMAGES = re.compile(r"(.+_)?image")


def needed(checks: Iterable[Check], settings: Settings, images: Images) -> dict[str, tuple[str, ...]]:
    """The images that Pods of these checks have -> the checks. A check that creates nothing has none.

    Also those that options of checks name: an option of an image is called `image` or `..._image`.
    """
    found: dict[str, list[str]] = defaultdict(list)
    for check in checks:
        own = [images.mirrored(name) for name in check.images]
        if not own and any("create" in access.verbs for access in check.access):
            own = [images["shell"]]
        chosen = [
            str(value) for name, value in in_force(check, settings).items() if value and _OF_IMAGES.fullmatch(name)
        ]
        for name in dict.fromkeys((*own, *chosen)):
            found[name].append(check.id)
    return {name: tuple(ids) for name, ids in found.items()}


@dataclass(frozen=True)
class Present:
    """having: image -> the nodes that name it. silent: nodes that name as many images as a kubelet does at most."""

    having: Mapping[str, frozenset[str]]
    silent: frozenset[str]


async def present(cluster: Cluster, images: Collection[str]) -> Present:
    """Raises ClusterError. Each Node is reduced to these names as its page arrives."""
    wanted = {whole_name(name): name for name in images}
    having: dict[str, set[str]] = {name: set() for name in images}
    silent = set()
    async for node in cluster.list("v1", "Node"):
        listed = (node.get("status") or {}).get("images") or []
        if len(listed) >= KUBELET_NAMES:
            silent.add(node["metadata"]["name"])
        for name in (each for image in listed for each in image.get("names") or ()):
            if found := wanted.get(whole_name(name)):
                having[found].add(node["metadata"]["name"])
    return Present({name: frozenset(nodes) for name, nodes in having.items()}, frozenset(silent))


async def images(
    cluster: Cluster, wanted: Mapping[str, tuple[str, ...]], usable: Collection[str]
) -> tuple[Point, frozenset[str]]:
    """(whether every usable node has them, the usable nodes that lack one of them, as far as they say).

    Where a node lacks one, only a Pod shows whether it can be pulled.
    """
    if not wanted:
        return Point("images", "fine", ("the chosen checks pull none",)), frozenset()
    try:
        seen = await present(cluster, wanted)
    except ClusterError as error:
        named = (f"{name} from {registry(name)}" for name in wanted)
        return Point("images", "undecided", (*named, str(error)), HELP), frozenset(usable)
    having = {name: seen.having[name].intersection(usable) for name in wanted}
    lacking = frozenset(usable).difference(frozenset.intersection(*having.values()))
    found = [
        f"{name} from {registry(name)}: {len(nodes)} of {len(usable)} usable node(s) have it"
        for name, nodes in having.items()
    ]
    if usable and not lacking:
        return Point("images", "fine", tuple(found)), lacking
    if silent := len(seen.silent & lacking):
        found.append(f"{silent} node(s) name their {KUBELET_NAMES} largest images only, and may have others")
    return Point("images", "undecided", tuple(found), HELP), lacking
