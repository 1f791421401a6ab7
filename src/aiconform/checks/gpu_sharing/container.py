"""What a container with a share is asked for, and what its answer says of the physical device and of memory.

No tool of an image is trusted: what counts is a file of the kernel, or a program that came with the device.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from aiconform.checks.gpu_sharing.observations import Shown, Size
from aiconform.kit.container_view import View, decoded, granted, is_in, look_script
from aiconform.platform.accelerators.drivers import Family, Reading, simulated_family, simulated_kernel

_BYTES = 65536
_UNITS = (
    {"": 1.0, "B": 1.0}
    | {
        unit: factor
        for power, letter in enumerate("KMGT", start=1)
        for unit, factor in ((f"{letter}iB", 2.0 ** (10 * power)), (f"{letter}i", 2.0 ** (10 * power)))
    }
    | {f"{letter}B": 1e3**power for power, letter in enumerate("KMGT", start=1)}
)
# The first number, and a unit if one follows it.
_AMOUNT = r"\A\D*?(\d+(?:\.\d+)?(?:\s*[KMGT]i?B?\b)?)"
_ALL = r"(?s)\A\s*(\S.{0,199})"
_NUMBER = "{number}"
# Prints where the hardware of each device node is, the content of files, and what programs print.
_READ = """
numbers=$(find /dev \\( -type c -o -type b \\) -exec stat -c '%t %T' {} \\; | sort -u | while read -r major minor; do
  echo $((0x$major)):$((0x$minor))
done)
for number in $numbers; do
  bus=$(readlink -f "/sys/dev/char/$number/device/physfn" 2>/dev/null)
  [ -d "$bus" ] || bus=$(readlink -f "/sys/dev/char/$number/device" 2>/dev/null)
  [ -d "$bus" ] && echo "bus c:$number $bus"
done
"""
_FILE = """
for file in {pattern}; do
  [ -r "$file" ] && echo "file $file $(timeout 5 head -c {bytes} "$file" 2>/dev/null | base64 | tr -d '\\n')"
done
"""
_PROGRAM = """
path=$(command -v {name}) && echo "program $path $(timeout 20 {command} 2>/dev/null | base64 | tr -d '\\n')"
"""
_PCI = re.compile(r"[0-9a-f]{4,}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]")


@dataclass(frozen=True)
class Sources:
    """Where a container finds the memory of what it has, and what tells its physical device.

    root: before /proc and /sys: the files of simulated devices are in a folder that says so.
    """

    memory: tuple[Reading, ...]
    parent: tuple[Reading, ...]
    root: str = ""

    def path(self, reading: Reading) -> str:
        return f"{self.root}{reading.file}"


def sources(family: Family, *, simulated: bool, memory: str = "", device: str = "") -> Sources:
    """What a family has; of simulated devices, what all of these have.

    memory, device: files or commands of the user's own, which count instead.
    """
    known, root = (simulated_family(), simulated_kernel()) if simulated else (family, "")
    sizes = (_named(memory, _AMOUNT),) if memory else known.memory
    return Sources(sizes, (_named(device, _ALL),) if device else known.parent, root)


def _named(text: str, value: str) -> Reading:
    return Reading(file=text, value=value) if text.startswith("/") else Reading(program=text, value=value)


def share_script(found: Sources) -> str:
    """What a container with a share runs."""
    steps = []
    for reading in dict.fromkeys((*found.memory, *found.parent)):
        if reading.program:
            words = shlex.split(reading.program)
            steps.append(_PROGRAM.format(name=shlex.quote(words[0]), command=shlex.join(words)))
            continue
        before, number, after = found.path(reading).partition(_NUMBER)
        pattern = _quoted(before)
        step = _FILE.format(pattern=f'{pattern}"$number"{_quoted(after)}' if number else pattern, bytes=_BYTES)
        steps.append(f"for number in $numbers; do{step}done" if number else step)
    return f"{_READ}{''.join(dict.fromkeys(steps))}{look_script()}"


def _quoted(pattern: str) -> str:
    """A shell pattern in which only * and ? have a meaning."""
    return "".join(each if each in "*?" else shlex.quote(each) for each in re.split(r"([*?])", pattern) if each)


@dataclass(frozen=True)
class Answer:
    """What a container with a share shows."""

    parents: tuple[Shown, ...]
    buses: tuple[tuple[str, str], ...]
    sizes: tuple[Size, ...]


def read(found: Sources, lines: Iterable[str], holder: View, control: View) -> Answer:
    """What the container printed, as far as it comes from the kernel, or with its share."""
    numbers = {node.number for node in granted(holder, control)}
    mounts = {*holder.mounts} - {*control.mounts}
    files, programs, buses = dict[str, str](), dict[str, str](), dict[str, str]()
    for line in lines:
        kind, _, rest = line.partition(" ")
        name, _, value = rest.partition(" ")
        if kind == "file" and _trusted(name, found.root, mounts):
            files.setdefault(name, decoded(value))
        elif kind == "program" and is_in(name, mounts):
            programs.setdefault(name.rpartition("/")[2], decoded(value))
        elif kind == "bus" and name in numbers and (place := _PCI.findall(value)):
            buses.setdefault(name, place[-1])

    def shown(readings: Sequence[Reading]) -> Iterator[tuple[str, str, Reading]]:
        for reading in readings:
            if reading.program:
                text = programs.get(shlex.split(reading.program)[0].rpartition("/")[2], "")
                yield from ((reading.program, value, reading) for value in reading.values(text))
                continue
            pattern = _expression(found.path(reading), numbers)
            for path, text in files.items():
                if re.fullmatch(pattern, path):
                    yield from ((path, value, reading) for value in reading.values(text))

    parents = tuple(
        Shown(source=source, value=value, of_part=reading.of_parts) for source, value, reading in shown(found.parent)
    )
    sizes = tuple(Size(source=source, bytes=_bytes(value, reading)) for source, value, reading in shown(found.memory))
    return Answer(
        tuple(dict.fromkeys(parents)),
        tuple(sorted(buses.items())),
        tuple(dict.fromkeys(each for each in sizes if each.bytes)),
    )


def own(view: View, control: View) -> View:
    """A view with the environment and the mounts that the container without a share lacks; there can be many views."""
    environment = {name: value for name, value in view.environment.items() if control.environment.get(name) != value}
    mounts = sorted({*view.mounts} - {*control.mounts})
    return view.model_copy(update={"environment": environment, "mounts": mounts})


def _expression(pattern: str, numbers: Iterable[str]) -> str:
    """A regular expression for the paths that a pattern stands for, with the device nodes of these numbers."""
    each = "|".join(re.escape(number.partition(":")[2]) for number in sorted(numbers)) or "(?!)"
    return re.escape(pattern).replace(re.escape("*"), "[^/]*").replace(re.escape(_NUMBER), f"(?:{each})")


def _trusted(path: str, root: str, mounts: Iterable[str]) -> bool:
    """Whether a file is the kernel's, or came with the device."""
    if root and path.startswith(f"{root}/"):
        return True
    return path.startswith(("/proc/", "/sys/")) or is_in(path, mounts)


def _bytes(value: str, reading: Reading) -> float:
    number, unit = re.fullmatch(r"([\d.]+)\s*(\S*)", value).groups()  # type: ignore[union-attr]
    return float(number) * _UNITS.get(unit or reading.unit, 1.0)
