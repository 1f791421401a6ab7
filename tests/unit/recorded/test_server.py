"""A recorded platform answers as an API server does: asked by this project's client and by kubectl."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.replayed import replayed

from aiconform.cluster import Cluster, ClusterError, Forbidden, NotFound, Rejected, connect
from aiconform.recorded import RecordedPlatform

OBJECTS = """
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: Node, metadata: {name: n1, labels: {pool: a}}, spec: {unschedulable: true}}
- {apiVersion: v1, kind: Node, metadata: {name: n2, labels: {pool: b}}}
- {apiVersion: v1, kind: Node, metadata: {name: n3, labels: {pool: a}}}
---
apiVersion: v1
kind: Pod
metadata: {name: exporter, namespace: monitoring}
spec: {nodeName: n1, containers: [{name: exporter, ports: [{containerPort: 9400, name: metrics}]}]}
status: {phase: Running}
---
apiVersion: v1
kind: Service
metadata: {name: prometheus, namespace: monitoring}
spec: {ports: [{name: web, port: 9090}]}
---
apiVersion: karpenter.sh/v1
kind: NodePool
metadata: {name: gpu}
spec: {}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: gateways.gateway.networking.k8s.io}
spec:
  group: gateway.networking.k8s.io
  names: {kind: Gateway, plural: gateways}
  scope: Namespaced
  versions: [{name: v1beta1, served: true}, {name: v1, served: true}, {name: v1alpha2, served: false}]
"""
API = """
version: v1.34.2
serves:
- {version: example.com/v1, kind: Widget, plural: widgets, namespaced: true}
refuses: [list events, create pods, get pods/log]
"""
ANSWERS = """
- {namespace: monitoring, service: prometheus, port: web, path: /api/v1/query, query: {query: up},
   body: '{"status":"success"}', type: application/json}
- {namespace: monitoring, pod: exporter, port: 9400, path: /closed, status: 401, body: who are you}
"""


@pytest.fixture(scope="module")
def kubeconfig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("platform")
    for name, text in (("objects.yaml", OBJECTS), ("api.yaml", API), ("answers.yaml", ANSWERS)):
        (folder / name).write_text(text)
    (folder / "metrics").mkdir()
    (folder / "metrics" / "monitoring__exporter__9400.txt").write_text("up 1\n")
    path = folder / "kubeconfig"
    with replayed(RecordedPlatform.read(folder), path):
        yield path


async def names(cluster: Cluster, *kind: str, labels: str = "", fields: str = "") -> list[str]:
    return [obj["metadata"]["name"] async for obj in cluster.list(*kind, labels=labels, fields=fields)]


async def test_what_is_served_follows_from_the_version_and_the_objects(kubeconfig: Path) -> None:
    async with connect(str(kubeconfig)) as cluster:
        assert await cluster.version() == "v1.34.2"
        groups = await cluster.groups()
        assert groups["resource.k8s.io"] == ("v1",)
        assert groups["gateway.networking.k8s.io"] == ("v1", "v1beta1")
        assert (await cluster.resource("karpenter.sh/v1", "NodePool")).namespaced is False
        assert (await cluster.resource("example.com/v1", "Widget")).plural == "widgets"
        assert await names(cluster, "example.com/v1", "Widget") == []
        assert await cluster.resources("resource.k8s.io/v1beta1") == {}
        with pytest.raises(NotFound):
            await names(cluster, "kueue.x-k8s.io/v1beta1", "ClusterQueue")


async def test_objects_are_selected_by_namespace_labels_and_fields(kubeconfig: Path) -> None:
    async with connect(str(kubeconfig)) as cluster:
        assert await names(cluster, "v1", "Node", labels="pool in (a)") == ["n1", "n3"]
        assert await names(cluster, "v1", "Node", fields="spec.unschedulable=false") == ["n2", "n3"]
        assert await names(cluster, "v1", "Pod", "monitoring", fields="status.phase!=Failed") == ["exporter"]
        assert await names(cluster, "v1", "Pod", "elsewhere") == []
        assert "monitoring" in await names(cluster, "v1", "Namespace")
        for wrong in ({"labels": "pool in"}, {"fields": "spec.podCIDR=x"}):
            with pytest.raises(Rejected):
                await names(cluster, "v1", "Node", **wrong)


async def test_a_long_list_comes_in_pages(kubeconfig: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aiconform.cluster.api.PAGE", 2)
    async with connect(str(kubeconfig)) as cluster:
        assert await names(cluster, "v1", "Node") == ["n1", "n2", "n3"]
        assert await names(cluster, "v1", "Node", labels="pool=a") == ["n1", "n3"]


async def test_an_object_is_read_by_name_or_is_not_found(kubeconfig: Path) -> None:
    async with connect(str(kubeconfig)) as cluster:
        found = await cluster.get("v1", "Pod", "exporter", "monitoring")
        assert found["metadata"]["uid"]
        with pytest.raises(NotFound, match='pods "absent" not found'):
            await cluster.get("v1", "Pod", "absent", "monitoring")


async def test_a_watch_shows_what_is_there_and_then_nothing(kubeconfig: Path) -> None:
    async with connect(str(kubeconfig)) as cluster:
        events = [event async for event in cluster.watch("v1", "Node", labels="pool=a", seconds=1)]
        assert [(event.type, event.object["metadata"]["name"]) for event in events] == [
            ("ADDED", "n1"),
            ("ADDED", "n3"),
        ]
        _, version = await cluster.snapshot("v1", "Node")
        assert [event async for event in cluster.watch("v1", "Node", since=version, seconds=1)] == []


async def test_pages_are_answered_through_the_proxy(kubeconfig: Path) -> None:
    async with connect(str(kubeconfig)) as cluster:
        for port in ("exporter:9400", "http:exporter:9400", "exporter"):
            page = await cluster.proxied("pods", "monitoring", port, "/metrics")
            assert (page.status, page.text) == (200, "up 1\n")
        for port in ("prometheus:web", "prometheus:9090"):
            path, query = "/api/v1/query", {"query": "up"}
            page = await cluster.proxied("services", "monitoring", port, path, query=query)
            assert json.loads(page.text) == {"status": "success"}
        assert (await cluster.proxied("pods", "monitoring", "exporter:9400", "/closed")).status == 401
        assert (await cluster.proxied("pods", "monitoring", "exporter:9400", "/other")).status == 404
        with pytest.raises(ClusterError, match="connection refused"):
            await cluster.proxied("pods", "monitoring", "exporter:1", "/metrics")
        with pytest.raises(NotFound):
            await cluster.proxied("pods", "monitoring", "absent:9400", "/metrics")


async def test_what_the_recorded_credentials_may_not_do_is_refused(kubeconfig: Path) -> None:
    async with connect(str(kubeconfig)) as cluster:
        assert await cluster.may("list", "", "pods")
        assert not await cluster.may("create", "", "pods")
        assert not await cluster.may("get", "", "pods/log")
        with pytest.raises(Forbidden):
            await names(cluster, "v1", "Event")


async def test_nothing_can_be_changed(kubeconfig: Path) -> None:
    async with connect(str(kubeconfig)) as cluster:
        with pytest.raises(Rejected, match="read-only"):
            await cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "new"}})


def test_kubectl_can_ask_it(kubeconfig: Path) -> None:
    kubectl = Path(sys.executable).with_name("kubectl")
    environment = {**os.environ, "KUBECONFIG": str(kubeconfig), "HOME": str(kubeconfig.parent)}

    def ask(*arguments: str) -> str:
        done = subprocess.run([kubectl, *arguments], env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert ask("get", "nodepools,pods", "-A", "-o", "name").split() == ["nodepool.karpenter.sh/gpu", "pod/exporter"]
    assert ask("get", "nodes", "-l", "pool=b", "--chunk-size=1").splitlines()[1].startswith("n2")
