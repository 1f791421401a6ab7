"""What is judged of a collected workload, how it is declared, and where collected metrics are read: no cluster."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from aiconform.check import Settings
from aiconform.check.registry import load_check
from aiconform.check.testing import findings
from aiconform.checks.ai_service_metrics import counting_workload, probes
from aiconform.checks.ai_service_metrics.observations import Collected, CounterReading
from aiconform.checks.ai_service_metrics.options import AiServiceMetricsOptions
from aiconform.checks.pod_autoscaling.options import PodAutoscaling
from aiconform.cluster import ClusterError, Forbidden, NotFound, ProxyResponse
from aiconform.engine.options import parse
from aiconform.engine.plan import BadChoice
from aiconform.platform.monitoring import collection, prometheus
from aiconform.platform.monitoring.metrics import MetricSample
from aiconform.platform.monitoring.prometheus import QueryApi, candidates

CHECK = load_check("ai_service_metrics")
FOUND = "workload_is_collected"
EQUALS = "counter_equals_requests"
FOLLOWS = "counter_follows"
Object = dict[str, Any]


def collected(*values: float | None, **labels: str) -> Collected:
    return Collected(
        way="PodMonitor (monitoring.coreos.com/v1)",
        why="served",
        query="monitoring/prometheus:9090",
        namespace="ns",
        pod="workload",
        labels=labels or {"namespace": "ns", "pod": "workload"},
        rounds=[
            CounterReading(sent=sent, own=sent, collected=value, seconds=1.0)
            for sent, value in zip((7, 12), values, strict=False)
        ],
    )


def verdicts(seen: Collected) -> dict[str, bool | None]:
    found = findings(CHECK, seen)
    assert all(each.reason for each in found.values())
    return {id_: each.holds for id_, each in found.items()}


@pytest.mark.parametrize(
    ("values", "found", "equals", "follows"),
    [
        ((7, 12), True, True, True),
        ((7, 7), True, True, False),
        ((70, 120), True, False, False),
        ((7, 11), True, True, False),
        ((7, None), True, True, False),
        ((None,), False, None, None),
    ],
)
def test_what_may_be_collected(values: Any, found: bool, equals: bool | None, follows: bool | None) -> None:
    assert verdicts(collected(*values)) == {FOUND: found, EQUALS: equals, FOLLOWS: follows}


def test_series_have_to_say_whose_they_are() -> None:
    assert verdicts(collected(7, 12, job="x"))[FOUND] is False
    assert verdicts(collected(7, 12, kubernetes_namespace="ns", kubernetes_pod_name="workload"))[FOUND] is True


@given(st.none() | st.floats(0, 1000), st.none() | st.floats(0, 1000))
def test_only_the_true_count_equals(first: float | None, second: float | None) -> None:
    found = verdicts(collected(first, second))
    assert (found[EQUALS] is True) == (first == 7)
    if found[FOLLOWS]:
        assert first is not None
        assert second is not None
        assert second > first


@pytest.mark.parametrize(
    ("options", "way", "certain"),
    [
        ({}, collection.CollectionMethod("Prometheus monitoring/k8s selects it", namespace="monitoring"), True),
        ({}, collection.CollectionMethod("Prometheus team/own selects it", namespace="team"), False),
        ({}, collection.CollectionMethod("served"), False),
        ({"query": "a/b:9090"}, collection.CollectionMethod("served"), False),
        ({"collection": "podmonitoring"}, collection.CollectionMethod("as set"), False),
        ({"collection": "podmonitoring", "query": "a/b:9090"}, collection.CollectionMethod("as set"), True),
    ],
)
def test_missing_series_are_a_verdict_only_where_declaration_and_query_belong_together(
    options: dict[str, str], way: collection.CollectionMethod, certain: bool
) -> None:
    apis = [QueryApi("monitoring", "prometheus:9090", "", "Service")]
    if certain:
        probes._insist_on_certainty(AiServiceMetricsOptions(**options), way, apis)
        return
    with pytest.raises(ClusterError, match="the two may not belong together"):
        probes._insist_on_certainty(AiServiceMetricsOptions(**options), way, apis)


def test_a_query_api_beside_it_that_does_not_answer_may_have_the_series() -> None:
    """Of two Prometheus in one Namespace, one needs a token: the other one has no series of what the first collects."""

    class Two:
        async def list(self, *_: str) -> AsyncIterator[Object]:
            for name in ("prometheus-a", "prometheus-b", "prometheus-msteams"):
                yield service(name, {"name": "web", "port": 9090})

        async def proxied(self, _: str, __: str, name: str, *___: str, **____: Any) -> ProxyResponse:
            vector = '{"status": "success", "data": {"result": []}}'
            if name.startswith("prometheus-msteams"):
                return ProxyResponse(404, "text/plain", "not found", True)
            return ProxyResponse(401, "", "", True) if "-a:" in name else ProxyResponse(200, "", vector, True)

    way = collection.CollectionMethod("Prometheus mon/a selects it", namespace="mon")
    platform: Any = type("P", (), {"cluster": Two()})()
    options = AiServiceMetricsOptions()
    apis, silent = asyncio.run(probes._apis(platform, options))
    assert ([each.service for each in apis if isinstance(each, QueryApi)], silent) == (
        ["prometheus-b:9090"],
        {"mon"},
    )
    with pytest.raises(ClusterError, match="the two may not belong together"):
        probes._insist_on_certainty(options, way, apis, silent)
    # What is no query API says nothing.
    probes._insist_on_certainty(options, way, apis)


@pytest.mark.parametrize(
    ("status", "text", "silent"),
    [
        (302, '<a href="/oauth2/start">Found</a>', {"mon"}),
        (400, "Client sent an HTTP request to an HTTPS server.", {"mon"}),
        (429, "too many requests", {"mon"}),
        (502, "<html>Bad Gateway</html>", {"mon"}),
        (503, "<html>Service Unavailable</html>", {"mon"}),
        (200, "<html>", set()),
        (404, "not found", set()),
    ],
)
def test_what_answers_in_place_of_a_query_api_does_not_say_that_there_is_none(
    status: int, text: str, silent: set[str]
) -> None:
    """An authenticating proxy redirects, and a load balancer says that what is behind it is away."""

    class Two:
        async def list(self, *_: str) -> AsyncIterator[Object]:
            for name in ("prometheus-a", "prometheus-b"):
                yield service(name, {"name": "web", "port": 9090})

        async def proxied(self, _: str, __: str, name: str, *___: str, **____: Any) -> ProxyResponse:
            vector = '{"status": "success", "data": {"result": []}}'
            return ProxyResponse(status, "", text, True) if "-a:" in name else ProxyResponse(200, "", vector, True)

    platform: Any = type("P", (), {"cluster": Two()})()
    assert asyncio.run(probes._apis(platform, AiServiceMetricsOptions()))[1] == silent


class Answering:
    """Query APIs by Namespace: those that are None do not answer, the others have a series of this value or none."""

    def __init__(self, **values: float | str | None) -> None:
        self.values = values

    async def proxied(self, _kind: str, namespace: str, *_place: Any, **_how: Any) -> ProxyResponse:
        value = self.values[namespace]
        if value is None:
            raise ClusterError(f"{namespace} is away")
        result = [] if value == "" else [{"metric": {}, "value": [0, str(value)]}]
        return ProxyResponse(200, "", json.dumps({"status": "success", "data": {"result": result}}), True)


def until(cluster: Answering) -> Any:
    apis = [QueryApi(name, "prometheus:9090", "", "") for name in cluster.values]
    return asyncio.run(probes._until(apis, cluster, "w", lambda sample: sample.value == 7, 0.0))  # type: ignore[arg-type]


def test_the_api_that_has_the_series_is_found_among_several() -> None:
    api, sample, _ = until(Answering(other="", down=None, true=7))
    assert (api.namespace, sample.value) == ("true", 7)
    assert until(Answering(other="", empty=""))[:2] == (None, None)
    with pytest.raises(ClusterError, match="down is away"):
        until(Answering(other="", down=None))


# How a workload is declared


class Served:
    """A cluster that serves some kinds, with Prometheus objects of some selectors."""

    def __init__(
        self, *api_versions: str, selectors: tuple[Object | None, ...] = (), namespaces: Object | None = None
    ) -> None:
        self.api_versions = api_versions
        self.namespaces = {} if namespaces is None else namespaces
        self.selectors = selectors

    async def resources(self, api_version: str) -> Object:
        kinds = [kind.kind for kind in collection.KINDS if kind.api_version == api_version]
        kinds += ["Prometheus"] if self.selectors else []
        return dict.fromkeys(kinds) if api_version in self.api_versions else {}

    async def get(self, _version: str, _kind: str, name: str) -> Object:
        return {"metadata": {"labels": {"monitored": "true"} if name == "labelled" else {}}}

    async def list(self, _version: str, _kind: str) -> Any:
        for position, selector in enumerate(self.selectors):
            about = {"namespace": "monitoring", "name": f"k8s-{position}"}
            spec = {} if selector is None else {"podMonitorSelector": selector}
            yield {"metadata": about, "spec": {"podMonitorNamespaceSelector": self.namespaces, **spec}}


OPERATOR = "monitoring.coreos.com/v1"
GOOGLE = "monitoring.googleapis.com/v1"


def chosen(cluster: Any, wanted: str = "") -> collection.CollectionMethod:
    return asyncio.run(collection.choose(cluster, wanted))


def test_a_pod_monitor_gets_the_labels_that_prometheus_selects() -> None:
    way = chosen(Served(OPERATOR, selectors=(None, {"matchLabels": {"release": "stack"}})))
    declared = way.declaration("w", {"a": "b"}, "http", "/m")
    assert declared
    assert declared["metadata"]["labels"] == {"release": "stack"}
    assert declared["spec"]["podMetricsEndpoints"] == [{"port": "http", "path": "/m"}]
    assert way.annotations(80, "/m") == {}
    assert "monitoring/k8s-1" in way.why


def test_labels_by_which_an_agent_selects_are_given() -> None:
    """No Prometheus object tells what an agent or OpenTelemetry's target allocator selects."""
    options = AiServiceMetricsOptions(collection="podmonitor", collection_labels="release=stack,team=ml")
    way = chosen(Served(OPERATOR), options.collection).labelled(options.labels)
    declared = way.declaration("w", {"a": "b"}, "http", "/m")
    assert declared
    assert declared["metadata"]["labels"] == {"release": "stack", "team": "ml"}
    assert AiServiceMetricsOptions().labels == PodAutoscaling().labels == {}
    assert PodAutoscaling(collection_labels="release=stack").labels == {"release": "stack"}
    with pytest.raises(ValueError, match="collection_labels"):
        AiServiceMetricsOptions(collection_labels="release")


@pytest.mark.parametrize(
    ("selector", "taken"),
    [
        ({}, True),
        ({"matchLabels": {"monitored": "true"}}, False),
        ({"matchExpressions": [{"key": "monitored", "operator": "Exists"}]}, False),
        ({"matchExpressions": [{"key": "user-monitoring", "operator": "NotIn", "values": ["false"]}]}, True),
    ],
)
def test_a_prometheus_has_to_look_into_new_namespaces(selector: Object, taken: bool) -> None:
    way = chosen(Served(OPERATOR, selectors=({},), namespaces=selector))
    assert (way.kind is not None) is taken
    if not taken:
        assert "selects only Namespaces with other labels (monitored=true)" in way.why


def test_a_namespace_with_the_labels_that_prometheus_selects_is_looked_into() -> None:
    cluster: Any = Served(OPERATOR, selectors=({},), namespaces={"matchLabels": {"monitored": "true"}})
    way = asyncio.run(collection.choose(cluster, namespace="labelled"))
    assert way.kind is not None
    assert way.namespace == "monitoring"
    assert asyncio.run(collection.choose(cluster, namespace="plain")).kind is None


def test_a_prometheus_of_other_namespaces_and_pod_monitors_without_one_are_passed_over() -> None:
    of_others = Served(OPERATOR, GOOGLE, selectors=({},), namespaces={"matchLabels": {"team": "a"}})
    assert "PodMonitoring" in str(chosen(of_others))
    assert "PodMonitoring" in str(chosen(Served(OPERATOR, GOOGLE)))


def test_a_managed_kind_is_taken_where_no_prometheus_selects() -> None:
    way = chosen(Served(OPERATOR, GOOGLE, selectors=(None,)))
    declared = way.declaration("w", {"a": "b"}, "http", "/m")
    assert declared
    assert (declared["kind"], declared["spec"]["endpoints"][0]["interval"]) == ("PodMonitoring", "5s")


def test_else_annotations() -> None:
    way = chosen(Served(OPERATOR, selectors=(None,)))
    assert way.declaration("w", {}, "http", "/m") is None
    assert way.annotations(80, "/m") == {
        "prometheus.io/scrape": "true",
        "prometheus.io/port": "80",
        "prometheus.io/path": "/m",
    }
    assert str(chosen(Served(OPERATOR, selectors=({},)), "annotations")).startswith("annotations")


def test_what_was_asked_for_has_to_be_served() -> None:
    with pytest.raises(NotFound, match="PodMonitoring"):
        chosen(Served(OPERATOR), "podmonitoring")


@pytest.mark.parametrize(
    ("selector", "labels"),
    [
        (None, None),
        ({}, {}),
        ({"matchExpressions": [{"key": "team", "operator": "In", "values": ["ai", "x"]}]}, {"team": "ai"}),
        ({"matchExpressions": [{"key": "scrape", "operator": "Exists"}]}, {"scrape": "true"}),
    ],
)
def test_labels_that_a_selector_selects(selector: Object | None, labels: Object | None) -> None:
    assert collection.labels_for(selector) == labels


# Where collected metrics are read


def service(name: str, *ports: Object, ip: str = "10.0.0.1", **labels: str) -> Object:
    return {
        "metadata": {"name": name, "namespace": "mon", "labels": labels},
        "spec": {"clusterIP": ip, "ports": list(ports)},
    }


def test_query_apis_are_known_by_their_services() -> None:
    web = {"name": "web", "port": 9090}
    services = [
        service("prometheus-operated", web, ip="None"),
        service("prometheus-operator", {"name": "https", "port": 8443}),
        service("thanos-querier", {"name": "web", "port": 9091}),
        service("kps-kube-prometheus-stack-prometheus", {"name": "reloader-web", "port": 8080}, web),
        service("prometheus-k8s", web, {"name": "reloader-web", "port": 8080}),
        service("web", {"name": "http", "port": 80}),
        service("vmselect-x", {"name": "http", "port": 8481}),
    ]
    assert [str(each) for each in candidates(services)] == [
        "mon/prometheus-k8s:9090",
        "mon/kps-kube-prometheus-stack-prometheus:9090",
        "mon/thanos-querier:9091",
        "mon/vmselect-x:8481/select/0/prometheus",
        "mon/prometheus-operated:9090",
    ]


def test_a_service_can_be_named() -> None:
    assert prometheus.given("mon/https:thanos:9091/p") == QueryApi("mon", "https:thanos:9091", "/p", "as given")
    with pytest.raises(ValueError, match="NAMESPACE/SERVICE:PORT"):
        prometheus.given("thanos")


class Api:
    def __init__(self, status: int, body: Any) -> None:
        self.answer = ProxyResponse(
            status, "application/json", body if isinstance(body, str) else json.dumps(body), True
        )

    async def proxied(self, *_: str, **__: Any) -> ProxyResponse:
        return self.answer


def query(status: int, body: Any) -> Any:
    cluster: Any = Api(status, body)
    return asyncio.run(QueryApi("mon", "p:9090", "", "").query(cluster, "x"))


def test_an_instant_vector_is_read() -> None:
    (sample,) = query(
        200, {"status": "success", "data": {"result": [{"metric": {"__name__": "x", "a": "b"}, "value": [1, "7"]}]}}
    )
    assert (sample.name, sample.labels, sample.value) == ("x", {"a": "b"}, 7)


@pytest.mark.parametrize(
    ("status", "body", "told"),
    [
        (401, "", "requires authentication"),
        (401, "no org id", "query_tenant=NAME"),
        (302, "", "query_token_file=FILE"),
        (502, "<html>", "does not answer: HTTP 502"),
        (503, {"status": "error", "error": "starting up"}, "starting up"),
        (400, {"status": "error", "error": "bad query"}, "bad query"),
        (200, "<html>", "no query API"),
        (200, {"status": "success", "data": {"result": [{"metric": {}, "value": None}]}}, "no query API"),
        (200, [], "no query API"),
    ],
)
def test_what_else_is_answered_is_said(status: int, body: Any, told: str) -> None:
    with pytest.raises(ClusterError, match=told):
        query(status, body)


def test_openshifts_services_with_a_certificate_are_asked_by_https() -> None:
    querier = service("thanos-querier", {"name": "web", "port": 9091})
    querier["metadata"]["annotations"] = {"service.beta.openshift.io/serving-cert-secret-name": "thanos-querier-tls"}
    assert [each.service for each in candidates([querier])] == ["https:thanos-querier:9091"]


def test_a_service_that_wants_a_token_has_its_way_out() -> None:
    with pytest.raises(ClusterError, match=r"query_token_file=FILE"):
        query(401, "")


# At a URL


VECTOR = {"status": "success", "data": {"result": [{"metric": {"pod": "a"}, "value": [1, "7"]}]}}
TOKEN = "sesame-0123456789"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """(CA certificate, certificate for 127.0.0.1, its key) as files."""
    folder = tmp_path_factory.mktemp("tls")
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "ca.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    (folder / "key.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return folder / "ca.pem", folder / "ca.pem", folder / "key.pem"


async def ask(options: dict[str, str], tls: tuple[Path, Path, Path]) -> tuple[list[MetricSample], list[Object]]:
    """Query an API behind TLS that wants TOKEN at /prometheus; returns what it was asked, too."""
    asked: list[Object] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append({"path": request.path, "query": dict(request.query), "headers": dict(request.headers)})
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return web.Response(status=401)
        return web.json_response(VECTOR)

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tls[1], tls[2])
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
        port = runner.addresses[0][1]
        api = AiServiceMetricsOptions(query=f"https://127.0.0.1:{port}/prometheus/", **options).api()
        cluster: Any = None
        return await api.query(cluster, 'up{a="b"}'), asked
    finally:
        await runner.cleanup()


def test_a_remote_api_is_asked_with_its_token_and_authority(tmp_path: Path, authority: tuple[Path, Path, Path]) -> None:
    token = tmp_path / "token"
    token.write_text(f"{TOKEN}\n")
    options = {"query_token_file": str(token), "query_ca_file": str(authority[0]), "query_tenant": "team-a"}
    (sample,), asked = asyncio.run(ask(options, authority))
    assert (sample.labels, sample.value) == ({"pod": "a"}, 7)
    assert (asked[0]["path"], asked[0]["query"]) == ("/prometheus/api/v1/query", {"query": 'up{a="b"}'})
    assert asked[0]["headers"]["X-Scope-OrgID"] == "team-a"


@pytest.mark.parametrize(
    ("content", "trusted", "told"),
    [
        (None, True, "requires authentication"),
        ("wrong-token", True, "does not accept the token"),
        (TOKEN, False, "query_ca_file"),
        ("", True, "no token can be read"),
        (f"{TOKEN} {TOKEN}", True, "no token can be read"),
    ],
)
def test_what_keeps_a_remote_api_from_answering_is_said_without_the_token(
    tmp_path: Path, authority: tuple[Path, Path, Path], content: str | None, trusted: bool, told: str
) -> None:
    options = {"query_ca_file": str(authority[0])} if trusted else {}
    if content is not None:
        (tmp_path / "token").write_text(content)
        options["query_token_file"] = str(tmp_path / "token")
    with pytest.raises(ClusterError, match=told) as raised:
        asyncio.run(ask(options, authority))
    assert TOKEN not in str(raised.value)


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("query=thanos", "NAMESPACE/SERVICE:PORT"),
        ("query=https://user:secret@host/", "without credentials"),
        ("query=ftp://host/", "https://HOST"),
        ("query=https://host:99999/", "[Pp]ort"),
        ("query_tenant=täm", "pattern"),
        ("query_token_file=/token", "set query, too"),
        ("collection=magic", "podmonitor"),
        ("counter_seconds=0", "greater than or equal to 1"),
    ],
)
def test_bad_options_are_refused(word: str, told: str) -> None:
    with pytest.raises(BadChoice, match=told):
        parse([f"ai_service_metrics.{word}"])


def test_no_credential_of_a_url_is_repeated() -> None:
    with pytest.raises(BadChoice) as refused:
        parse(["ai_service_metrics.query=https://user:sesame@host/"])
    assert "sesame" not in str(refused.value)


def test_good_options_are_taken() -> None:
    (options,) = parse(["ai_service_metrics.collection=annotations", "ai_service_metrics.query=m/p:9090"])
    assert options == AiServiceMetricsOptions(collection="annotations", query="m/p:9090")


def test_options_are_still_taken_by_their_earlier_names() -> None:
    (options,) = parse(["ai_service_metrics.way=podmonitor", "ai_service_metrics.seconds=7"])
    assert options == AiServiceMetricsOptions(collection="podmonitor", counter_seconds=7)


class Denying:
    """A cluster whose Namespaces deny what comes in, and allow a run no policy of its own. Also the scratch."""

    def __init__(self, *policies: str, answers: int = 0) -> None:
        self.policies, self.cluster, self.answers = policies, self, answers
        self.labels = {"aiconform.dev/run": "1"}

    def name(self, part: str) -> str:
        return part

    cluster_name = name

    def tell(self, _: str) -> None:
        pass

    async def namespace(self) -> str:
        return "ns"

    async def create(self, obj: Object) -> Object:
        raise Forbidden("no permission", verb="create", resource="networkpolicies")

    async def proxied(self, *_: str, **__: Any) -> Any:
        if not self.answers:
            raise ClusterError("no complete answer within 10 s")
        self.answers -= 1
        return SimpleNamespace(status=200, text="requests_total 7\n")

    async def list(self, api_version: str, kind: str, namespace: str) -> AsyncIterator[Object]:
        for name in self.policies:
            yield {"metadata": {"name": name}, "spec": {"podSelector": {}, "policyTypes": ["Ingress"]}}


@pytest.mark.parametrize("answers", [0, 7, 8])
@pytest.mark.parametrize("policies", [(), ("default-deny",)])
async def test_a_workload_that_is_not_reached_names_the_policy_in_the_way(
    monkeypatch: pytest.MonkeyPatch, policies: tuple[str, ...], answers: int
) -> None:
    """answers: how many requests of the API server are answered before a policy is in force; none of the monitoring."""
    pod = {"metadata": {"name": "workload", "namespace": "ns", "labels": {"aiconform.dev/run": "1"}}}

    async def start(*_: object) -> Object:
        return pod

    async def choose(*_: object) -> collection.CollectionMethod:
        return collection.CollectionMethod("annotations", namespace="")

    async def until(*_: object) -> tuple[None, None, float]:
        return None, None, 1.0

    for where, what in ((counting_workload, (start,)), (probes, (until,)), (collection, (choose,))):
        for each in what:
            monkeypatch.setattr(where, each.__name__ if where is not probes else "_until", each)
    options = AiServiceMetricsOptions(query="monitoring/prometheus:9090", discovery_seconds=1)
    platform: Any = Denying(*policies, answers=answers)
    with pytest.raises(ClusterError) as error:
        await probes.collected(platform, platform, Settings(options=(options,)), None)
    assert ("NetworkPolicy default-deny in Namespace ns may deny Pod workload" in str(error.value)) is bool(policies)
    if answers < 8:
        assert str(error.value).startswith("no complete answer within 10 s")
