"""The choice of one of the gang scheduling solutions that a platform has."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from aiconform.check import NothingToLookAt
from aiconform.checks.gang_scheduling.solutions import coscheduling, kai, kueue, native, volcano, yunikorn
from aiconform.checks.gang_scheduling.solutions.adapter import Adapter, InstalledSolution, SolutionController
from aiconform.cluster import Object
from aiconform.platform import Platform
from aiconform.platform.accelerators.offered import AllocationWay

# In order of preference: a solution that was installed on top of Kubernetes is meant to be used.
ADAPTERS = (
    kueue.ADAPTER,
    volcano.ADAPTER,
    kai.ADAPTER,
    yunikorn.ADAPTER,
    coscheduling.ADAPTER,
    native.ADAPTER,
)
NAMES = tuple(adapter.name for adapter in ADAPTERS)


async def solutions(platform: Platform) -> list[InstalledSolution]:
    """The installed solutions, in the order of ADAPTERS."""
    groups, deployments = await platform.groups(), await platform.deployments()
    kinds = {}
    for adapter in ADAPTERS:
        if version := _version(adapter, groups):
            kinds[adapter.name] = frozenset(await platform.cluster.resources(version))
    return find(groups, kinds, deployments)


def find(
    groups: Mapping[str, Sequence[str]], kinds: Mapping[str, frozenset[str]], deployments: Iterable[Object]
) -> list[InstalledSolution]:
    """As `solutions`, from what was read: API groups with their versions, and the kinds of each adapter's version."""
    deployments = list(deployments)
    found = []
    for adapter in ADAPTERS:
        controllers = tuple(entry for each in deployments if (entry := _controller(each, adapter)))
        version = _version(adapter, groups)
        missing = [kind for kind in adapter.kinds if version and kind not in kinds[adapter.name]]
        if not adapter.group:
            if controllers:
                found.append(InstalledSolution(adapter, controllers=controllers))
        elif version and not missing:
            found.append(InstalledSolution(adapter, version, controllers))
        elif version and adapter is not native.ADAPTER:
            found.append(
                InstalledSolution(adapter, version, controllers, f"{version} is served without {', '.join(missing)}")
            )
        elif adapter.group in groups and (adapter is not native.ADAPTER or _alpha(groups[adapter.group])):
            served, known = ", ".join(groups[adapter.group]), ", ".join(adapter.versions)
            problem = f"{adapter.group} is served in {served} only; this suite knows {known}"
            found.append(InstalledSolution(adapter, "", controllers, problem))
    return found


def _alpha(versions: Iterable[str]) -> bool:
    """Whether PodGroups or Workloads of an earlier Kubernetes are served beside PriorityClasses."""
    return any("alpha" in version for version in versions)


def _version(adapter: Adapter, groups: Mapping[str, Sequence[str]]) -> str:
    """The newest served version that the adapter knows, as an apiVersion; empty if none."""
    served = groups.get(adapter.group, ())
    return next((f"{adapter.group}/{version}" for version in adapter.versions if version in served), "")


def _controller(deployment: Object, adapter: Adapter) -> SolutionController | None:
    for container in deployment["spec"]["template"]["spec"]["containers"]:
        image = container.get("image", "")
        if any(part in image for part in adapter.images):
            metadata, status = deployment["metadata"], deployment.get("status") or {}
            _, colon, tag = image.partition("@")[0].rpartition("/")[2].partition(":")
            return SolutionController(
                f"{metadata.get('namespace')}/{metadata['name']}",
                tag.removeprefix("v") if colon else "",
                bool(status.get("availableReplicas")),
            )
    return None


def _rank(found: InstalledSolution) -> int:
    """Order of preference: what works, what may work, what is down."""
    if found.down:
        return 2
    return 0 if found.controllers or found.adapter is native.ADAPTER else 1


def choose(
    found: Sequence[InstalledSolution], wanted: str, ways: Collection[AllocationWay] = ()
) -> tuple[InstalledSolution, str]:
    """The solution to use, and why. wanted: the name of one, or empty. Raises NothingToLookAt.

    ways: how accelerators are offered here; a solution that cannot request any of them is left out if another can.
    """
    if wanted:
        for each in found:
            if each.adapter.name == wanted:
                return usable(each), f"as set by gang_scheduling.solution={wanted}"
        there = ", ".join(each.adapter.name for each in found) or "none"
        raise NothingToLookAt(f"nothing to look at: {wanted} is not installed; installed solutions: {there}")
    if not found:
        known = ", ".join(adapter.title for adapter in ADAPTERS)
        raise NothingToLookAt(f"nothing to look at: no known gang scheduling solution is installed ({known})")
    able = sorted((each for each in found if not each.problem), key=_rank)
    if not able:
        usable(found[0])
    refused = [f"{each.adapter.title}: {each.problem}" for each in found if each.problem]
    serving = [each for each in able if not ways or set(each.adapter.ways) & set(ways)] or able
    refused += [f"{each.adapter.title}: {each.adapter.needs}" for each in able if each not in serving]
    first, *others = serving
    if not others:
        why = "it is the only one"
        return first, why + (f" that can be used ({'; '.join(refused)})" if refused else "")
    because = "the first of those that work" if _rank(others[0]) == _rank(first) else "the one that works"
    names = ", ".join(each.adapter.title for each in others)
    return first, f"{because}; also here: {names} (--set gang_scheduling.solution={others[0].adapter.name} takes that)"


def usable(found: InstalledSolution) -> InstalledSolution:
    """The same solution. Raises NothingToLookAt if it cannot be used."""
    if found.problem:
        raise NothingToLookAt(f"nothing to look at: {found.adapter.title} is installed, but {found.problem}")
    return found
