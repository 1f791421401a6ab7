"""What the sandboxed Pod has to show beside the control Pod."""

from __future__ import annotations

from collections.abc import Iterable

from aiconform.check import Finding, assertion, holds, undecided
from aiconform.checks.workload_sandboxing.agents_compared import agents_another
from aiconform.checks.workload_sandboxing.kernels import compared
from aiconform.checks.workload_sandboxing.observations import Attempt, Isolation, Sight
from aiconform.checks.workload_sandboxing.subjects import nobody, off_node, pair_of, where

# A size that a runtime rounds is still the same.
_ALIKE = 0.01
_READS_MEMORY = ("read-mem", "read-made-mem", "open-made-port", "read-kcore")
_READS_BLOCKS = ("read-block:", "read-made-block:")
# What the loader of modules says of an empty file, once it takes it.
_LOADER_TOOK_IT = ("invalid module format", "exec format error")


@assertion("kernel_is_another", "The sandboxed Pod sees another kernel than the control Pod")
def kernel_is_another(seen: Isolation) -> Finding:
    if seen.problem:
        tried = "; ".join(f"{each.name}: {each.outcome}" for each in seen.tried if each.name != seen.name)
        also = f"; also tried: {tried}" if tried else ""
        return holds(False, f"{where(seen)}: its runtime runs no Pod: {seen.problem}{also}", subjects=1)
    if pair_of(seen) is None:
        return nobody(seen)
    found = compared(seen)
    told = f"{where(seen)}: {found.words}"
    if found.another is False:
        return holds(False, told, subjects=1)
    agents, said = agents_another(seen)
    told += f"; {said}" if said else ""
    if agents is False:
        return holds(False, told, subjects=1 + len(seen.agents))
    if found.another is None or agents is None:
        return undecided(told)
    if wrong := off_node(seen):
        return undecided(f"{told}; {wrong}")
    return holds(True, f"{told}; {seen.why}" if seen.why else told, subjects=1 + len(seen.agents))


@assertion("no_foreign_process_is_visible", "No process of the host or of the control Pod is visible")
def no_foreign_process_is_visible(seen: Isolation) -> Finding:
    pair = pair_of(seen)
    if pair is None:
        return nobody(seen)
    sandbox, _ = pair
    if not sandbox.processes or sandbox.shell < 0:
        return undecided(f"{where(seen)}: the sandbox's /proc lists no process, not even its own")
    count = len(sandbox.processes)
    victims = [each for each in sandbox.processes if each.victim]
    read = [pid for pid, has_secret in sandbox.environments if has_secret]
    if victims or read:
        pids = sorted({*(each.pid for each in victims), *read})
        also = " and its environment can be read" if read else ""
        said = f"the control Pod's process is visible as {', '.join(map(str, pids))}{also}"
        return holds(False, f"{where(seen)}: {said}, among {count} processes", subjects=count)
    others = foreign(sandbox)
    if not others:
        return holds(True, f"{where(seen)}: {count} processes, all of them its own", subjects=count)
    said = f"{len(others)} of {count} processes are not of its container, such as {', '.join(others[:5])}"
    another = compared(seen).another
    if another:
        return holds(True, f"{where(seen)}: {said}; they run on the sandbox's own kernel", subjects=count)
    if another is None:
        return undecided(f"{where(seen)}: {said}, and nothing tells whose kernel runs them")
    return holds(False, f"{where(seen)}: {said}", subjects=count)


def foreign(sandbox: Sight) -> list[str]:
    """Names of the visible processes that the shell did not start, and that did not start it, but for `pause`."""
    parents = {each.pid: each.parent for each in sandbox.processes}

    def own(pid: int) -> bool:
        for _ in range(len(parents) + 1):
            if pid == sandbox.shell:
                return True
            if pid not in parents:
                return False
            pid = parents[pid]
        return False

    # What started the shell is a part of its Pod: an init, or the process that holds the Pod's namespaces.
    above, pid = set[int](), sandbox.shell
    while pid in parents and pid not in above:
        above.add(pid)
        pid = parents[pid]
    others = [each for each in sandbox.processes if not own(each.pid) and each.pid not in above]
    return [f"{each.name} ({each.pid})" for each in others if each.name != "pause"]


@assertion("memory_is_isolated", "The memory is the sandbox's, and the host's memory cannot be opened")
def memory_is_isolated(seen: Isolation) -> Finding:
    pair = pair_of(seen)
    if pair is None:
        return nobody(seen)
    sandbox, control = pair
    another = compared(seen).another
    opened = [each for each in sandbox.attempts if each.what in _READS_MEMORY and each.code == 0]
    if opened and another is False:
        return holds(False, f"{where(seen)}: {_names(opened)}: the host's memory can be read", subjects=len(opened))
    # The larger one: lxcfs tells ordinary containers their own limit, and a node may get more than its kubelet knows.
    host = max(seen.memory, 0 if off_node(seen) else control.memory.total or control.memory.told or 0)
    sizes = [each for each in (sandbox.memory.total, sandbox.memory.told) if each]
    if not sizes or not host:
        return undecided(f"{where(seen)}: how much memory the {'sandbox' if host else 'node'} has is not told")
    told = f"{sizes[0] // 1024} MiB, the node {host // 1024} MiB"
    if alike := [size for size in sizes if _alike(size, host)]:
        if seen.unlimited:
            return undecided(f"{where(seen)}: it has {told}; {seen.unlimited}: exempt the run's Pods from injection")
        if not seen.machine or _free_alike(sandbox, control):
            said = f"the sandbox is told {alike[0] // 1024} MiB, all that the node has"
            return holds(False, f"{where(seen)}: {said}", subjects=len(sizes))
        told += ", with another part of it free"
    tried = [each for each in sandbox.attempts if each.what in _READS_MEMORY]
    if not tried:
        return undecided(f"{where(seen)}: it has {told}; nothing was tried to open the host's memory")
    if opened and another is None:
        return undecided(f"{where(seen)}: {_names(opened)}, and nothing tells whose memory that is")
    whose = f"; {_names(opened)}, which is its own kernel's" if opened else ""
    return holds(True, f"{where(seen)}: it has {told}; tried: {_told(tried)}{whose}", subjects=len(sizes) + len(tried))


def _alike(one: int, other: int) -> bool:
    return abs(one - other) <= _ALIKE * other


def _free_alike(sandbox: Sight, control: Sight) -> bool:
    one, other = sandbox.memory.free, control.memory.free
    return one is None or other is None or _alike(one, other)


@assertion("host_filesystem_is_unreachable", "The host's filesystem cannot be reached")
def host_filesystem_is_unreachable(seen: Isolation) -> Finding:
    pair = pair_of(seen)
    if pair is None:
        return nobody(seen)
    sandbox, _ = pair
    victims = [each.path for each in sandbox.found if each.victim]
    if victims or sandbox.host_paths:
        paths = [f"{path} of the control Pod" for path in victims] + [
            f"{path} of the node" for path in sandbox.host_paths
        ]
        return holds(
            False, f"{where(seen)}: the sandbox reaches {'; '.join(paths[:5])}", subjects=sandbox.searched or 1
        )
    another = compared(seen).another
    blocks = [each for each in sandbox.attempts if each.what.startswith(_READS_BLOCKS)]
    if opened := [each for each in blocks if each.code == 0]:
        if another is False:
            return holds(False, f"{where(seen)}: {_names(opened)}: the host's disk can be read", subjects=len(blocks))
        if another is None:
            return undecided(f"{where(seen)}: {_names(opened)}, and nothing tells whose disk that is")
    if not sandbox.searched or not any(each.own for each in sandbox.found):
        return undecided(f"{where(seen)}: searching files does not even find the sandbox's own")
    said = f"neither files of the control Pod nor paths of a node in {sandbox.searched} mounts"
    disks = f"; {len(blocks)} block devices tried" if blocks else ""
    return holds(True, f"{where(seen)}: {said}{disks}", subjects=sandbox.searched + len(blocks))


@assertion("host_is_not_changed", "No attempt changes the host")
def host_is_not_changed(seen: Isolation) -> Finding:
    pair = pair_of(seen)
    if pair is None:
        return nobody(seen)
    sandbox, control = pair
    writes = [each for each in sandbox.attempts if each.what.startswith("write:")]
    written = {each.what.removeprefix("write:") for each in writes if each.code == 0}
    changed = [each for each in control.parameters if len(set(each.values)) > 1]
    told = "; ".join(f"{each.path} was {' then '.join(each.values[:4])}" for each in changed)
    if own := [each for each in changed if each.path in written]:
        return holds(False, f"{where(seen)}: while the sandbox wrote, the control Pod saw: {told}", subjects=len(own))
    if changed:
        return undecided(f"{where(seen)}: somebody else changed the node's parameters meanwhile: {told}")
    if not sandbox.attempts:
        return undecided(f"{where(seen)}: the sandbox tried nothing")
    took = [each for each in sandbox.attempts if reaches_kernel(each)]
    another = compared(seen).another
    if took and not another:
        said = f"{_names(took)}: its kernel took it"
        if another is False:
            return holds(False, f"{where(seen)}: {said}, which is the host's", subjects=len(sandbox.attempts))
        return undecided(f"{where(seen)}: {said}, and nothing tells whose kernel that is")
    if written and not another:
        paths = ", ".join(sorted(written))
        return undecided(f"{where(seen)}: {paths} could be written, and the control Pod did not see it")
    if wrong := off_node(seen):
        return undecided(f"{where(seen)}: {wrong}")
    if not control.parameters:
        return undecided(f"{where(seen)}: the control Pod is told no parameter of the node's kernel to watch")
    worked = [each for each in sandbox.attempts if each.code == 0]
    inside = f"; inside the sandbox alone: {', '.join(each.what for each in worked)}" if worked else ""
    tried = f"{len(sandbox.attempts)} attempts, {len(sandbox.attempts) - len(worked)} of them refused"
    watched = f"{len(control.parameters)} parameters of the node's kernel stayed as they were"
    root = f"; not as root: {seen.unprivileged}" if seen.unprivileged else ""
    return holds(True, f"{where(seen)}: {tried}; {watched}{inside}{root}", subjects=len(sandbox.attempts))


def reaches_kernel(attempt: Attempt) -> bool:
    """Whether an attempt is something that changes its kernel: a module that is tried, a line in its log."""
    if attempt.what == "load-module":
        return attempt.code == 0 or attempt.said.lower().endswith(_LOADER_TOOK_IT)
    return attempt.what == "write-kernel-log" and attempt.code == 0


def _names(attempts: Iterable[Attempt]) -> str:
    return ", ".join(each.what for each in attempts)


def _told(attempts: Iterable[Attempt]) -> str:
    return ", ".join(f"{each.what}: {each.said or each.code}" for each in attempts)
