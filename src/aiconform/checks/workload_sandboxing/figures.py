"""What of the node and of the control Pod the sandboxed Pod reaches, as a table."""

from __future__ import annotations

from aiconform.check.figures import Cell, Matrix, figure
from aiconform.checks.workload_sandboxing.assertions import (
    foreign,
    host_filesystem_is_unreachable,
    host_is_not_changed,
    kernel_is_another,
    memory_is_isolated,
    no_foreign_process_is_visible,
)
from aiconform.checks.workload_sandboxing.network_assertions import (
    answered,
    network_is_isolated,
    services_are_reachable,
)
from aiconform.checks.workload_sandboxing.observations import SERVICES, Isolation, Sight

UNASKED = Cell("not tried")


@figure
def who_reaches_what(seen: Isolation) -> Matrix | str:
    sandbox, control = seen.sandbox, seen.control
    if sandbox is None or control is None:
        return f"no sandboxed Pod ran: {seen.problem}"
    rows = [
        ("Kernel", _judged(kernel_is_another(seen).holds, sandbox.kernel), Cell(control.kernel.release or "not told")),
        (
            "Processes that are not its own",
            _cell(no_foreign_process_is_visible(seen).holds, str(len(foreign(sandbox)) or "none")),
            Cell("not compared"),
        ),
        ("Memory", _cell(memory_is_isolated(seen).holds, _size(sandbox)), Cell(_size(control))),
        (
            "Files of the control Pod, and of the node",
            _cell(host_filesystem_is_unreachable(seen).holds, _files(sandbox)),
            Cell("its own"),
        ),
        *((name, _network(seen, what), _fetched(control, what)) for what, name in _LOOPBACKS.items()),
        ("Metadata address of clouds", _fetched(sandbox, "metadata"), _fetched(control, "metadata")),
        *(
            (name, _service(seen, sandbox, what), _fetched(control, what))
            for what, name in zip(SERVICES, ("Service by its name", "Service by its address"), strict=True)
        ),
        (
            "What changes the host",
            _cell(host_is_not_changed(seen).holds, f"{_refused(sandbox)} of {len(sandbox.attempts)} tries refused"),
            Cell("not tried"),
        ),
    ]
    return Matrix(
        title="Who reaches what",
        says=f"What a Pod of RuntimeClass {seen.name} and an ordinary Pod see and reach on {seen.node}.",
        corner="Seen or reached",
        columns=("Sandboxed Pod", "Control Pod"),
        rows=tuple((name, (one, other)) for name, one, other in rows),
    )


_LOOPBACKS = {
    "host-loopback": "Server on the host's loopback interface",
    "kubelet-health": "Kubelet's health on the host's loopback interface",
    "victim-loopback": "Server on the control Pod's loopback interface",
}


def _cell(held: bool | None, word: str) -> Cell:
    """As the assertion judges it, whose word the cell shows."""
    return Cell(word, "open" if held is None else "good" if held else "bad")


def _judged(held: bool | None, kernel: object) -> Cell:
    return _cell(held, getattr(kernel, "release", "") or "not told")


def _size(sight: Sight) -> str:
    size = sight.memory.total or sight.memory.told
    return f"{size // 1024} MiB" if size else "not told"


def _files(sandbox: Sight) -> str:
    count = len(sandbox.host_paths) + sum(each.victim for each in sandbox.found)
    return f"{count} found" if count else "none found"


def _refused(sandbox: Sight) -> int:
    return sum(each.code != 0 for each in sandbox.attempts)


def _fetched(sight: Sight, what: str) -> Cell:
    fetch = sight.fetched(what)
    if fetch is None:
        return UNASKED
    return Cell("answers" if fetch.word or answered(fetch.said) else "no answer")


def _network(seen: Isolation, what: str) -> Cell:
    fetch = seen.sandbox.fetched(what) if seen.sandbox else None
    if fetch is None:
        return UNASKED
    if fetch.word or (what == "kubelet-health" and answered(fetch.said)):
        return Cell("reached", "bad")
    there = what != "host-loopback" or seen.listener
    held = network_is_isolated(seen).holds
    return Cell("not reached" if there else "nothing there", "good" if there and held else "open")


def _service(seen: Isolation, sandbox: Sight, what: str) -> Cell:
    fetch = sandbox.fetched(what)
    if fetch is None:
        return UNASKED
    if fetch.word:
        return Cell("answers", "good")
    return Cell("no answer", "bad" if services_are_reachable(seen).holds is False else "open")
