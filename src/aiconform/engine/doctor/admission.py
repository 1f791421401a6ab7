"""Whether the cluster lets a run have its Namespaces and its Pods: dry runs, which leave nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from aiconform.check import Check
from aiconform.cluster import ClusterError, Forbidden, Object
from aiconform.cluster.space import PodSecurity, Space
from aiconform.engine.doctor.points import Point, State, refused
from aiconform.kit.pods import STAY, container, pod_anywhere

ELSEWHERE = "default"
"""The Namespace that a Pod is tried in while the run has none: every cluster has it."""
TRY = "`aiconform doctor --try-images` makes a Namespace as a run does, with one Pod, and deletes it again"
_ENFORCE = "pod-security.kubernetes.io/enforce"
# The stricter ones first.
_LEVELS: tuple[PodSecurity, ...] = ("restricted", "baseline", "privileged")


def levels(checks: Iterable[Check]) -> tuple[PodSecurity, ...]:
    """The Pod Security levels of the Namespaces that these checks need, the first one of every run first."""
    needed = {"restricted", *(probe.security for check in checks for probe in check.probes)}
    return tuple(level for level in _LEVELS if level in needed)


async def own_namespaces(space: Space, needed: Iterable[PodSecurity]) -> Point:
    """Of the Namespaces that a run makes."""
    found: list[str] = []
    states: list[State] = []
    for level in needed:
        try:
            await space.cluster.create(space.draft(level), dry_run=True)
            found.append(f"a dry run of one for {level} Pods is accepted")
            states.append("fine")
        except ClusterError as error:
            found.append(f"for {level} Pods: {error}")
            states.append(refused(error))
    state: State = next((each for each in ("in-the-way", "undecided") if each in states), "fine")
    return Point("namespace", state, tuple(found), "" if state == "fine" else _way_out(state))


def _way_out(state: State) -> str:
    if state == "undecided":
        return TRY
    return "`aiconform run --namespace NAME` works in a Namespace that is there already"


def given_namespace(name: str, seen: Object | None, checks: Iterable[Check], counted: Collection[str]) -> Point:
    """Of one that a run works in and that is there. seen: None if it may not be read."""
    if seen is None:
        return Point("namespace", "undecided", (f"{name} may not be read",), "let these credentials get this Namespace")
    level = (seen["metadata"].get("labels") or {}).get(_ENFORCE, "")
    if level not in _LEVELS:
        return Point("namespace", "fine", (f"{name} is there, and its labels enforce no Pod Security level",))
    narrow = {
        check.id: probe.security
        for check in checks
        for probe in check.probes
        if _LEVELS.index(probe.security) > _LEVELS.index(level)
    }
    if not narrow:
        return Point("namespace", "fine", (f"{name} is there, for {level} Pods",))
    found = tuple(f"{name} enforces {level}, and {id_} has Pods that are {other}" for id_, other in narrow.items())
    help_ = f"set its label {_ENFORCE}, or leave out --namespace: a run makes a Namespace for each level"
    return Point("namespace", "in-the-way", found, help_, counts=not narrow.keys().isdisjoint(counted))


async def pods(space: Space, image: str) -> Point:
    """Of the Pods of a run: one as most of them are, in the Namespace that is given, or else in one of others."""
    name = space.given or ELSEWHERE
    draft = pod_anywhere(f"aiconform-{space.run}", [container("shell", image, STAY)])
    draft["metadata"] |= {"namespace": name, "labels": space.labels}
    try:
        made = space.fitted(draft, await space.ranges(name))
        await space.cluster.create(made, dry_run=True)
    except ClusterError as error:
        if space.given:
            state = refused(error)
            return Point("pods", state, (f"in Namespace {name}: {error}",), TRY if state == "undecided" else "")
        # Its quotas, labels and exemptions are its own; so are the permissions that a Role gives in it.
        why = "may not be tried" if isinstance(error, Forbidden) else "is refused"
        said = f"a dry run of one {why} in Namespace {name}, and the run's own may be treated otherwise: {error}"
        return Point("pods", "undecided", (said,), TRY)
    return Point("pods", "fine", (f"a dry run of one is accepted in Namespace {name}",))
