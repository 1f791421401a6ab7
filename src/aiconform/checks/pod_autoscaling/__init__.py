"""pod_autoscaling: Pods that each hold an accelerator grow and shrink in number with a metric of their own."""

from aiconform.check import collect
from aiconform.checks.pod_autoscaling import probes

CHECK = collect("pod_autoscaling", probes.__name__)
