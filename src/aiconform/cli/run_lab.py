"""`aiconform run --lab`: the lab of a run, whose add-ons may still be built while the first checks run."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

import click

from aiconform.cli.common import fail
from aiconform.cli.extras import need
from aiconform.cli.progress import Progress
from aiconform.engine.gates import Gate, NeverReady

if TYPE_CHECKING:
    from aiconform.lab import Lab
    from aiconform.spec import Requirement

_LOOK_SECONDS = 1.0
# Checks that already run come first.
_NICENESS = 10


class ComingAddOns:
    """Add-ons that are built and installed while a run goes on.

    Two commands do it: one builds everything, and one installs what is built. `gates` holds back the checks that need
    an add-on until that works.
    """

    def __init__(self, lab: str, names: Iterable[str], checks: Mapping[str, Iterable[str]]) -> None:
        self._lab = lab
        self._ready = {name: asyncio.Event() for name in names}
        self._problems: dict[str, str] = {}
        self._checks = {check: [name for name in needs if name in self._ready] for check, needs in checks.items()}

    @property
    def gates(self) -> dict[str, Gate]:
        """Check -> what it waits for; only checks that have to wait."""
        return {check: self._gate(needs) for check, needs in self._checks.items() if needs}

    def _gate(self, needs: Iterable[str]) -> Gate:
        async def gate() -> None:
            for name in needs:
                await self._ready[name].wait()
                if problem := self._problems.get(name):
                    raise NeverReady(f"add-on {name} of the lab is not there: {problem}")

        return gate

    async def arrive(self) -> None:
        """Build and install all of them. What fails is reported by the checks that need it."""
        try:
            # A group waits for its tasks even if it is cancelled again meanwhile: no build outlives the run.
            async with asyncio.TaskGroup() as group:
                builds = group.create_task(_problem("assets", "build", *self._ready))
                await self._install(builds)
                builds.cancel()
        except* _Failed as errors:
            problem = str(errors.exceptions[0])
            self._problems = {name: problem for name, event in self._ready.items() if not event.is_set()}
        finally:
            for event in self._ready.values():
                event.set()

    async def _install(self, builds: asyncio.Task[_Failed | None]) -> None:
        from aiconform.lab.addons.registry import components_of
        from aiconform.lab.build.assets import absent

        # Found out once: it asks Go for its version.
        missing = {name: await asyncio.to_thread(absent, components_of([name])) for name in self._ready}
        while left := [name for name, event in self._ready.items() if not event.is_set()]:
            built = [name for name in left if all(folder.exists() for folder in missing[name].values())]
            if built:
                await _command("up", "--name", self._lab, "--with", ",".join(built))
                for name in built:
                    self._ready[name].set()
            elif builds.done():
                raise builds.result() or _Failed(f"building {', '.join(left)} ended without them")
            else:
                await asyncio.wait([builds], timeout=_LOOK_SECONDS)


class _Failed(Exception):
    pass


async def _problem(*words: str) -> _Failed | None:
    """Run the command at a low priority, and return how it failed: what is built by then is installed all the same."""
    try:
        await _command(*words, niceness=_NICENESS)
    except _Failed as error:
        return error
    return None


async def _command(*words: str, niceness: int = 0) -> None:
    """Run `aiconform lab WORDS` and pass its progress on; a cancelled one is ended. Raises _Failed with its words."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "aiconform", "lab", *words),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        preexec_fn=lambda: os.nice(niceness),
        # An interrupt of the terminal reaches this process only, which ends the command.
        start_new_session=True,
    )
    assert process.stderr is not None  # noqa: S101 - it is a pipe
    last = ""
    try:
        async for line in process.stderr:
            last = line.decode(errors="replace").rstrip() or last
            click.echo(f"lab: {last}", err=True)
        code = await process.wait()
    except asyncio.CancelledError:
        await _end(process)
        raise
    if code:
        raise _Failed(last.removeprefix("aiconform: "))


async def _end(process: asyncio.subprocess.Process) -> None:
    """End a process and wait for that, also if the caller is cancelled meanwhile: who ends the run can do so twice."""
    with suppress(ProcessLookupError):
        process.terminate()
    ended = asyncio.ensure_future(process.wait())
    while not ended.done():
        with suppress(asyncio.CancelledError):
            await asyncio.shield(ended)


def lab_of(requirements: Iterable[Requirement], *, at_once: bool) -> tuple[Lab, ComingAddOns | None]:
    """The lab for the checks of these requirements, and the add-ons that are still to be built for it.

    `at_once` brings it up with all of them. Ends the process if that fails. Call it where an event loop may start.
    """
    need("lab", "aiconform run --lab")
    from aiconform.lab import LabConfig, LabError
    from aiconform.lab.addons.registry import chosen, components_of, needed
    from aiconform.lab.build.assets import absent
    from aiconform.lab.config import DEFAULT_KUBERNETES

    asked = list(requirements)
    try:
        # Raises LabError on a machine that can have no lab.
        from aiconform.lab import load, up

        config = LabConfig()
        running = load(config.name)
        minor = running.plan.kubernetes if running else DEFAULT_KUBERNETES
        wanted = needed(asked)
        if running and running.has(wanted) and running.healthy():
            return running, None
        coming: list[str] = []
        if not at_once:
            # Others may need one that is missing.
            missing = {name for name in chosen(wanted, minor) if absent(components_of([name]))}
            coming = [name for name in chosen(wanted, minor) if missing & set(chosen([name], minor))]
        now = tuple(name for name in wanted if name not in coming)
        lab = up(LabConfig(add_ons=now), progress=Progress())
    except LabError as error:
        fail(str(error))
    needs = {entry.id: chosen(entry.lab.add_ons, minor) for entry in asked}
    return lab, ComingAddOns(lab.name, coming, needs) if coming else None
