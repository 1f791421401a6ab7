"""What a user can set for workload_sandboxing."""

from __future__ import annotations

from aiconform.check import Options, option

MOST_CLASSES = 4
"""RuntimeClasses that are tried at most, where none before shows a kernel of its own."""


class WorkloadSandboxing(Options):
    runtime_class: str = option(
        "",
        "The RuntimeClass of the sandbox; by default the first one that shows a kernel of its own, of those that are "
        "known as sandboxes and then of others.",
    )
    agent_sandbox: str = option(
        "auto",
        "Whether agent-sandbox also makes Pods of this class, where its CRDs are served: auto, or off.",
        choices=lambda: ("auto", "off"),
    )
    start_seconds: float = option(
        120.0,
        "The longest time until a sandboxed Pod runs: a virtual machine has to boot first.",
        serves=("pod_runs",),
        ge=1,
    )
