"""What the assertions are about, in words, and where there is nothing to judge."""

from __future__ import annotations

from aiconform.check import Finding, undecided
from aiconform.checks.workload_sandboxing.observations import Isolation, Sight


def where(seen: Isolation) -> str:
    handler = f" (handler {seen.handler})" if seen.handler else ""
    return f"RuntimeClass {seen.name}{handler}" + (f" on {seen.node}" if seen.node else "")


def pair_of(seen: Isolation) -> tuple[Sight, Sight] | None:
    return (seen.sandbox, seen.control) if seen.sandbox and seen.control else None


def off_node(seen: Isolation) -> str:
    """Why the control Pod does not stand for the node's kernel, and the way out; empty if it does."""
    control = seen.control.kernel.boot if seen.control else ""
    if not control or not seen.boot or control == seen.boot:
        return ""
    return (
        f"the control Pod's kernel (boot id {control}) is not the node's ({seen.boot}): give all other Pods the "
        "ordinary runtime (spec.runtimeClassName of --pod-template)"
    )


def nobody(seen: Isolation) -> Finding:
    return undecided(f"{where(seen)}: no sandboxed Pod ran, as kernel_is_another tells")
