"""What the nodes of a pool show: their labels, their system and cloud, and the accelerators that they offer."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from aiconform.cluster import Object
from aiconform.platform.accelerators.nodes import usable_node
from aiconform.platform.accelerators.plugins import extended
from aiconform.platform.accelerators.profiles import Profile, Profiles, load_profiles
from aiconform.platform.autoscaling.hardware import provider_of, stated

SYSTEM = "kubernetes.io/os"


def labels_of(node: Object) -> dict[str, str]:
    return node["metadata"].get("labels") or {}


def with_label(nodes: Iterable[Object], label: tuple[str, str]) -> list[Object]:
    return [node for node in nodes if labels_of(node).get(label[0]) == label[1]]


def other_system(names: Iterable[str]) -> str:
    """Why Pods of a run cannot run on nodes of these operating systems; empty if they can, or none is told."""
    told = ", ".join(sorted(found := {*names}))
    return f"its nodes run {told}, and Pods of a run need Linux" if found and "linux" not in found else ""


def cloud_of(node: Object) -> str:
    """The cloud that a node is of, by its providerID or else its labels; empty if neither says so."""
    return provider_of((), str(node["spec"].get("providerID") or "")) or provider_of(
        key.rpartition("/")[0] for key in labels_of(node)
    )


def offers(node: Object, profiles: Profiles | None = None) -> dict[str, int]:
    """The known accelerators that are allocatable on a node: extended resource -> number."""
    allocatable: Mapping[str, str] = (node.get("status") or {}).get("allocatable") or {}
    profiles = profiles or load_profiles()
    return {
        name: int(count)
        for name, count in allocatable.items()
        if "/" in name and str(count).isdigit() and int(count) and profiles.by_resource(name)
    }


def most_offered(nodes: Iterable[Object], profiles: Profiles | None = None) -> str:
    """The accelerator of which these nodes offer most; empty if they offer none.

    Of names for the same hardware it is the one by which a Pod asks: a chip has more cores.
    """
    profiles = profiles or load_profiles()
    total: dict[str, int] = {}
    for node in nodes:
        counts = offers(node, profiles)
        of_each: dict[Profile, list[str]] = {}
        for name in counts:
            if profile := profiles.by_resource(name):
                of_each.setdefault(profile, []).append(name)
        for asked in (names[0] for profile, mine in of_each.items() for names in profile.sets(mine)):
            total[asked] = total.get(asked, 0) + counts[asked]
    return max(sorted(total), key=lambda name: total[name], default="")


def only_by_claims(members: Sequence[Object], by_dra: Collection[str], profiles: Profiles | None = None) -> bool:
    """Whether nodes that work offer accelerators by DRA, whose names are by_dra, and none as an extended resource."""
    working = (node["metadata"]["name"] for node in members if usable_node(node) is None)
    return any(name in by_dra for name in working) and not most_offered(members, profiles)


def offering_nothing(members: Sequence[Object], by_dra: Collection[str], profiles: Profiles | None = None) -> str:
    """Why a pool of like nodes has no accelerator, by the nodes that it has; empty if they do not show that.

    by_dra: names of nodes whose accelerators are offered by Dynamic Resource Allocation.
    """
    working = [node for node in members if usable_node(node) is None]
    if any(node["metadata"]["name"] in by_dra for node in working) or offering_others(working, profiles):
        return ""
    return "its nodes offer no extended resource of a known accelerator" if working else ""


def offering_others(members: Iterable[Object], profiles: Profiles | None = None) -> bool:
    """Whether nodes that work may have accelerators that no known name stands for: unlisted ones, or parts of some."""
    profiles = profiles or load_profiles()
    return any(profiles.is_part(name) or not profiles.is_other(name) for name in _without_known(members, profiles))


def renamed(members: Iterable[Object], profiles: Profiles | None = None) -> bool:
    """Whether nodes that work offer their accelerators by another name than labels, taints or requirements tell.

    An unlisted resource that is not even called like one, such as a licence, is beside what these tell.
    """
    profiles = profiles or load_profiles()
    return any(profiles.is_part(name) or profiles.is_alike(name) for name in _without_known(members, profiles))


def _without_known(members: Iterable[Object], profiles: Profiles) -> list[str]:
    """The extended resources of nodes that work, if no known accelerator is among them."""
    offered = [name for node in members if usable_node(node) is None for name in extended(node)]
    return [] if any(map(profiles.by_resource, offered)) else offered


def labelled(nodes: Iterable[Object]) -> str:
    """The accelerator that the nodes' labels name."""
    found = (stated([], labels_of(node), cloud_of(node)).resources for node in nodes)
    return next((resources[0] for resources in found if resources), "")
