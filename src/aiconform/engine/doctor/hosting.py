"""Whether the cluster takes a run as a guest: its Namespaces, its Pods, what they ask for, and their images."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress

from aiconform.check import Check, Settings
from aiconform.cluster import ClusterError, Object, Stuck, pull_secrets
from aiconform.cluster.guest import Guest
from aiconform.cluster.patience import patient
from aiconform.cluster.pull_secrets import PullSecret
from aiconform.cluster.space import Space
from aiconform.engine.doctor import admission, images, quotas
from aiconform.engine.doctor.points import Point
from aiconform.engine.doctor.trial import Trial
from aiconform.engine.given import given_namespace
from aiconform.engine.preview import Preview
from aiconform.platform import Accelerators, Platform
from aiconform.platform.accelerators.nodes import usable_node


class Hosting:
    """counted: the checks that the run's verdict depends on. leaks: what a trial left, with what deletes it."""

    def __init__(
        self,
        platform: Platform,
        settings: Settings,
        guest: Guest,
        checks: Sequence[Check],
        counted: Collection[str],
        previews: Sequence[Preview],
        offered: Accelerators,
    ) -> None:
        self.leaks: list[str] = []
        self._platform = platform
        self._cluster = platform.cluster
        self._settings = settings
        self._guest = guest
        self._checks = checks
        self._counted = counted
        self._previews = previews
        self._offered = offered

    async def points(self, *, try_images: bool) -> list[Point]:
        """try_images: whether a Namespace and a Pod are made; they are deleted again."""
        found: dict[str, Point] = {}
        pulls: tuple[PullSecret, ...] = ()
        try:
            pulls = await pull_secrets.read(self._cluster, self._guest.pull_secrets)
        except ClusterError as error:
            found["images"] = _not_given("images", error)
        space = Space(self._cluster, secrets.token_hex(4), self._guest, pulls)
        with suppress(ClusterError):
            # What does not answer discovery fails the dry runs with its words.
            await space.look()
        found["namespace"] = await self._namespace(space)
        if found["namespace"].begins:
            found["pods"] = await admission.pods(space, self._platform.images["shell"])
            found["quotas"] = await self._quotas(space.given) if space.given else quotas.unknown()
        if "images" not in found:
            pulled = images.needed(self._checks, self._settings, self._platform.images)
            usable = await self._usable()
            found["images"], lacking = await images.images(self._cluster, pulled, usable.keys())
            refused = any(found[id_].state == "in-the-way" for id_ in ("namespace", "pods") if id_ in found)
            if try_images and pulled and usable and not refused and found["namespace"].begins:
                # Those that would have to pull tell more.
                order = sorted(usable, key=lambda name: name not in lacking)
                found |= await self._tried(space, tuple(pulled), [usable[name] for name in order])
        return list(found.values())

    async def _namespace(self, space: Space) -> Point:
        if not space.given:
            return await admission.own_namespaces(space, admission.levels(self._checks))
        try:
            seen = await given_namespace(self._cluster, space.given)
        except ClusterError as error:
            return _not_given("namespace", error)
        return admission.given_namespace(space.given, seen, self._checks, self._counted)

    async def _quotas(self, namespace: str) -> Point:
        return await quotas.quotas(self._cluster, namespace, self._previews, self._offered)

    async def _usable(self) -> dict[str, Object]:
        try:
            every = await self._platform.nodes()
        except ClusterError:
            # Their own point says so.
            return {}
        tolerated = self._platform.said.tolerated
        return {node["metadata"]["name"]: node for node in every if not usable_node(node, tolerated)}

    async def _tried(self, space: Space, pulled: Sequence[str], usable: Sequence[Object]) -> Mapping[str, Point]:
        trial = Trial(space, self._settings.patience)
        with patient(self._settings.patience):
            try:
                await trial.make(pulled, usable)
                if trial.namespace:
                    trial.points["quotas"] = await self._quotas(trial.namespace)
            finally:
                try:
                    await space.close()
                except ClusterError as error:
                    where = f" --namespace {space.given}" if space.given else ""
                    self.leaks.append(f"{error}; try: aiconform cleanup --run {space.run}{where}")
        return trial.points


def _not_given(id_: str, error: ClusterError) -> Point:
    """What the user names cannot be used, or cannot be read at the moment: a run would not begin."""
    return Point(id_, "in-the-way" if isinstance(error, Stuck) else "undecided", (str(error),), begins=False)
