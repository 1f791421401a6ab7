"""What the assertions are about, in words, and where there is nothing to judge."""

from __future__ import annotations

from aiconform.check import Finding, undecided
from aiconform.checks.workload_sandboxing.observations import Isolation, Sight


def where(seen: Isolation) -> str:
    handler = f" (handler {seen.handler})" if seen.handler else ""
    return f"RuntimeClass {seen.name}{handler}" + (f" on {seen.node}" if seen.node else "")


def pair_of(seen: Isolation) -> tuple[Sight, Sight] | None:
    return (seen.sandbox, seen.control) if seen.sandbox and seen.control else None


def nobody(seen: Isolation) -> Finding:
    return undecided(f"{where(seen)}: no sandboxed Pod ran: {seen.problem or 'nothing says why'}")
