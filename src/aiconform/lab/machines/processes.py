"""Processes that are kept running."""

from __future__ import annotations

import asyncio
import hashlib
import importlib.util
import os
import signal
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from aiconform.lab.config import Paths
from aiconform.lab.machines.files import rotate, write_json
from aiconform.lab.machines.preconditions import Precondition, until_holds
from aiconform.lab.machines.process_identity import ProcessIdentity

# A process that exits is restarted after this many seconds, doubled each time up to the second number.
FIRST_BACKOFF, LAST_BACKOFF = 0.2, 10.0
# After this time a process counts as healthy: the backoff starts again.
HEALTHY_SECONDS = 30.0
# The API server waits a minute for its watches to end, which is not needed here.
GRACE_SECONDS = 2.0


@dataclass(frozen=True)
class ProcessSpec:
    """A process to keep running."""

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    needs: tuple[Precondition, ...] = ()
    once: bool = False
    """Run it once, and again only if it fails."""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> ProcessSpec:
        needs = tuple(Precondition(**each) for each in value["needs"])
        return cls(value["name"], tuple(value["argv"]), dict(value["env"]), needs, value["once"])


class Children:
    """All child processes of this process, adopted ones too: the init of a machine must reap those."""

    def __init__(self) -> None:
        self._ends: dict[int, asyncio.Future[int]] = {}

    def listen(self) -> None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGCHLD, self._reap)

    def start(self, argv: tuple[str, ...], **options: Any) -> tuple[subprocess.Popen[bytes], asyncio.Future[int]]:
        """(the process, a future of its return code)."""
        process = subprocess.Popen(argv, **options)
        end: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._ends[process.pid] = end
        end.add_done_callback(lambda done: setattr(process, "returncode", done.result()))
        return process, end

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            end = self._ends.pop(pid, None)
            if end is not None and not end.done():
                end.set_result(os.waitstatus_to_exitcode(status))


class Supervised:
    """One process and the task that keeps it running."""

    def __init__(
        self, spec: ProcessSpec, children: Children, log: Path, until: Callable[[Precondition], Awaitable[None]]
    ) -> None:
        self.spec = spec
        self.state = "waiting"  # then running | done | backing-off | stopped
        self.restarts = 0
        self.identity: ProcessIdentity | None = None
        self.last_exit: int | None = None
        self._children = children
        self._log = log
        self._until = until
        self._process: subprocess.Popen[bytes] | None = None
        self._end: asyncio.Future[int] | None = None
        self._task = asyncio.create_task(self._keep_running())

    def status(self) -> dict[str, Any]:
        return {
            "state": self.state,
            "pid": self.identity.pid if self.identity else None,
            "start": self.identity.start if self.identity else None,
            "restarts": self.restarts,
            "last_exit": self.last_exit,
            "log": str(self._log),
        }

    def signal(self, number: int) -> None:
        if self._process is not None and self._end is not None and not self._end.done():
            # Only this class reaps children, so the pid still belongs to the process.
            os.kill(self._process.pid, number)

    async def stop(self, grace: float = GRACE_SECONDS) -> None:
        """Stop the process and do not restart it: SIGTERM, then SIGKILL after `grace` seconds."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self.signal(signal.SIGTERM)
        if self._end is not None and not self._end.done():
            await asyncio.wait([self._end], timeout=grace)
            self.signal(signal.SIGKILL)
            await asyncio.wait([self._end])
        self.state = "stopped"
        self.identity = None

    async def _keep_running(self) -> None:
        backoff = FIRST_BACKOFF
        while True:
            self.state = "waiting"
            for condition in self.spec.needs:
                await self._until(condition)
            began = time.monotonic()
            code = await self._run()
            self.identity = None
            self.last_exit = code
            if self.spec.once and code == 0:
                self.state = "done"
                return
            self.state = "backing-off"
            if time.monotonic() - began > HEALTHY_SECONDS:
                backoff = FIRST_BACKOFF
            await asyncio.sleep(backoff)
            backoff = min(backoff * 2, LAST_BACKOFF)
            self.restarts += 1

    async def _run(self) -> int:
        rotate(self._log)
        with self._log.open("ab") as log:
            try:
                self._process, self._end = self._children.start(
                    self.spec.argv,
                    env={**os.environ, **self.spec.env},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            except OSError as error:
                log.write(f"{self.spec.argv[0]}: {error.strerror}\n".encode())
                return 127
        self.identity = ProcessIdentity.of(self._process.pid)
        self.state = "running"
        return await asyncio.shield(self._end)


class Supervisor:
    """The processes of one machine."""

    def __init__(self, logs: Path, children: Children) -> None:
        self._logs = logs
        self._children = children
        self._processes: dict[str, Supervised] = {}
        self._awaited: dict[Precondition, asyncio.Task[None]] = {}

    async def reconcile(self, specs: tuple[ProcessSpec, ...]) -> None:
        """Stop processes that are no longer wanted or have changed, and start new ones."""
        wanted = {spec.name: spec for spec in specs}
        stale = [name for name, process in self._processes.items() if wanted.get(name) != process.spec]
        await asyncio.gather(*(self._processes.pop(name).stop() for name in stale))
        for name, spec in wanted.items():
            if name not in self._processes:
                self._start(spec)

    async def restart(self, name: str) -> None:
        """Raises KeyError for an unknown name."""
        process = self._processes[name]
        await process.stop()
        self._start(process.spec)

    async def stop(self, name: str) -> None:
        """Stop a process until it is restarted. Raises KeyError."""
        await self._processes[name].stop()

    def signal(self, name: str, number: int) -> None:
        """Raises KeyError."""
        self._processes[name].signal(number)

    def status(self) -> dict[str, dict[str, Any]]:
        return {name: process.status() for name, process in self._processes.items()}

    def _start(self, spec: ProcessSpec) -> None:
        log = self._logs / f"{spec.name}.log"
        self._processes[spec.name] = Supervised(spec, self._children, log, self._until)

    async def _until(self, condition: Precondition) -> None:
        """Several processes wait for the API server: one look at it serves all of them."""
        task = self._awaited.get(condition)
        if task is None or task.done():
            task = self._awaited[condition] = asyncio.create_task(until_holds(condition, self._is_done))
        await asyncio.shield(task)

    def _is_done(self, name: str) -> bool:
        process = self._processes.get(name)
        return process is not None and process.state == "done"


def code_of(package: str) -> dict[str, str]:
    """A variable that changes with the modules of a package, so that a process of ours is restarted with new code."""
    digest = hashlib.sha256()
    for folder in importlib.util.find_spec(package).submodule_search_locations:  # type: ignore[union-attr]
        for file in sorted(Path(folder).rglob("*.py")):
            digest.update(file.read_bytes())
    return {"AICONFORM_CODE": digest.hexdigest()}


def write_processes(paths: Paths, machine: str, processes: Iterable[ProcessSpec]) -> None:
    """Write what a machine runs; the machine reads it on its next reload."""
    write_json(paths.machine_spec(machine), {"processes": [process.to_json() for process in processes]})
