"""The driver for network interfaces: what is installed of its manifests, and what its nodes run."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from aiconform.lab.addons.dranet import ADD_ON, IMAGE, NAME
from aiconform.lab.addons.fast_links import PROCESS
from aiconform.lab.addons.model import Site
from aiconform.lab.build.assets import Assets
from aiconform.lab.config import LabConfig, LabError, Network, Paths
from aiconform.lab.kubernetes import nodes
from aiconform.lab.kubernetes.installation import Installation
from aiconform.lab.planning import make

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the lab is for Linux")

# The shape of the module's own install.yaml, in short.
MANIFESTS = """
kind: ClusterRole
apiVersion: rbac.authorization.k8s.io/v1
metadata: {name: dranet}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: dranet, namespace: kube-system}
spec:
  template:
    spec:
      hostNetwork: true
      containers:
      - name: dranet
        args: [/dranet, --v=4]
        image: registry.k8s.io/networking/dranet:stable
        resources: {requests: {cpu: 100m}}
        startupProbe: {httpGet: {path: /healthz, port: 9177}, failureThreshold: 12, periodSeconds: 5}
        readinessProbe: {httpGet: {path: /healthz, port: 9177}}
        volumeMounts:
        - {name: nri-plugin, mountPath: /var/run/nri}
        - {name: infiniband, mountPath: /dev/infiniband}
        - {name: bpf-programs, mountPath: /sys/fs/bpf}
      volumes:
      - {name: nri-plugin, hostPath: {path: /var/run/nri}}
      - {name: infiniband, hostPath: {path: /dev/infiniband}}
      - {name: bpf-programs, hostPath: {path: /sys/fs/bpf}}
"""


@pytest.fixture
def objects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "manifests.yaml").write_text(MANIFESTS)
    site = Site("simulated", {}, ("198.18.0.10",), Assets({}, {NAME: tmp_path}))
    return {obj["kind"]: obj for obj in ADD_ON.objects(site)}


def test_the_driver_offers_the_lab_s_links_alone_and_asks_no_cloud(objects: dict[str, Any]) -> None:
    (container,) = objects["DaemonSet"]["spec"]["template"]["spec"]["containers"]
    assert container["image"] == IMAGE
    assert container["args"] == [
        "--hostname-override=$(NODE_NAME)",
        '--filter="dra.net/ifName" in attributes && (attributes["dra.net/ifName"].StringValue == "fast0"'
        ' || attributes["dra.net/ifName"].StringValue == "fast1")',
        "--cloud-provider-hint=webhook",
        "--webhook-url=unix:///var/lib/kubelet/plugins/links.aiconform.dev/attributes.sock",
        "--inventory-min-poll-interval=5s",
        "--v=2",
    ]
    (selector,) = objects["DeviceClass"]["spec"]["selectors"]
    assert objects["DeviceClass"]["metadata"]["name"] == "dra.net"
    assert selector == {"cel": {"expression": 'device.driver == "dra.net"'}}


def test_it_leaves_folders_of_the_host_and_nodes_without_a_machine_alone(objects: dict[str, Any]) -> None:
    spec = objects["DaemonSet"]["spec"]["template"]["spec"]
    assert [each["name"] for each in spec["volumes"]] == ["nri-plugin"]
    assert [each["name"] for each in spec["containers"][0]["volumeMounts"]] == ["nri-plugin"]
    (term,) = spec["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    assert term["matchExpressions"] == [{"key": "aiconform.dev/trait", "operator": "DoesNotExist"}]
    # Asking on and on would cost each node a request a second.
    assert "readinessProbe" not in spec["containers"][0]


def test_nodes_with_accelerators_run_the_keeper_of_links_while_it_is_installed(tmp_path: Path) -> None:
    programs = ("ctr", "containerd", "containerd-shim-runc-v2", "kubelet", "kube-proxy")
    assets = Assets({name: Path("/bin", name) for name in programs})
    paths = Paths("lab", tmp_path)
    plan = make(LabConfig(add_ons=(NAME,), nodes=1), None, tmp_path)
    folder = paths.machine("node-1")
    folder.mkdir(parents=True)
    for name in ("containerd.toml", "kubelet.yaml", "kube-proxy.yaml"):
        (folder / name).touch()

    def runs(accelerators: int, *add_ons: str) -> bool:
        node = replace(plan.nodes[0], accelerators=accelerators)
        made = nodes.processes(replace(plan, add_ons=add_ons), node, paths, Network(0), Installation(assets, ()))
        return PROCESS in {process.name for process in made}

    assert runs(2, NAME)
    assert not runs(0, NAME)
    assert not runs(2)


class Published:
    """ResourceSlices that never change."""

    def __init__(self, *nodes: str, driver: str = "dra.net") -> None:
        specs = [{"driver": driver, "nodeName": node} for node in nodes]
        self._slices = [
            {"metadata": {"name": each["nodeName"], "uid": each["nodeName"]}, "spec": each} for each in specs
        ]

    async def snapshot(self, *_: object, **__: object) -> tuple[list[dict[str, Any]], str]:
        return self._slices, "1"

    async def watch(self, *_: object, **__: object) -> AsyncIterator[Any]:
        await asyncio.sleep(60)
        yield None


@pytest.mark.parametrize(
    ("cluster", "offered"),
    [
        (Published("node-1", "node-2"), True),
        (Published("node-1"), False),
        (Published("node-1", "node-2", driver="other"), False),
    ],
)
async def test_it_works_when_every_node_with_links_offers_them(cluster: Published, offered: bool) -> None:
    site = Site("simulated", {}, (), Assets({}, {}), equipped=("node-1", "node-2"))
    told = nullcontext() if offered else pytest.raises(LabError, match=r"ResourceSlices of dra\.net on node-1, node-2")
    with told:
        await ADD_ON.shown(cluster, site, 0.05)  # type: ignore[arg-type]
