"""What a user can set for ai_service_metrics."""

from __future__ import annotations

from pydantic import field_validator, model_validator

from aiconform.check import Options, option
from aiconform.cluster.guest import pairs
from aiconform.platform.monitoring import collection as monitoring
from aiconform.platform.monitoring import prometheus
from aiconform.platform.monitoring.prometheus import QueryApi
from aiconform.platform.monitoring.remote import RemoteQueryApi


class AiServiceMetricsOptions(Options):
    collection: str = option(
        "",
        "How the workload is declared to the platform's monitoring; by default it is discovered.",
        formerly=("way",),
        choices=lambda: monitoring.NAMES,
    )
    collection_labels: str = option("", monitoring.LABELS_HELP, pattern=monitoring.LABELS_PATTERN)
    query: str = option(
        "",
        "The query API (Prometheus' own): a Service as NAMESPACE/SERVICE:PORT[/PREFIX], or a URL "
        "such as https://HOST/PREFIX; by default a Service is discovered.",
    )
    query_token_file: str = option("", "File with the bearer token for the query API at a URL.")
    query_ca_file: str = option("", "File with the certificate authority of the query API at a URL, as PEM.")
    query_tenant: str = option(
        "", "Tenant at the query API at a URL, sent as X-Scope-OrgID (Mimir, Cortex).", pattern=r"^[!-~]*$"
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
    def _names_an_api(cls, text: str) -> str:
        if "://" in text:
            RemoteQueryApi(text)
        elif text:
            prometheus.given(text)
        return text

    @model_validator(mode="after")
    def _is_sent_somewhere(self) -> AiServiceMetricsOptions:
        sent = self.query_token_file or self.query_ca_file or self.query_tenant
        if sent and "://" not in self.query:
            raise ValueError(
                "query_token_file, query_ca_file and query_tenant need a query API at a URL: set query, too"
            )
        if self.query:
            self.api()
        return self

    @property
    def labels(self) -> dict[str, str]:
        return pairs(filter(None, self.collection_labels.split(",")))

    def api(self) -> QueryApi | RemoteQueryApi:
        """The query API that is set. Raises ValueError."""
        if "://" in self.query:
            return RemoteQueryApi(self.query, self.query_token_file, self.query_ca_file, self.query_tenant)
        return prometheus.given(self.query)
