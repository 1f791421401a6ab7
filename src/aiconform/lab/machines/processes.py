"""Processes that are kept running, known by pid and start time.

A pid alone says nothing after a crash: the number may belong to somebody else by then. With the start time it does.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import ssl
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from aiconform.lab.config import Paths

# A process that ends is started again after this many seconds, twice as many each time, up to the last.
FIRST_BACKOFF, LAST_BACKOFF = 0.2, 10.0
# One that ran this long was healthy: its next end is the first again.
HEALTHY_SECONDS = 30.0
# The API server waits a minute for its watches to end, which nobody here has to.
GRACE_SECONDS = 2.0
_POLL_SECONDS = 0.05
_MAX_LOG = 64 * 1024 * 1024


@dataclass(frozen=True)
class Identity:
    """A process for all time of this boot."""

    pid: int
    start: int
    """Clock ticks from boot to the process's start: field 22 of /proc/PID/stat."""

    @classmethod
    def of(cls, pid: int) -> Identity | None:
        """Who has this pid now; None if nobody or a process that has ended."""
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            return None
        # The second field is the name in parentheses, which may itself hold blanks and parentheses.
        fields = stat[stat.rindex(")") + 2 :].split()
        return None if fields[0] in "ZX" else cls(pid, int(fields[19]))

    @property
    def alive(self) -> bool:
        return Identity.of(self.pid) == self

    def kill(self, number: int = signal.SIGKILL) -> bool:
        """Send a signal to this process and nobody else; False if it has ended."""
        try:
            descriptor = os.pidfd_open(self.pid)
        except OSError:
            return False
        try:
            # The descriptor holds the process that had the pid when it was opened: now is the time to compare.
            if not self.alive:
                return False
            signal.pidfd_send_signal(descriptor, number)
        except ProcessLookupError:
            return False
        finally:
            os.close(descriptor)
        return True


def boot() -> str:
    """Tells this boot of the machine from every other."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


@dataclass(frozen=True)
class Probe:
    """Something that must hold before a process is started. One of the first four is set."""

    unix: str = ""
    """Path of a unix socket that accepts connections."""
    tcp: str = ""
    """host:port that accepts connections."""
    done: str = ""
    """Name of a process of the same machine, with `once`, that has ended well."""
    https: str = ""
    """URL whose answer's body must be exactly `ok`."""
    ca: str = ""
    cert: str = ""
    key: str = ""


@dataclass(frozen=True)
class ProcessSpec:
    """A process to keep running."""

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    needs: tuple[Probe, ...] = ()
    once: bool = False
    """Runs to its end once, and again only if it fails."""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> ProcessSpec:
        needs = tuple(Probe(**probe) for probe in value["needs"])
        return cls(value["name"], tuple(value["argv"]), dict(value["env"]), needs, value["once"])


class Children:
    """All child processes of this process, adopted ones too: the init of a machine must bury those."""

    def __init__(self) -> None:
        self._ends: dict[int, asyncio.Future[int]] = {}

    def listen(self) -> None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGCHLD, self._bury)

    def start(self, argv: tuple[str, ...], **options: Any) -> tuple[subprocess.Popen[bytes], asyncio.Future[int]]:
        """(the process, a future of its return code)."""
        process = subprocess.Popen(argv, **options)
        end: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._ends[process.pid] = end
        end.add_done_callback(lambda done: setattr(process, "returncode", done.result()))
        return process, end

    def _bury(self) -> None:
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

    def __init__(self, spec: ProcessSpec, children: Children, log: Path, is_done: Callable[[str], bool]) -> None:
        self.spec = spec
        self.state = "waiting"  # then running | done | backing-off | stopped
        self.restarts = 0
        self.identity: Identity | None = None
        self.last_exit: int | None = None
        self._children = children
        self._log = log
        self._is_done = is_done
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
            # Nobody else buries our children, so the pid is still the process's own.
            os.kill(self._process.pid, number)

    async def stop(self, grace: float = GRACE_SECONDS) -> None:
        """End the process and do not start it again: SIGTERM, then SIGKILL after `grace` seconds."""
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
            for probe in self.spec.needs:
                await until_holds(probe, self._is_done)
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
        self.identity = Identity.of(self._process.pid)
        self.state = "running"
        return await asyncio.shield(self._end)


class Supervisor:
    """The processes of one machine."""

    def __init__(self, logs: Path, children: Children) -> None:
        self._logs = logs
        self._children = children
        self._processes: dict[str, Supervised] = {}

    async def reconcile(self, specs: tuple[ProcessSpec, ...]) -> None:
        """Stop what is no longer wanted or has changed, start what is new."""
        wanted = {spec.name: spec for spec in specs}
        stale = [name for name, process in self._processes.items() if wanted.get(name) != process.spec]
        await asyncio.gather(*(self._processes.pop(name).stop() for name in stale))
        for name, spec in wanted.items():
            if name not in self._processes:
                self._start(spec)

    async def restart(self, name: str) -> None:
        """Raises KeyError for a name the machine has no process of."""
        process = self._processes[name]
        await process.stop()
        self._start(process.spec)

    async def stop(self, name: str) -> None:
        """End a process until it is restarted. Raises KeyError."""
        await self._processes[name].stop()

    def signal(self, name: str, number: int) -> None:
        """Raises KeyError."""
        self._processes[name].signal(number)

    def status(self) -> dict[str, dict[str, Any]]:
        return {name: process.status() for name, process in self._processes.items()}

    def _start(self, spec: ProcessSpec) -> None:
        log = self._logs / f"{spec.name}.log"
        self._processes[spec.name] = Supervised(spec, self._children, log, self._is_done)

    def _is_done(self, name: str) -> bool:
        process = self._processes.get(name)
        return process is not None and process.state == "done"


async def until_holds(probe: Probe, is_done: Callable[[str], bool]) -> None:
    """Return when what the probe asks for is so."""
    while True:
        if await holds(probe, is_done):
            return
        await asyncio.sleep(_POLL_SECONDS)


async def holds(probe: Probe, is_done: Callable[[str], bool]) -> bool:
    """Whether what the probe asks for is so now."""
    if probe.done:
        return is_done(probe.done)
    try:
        async with asyncio.timeout(2):
            if probe.unix or probe.tcp:
                host, _, port = probe.tcp.rpartition(":")
                opened = asyncio.open_unix_connection(probe.unix) if probe.unix else asyncio.open_connection(host, port)
                (await opened)[1].close()
                return True
            return await _answers_ok(probe)
    except (OSError, TimeoutError, ssl.SSLError):
        return False


async def _answers_ok(probe: Probe) -> bool:
    url = urlsplit(probe.https)
    context = ssl.create_default_context(cafile=probe.ca)
    if probe.cert:
        context.load_cert_chain(probe.cert, probe.key)
    reader, writer = await asyncio.open_connection(url.hostname, url.port, ssl=context)
    try:
        target = f"{url.path}?{url.query}" if url.query else url.path
        writer.write(f"GET {target} HTTP/1.0\r\nHost: {url.netloc}\r\n\r\n".encode())
        answer = await reader.read()
    finally:
        writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    return head.split(b" ", 2)[1:2] == [b"200"] and body == b"ok"


def rotate(log: Path) -> None:
    """Keep one older log when this one has grown large."""
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.exists() and log.stat().st_size > _MAX_LOG:
        log.replace(log.with_name(log.name + ".1"))


def write_processes(paths: Paths, machine: str, processes: Iterable[ProcessSpec]) -> None:
    """What a machine is to run; it is taken up with the machine's next reload."""
    write_json(paths.machine_spec(machine), {"processes": [process.to_json() for process in processes]})


def write_json(path: Path, value: object) -> None:
    """As `write_text`."""
    write_text(path, json.dumps(value, indent=1, sort_keys=True) + "\n")


def write_text(path: Path, content: str) -> None:
    """Replace a file at once: a reader, or a start after a crash, sees the old content or the new.

    A file that has this content already is left alone: some processes end when their file is written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and path.read_text() == content:
        return
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(content)
    draft.replace(path)
