"""robust_controller: an operator for AI workloads works, and goes on working after losses and a restart."""

from aiconform.check import collect
from aiconform.checks.robust_controller import probes

CHECK = collect("robust_controller", probes.__name__)
