"""Observing: the probes of checks side by side on the cluster, each on each of its targets."""

from __future__ import annotations

import asyncio
import hashlib
import time
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from aiconform.check import Check, NotApplicable, NothingToLookAt, Probe, Settings, Target
from aiconform.cluster import ClusterError
from aiconform.cluster.patience import patient
from aiconform.cluster.requests import metered
from aiconform.cluster.scratch import Scratch
from aiconform.cluster.space import Space
from aiconform.engine import events
from aiconform.engine.capacity import Capacity
from aiconform.engine.clock import WorkClock
from aiconform.engine.evidence import WHOLE_CLUSTER, Evidence, ProbeOutcome, Record
from aiconform.engine.gates import Gate, NeverReady
from aiconform.engine.outstanding import Outstanding
from aiconform.engine.plan import suite_digest
from aiconform.engine.rundir import RunDirectory
from aiconform.kit.together import gather
from aiconform.platform import Platform


class Observer:
    """Collects the evidence of the given checks in a run's Namespaces.

    kept: by check, what an interrupted run has observed already; its probes do not look there again.
    """

    def __init__(
        self,
        platform: Platform,
        settings: Settings,
        space: Space,
        directory: RunDirectory,
        checks: Iterable[Check],
        tell: Callable[[events.Event], None],
        kept: Mapping[str, Sequence[Record]] | None = None,
    ) -> None:
        self._platform = platform
        self._later: dict[str, Platform] = {}
        self._settings = settings
        self._space = space
        self._directory = directory
        self._tell = tell
        self._kept = kept or {}
        self._capacity = Capacity(settings.at_once)
        self._undeleted: list[tuple[str, Scratch]] = []
        self._outstanding = Outstanding(sum(len(check.probes) for check in checks))
        self._ending: asyncio.Task[None] | None = None

    async def evidence(self, check: Check, gate: Gate | None = None) -> Evidence:
        """What all probes of the check observe, once `gate` lets it begin."""
        clock = WorkClock()
        try:
            if gate:
                await gate()
                # What was read before says nothing of what has come since.
                self._later[check.id] = self._platform.afresh()
        except NeverReady as reason:
            flat = tuple(self._without_targets(probe, "error", str(reason), 0) for probe in check.probes)
        else:
            with patient(self._settings.patience):
                records = await gather(*(self._probe(check, probe, clock) for probe in check.probes))
            flat = tuple(record for group in records for record in group)
        worked, waited = clock.measured()
        return Evidence(
            check=check.id,
            suite=suite_digest(),
            seconds=worked,
            waited=waited,
            requests=sum(record.requests for record in flat),
            records=flat,
        )

    async def _probe(self, check: Check, probe: Probe, clock: WorkClock) -> tuple[Record, ...]:
        """The probe on each of its targets, side by side; those that disturb others after all others."""
        with self._capacity.coming(probe.seconds(self._settings)):
            with metered() as meter, clock.working():
                try:
                    targets: Sequence[Target] = (None,)
                    if probe.targets is not None:
                        targets = await probe.targets(self._platform_of(check), self._settings)
                except (NothingToLookAt, NotApplicable, ClusterError) as reason:
                    return (self._without_targets(probe, _outcome(reason), str(reason), meter.total),)
                except Exception as error:  # noqa: BLE001 - a defect of one probe must not end the run
                    message = self._defect(probe, f"{check.id}/{probe.name}", error)
                    return (self._without_targets(probe, "error", message, meter.total),)
            kept = tuple(record for record in self._kept.get(check.id, ()) if record.probe == probe.name)
            seen = {record.target for record in kept}
            left = [target for target in targets if _name(target) not in seen]
            places = {_name(target): _nodes(target) for target in targets}
            self._tell(events.TargetsFound(check.id, probe.name, places, frozenset(seen)))
            self._outstanding.found(left)
            attempts = [asyncio.ensure_future(self._attempt(check, probe, target, clock)) for target in left]
        if not left:
            self._look_for_end()
        return (*kept, *await gather(*attempts))

    def _platform_of(self, check: Check) -> Platform:
        return self._later.get(check.id, self._platform)

    def _without_targets(self, probe: Probe, outcome: ProbeOutcome, message: str, requests: int) -> Record:
        self._observed()
        return _record(probe, WHOLE_CLUSTER, outcome, message, requests=requests)

    def _defect(self, probe: Probe, name: str, error: Exception) -> str:
        """Record where a probe broke that should not have; returns the message for its record."""
        self._directory.journal.append("defect", {"probe": name, "trace": traceback.format_exc()})
        return f"{probe.name}: a defect of the check, see the journal: {type(error).__name__}: {error}"

    def _observed(self) -> None:
        """After the last observation nothing more is created: deletion of the run's Namespaces can start."""
        self._outstanding.observed()
        self._look_for_end()

    def _look_for_end(self) -> None:
        if self._outstanding.none and self._ending is None:
            self._ending = asyncio.ensure_future(self._space.end())

    async def _attempt(self, check: Check, probe: Probe, target: Target, clock: WorkClock) -> Record:
        await self._outstanding.turn(target)
        # Neither the time of a check nor that of a probe includes waiting for its turn.
        async with self._capacity.hold(target, probe.devices[1], probe.seconds(self._settings)):
            with clock.working():
                return await self._timed(check, probe, target)

    async def _timed(self, check: Check, probe: Probe, target: Target) -> Record:
        name = _name(target)
        begun = time.monotonic()
        self._tell(events.ProbeStarted(check.id, probe.name, name))
        with metered() as meter:
            outcome, message, observation = await self._observe(check, probe, target)
        seconds = round(time.monotonic() - begun, 3)
        record = _record(probe, name, outcome, message, observation, seconds=seconds, requests=meter.total)
        digest = self._directory.append_record(check.id, record)
        self._directory.journal.append("recorded", {"check": check.id, "probe": probe.name, "digest": digest})
        self._tell(events.ProbeFinished(check.id, probe.name, name, outcome, message, seconds))
        return record

    async def _observe(
        self, check: Check, probe: Probe, target: Target
    ) -> tuple[ProbeOutcome, str, dict[str, Any] | None]:
        place = "" if target is None else f"-{target.place}"
        name = f"{check.id}-{probe.name}{place}".replace("_", "-").replace(".", "-")
        scratch: Scratch | None = None
        limit = probe.seconds(self._settings)

        def tell(message: str) -> None:
            self._tell(events.ProbeProgressed(check.id, probe.name, _name(target), message))

        try:
            async with asyncio.timeout(limit):
                scratch = Scratch(self._space, _short(self._space.own(name)), probe.security, tell)
                observation = await probe.function(self._platform_of(check), scratch, self._settings, target)
            return "seen", "", observation.model_dump(mode="json")
        except (NothingToLookAt, NotApplicable) as reason:
            return _outcome(reason), str(reason), None
        except ClusterError as error:
            return "error", f"{probe.name}: {error}", None
        except TimeoutError:
            return "error", f"{probe.name}: did not finish within its limit of {limit:.0f} s", None
        except Exception as error:  # noqa: BLE001 - a defect of one probe must not end the run
            return "error", self._defect(probe, name, error), None
        finally:
            self._observed()
            if scratch is not None and scratch.created:
                await self._delete(check, scratch, name)

    async def _delete(self, check: Check, scratch: Scratch, name: str) -> None:
        """Record the last state of the probe's objects, then delete them.

        What stays is no verdict. It is looked at again when the run ends: it may only take longer.
        """
        try:
            self._directory.write_objects(check.id, name, await scratch.remains())
        except ClusterError as error:
            self._tell(events.Noted(f"the last state of the objects of {name} could not be read: {error}"))
        try:
            await scratch.close()
        except ClusterError as error:
            self._tell(events.Noted(f"{name}: {error}; looked at again when the run ends"))
            self._undeleted.append((name, scratch))

    async def ended(self) -> None:
        """Wait for the request, made after the last observation, to delete the Namespaces. Raises ClusterError."""
        if self._ending:
            await self._ending

    async def left_behind(self) -> list[str]:
        """What could not be deleted during the run and is still there now."""

        async def again(name: str, scratch: Scratch) -> str:
            try:
                await scratch.close()
            except ClusterError as error:
                return f"{name}: {error}"
            return ""

        return [left for left in await gather(*(again(*each) for each in self._undeleted)) if left]


def _name(target: Target) -> str:
    return WHOLE_CLUSTER if target is None else str(target)


def _nodes(target: Target) -> tuple[str, ...]:
    return () if target is None else tuple(member.node for member in target.members)


def _outcome(reason: Exception) -> ProbeOutcome:
    if isinstance(reason, NothingToLookAt):
        return "nothing"
    return "not-applicable" if isinstance(reason, NotApplicable) else "error"


def _record(
    probe: Probe,
    target: str,
    outcome: ProbeOutcome,
    message: str,
    observation: dict[str, Any] | None = None,
    *,
    seconds: float = 0.0,
    requests: int = 0,
) -> Record:
    return Record(
        probe=probe.name,
        target=target,
        outcome=outcome,
        message=message,
        observes=probe.observes.__name__,
        observation=observation,
        seconds=seconds,
        requests=requests,
    )


def _short(name: str) -> str:
    """A prefix for object names: short enough that a suffix still fits a label's 63 characters."""
    if len(name) <= 45:
        return name
    return f"{name[:36]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
