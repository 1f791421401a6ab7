"""ai_service_metrics: the platform's monitoring discovers and collects a workload with metrics in Prometheus' format.

A small web server counts the requests that it receives. It is declared to the platform's monitoring by an object such
as a PodMonitor, or by annotations. The monitoring has to return the value of its counter, also after more requests.
"""

from aiconform.check import collect
from aiconform.checks.ai_service_metrics import assertions, options, probes

CHECK = collect("ai_service_metrics", options.__name__, probes.__name__, assertions.__name__)
