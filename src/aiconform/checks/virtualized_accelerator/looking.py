"""Whether devices of which nothing published says that they are virtual are: what a container with one shows."""

from __future__ import annotations

from aiconform.check import NotApplicable, NothingToLookAt
from aiconform.checks.virtualized_accelerator.holders import Holder, Holders
from aiconform.checks.virtualized_accelerator.places import VirtualPlace
from aiconform.cluster import Stuck
from aiconform.platform.accelerators.drivers import family_of


async def told_inside(pods: Holders, first: Holder, target: VirtualPlace) -> str:
    """What says inside a container that its device is virtual. Raises NotApplicable if nothing does.

    Raises NothingToLookAt where that is not told, or others may be virtual, ClusterError.
    """
    await pods.started([first])
    control = await pods.looked([first])
    if first.running is None:
        why = first.problem or first.late or first.waits
        raise Stuck(f"whether devices of {target} are virtual, only a container with one can tell: {why}")
    seen = await pods.recorded(first, control)
    if seen.virtual:
        return f"{seen.virtual[0]} of a container"
    looked = f"nothing published says so (looked at {target.looked})"
    if target.missed:
        raise NothingToLookAt(
            f"nothing to look at: no Pod can have the virtual devices that there are ({target.missed})"
        )
    if seen.functions:
        those = ", ".join(seen.functions[:3])
        raise NothingToLookAt(
            f"nothing to look at: the node has virtual functions ({those}), and the Pod was given another device of "
            f"{target}; let its driver say which are virtual"
        )
    # Outside of virtual machines, the kernel tells a virtual function.
    functions = family_of(target.devices.entry.profile).functions
    if not seen.physical and (seen.machine if functions else pods.readable):
        silent = f"neither of {', '.join(pods.readable)} could be read" if pods.readable else "nothing tells"
        raise NothingToLookAt(
            f"whether devices of {target} are virtual is not told: {looked}, and in a container {silent}; name an "
            "image that can run the program (--set virtualized_accelerator.image=IMAGE), or what is virtual "
            "(virtual=NAME)"
        )
    shown = ", ".join(seen.physical) or "no link of a virtual function"
    raise NotApplicable(f"no virtual device was found: {looked}, and a container with {target} shows {shown}")
