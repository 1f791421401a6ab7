"""workload_sandboxing: untrusted code has a kernel of its own, and reaches nothing of its node or of other Pods."""

from aiconform.check import collect
from aiconform.checks.workload_sandboxing import accelerated, assertions, figures, network_assertions, options, probes

CHECK = collect(
    "workload_sandboxing",
    options.__name__,
    probes.__name__,
    accelerated.__name__,
    assertions.__name__,
    network_assertions.__name__,
    figures.__name__,
)
