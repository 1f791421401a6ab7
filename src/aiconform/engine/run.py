"""A run: probes side by side on the cluster, each check judged as soon as its probes are done, all written down."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import time
import traceback
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from aiconform import __version__
from aiconform.check import Check, NotApplicable, NothingToLookAt, Probe, Settings, Target
from aiconform.cluster import Cluster, ClusterError
from aiconform.cluster.requests import metered
from aiconform.cluster.scratch import Scratch, Space, left_behind, remove
from aiconform.engine import events
from aiconform.engine.capacity import Capacity
from aiconform.engine.evidence import (
    Accelerator,
    CheckResult,
    Evidence,
    ExtensionInfo,
    Outcome,
    Record,
    Report,
    RunInfo,
    Tool,
)
from aiconform.engine.journal import now
from aiconform.engine.options import in_force
from aiconform.engine.outstanding import Outstanding
from aiconform.engine.plan import Item, Plan, suite_digest
from aiconform.engine.rundir import BadRunDirectory, RunDirectory
from aiconform.engine.verdicts import judge_check, judge_run, not_run
from aiconform.platform import Accelerators, Platform
from aiconform.platform.images import Images
from aiconform.spec import Standard

TOOL = Tool(name="aiconform", version=__version__)


@dataclass(frozen=True)
class Options:
    """How to run. `out` is the run directory; `images` the map of test images."""

    out: Path
    settings: Settings = field(default_factory=Settings)
    images: Images = field(default_factory=Images)


class Run:
    """One run over one plan. `execute` returns the report; cancelling it cleans up first."""

    def __init__(
        self, cluster: Cluster, plan: Plan, standard: Standard, options: Options, listeners: Sequence[events.Listener]
    ) -> None:
        self.plan = plan
        self.options = options
        self.platform = Platform(cluster, options.images)
        self.directory = RunDirectory(options.out)
        self.leaks: list[str] = []
        self._cluster = cluster
        self._standard = standard
        self._listeners = listeners
        self._capacity = Capacity()
        self._began: dict[str, float] = {}
        self._outstanding = Outstanding(0)
        self._ending: asyncio.Task[None] | None = None

    def _tell(self, event: events.Event) -> None:
        for listener in self._listeners:
            listener(event)

    async def execute(self) -> Report:
        """Start a new run directory and run the plan. Raises BadRunDirectory, ClusterError before anything is made."""
        self.directory.create()
        info = await self._describe()
        self.directory.write_info(info)
        self.directory.journal.append("started", info.model_dump(mode="json"))
        return await self._go_on(info, {})

    async def resume(self) -> Report:
        """Go on with the interrupted run in the directory: finished checks keep their evidence, the rest is run.

        Raises BadRunDirectory, BrokenChain.
        """
        info = self.directory.read_info()
        if info.suite != suite_digest():
            raise BadRunDirectory(f"{self.directory.path} was begun with another version of the suite: start a new run")
        if info.extensions != self._extensions():
            raise BadRunDirectory(f"{self.directory.path} was begun with other extensions: start a new run")
        identity = await self._identity()
        if identity.get("uid") != info.cluster.get("uid"):
            raise BadRunDirectory(f"{self.directory.path} is a run on another cluster ({info.cluster.get('server')})")
        done: dict[str, Evidence] = {}
        for line in self.directory.journal.resume():
            if line.event == "observed":
                evidence, digest = self.directory.read_evidence(line.data["check"])
                if digest != line.data["digest"]:
                    raise BadRunDirectory(f"observations/{line.data['check']}.json was changed since it was written")
                done[line.data["check"]] = evidence
        await remove(self._cluster, await left_behind(self._cluster, info.run))
        self.directory.journal.append("resumed", {"done": sorted(done)})
        return await self._go_on(info, done)

    async def _go_on(self, info: RunInfo, done: dict[str, Evidence]) -> Report:
        begun = time.monotonic()
        self._tell(events.RunStarted(info, tuple(item.requirement.id for item in self.plan.items if item.check)))
        space = Space(self._cluster, info.run)
        with metered() as meter:
            try:
                results = await self._all_checks(space, done)
            except BaseException as error:
                self.directory.journal.append("interrupted", {"by": type(error).__name__})
                raise
            finally:
                await self._clean_up(space)
        info = info.model_copy(update={"ended": now()})
        report = Report(
            run=info.run,
            standard=self.plan.version,
            kubernetes=info.kubernetes,
            verdict=judge_run(results, self._standard, chosen=self.plan.chosen is not None),
            strict=judge_run(results, self._standard, chosen=self.plan.chosen is not None, strict=True),
            scope="version" if self.plan.chosen is None else "chosen",
            uncovered=self.plan.uncovered,
            simulated=any(entry.simulated for entry in info.accelerators),
            checks=tuple(results),
            accelerators=info.accelerators,
            passed_over=info.passed_over,
            leaks=tuple(self.leaks),
            tool=info.tool,
            suite=info.suite,
            standard_digest=info.standard_digest,
            cluster=info.cluster,
            started=info.started,
            ended=info.ended,
            seconds=round(time.monotonic() - begun, 3),
            requests=meter.total,
        )
        self.directory.write_report(report)
        self.directory.journal.append(
            "ended", {"verdict": report.verdict, "strict": report.strict, "leaks": self.leaks}
        )
        self.directory.write_info(info.model_copy(update={"journal": self.directory.journal.head}))
        self._tell(events.RunFinished(report))
        return report

    async def _describe(self) -> RunInfo:
        found = Accelerators((), ())
        try:
            found = await self.platform.accelerators()
        except ClusterError as error:
            # The probes that need this read will fail with the same words; the others go on.
            self._tell(events.Noted(f"inspecting the platform: {error}"))
        return RunInfo(
            run=secrets.token_hex(4),
            tool=TOOL,
            suite=suite_digest(),
            standard=self.plan.version,
            standard_digest=self._standard.digest,
            kubernetes=await self.platform.version(),
            cluster=await self._identity(),
            accelerators=tuple(
                Accelerator(**{name: getattr(entry, name) for name in Accelerator.model_fields})
                for entry in found.offered
            ),
            passed_over=found.passed_over,
            chosen=self.plan.chosen,
            options=self._options(),
            started=now(),
            extensions=self._extensions(),
        )

    def _extensions(self) -> tuple[ExtensionInfo, ...]:
        return tuple(
            ExtensionInfo(id=item.requirement.id, **asdict(item.origin)) for item in self.plan.items if item.origin
        )

    def _options(self) -> dict[str, Any]:
        settings = self.options.settings
        checks = [item.check for item in self.plan.items if item.check]
        return {
            "every_node": settings.every_node,
            "patience": settings.patience,
            "image_registry": self.options.images.registry,
            **{check.id: in_force(check, settings) for check in checks if check.options},
        }

    async def _identity(self) -> dict[str, str]:
        """What tells this cluster from all others: the UID of its kube-system Namespace, by custom."""
        identity = {"server": self._cluster.server, "context": self._cluster.context}
        try:
            system = await self._cluster.get("v1", "Namespace", "kube-system")
            identity["uid"] = system["metadata"]["uid"]
        except ClusterError as error:
            self._tell(events.Noted(f"the cluster's identity is not known: {error}"))
        return identity

    # Checks

    async def _all_checks(self, space: Space, done: dict[str, Evidence]) -> list[CheckResult]:
        checks = [item.check for item in self.plan.items if item.check and item.check.id not in done]
        self._outstanding = Outstanding(sum(len(check.probes) for check in checks))
        return list(await _gather(*(self._item(item, space, done) for item in self.plan.items)))

    async def _item(self, item: Item, space: Space, done: dict[str, Evidence]) -> CheckResult:
        version = self.plan.version
        if item.check is None:
            result = not_run(item.requirement, version, item.missing)
        elif item.check.id in done:
            result = judge_check(item.requirement, version, item.check, done[item.check.id])
        else:
            evidence = await self._check(item.check, space)
            digest = self.directory.write_evidence(evidence)
            self.directory.journal.append("observed", {"check": item.check.id, "digest": digest})
            result = judge_check(item.requirement, version, item.check, evidence)
        self.directory.journal.append(
            "judged", {"check": result.id, "verdict": result.verdict, "strict": result.strict}
        )
        self._tell(events.CheckFinished(result))
        return result

    async def _check(self, check: Check, space: Space) -> Evidence:
        begun = time.monotonic()
        records = await _gather(*(self._probe(check, probe, space) for probe in check.probes))
        flat = tuple(record for group in records for record in group)
        return Evidence(
            check=check.id,
            suite=suite_digest(),
            seconds=round(time.monotonic() - self._began.get(check.id, begun), 3),
            requests=sum(record.requests for record in flat),
            records=flat,
        )

    async def _probe(self, check: Check, probe: Probe, space: Space) -> tuple[Record, ...]:
        """The probe on each of its targets, side by side; those that disturb others after all others."""
        targets: Sequence[Target] = (None,)
        if probe.targets is not None:
            with metered() as meter:
                try:
                    targets = await probe.targets(self.platform, self.options.settings)
                except (NothingToLookAt, NotApplicable, ClusterError) as reason:
                    self._observed(space)
                    return (_record(probe, "cluster", _outcome(reason), str(reason), requests=meter.total),)
        self._outstanding.found(targets)
        names = ["cluster" if target is None else str(target) for target in targets]
        return tuple(
            await _gather(
                *(self._attempt(check, probe, target, name, space) for target, name in zip(targets, names, strict=True))
            )
        )

    def _observed(self, space: Space) -> None:
        """After the last observation nothing more is made: the run's Namespaces can start to go."""
        self._outstanding.observed()
        if self._outstanding.none:
            self._ending = asyncio.ensure_future(space.end())

    async def _attempt(self, check: Check, probe: Probe, target: Target, name: str, space: Space) -> Record:
        await self._outstanding.turn(target)
        async with self._capacity.hold(target, probe.devices[1]):
            begun = time.monotonic()
            # What a check waits for its turn, or for accelerators that others hold, is no time of its own.
            self._began.setdefault(check.id, begun)
            self._tell(events.ProbeStarted(check.id, probe.name, name))
            with metered() as meter:
                outcome, message, observation = await self._observe(check, probe, target, space)
            seconds = round(time.monotonic() - begun, 3)
            self._tell(events.ProbeFinished(check.id, probe.name, name, outcome, message, seconds))
            return _record(probe, name, outcome, message, observation, seconds=seconds, requests=meter.total)

    async def _observe(
        self, check: Check, probe: Probe, target: Target, space: Space
    ) -> tuple[Outcome, str, dict[str, Any] | None]:
        place = "" if target is None else f"-{target.place}"
        name = f"{check.id}-{probe.name}{place}".replace("_", "-").replace(".", "-")
        scratch: Scratch | None = None
        limit = probe.seconds(self.options.settings)

        def tell(message: str) -> None:
            where = "cluster" if target is None else str(target)
            self._tell(events.ProbeProgressed(check.id, probe.name, where, message))

        try:
            async with asyncio.timeout(limit):
                scratch = Scratch(space, _short(name), probe.security, tell)
                observation = await probe.function(self.platform, scratch, self.options.settings, target)
            return "seen", "", observation.model_dump(mode="json")
        except (NothingToLookAt, NotApplicable) as reason:
            return _outcome(reason), str(reason), None
        except ClusterError as error:
            return "error", f"{probe.name}: {error}", None
        except TimeoutError:
            return "error", f"{probe.name}: not done within its limit of {limit:.0f} s", None
        except Exception as error:  # noqa: BLE001 - the one place where a defect of a probe ends: it must not take the run along
            self.directory.journal.append("defect", {"probe": name, "trace": traceback.format_exc()})
            return (
                "error",
                f"{probe.name}: a defect of the suite, see the journal: {type(error).__name__}: {error}",
                None,
            )
        finally:
            self._observed(space)
            if scratch is not None and scratch.created:
                await self._let_go(check, scratch, name)

    async def _let_go(self, check: Check, scratch: Scratch, name: str) -> None:
        """Keep what the probe's objects came to, then delete them; what stays is a leak, not a verdict."""
        try:
            self.directory.write_objects(check.id, name, await scratch.remains())
        except ClusterError as error:
            self._tell(events.Noted(f"what became of the objects of {name} could not be read: {error}"))
        try:
            await scratch.close()
        except ClusterError as error:
            self.leaks.append(f"{name}: {error}")

    async def _clean_up(self, space: Space) -> None:
        try:
            if self._ending:
                await self._ending
            await space.close()
        except ClusterError as error:
            self.leaks.append(str(error))
            self._tell(events.Noted(f"left behind: {error}; try: aiconform cleanup --run {space.run}"))


def _outcome(reason: Exception) -> Outcome:
    if isinstance(reason, NothingToLookAt):
        return "nothing"
    return "not-applicable" if isinstance(reason, NotApplicable) else "error"


def _record(
    probe: Probe,
    target: str,
    outcome: Outcome,
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


async def _gather(*awaitables: Any) -> list[Any]:
    """All results in order. When cancelled, or when one breaks, the others are cancelled and their end awaited."""
    tasks = [asyncio.ensure_future(each) for each in awaitables]
    try:
        return list(await asyncio.gather(*tasks))
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise
