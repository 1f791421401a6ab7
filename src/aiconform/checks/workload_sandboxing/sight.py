"""Reads what the containers print. A sandbox may print anything: a line that is none of ours says nothing."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiconform.checks.workload_sandboxing.observations import (
    Attempt,
    Fetch,
    Found,
    Kernel,
    Memory,
    Parameter,
    Process,
    Sample,
    Sight,
)
from aiconform.kit.container_view import EVERYWHERE, decoded

MOST = 400
"""The most processes, files and other things of one kind that are kept of a container; victims are always kept."""
_LONGEST = 200
# In base64, of what the scripts cut off after 16 KiB.
_LONGEST_FACT = 24 << 10
# A number that no counter exceeds is no number of digits that takes long to read.
_DIGITS = 20


@dataclass(frozen=True)
class Words:
    """What tells who answered. servers: what a server says -> its name. victim: the control Pod's process."""

    secret: str
    victim: str
    servers: Mapping[str, str]


def parse_sight(lines: Iterable[str], words: Words) -> Sight:
    """What the output of a container says. Whatever its lines are, this raises nothing."""
    reader = _Reader(words)
    for line in lines:
        kind, _, rest = line.partition(" ")
        if take := _TAKES.get(kind):
            take(reader, rest)
    return reader.sight()


@dataclass
class _Reader:
    words: Words
    facts: dict[str, str] = field(default_factory=dict)
    parts: dict[str, list[Any]] = field(default_factory=dict)
    values: dict[str, list[str]] = field(default_factory=dict)
    shell: int = -1
    whole: bool = False

    def add(self, kind: str, each: object, *, always: bool = False) -> None:
        known = self.parts.setdefault(kind, [])
        if always or len(known) < MOST:
            known.append(each)

    def of(self, kind: str) -> tuple[Any, ...]:
        return tuple(self.parts.get(kind, ()))

    def sight(self) -> Sight:
        meminfo = dict(re.findall(r"^(\w+):\s+(\d{1,20}) kB", self.facts.get("meminfo", ""), re.MULTILINE))
        return Sight(
            kernel=Kernel(
                **{key: self._short(key) for key in ("name", "release", "version", "machine", "banner", "boot")},
                started=number(self._short("started")),
                log=_digests(self.facts.get("log", "")),
            ),
            memory=Memory(
                total=number(meminfo.get("MemTotal", "")),
                free=number(meminfo.get("MemFree", "")),
                told=number(self._short("told")),
            ),
            shell=self.shell,
            user=-1 if (user := number(self._short("user"))) is None else user,
            processes=self.of("process"),
            interfaces=_interfaces(self.facts.get("interfaces", "")),
            devices=_devices(self.facts.get("devices", "")),
            searched=len(self.of("searched")),
            found=self.of("file"),
            host_paths=self.of("host"),
            environments=self.of("environment"),
            samples=self.of("sample"),
            fetches=self.of("fetch"),
            attempts=self.of("attempt"),
            parameters=tuple(Parameter(path=path, values=tuple(each)) for path, each in self.values.items()),
            whole=self.whole,
        )

    def _short(self, key: str) -> str:
        return self.facts.get(key, "").strip()[:_LONGEST]


def number(text: str) -> int | None:
    """A count, or None where it is none."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _DIGITS else None


def kernel_lines(lines: Iterable[str]) -> tuple[Kernel, tuple[Sample, ...]]:
    """Of a container that only tells which kernel it has."""
    seen = parse_sight(lines, Words("", "", {}))
    return seen.kernel, seen.samples


# Kinds of lines


def _fact(reader: _Reader, rest: str) -> None:
    name, _, text = rest.partition(" ")
    reader.facts.setdefault(name, decoded(text[:_LONGEST_FACT]))


def _shell(reader: _Reader, rest: str) -> None:
    found = number(rest)
    reader.shell = -1 if found is None else found


def _process(reader: _Reader, rest: str) -> None:
    pid, parent, name, *_ = [*rest.split(" ", 3), "", ""]
    one, other = number(pid), number(parent)
    if one is not None and other is not None:
        victim = bool(reader.words.victim) and name == reader.words.victim
        reader.add("process", Process(pid=one, parent=other, name=name[:20], victim=victim), always=victim)


def _environment(reader: _Reader, rest: str) -> None:
    pid, _, text = rest.partition(" ")
    if (found := number(pid)) is not None and (told := decoded(text)):
        reader.add("environment", (found, _has(told, reader.words.secret)))


def _file(reader: _Reader, rest: str) -> None:
    path, _, text = rest.rpartition(" ")
    told = decoded(text)
    if path and told:
        victim = _has(told, reader.words.secret)
        found = Found(path=path[:_LONGEST], own=told.strip() == "own", victim=victim)
        reader.add("file", found, always=victim)


def _sample(reader: _Reader, rest: str) -> None:
    threads, forks, files, shared, *_ = [*map(number, rest.split(" ", 4)), None, None, None, None]
    # The newest: a control Pod that waited long for a virtual machine to boot took many before.
    known = reader.parts.setdefault("sample", [])
    known[:] = [*known[-MOST + 1 :], Sample(threads=threads, forks=forks, files=files, shared=shared)]


def _fetch(reader: _Reader, rest: str) -> None:
    what, _, text = rest.partition(" ")
    told = " ".join(decoded(text).split())
    word = next((name for said, name in reader.words.servers.items() if said and said in told), "")
    reader.add("fetch", Fetch(what=what[:_LONGEST], word=word, said=told[:_LONGEST]))


def _attempt(reader: _Reader, rest: str) -> None:
    what, code, said, *_ = [*rest.split(" ", 2), "", ""]
    if (ended := number(code)) is not None:
        reader.add("attempt", Attempt(what=what[:_LONGEST], code=ended, said=said.strip()[:_LONGEST]))


def _parameter(reader: _Reader, rest: str) -> None:
    path, _, value = rest.partition(" ")
    known = reader.values.setdefault(path[:_LONGEST], []) if len(reader.values) < MOST else []
    if len(known) < MOST and known[-1:] != [value[:_LONGEST]]:
        known.append(value[:_LONGEST])


def _done(reader: _Reader, rest: str) -> None:
    reader.whole = not rest or reader.whole


def _path_of(kind: str) -> Callable[[_Reader, str], None]:
    return lambda reader, rest: reader.add(kind, rest[:_LONGEST])


_TAKES: dict[str, Callable[[_Reader, str], None]] = {
    "fact": _fact,
    "shell": _shell,
    "process": _process,
    "environment": _environment,
    "file": _file,
    "sample": _sample,
    "fetch": _fetch,
    "attempt": _attempt,
    "parameter": _parameter,
    "searched": _path_of("searched"),
    "host": _path_of("host"),
    "block": _path_of("block"),
    "done": _done,
}


def block_numbers(lines: Iterable[str]) -> list[str]:
    """The numbers (major:minor) of block devices that a container's file systems are on, by its `block` lines."""
    found = [line.removeprefix("block ") for line in lines if line.startswith("block ")]
    # Those of major number 0 are no devices.
    return [each for each in found if re.fullmatch(r"[1-9]\d{0,5}:\d{1,7}", each)][:8]


def _has(text: str, secret: str) -> bool:
    return bool(secret) and secret in text


def _digests(text: str) -> tuple[str, ...]:
    """Of the lines of a kernel's log that have a time of their own: lines of two kernels can have the same words."""
    lines = [line for line in text.splitlines() if re.search(r"\[\s*\d{1,20}\.0{0,20}[1-9]\d{0,20}\]", line)]
    return tuple(hashlib.sha256(line.encode()).hexdigest()[:16] for line in lines[-40:])


def _interfaces(text: str) -> tuple[tuple[str, str], ...]:
    """(name, address) by `ip -o addr`: `2: eth0    inet 10.0.0.2/24 ...`."""
    found = re.findall(r"^\d+:\s+(\S+)\s+inet6?\s+([0-9a-fA-F.:]+)", text, re.MULTILINE)
    return tuple((name[:_LONGEST], address[:_LONGEST]) for name, address in found[:MOST])


def _devices(text: str) -> tuple[str, ...]:
    paths = (line for line in text.splitlines() if line.startswith("/dev/") and not EVERYWHERE.fullmatch(line))
    return tuple(sorted(path[:_LONGEST] for path in paths)[:MOST])
