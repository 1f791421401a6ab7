"""What a user can set for gang_scheduling."""

from __future__ import annotations

from aiconform.check import Options, option
from aiconform.checks.gang_scheduling.choice import NAMES

MOST_PODS = 16


class GangScheduling(Options):
    solution: str = option(
        "", "The gang scheduling solution to use; by default the first one that works.", choices=lambda: NAMES
    )
    queue: str = option(
        "",
        "An existing queue to use: a ClusterQueue of Kueue, or a queue of Volcano, KAI or YuniKorn. By default the "
        "check creates a queue (Kueue, KAI) or uses the default one.",
    )
    scheduler: str = option("", "The schedulerName of the Pods, if it is not the solution's usual one.")
    size: int = option(3, "The largest number of Pods in a gang; fewer if fewer fit.", ge=2, le=MOST_PODS)
    observe_seconds: float = option(
        30.0,
        "How long to observe that no Pod starts of a gang that does not fit: long enough for the solution and the "
        "scheduler to try it. Solutions that admit by quota start Pods within the first seconds.",
        serves=("waiting_window",),
        formerly=("window",),
        ge=5,
    )
