"""Reading what a platform's monitoring has collected, from the query API of Prometheus and compatible systems."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from aiconform.cluster import Cluster, ClusterError, Forbidden, Object
from aiconform.platform.monitoring.metrics import MetricSample

QUERY_SECONDS = 15.0
QUERY_BYTES = 8 << 20
# Services of monitoring systems that answer Prometheus' query API: name or label app.kubernetes.io/name -> its path.
_KNOWN = (
    ("prometheus", ""),
    ("prometheus-*", ""),
    ("*-prometheus", ""),
    ("*-prometheus-server", ""),
    ("thanos-quer*", ""),
    ("*-thanos-quer*", ""),
    ("frontend", ""),  # of Google's managed collection
    ("vmsingle*", ""),
    ("victoria-metrics-single*", ""),
    ("vmselect*", "/select/0/prometheus"),
    ("mimir-*", "/prometheus"),
)
# What Mimir, Cortex and their like answer with the status 401 to a request without X-Scope-OrgID.
NO_TENANT = "no org id"
_OTHERS = ("*operator*", "*adapter*", "*node-exporter*", "*alertmanager*", "*pushgateway*", "*kube-state*")
_PORTS = ("web", "http-web", "http", "https", "http-query", "server")
_GIVEN = re.compile(r"(?P<namespace>[^/]+)/(?P<service>(https?:)?[^:/]+):(?P<port>[^/]+)(?P<prefix>/.*)?")


class NoQueryApi(ClusterError):
    """What answers is something else."""


@dataclass(frozen=True)
class QueryApi:
    """A query API behind a Service. `service` is its name for the API server's proxy, `why` says how it was found."""

    namespace: str
    service: str
    prefix: str
    why: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.service}{self.prefix}"

    async def query(self, cluster: Cluster, expression: str) -> list[MetricSample]:
        """The samples of an instant vector now. Raises ClusterError with the response if that has none."""
        answer = await cluster.proxied(
            "services",
            self.namespace,
            self.service,
            f"{self.prefix}/api/v1/query",
            query={"query": expression},
            accept="application/json",
            seconds=QUERY_SECONDS,
            limit_bytes=QUERY_BYTES,
        )
        if answer.status == 401 and NO_TENANT in answer.text:
            way_out = "give its URL, --set ai_service_metrics.query=https://HOST/PREFIX and .query_tenant=NAME"
            raise ClusterError(f"the query API {self} asks for a tenant: {way_out}")
        # Proxies in front of it redirect to where users log in.
        if answer.status in (401, 403) or 300 <= answer.status < 400:
            raise ClusterError(
                f"the query API {self} requires authentication (HTTP {answer.status}), and the API server passes no "
                "token on: give its URL, --set ai_service_metrics.query=https://HOST/PREFIX and .query_token_file=FILE"
            )
        return vector(str(self), answer.status, answer.text)


def vector(api: str, status: int, text: str) -> list[MetricSample]:
    """The samples in the response of a query API. Raises ClusterError with the response if that has none.

    NoQueryApi for a page or a missing path; any other status can be that of a proxy before a query API.
    """
    try:
        found = json.loads(text)
        if found["status"] != "success":
            raise ClusterError(f"the query API {api} refused: {found.get('error', status)}")
        return [_sample(entry) for entry in found["data"]["result"]]
    except (ValueError, KeyError, TypeError, IndexError) as error:
        if status in (200, 404):
            raise NoQueryApi(f"{api} is no query API: HTTP {status}, {text[:60]!r}") from error
        raise ClusterError(f"the query API {api} does not answer: HTTP {status}, {text[:60]!r}") from error


def _sample(entry: Object) -> MetricSample:
    labels = {str(name): str(value) for name, value in entry["metric"].items()}
    return MetricSample(labels.pop("__name__", ""), labels, float(entry["value"][1]))


def given(text: str) -> QueryApi:
    """The API that an option names as NAMESPACE/SERVICE:PORT[/PREFIX]. Raises ValueError."""
    match = _GIVEN.fullmatch(text)
    if match is None:
        raise ValueError("give NAMESPACE/SERVICE:PORT[/PREFIX], such as monitoring/prometheus-k8s:9090, or a URL")
    return QueryApi(match["namespace"], f"{match['service']}:{match['port']}", match["prefix"] or "", "as given")


def candidates(services: Sequence[Object]) -> list[QueryApi]:
    """Services that probably serve the query API, by their names, the most likely first."""
    found: dict[tuple[int, str, str], QueryApi] = {}
    for service in services:
        metadata, spec = service["metadata"], service["spec"]
        names = (metadata["name"], (metadata.get("labels") or {}).get("app.kubernetes.io/name", ""))
        if any(fnmatchcase(metadata["name"], pattern) for pattern in _OTHERS):
            continue
        rank = next((n for n, (known, _) in enumerate(_KNOWN) if any(fnmatchcase(each, known) for each in names)), None)
        port = _port(spec.get("ports") or [])
        if rank is None or port is None:
            continue
        scheme = "https:" if port.get("name") == "https" or port["port"] == 443 or _has_certificate(service) else ""
        place = f"{scheme}{metadata['name']}:{port['port']}"
        # A headless Service of the same Pods, as operators create it, comes after the others.
        later = 100 if spec.get("clusterIP") == "None" else 0
        why = f"Service {metadata['namespace']}/{metadata['name']}"
        found[rank + later, metadata["namespace"], place] = QueryApi(metadata["namespace"], place, _KNOWN[rank][1], why)
    return [found[key] for key in sorted(found)]


def _has_certificate(service: Object) -> bool:
    """Whether OpenShift makes a serving certificate for the Service, as for thanos-querier."""
    annotations = service["metadata"].get("annotations") or {}
    return any(name.endswith(".openshift.io/serving-cert-secret-name") for name in annotations)


def _port(ports: Sequence[Object]) -> Object | None:
    by_number = [port for port in ports if port["port"] == 9090]
    by_name = [port for name in _PORTS for port in ports if port.get("name") == name]
    rest = [port for port in ports if "name" not in port]
    return next(iter((*by_number, *by_name, *rest)), None)


async def find(cluster: Cluster) -> tuple[list[QueryApi], dict[QueryApi, ClusterError]]:
    """(the query APIs that answer, the errors of the others). Raises Forbidden without access to the proxy."""
    services = [item async for item in cluster.list("v1", "Service")]
    refused: dict[QueryApi, ClusterError] = {}

    async def answers(api: QueryApi) -> bool:
        try:
            await api.query(cluster, "vector(1)")
        except Forbidden:
            raise
        except ClusterError as error:
            refused[api] = error
            return False
        return True

    listed = candidates(services)
    good = await asyncio.gather(*(answers(api) for api in listed))
    return [api for api, works in zip(listed, good, strict=True) if works], refused
