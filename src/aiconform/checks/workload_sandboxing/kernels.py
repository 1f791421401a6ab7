"""Whether two containers run on one kernel, by what only one kernel can show.

What a kernel says of itself can be replaced: by `uname` under another personality, by files mounted over /proc/version
and the boot id. So a difference in these is believed only together with counters that do not follow the other kernel's,
while one thing that both have in common is enough for one kernel.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from aiconform.checks.workload_sandboxing.observations import Isolation, Kernel, Sample, Sight

# Of a pulse: less than the one is noise of others, more than the other is one.
_FOLLOWS, _NOISE = 0.6, 0.35
_TURNS = 3
"""Up, down and up again, or the other way round."""
# Seconds between the moments in which the time of a boot was read and rounded.
_ROUNDED = 1
# The processes that started since a boot are counted, not guessed: two kernels have the same only by chance.
_NARROW = 0.2
# Counters that a pulse of the control Pod moves: threads and shared memory.
_FOLLOWED = 2


@dataclass(frozen=True)
class Compared:
    """What two views of kernels have in common, what tells them apart, and what does not follow (by behaviour)."""

    same: tuple[str, ...] = ()
    different: tuple[str, ...] = ()
    apart: tuple[str, ...] = ()
    untold: tuple[str, ...] = ()

    @property
    def another(self) -> bool | None:
        """Whether they are two kernels; None where nothing tells."""
        if self.same:
            return False
        return True if self.different and self.apart else None

    @property
    def said_to_differ(self) -> bool:
        """Whether they are two kernels by what they say, which can be faked."""
        return bool(self.different) and not self.same

    @property
    def words(self) -> str:
        if self.same:
            return f"one kernel: {'; '.join(self.same)}"
        said = [*self.different, *self.apart] or ["nothing tells them apart"]
        if self.another is None:
            said += self.untold
        return "; ".join(said)


def compare(sandbox: Kernel, control: Kernel, *, release: str = "", boot: str = "") -> Compared:
    """By what the kernels say of themselves. release, boot: of the node's kernel, as its kubelet reports it."""
    same, different = [], []
    boots = {each for each in (control.boot, boot) if each}
    if sandbox.boot and boots:
        if sandbox.boot in boots:
            same.append(f"boot id {sandbox.boot}")
        else:
            different.append(f"boot id {sandbox.boot} instead of {' or '.join(sorted(boots))}")
    # /proc/version has the release and the version, too.
    for what, one, others in (
        ("release", sandbox.release, {control.release, release}),
        ("version", sandbox.version, {control.version}),
        ("/proc/version", sandbox.banner, {control.banner}),
    ):
        told = {each for each in others if each}
        if one and told and one not in told and not (what == "/proc/version" and different):
            different.append(f"{what} {one!r} instead of {' or '.join(map(repr, sorted(told)))}")
    if common := set(sandbox.log) & set(control.log):
        same.append(f"{len(common)} lines of one kernel's log")
    started = None if sandbox.started is None or control.started is None else sandbox.started - control.started
    if sandbox.started and started is not None and abs(started) <= _ROUNDED:
        same.append(f"booted at one time ({sandbox.started})")
    return Compared(tuple(same), tuple(different))


def compared(seen: Isolation) -> Compared:
    """Sandboxed Pod and control Pod, by what their kernels say and by what they do."""
    sandbox, control = seen.sandbox, seen.control
    if sandbox is None or control is None:
        return Compared()
    said = compare(sandbox.kernel, control.kernel, release=seen.release, boot=seen.boot)
    did = behaviour(sandbox.samples, control, seen.pulse_threads, seen.pulse_shared)
    return Compared((*said.same, *did.same), said.different, did.apart, did.untold)


def behaviour(samples: Sequence[Sample], control: Sight, threads: int, shared: int) -> Compared:
    """Whether counters of a container follow what the control Pod did meanwhile, or lie among its own."""
    same, apart, untold = [], [], []
    for what, size, read in (
        ("threads", threads, lambda each: each.threads),
        ("shared memory (KiB)", shared, lambda each: each.shared),
    ):
        if not turns(_values(control.samples, read), size):
            untold.append(f"the control Pod's own {what} do not show what it did")
            continue
        values = _values(samples, read)
        if turns(values, size):
            same.append(f"{what} rise and fall by {size} as the control Pod starts and ends")
        elif len(values) > _TURNS and max(values) - min(values) < _NOISE * size:
            apart.append(f"{what} stay within {max(values) - min(values)} while the control Pod's change by {size}")
        else:
            untold.append(f"{what}: {'not told' if not values else 'neither still nor following'}")
    forks, own = _values(samples, lambda each: each.forks), _values(control.samples, lambda each: each.forks)
    if forks and len(own) > 1 and own[-1] > own[0]:
        narrow = own[-1] - own[0] < _NARROW * own[-1]
        among = [own[0] <= each <= own[-1] for each in forks]
        told = f"{forks[0]} to {forks[-1]} processes since the boot, {own[0]} to {own[-1]} by the control Pod"
        if narrow and all(among) and (len(forks) < _TURNS or forks[-1] > forks[0]):
            if len(apart) < _FOLLOWED:
                same.append(told)
            else:
                # Either both kernels have started as many by chance, or the other counters are faked.
                untold, apart = [*untold, *apart, told], []
        elif not any(among):
            apart.append(told)
        else:
            untold.append(told)
    else:
        untold.append("processes since the boot: not told")
    return Compared(tuple(same), (), tuple(apart), tuple(untold))


def turns(values: Sequence[int], size: int) -> bool:
    """Whether values rise and fall by about `size` again and again: at least three turns between two levels."""
    if not values or size <= 0:
        return False
    step, turned = _FOLLOWS * size, 0
    low = high = values[0]
    rising: bool | None = None
    # A turn is a change by most of the size since the last extreme, whatever drifts beside it.
    for each in values:
        low, high = min(low, each), max(high, each)
        if rising is not True and each - low >= step:
            rising, turned, high = True, turned + 1, each
        elif rising is not False and high - each >= step:
            rising, turned, low = False, turned + 1, each
    return turned >= _TURNS


def _values(samples: Sequence[Sample], read: Callable[[Sample], int | None]) -> list[int]:
    return [value for each in samples if (value := read(each)) is not None]
