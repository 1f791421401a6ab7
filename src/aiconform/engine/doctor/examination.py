"""All points of a run, read from the cluster with as few requests as they need."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from aiconform.check import Settings
from aiconform.cluster import Cluster, ClusterError
from aiconform.cluster.guest import Guest
from aiconform.engine.access import Permissions, pulling
from aiconform.engine.description import identity
from aiconform.engine.doctor import nodes, rights
from aiconform.engine.doctor.earlier import earlier_run
from aiconform.engine.doctor.holding import Holding, holding
from aiconform.engine.doctor.hosting import Hosting
from aiconform.engine.doctor.points import OF_EVERY_RUN, Point, State
from aiconform.engine.plan import BadChoice, Plan, make_plan, version_of
from aiconform.engine.preview import NOT_APPLICABLE, READY, Preview, preview
from aiconform.engine.verdicts import enters, excused
from aiconform.platform import Accelerators, Platform
from aiconform.platform.images import Images
from aiconform.spec import Standard, UnknownVersion

_LATER = "cannot be looked at before what is above is out of the way"


@dataclass(frozen=True)
class Wanted:
    """The run that is asked about, as `run` takes it.

    earlier: a run directory, or a folder with some. try_images: whether to make a Namespace and a Pod.
    """

    ids: tuple[str, ...]
    kubernetes: str | None
    extensions: bool
    settings: Settings
    images: Images
    guest: Guest
    earlier: Path
    try_images: bool = False


@dataclass(frozen=True)
class Examination:
    """points: in their order. leaks: what a trial made and could not be deleted, with what deletes it."""

    points: tuple[Point, ...]
    server: str = ""
    kubernetes: str = ""
    standard: str = ""
    holding: Holding | None = None
    leaks: tuple[str, ...] = ()


def unreached(error: ClusterError, server: str = "") -> Examination:
    """No cluster answers."""
    return Examination(_whole([Point("cluster", "in-the-way", (str(error),), begins=False)]), server)


def _whole(found: list[Point]) -> tuple[Point, ...]:
    """All points in their order; what is missing could not be looked at."""
    known = {point.id: point for point in found}
    missing = {id_: Point(id_, "undecided", (_LATER,)) for id_ in OF_EVERY_RUN}
    return tuple({**missing, **known}.values())


async def examine(cluster: Cluster, standard: Standard, wanted: Wanted) -> Examination:
    """Raises BadChoice, SpecError, NoSuchCheck, BadSelector for what is wrong use."""
    try:
        kubernetes = await cluster.version()
    except ClusterError as error:
        return unreached(error, cluster.server)
    found = [Point("cluster", "fine", (f"{cluster.server} answers",)), await rights.user(cluster)]
    try:
        plan = make_plan(standard, wanted.kubernetes or kubernetes, wanted.ids, extensions=wanted.extensions)
    except (UnknownVersion, BadChoice) as error:
        if wanted.kubernetes or (isinstance(error, BadChoice) and _is_version(kubernetes)):
            raise
        help_ = "choose a version of the standard (--kubernetes)"
        found.append(Point("version", "in-the-way", (str(error),), help_, begins=False))
        return Examination(_whole(found), cluster.server, kubernetes)
    found.append(_version(kubernetes, plan, standard))
    settings, namespace = wanted.settings, wanted.guest.namespace
    platform = Platform(cluster, wanted.images, settings.nodes, settings.said)
    found.append(await nodes.nodes(platform, kubernetes, settings.nodes))
    asking = Permissions(cluster, namespace)
    previews = await preview(platform, plan, settings, namespace, asking)
    chosen = plan.chosen is not None
    counted = frozenset(entry.id for entry in previews if enters(entry, chosen=chosen))
    checks = [item.check for item in plan.items if item.check]
    role = " ".join(("aiconform rbac", *wanted.ids)) + (f" --namespace {namespace}" if namespace else "")
    found.append(await rights.permissions(asking, checks, counted, pulling(wanted.guest.pull_secrets), role))
    offered = await _offered(platform)
    hosting = Hosting(platform, settings, wanted.guest, checks, counted, previews, offered)
    found += await hosting.points(try_images=wanted.try_images)
    found += (_of_check(entry, standard, counts=entry.id in counted) for entry in previews)
    here = await identity(cluster, lambda _: None)
    earlier, passed_over = earlier_run(wanted.earlier, here, {entry.id for entry in previews}, standard)
    held = holding(previews, offered, earlier, passed_over)
    return Examination(_whole(found), cluster.server, kubernetes, plan.version, held, tuple(hosting.leaks))


def _is_version(text: str) -> bool:
    with suppress(BadChoice):
        return bool(version_of(text))
    return False


def _version(kubernetes: str, plan: Plan, standard: Standard) -> Point:
    said = [f"Kubernetes {kubernetes}, by the list of {plan.version}"]
    if not standard.release(plan.version).released:
        said.append(f"the list of {plan.version} is announced and not released: nobody certifies by it yet")
    return Point("version", "fine", tuple(said))


async def _offered(platform: Platform) -> Accelerators:
    try:
        return await platform.accelerators()
    except ClusterError:
        # The checks that need them say so.
        return Accelerators((), ())


def _of_check(entry: Preview, standard: Standard, *, counts: bool) -> Point:
    if entry.state == READY:
        seen = (*entry.found, *(f"problem: {each}" for each in entry.problems))
        return Point(entry.id, "fine", (READY, *seen), counts=counts)
    if entry.state.startswith(NOT_APPLICABLE):
        state: State = "fine" if excused(entry, standard) else "in-the-way"
        return Point(entry.id, state, (entry.state,), counts=counts)
    state = "undecided" if entry.unread else "in-the-way"
    return Point(entry.id, state, entry.missing or (entry.state,), counts=counts)
