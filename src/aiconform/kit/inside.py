"""What a container with a device, or a part of one, is asked for, and what it shows of its hardware and its memory.

No tool of an image is trusted: what counts is a file of the kernel, or a program that came with the device.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from aiconform.check import Observation
from aiconform.kit.container_view import View, decoded, granted, is_in, look_script
from aiconform.kit.device_families import role
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
  [ -e "/sys/dev/char/$number/device/physfn" ] && echo "physfn c:$number"
done
grep -qw hypervisor /proc/cpuinfo && echo "hypervisor"
for function in /sys/bus/pci/devices/*; do
  [ -e "$function/physfn" ] || continue
  driver=$(readlink "$function/driver")
  case "$(cat "$function/class") ${driver##*/}" in
    *" "|*" vfio"*) ;;
    0x03*|0x12*) echo "function ${function##*/}" ;;
  esac
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


class Shown(Observation):
    """What a file or an injected program shows in a container.

    source: its path, or the command. of_part: whether it can be about a partition, too, and not about its device.
    """

    source: str
    value: str
    of_part: bool = False


class Size(Observation):
    """A memory size that a file or an injected program shows in a container, in bytes."""

    source: str
    bytes: float


class DeviceHolder(Observation):
    """A Pod that asked for a device, or for a part of one.

    asked: the extended resource, or the driver and the product. memory: of what it asked for as advertised, in bytes; 0
    if that is not known. waits: what the scheduler said, if it did not place the Pod. problem: how its device kept it
    from starting. late: how it was seen last, if it was not running when its time was over, and nothing was said
    against its device. allocated, published: the devices of its claim, and what is published of the physical device of
    each.

    The rest is seen in its container: view, None if it did not start; of environment and mounts what a container
    without a device lacks. parents: what the driver or the kernel says of the physical device. buses: (number of a
    device node, address of its hardware). sizes: of the memory.
    """

    pod: str
    asked: str
    memory: float = 0.0
    waits: str = ""
    problem: str = ""
    late: str = ""
    allocated: tuple[str, ...] = ()
    published: tuple[str, ...] = ()
    view: View | None = None
    parents: tuple[Shown, ...] = ()
    buses: tuple[tuple[str, str], ...] = ()
    sizes: tuple[Size, ...] = ()


@dataclass(frozen=True)
class Sources:
    """Where a container finds the memory of what it has, what tells its physical device, and that it is a virtual one.

    root: before /proc and /sys: the files of simulated devices are in a folder that says so.
    """

    memory: tuple[Reading, ...]
    parent: tuple[Reading, ...]
    root: str = ""
    virtual: tuple[Reading, ...] = ()

    def path(self, reading: Reading) -> str:
        return f"{self.root}{reading.file}"


def sources(family: Family, *, simulated: bool, memory: str = "", device: str = "", virtual: bool = False) -> Sources:
    """What a family has; of simulated devices, what all of these have.

    memory, device: files or commands of the user's own, which count instead. virtual: of virtual devices, which show
    their memory as complete devices do.
    """
    known, root = (simulated_family(), simulated_kernel()) if simulated else (family, "")
    own = (known.device_memory or known.memory) if virtual else known.memory
    sizes = (_named(memory, _AMOUNT),) if memory else own
    return Sources(sizes, (_named(device, _ALL),) if device else known.parent, root, known.virtual if virtual else ())


def _named(text: str, value: str) -> Reading:
    return Reading(file=text, value=value) if text.startswith("/") else Reading(program=text, value=value)


def holder_script(found: Sources) -> str:
    """What a container with a device runs."""
    steps = []
    for reading in dict.fromkeys((*found.memory, *found.parent, *found.virtual)):
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
    """What a container with a device shows.

    virtual: what says there that its device is a virtual one; physical: what says that it is not. machine: whether it
    is in a virtual machine, which sees no link of a virtual function to its physical one. functions: PCI addresses of
    virtual functions that the node has of displays and accelerators (https://pci-ids.ucw.cz/read/PD), and that are not
    kept for virtual machines.
    """

    parents: tuple[Shown, ...]
    buses: tuple[tuple[str, str], ...]
    sizes: tuple[Size, ...]
    virtual: tuple[str, ...] = ()
    physical: tuple[str, ...] = ()
    machine: bool = False
    functions: tuple[str, ...] = ()


def read(found: Sources, lines: Iterable[str], holder: View, control: View) -> Answer:
    """What the container printed, as far as it comes from the kernel, or with its device."""
    nodes = granted(holder, control)
    numbers = {node.number for node in nodes}
    # A network interface beside the device can be a virtual function as well.
    devices = {node.number for node in nodes if role(node) != "companion"}
    machine = False
    mounts = {*holder.mounts} - {*control.mounts}
    files, programs, buses = dict[str, str](), dict[str, str](), dict[str, str]()
    functions, others = list[str](), list[str]()
    for line in lines:
        kind, _, rest = line.partition(" ")
        name, _, value = rest.partition(" ")
        if kind == "file" and _trusted(name, found.root, mounts):
            files.setdefault(name, decoded(value))
        elif kind == "program" and is_in(name, mounts):
            programs.setdefault(name.rpartition("/")[2], decoded(value))
        elif kind == "bus" and name in numbers and (place := _PCI.findall(value)):
            buses.setdefault(name, place[-1])
        elif kind == "function":
            others.append(name)
        elif line == "hypervisor":
            machine = True
        elif kind == "physfn" and name in devices:
            functions.append(f"device node {name} is of a virtual function")

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
    told = [
        (re.fullmatch(reading.means, value, re.IGNORECASE) is not None, f"{value} in {source}")
        for source, value, reading in shown(found.virtual)
    ]
    sizes = tuple(Size(source=source, bytes=_bytes(value, reading)) for source, value, reading in shown(found.memory))
    return Answer(
        tuple(dict.fromkeys(parents)),
        tuple(sorted(buses.items())),
        tuple(dict.fromkeys(each for each in sizes if each.bytes)),
        tuple(dict.fromkeys([*functions, *(words for virtual, words in told if virtual)])),
        tuple(dict.fromkeys(words for virtual, words in told if not virtual)),
        machine,
        tuple(others),
    )


def own(view: View, control: View) -> View:
    """A view with the environment and the mounts that the container without a device lacks; there can be many views."""
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
