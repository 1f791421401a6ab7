"""gpu_sharing: two Pods use one device at once, as many Pods as advertised run together, and one more waits."""

from aiconform.check import collect
from aiconform.checks.gpu_sharing import assertions, options, probes

CHECK = collect("gpu_sharing", options.__name__, probes.__name__, assertions.__name__)
