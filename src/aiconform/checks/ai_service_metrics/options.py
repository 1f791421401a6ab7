"""What a user can set for ai_service_metrics."""

from __future__ import annotations

from pydantic import field_validator

from aiconform.check import Options, option
from aiconform.platform.monitoring import collection as monitoring
from aiconform.platform.monitoring import prometheus


class AiServiceMetricsOptions(Options):
    collection: str = option(
        "",
        "How the workload is declared to the platform's monitoring; by default it is discovered.",
        formerly=("way",),
        choices=lambda: monitoring.NAMES,
    )
    query: str = option(
        "", "The Service of the query API (Prometheus' own), as NAMESPACE/SERVICE:PORT[/PREFIX]; by default discovered."
    )
    discovery_seconds: float = option(
        180.0,
        "The longest time until a new workload is collected: discovery and the first scrape.",
        serves=("discovery",),
        ge=1,
    )
    counter_seconds: float = option(
        120.0,
        "The longest time until a counter is up to date: two scrapes.",
        serves=("counter_is_current",),
        formerly=("seconds",),
        ge=1,
    )

    @field_validator("query")
    @classmethod
    def _names_a_service(cls, text: str) -> str:
        if text:
            prometheus.given(text)
        return text
