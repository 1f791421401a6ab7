"""gang_scheduling: all Pods of a group start, or none."""

from aiconform.check import collect
from aiconform.checks.gang_scheduling import probes

CHECK = collect("gang_scheduling", probes.__name__)
