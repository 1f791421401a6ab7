"""pod_autoscaling: the number of Pods that each hold an accelerator follows a metric that the workload reports."""

from aiconform.check import collect
from aiconform.checks.pod_autoscaling import assertions, figures, options, probes

CHECK = collect("pod_autoscaling", options.__name__, probes.__name__, assertions.__name__, figures.__name__)
