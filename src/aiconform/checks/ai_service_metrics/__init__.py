"""ai_service_metrics: the platform's monitoring finds a workload that speaks Prometheus' format, and collects it."""

from aiconform.check import collect
from aiconform.checks.ai_service_metrics import probes

CHECK = collect("ai_service_metrics", probes.__name__)
