"""A run: all checks side by side, each judged as soon as its probes are done, all written to the run directory."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from aiconform.check import Settings
from aiconform.cluster import Cluster, ClusterError, pull_secrets
from aiconform.cluster.guest import Guest
from aiconform.cluster.patience import patient
from aiconform.cluster.pull_secrets import PullSecret
from aiconform.cluster.removal import clear, left_behind, left_in, remove
from aiconform.cluster.requests import metered
from aiconform.cluster.space import Space
from aiconform.engine import events
from aiconform.engine.description import describe, extensions_of, identity
from aiconform.engine.evidence import CheckResult, Evidence, Record, Report, RunInfo
from aiconform.engine.gates import Gate
from aiconform.engine.given import given_namespace
from aiconform.engine.identity import identify
from aiconform.engine.journal import now
from aiconform.engine.observing import Observer
from aiconform.engine.options import recorded as recorded_options
from aiconform.engine.plan import Item, Plan, suite_digest
from aiconform.engine.rundir import BadRunDirectory, RunDirectory
from aiconform.engine.verdicts import judge_check, judge_run, not_run
from aiconform.kit.together import gather
from aiconform.platform import AcceleratorOptions, Platform
from aiconform.platform.images import Images
from aiconform.spec import Standard


@dataclass(frozen=True)
class RunOptions:
    """How to run. `out` is the run directory; `images` maps the names of test images to a mirror.

    guest: what the cluster asks of the run's Pods and Namespaces.
    """

    out: Path
    settings: Settings = field(default_factory=Settings)
    images: Images = field(default_factory=Images)
    guest: Guest = field(default_factory=Guest)

    def continued(self, info: RunInfo) -> RunOptions:
        """With the settings of the run that is to be continued: its evidence and its `run.json` speak of these.

        With its images, too, unless others are given. Raises BadChoice.
        """
        recorded = info.options
        every_node = self.settings.every_node or recorded.get("every_node") is True
        settings = replace(
            self.settings,
            nodes=str(recorded.get("nodes", "")),
            every_node=every_node,
            said=AcceleratorOptions.of(recorded),
            patience=float(recorded.get("patience", self.settings.patience)),
            options=recorded_options(recorded),
            at_once=int(recorded.get("at_once", self.settings.at_once)),
        )
        images = Images(
            self.images.registry or str(recorded.get("image_registry", "")),
            self.images.digests or recorded.get("image_digests") is True,
        )
        return replace(self, settings=settings, images=images, guest=Guest.of(recorded))


class Run:
    """One run over one plan. `execute` returns the report; cancelling it cleans up first.

    gates: what checks wait for before they begin, by their ids; the others begin at once. render: writes into the
    directory of a judged run what people and the programme read, before the journal records the digest of every file.
    """

    def __init__(
        self,
        cluster: Cluster,
        plan: Plan,
        standard: Standard,
        options: RunOptions,
        listeners: Sequence[events.Listener],
        gates: Mapping[str, Gate] | None = None,
        render: Callable[[RunDirectory], None] = lambda _: None,
    ) -> None:
        self.plan = plan
        self.options = options
        self.platform = Platform(cluster, options.images, options.settings.nodes, options.settings.said)
        self.directory = RunDirectory(options.out)
        self.leaks: list[str] = []
        self._cluster = cluster
        self._standard = standard
        self._listeners = listeners
        self._gates = gates or {}
        self._secrets: tuple[PullSecret, ...] = ()
        self._render = render

    def _tell(self, event: events.Event) -> None:
        for listener in self._listeners:
            listener(event)

    def _note(self, message: str) -> None:
        self._tell(events.Noted(message))

    async def execute(self) -> Report:
        """Create the run directory and run the plan.

        Raises BadRunDirectory, ClusterError before anything is created on the cluster.
        """
        await self._require_what_is_given()
        info = await describe(
            self.platform,
            self.plan,
            self._standard.digest,
            self.options.settings,
            self.options.images,
            self.options.guest,
            self._note,
        )
        info = info.model_copy(update={"challenge": self.options.guest.challenge})
        self.directory.create()
        self.directory.write_info(info)
        self.directory.journal.append("started", info.model_dump(mode="json"))
        return await self._continue(info, {}, {})

    async def resume(self) -> Report:
        """Continue the interrupted run in the directory: finished checks keep their evidence, the others are run.

        Of the others no probe looks again at a node of which it has decided something.

        Raises BadRunDirectory, BrokenChain, ClusterError.
        """
        info = self.directory.read_info()
        if info.suite != suite_digest():
            raise BadRunDirectory(f"{self.directory.path} was started by another version of the suite: start a new run")
        if info.extensions != extensions_of(self.plan):
            raise BadRunDirectory(f"{self.directory.path} was started with other extensions: start a new run")
        here = await identity(self._cluster, self._note)
        if here.get("uid") != info.cluster.get("uid"):
            raise BadRunDirectory(f"{self.directory.path} is a run on another cluster ({info.cluster.get('server')})")
        await self._require_what_is_given()
        done: dict[str, Evidence] = {}
        digests: dict[str, set[str]] = defaultdict(set)
        for line in self.directory.journal.resume():
            if line.event == "observed":
                evidence, digest = self.directory.read_evidence(line.data["check"])
                if digest != line.data["digest"]:
                    raise BadRunDirectory(f"observations/{line.data['check']}.json was changed since it was written")
                done[line.data["check"]] = evidence
            elif line.event == "recorded":
                digests[line.data["check"]].add(line.data["digest"])
        kept = {
            check: self.directory.keep_records(check, known) for check, known in digests.items() if check not in done
        }
        if namespace := self.options.guest.namespace:
            for lease in await left_in(self._cluster, namespace, info.run):
                await clear(self._cluster, lease)
        else:
            await remove(self._cluster, await left_behind(self._cluster, info.run))
        counts = {check: len(records) for check, records in sorted(kept.items())}
        self.directory.journal.append("resumed", {"done": sorted(done), "kept": counts})
        return await self._continue(info, done, kept)

    async def _require_what_is_given(self) -> None:
        """Read the user's Secrets, and the Namespace if one is given. Raises ClusterError if these cannot be used."""
        guest = self.options.guest
        self._secrets = await pull_secrets.read(self._cluster, guest.pull_secrets)
        if guest.namespace:
            await given_namespace(self._cluster, guest.namespace)

    async def _continue(self, info: RunInfo, done: dict[str, Evidence], kept: Mapping[str, Sequence[Record]]) -> Report:
        begun = time.monotonic()
        self._tell(events.RunStarted(info, tuple(item.requirement.id for item in self.plan.items if item.check)))
        space = Space(self._cluster, info.run, self.options.guest, self._secrets)
        with suppress(ClusterError):
            # A cluster that does not answer discovery fails the probes with its words.
            await space.look()
        checks = [item.check for item in self.plan.items if item.check and item.check.id not in done]
        observer = Observer(self.platform, self.options.settings, space, self.directory, checks, self._tell, kept)
        with metered() as meter:
            try:
                await self._identify(info, space)
                results = list(await gather(*(self._result(item, observer, done) for item in self.plan.items)))
            except BaseException as error:
                self.directory.journal.append("interrupted", {"by": type(error).__name__})
                raise
            finally:
                await self._clean_up(space, observer)
        info = info.model_copy(update={"ended": now()})
        report = self._report(info, results, round(time.monotonic() - begun, 3), meter.total)
        self.directory.write_report(report)
        try:
            self._render(self.directory)
        finally:
            # A page that cannot be written makes no run unfinished: what was observed and judged is complete.
            ending = {"verdict": report.verdict, "strict": report.strict, "leaks": self.leaks}
            self.directory.journal.append("ended", {**ending, "files": self.directory.digests()})
            self.directory.write_info(info.model_copy(update={"journal": self.directory.journal.head}))
        self._tell(events.RunFinished(report))
        return report

    async def _identify(self, info: RunInfo, space: Space) -> None:
        """Record the cluster's identity first, once: a challenge is answered or not, whatever happens later."""
        if self.directory.read_identity():
            return
        accelerated = sorted({entry.node for entry in info.accelerators})
        seconds = self.options.settings.patience
        found = await identify(self._cluster, space, self.options.images, accelerated, info.challenge, seconds)
        for problem in found.problems:
            self._note(f"the cluster's identity: {problem}")
        self.directory.journal.append("identified", {"digest": self.directory.write_identity(found)})

    def _report(self, info: RunInfo, results: list[CheckResult], seconds: float, requests: int) -> Report:
        chosen = self.plan.chosen is not None
        return Report(
            run=info.run,
            standard=self.plan.version,
            kubernetes=info.kubernetes,
            verdict=judge_run(results, self._standard, chosen=chosen),
            strict=judge_run(results, self._standard, chosen=chosen, strict=True),
            scope="chosen" if chosen else "version",
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
            seconds=seconds,
            requests=requests,
        )

    async def _result(self, item: Item, observer: Observer, done: dict[str, Evidence]) -> CheckResult:
        version = self.plan.version
        if item.check is None:
            result = not_run(item.requirement, version, item.missing)
        elif item.check.id in done:
            result = judge_check(item.requirement, version, item.check, done[item.check.id])
        else:
            evidence = await observer.evidence(item.check, self._gates.get(item.check.id))
            digest = self.directory.write_evidence(evidence)
            self.directory.journal.append("observed", {"check": item.check.id, "digest": digest})
            self.directory.drop_records(item.check.id)
            result = judge_check(item.requirement, version, item.check, evidence)
        self.directory.journal.append(
            "judged", {"check": result.id, "verdict": result.verdict, "strict": result.strict}
        )
        self._tell(events.CheckFinished(result))
        return result

    async def _clean_up(self, space: Space, observer: Observer) -> None:
        with patient(self.options.settings.patience):
            with suppress(ClusterError):
                # `close` asks for the same again.
                await observer.ended()
            try:
                await space.close()
            except ClusterError as error:
                self.leaks.append(str(error))
            self.leaks += await observer.left_behind()
        where = f" --namespace {space.given}" if space.given else ""
        for leak in self.leaks:
            self._note(f"left behind: {leak}; try: aiconform cleanup --run {space.run}{where}")
