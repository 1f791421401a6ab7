"""cluster_autoscaling: a Pod that waits for an accelerator leads to a node of that kind, and the node goes after it."""

from aiconform.check import collect
from aiconform.checks.cluster_autoscaling import probes

CHECK = collect("cluster_autoscaling", probes.__name__)
