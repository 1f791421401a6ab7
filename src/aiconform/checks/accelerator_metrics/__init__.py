"""accelerator_metrics: the platform reports each accelerator's utilization and memory, and they follow its use."""

from aiconform.check import collect
from aiconform.checks.accelerator_metrics import assertions, figures, options, probes

CHECK = collect("accelerator_metrics", options.__name__, probes.__name__, assertions.__name__, figures.__name__)
