"""accelerator_metrics: every accelerator's utilization and memory are reported, and follow what is done with it."""

from aiconform.check import collect
from aiconform.checks.accelerator_metrics import probes

CHECK = collect("accelerator_metrics", probes.__name__)
