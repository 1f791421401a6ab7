"""`inspect --record`: what is written reads as the platform did, and tells nothing of whose it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

import pytest
from click.testing import CliRunner, Result
from support.replayed import replayed
from support.served import node
from support.served import platform as platform_of

from aiconform.cli import main
from aiconform.platform.autoscaling.discovery import discover
from aiconform.platform.autoscaling.machines import machines
from aiconform.platform.autoscaling.pools import POOL_LABELS, SPOT_LABELS
from aiconform.recorded import RecordedPlatform
from aiconform.recorded.neutral import Neutral

OURS = ("acme", "rocket", "10.1.2.3", "hunter2", "7d44c8a1", "SN4711", "123456789012")
OBJECTS = """
apiVersion: v1
kind: Node
metadata:
  name: acme-gpu-01.acme.example
  labels:
    nvidia.com/gpu.product: NVIDIA-L4
    acme.example/owner: rocket
    customer: acme
    kubernetes.azure.com/cluster: MC_rocket
    kubernetes.io/hostname: acme-gpu-01.acme.example
  annotations: {acme.example/note: rocket}
spec: {providerID: "aws:///us-east-1a/i-7d44c8a1"}
status:
  allocatable: {cpu: "8", nvidia.com/gpu: "2"}
  addresses: [{type: InternalIP, address: 10.1.2.3}]
  conditions: [{type: Ready, status: "True"}]
---
apiVersion: v1
kind: Pod
metadata: {name: rocket-0, namespace: acme-prod, labels: {acme.example/app: rocket, app: rocket}}
spec:
  nodeName: acme-gpu-01.acme.example
  containers:
    - name: main
      image: registry.acme.example/rocket/server:1
      env: [{name: PASSWORD, value: hunter2}]
      args: [--token=hunter2]
      resources: {limits: {nvidia.com/gpu: "1"}}
status: {phase: Running, podIP: 10.1.2.3}
---
apiVersion: v1
kind: Pod
metadata: {name: dcgm-exporter-x, namespace: acme-gpus}
spec:
  nodeName: acme-gpu-01.acme.example
  containers: [{name: main, image: nvcr.io/nvidia/k8s/dcgm-exporter:4, ports: [{name: metrics, containerPort: 9400}]}]
status: {phase: Running}
---
apiVersion: v1
kind: Service
metadata: {name: prometheus, namespace: monitoring}
spec: {selector: {app: rocket}, ports: [{port: 9090}]}
---
apiVersion: v1
kind: Secret
metadata: {name: token, namespace: acme-prod}
data: {password: hunter2}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: cluster-autoscaler-status, namespace: kube-system}
data:
  owner: rocket
  status: |
    autoscalerStatus: Running
    nodeGroups:
      - name: arn:aws:autoscaling:us-east-1:123456789012:pool
        health: {status: Healthy, minSize: 0, maxSize: 3, cloudProviderTarget: 1}
"""
PAGE = """# TYPE DCGM_FI_DEV_GPU_UTIL gauge
# TYPE DCGM_FI_DEV_FB_USED gauge
""" + "".join(
    f'{metric}{{gpu="{number}",UUID="GPU-7d44c8a1-0000-4000-8000-00000000000{number}",serial="SN4711{number}",'
    f'Hostname="acme-gpu-01.acme.example",namespace="acme-prod",pod="rocket-0"}} 1\n'
    for metric in ("DCGM_FI_DEV_GPU_UTIL", "DCGM_FI_DEV_FB_USED")
    for number in range(2)
)


def call(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


def gist(done: Result) -> dict[str, Any]:
    """What of an inspection does not depend on names."""
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    keys = ("way", "name", "product", "free", "total")
    return {
        "nodes": found["nodes"],
        "accelerators": [[entry[key] for key in keys] for entry in found["accelerators"]],
        "states": {entry["id"]: entry["state"].partition(":")[0] for entry in found["checks"]},
        "metrics": next(len(entry["found"]) for entry in found["checks"] if entry["id"] == "accelerator_metrics"),
    }


@pytest.fixture
def platform(tmp_path: Path) -> RecordedPlatform:
    folder = tmp_path / "platform"
    (folder / "metrics").mkdir(parents=True)
    (folder / "objects.yaml").write_text(OBJECTS)
    (folder / "metrics" / "acme-gpus__dcgm-exporter-x__9400.txt").write_text(PAGE)
    return RecordedPlatform.read(folder)


def test_a_recording_reads_as_the_platform_and_names_nobody(tmp_path: Path, platform: RecordedPlatform) -> None:
    folder, kubeconfig = tmp_path / "record", str(tmp_path / "kubeconfig")
    with replayed(platform, Path(kubeconfig)):
        live = call("inspect", "-o", "json", "--kubeconfig", kubeconfig, "--record", str(folder))
    with replayed(RecordedPlatform.read(folder), Path(kubeconfig)):
        again = call("inspect", "-o", "json", "--kubeconfig", kubeconfig)
    assert gist(again) == gist(live)
    assert gist(live)["accelerators"] == [["device-plugin", "nvidia.com/gpu", "NVIDIA-L4", 1, 2]]
    assert gist(live)["metrics"] == 1
    files = [path for path in folder.rglob("*") if path.is_file()]
    text = "\n".join(f"{path.name}\n{path.read_text()}" for path in files)
    assert [word for word in OURS if word.lower() in text.lower()] == []
    assert "1 node" in live.stderr


def test_nodes_are_still_those_of_their_autoscaler_s_group(tmp_path: Path) -> None:
    """On OpenShift only the beginning of a Node's name says which group it is of."""
    folder, kubeconfig = tmp_path / "record", str(tmp_path / "kubeconfig")
    with replayed(RecordedPlatform.read(Path(__file__).parents[2] / "platforms" / "openshift-gpu"), Path(kubeconfig)):
        live = call("inspect", "-o", "json", "--kubeconfig", kubeconfig, "--record", str(folder))
    with replayed(RecordedPlatform.read(folder), Path(kubeconfig)):
        again = call("inspect", "-o", "json", "--kubeconfig", kubeconfig)
    assert gist(again) == gist(live)
    assert gist(live)["states"]["cluster_autoscaling"] == "can run"
    assert "4hx2k" not in (folder / "objects.yaml").read_text()


@pytest.mark.parametrize(
    "name", ["lke-gpu", "oke-karpenter", "oke-cluster-autoscaler", "openshift-scale-from-zero", "doks-gpu", "aws-kops"]
)
def test_pools_of_a_cloud_are_still_known_by_its_own_names(tmp_path: Path, name: str) -> None:
    folder, kubeconfig = tmp_path / "record", str(tmp_path / "kubeconfig")
    with replayed(RecordedPlatform.read(Path(__file__).parents[2] / "platforms" / name), Path(kubeconfig)):
        live = call("inspect", "-o", "json", "--kubeconfig", kubeconfig, "--record", str(folder))
    with replayed(RecordedPlatform.read(folder), Path(kubeconfig)):
        again = call("inspect", "-o", "json", "--kubeconfig", kubeconfig)
    assert gist(again) == gist(live)
    assert gist(live)["states"]["cluster_autoscaling"] == "can run"


def test_a_folder_with_files_is_not_written_into(tmp_path: Path, platform: RecordedPlatform) -> None:
    kubeconfig, folder = tmp_path / "kubeconfig", tmp_path / "record"
    folder.mkdir()
    (folder / "mine").write_text("")
    with replayed(platform, kubeconfig):
        done = call("inspect", "--kubeconfig", str(kubeconfig), "--record", str(folder))
    assert done.exit_code == 2
    assert "is not empty: name a new folder" in done.stderr


# What readers look at


class Noted(dict[str, str]):
    """Labels or annotations that note what is looked up in them by name."""

    asked: ClassVar[set[str]] = set()

    def get(self, key: str, default: Any = None) -> Any:
        self.asked.add(key)
        return super().get(key, default)

    def __contains__(self, key: object) -> bool:
        self.asked.add(str(key))
        return super().__contains__(key)

    def __getitem__(self, key: str) -> str:
        self.asked.add(key)
        return super().__getitem__(key)


STATUS = """
autoscalerStatus: Running
nodeGroups:
  - name: MachineDeployment/ns/group
    health: {status: Healthy, minSize: 0, maxSize: 3, cloudProviderTarget: 1}
  - name: MachineSet/ns/other
    health: {status: Healthy, minSize: 0, maxSize: 3, cloudProviderTarget: 1}
"""


async def looked_up(field: str, values: dict[str, str]) -> set[str]:
    """The names of labels or annotations that reading pools and accelerators looks up, where objects have these."""
    # Of an empty one, readers make another.
    noted = Noted({"kubernetes.io/os": "linux", **values})
    about = {"annotations": {}, "labels": {}, field: noted}
    one = node(**{"nvidia.com/gpu": "1"})
    one["metadata"] |= about
    machines = [
        {"apiVersion": api, "kind": kind, "metadata": {"name": name, "namespace": "ns", **about}, "spec": {}}
        for api, kind, name in (
            ("cluster.x-k8s.io/v1beta1", "MachineDeployment", "group"),
            ("machine.openshift.io/v1beta1", "MachineSet", "other"),
        )
    ]
    node_pool = {
        "apiVersion": "karpenter.sh/v1",
        "kind": "NodePool",
        "metadata": {"name": "pool", **about},
        "spec": {"template": {"metadata": about, "spec": {}}},
    }
    status = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "cluster-autoscaler-status", "namespace": "kube-system"},
        "data": {"status": STATUS},
    }
    Noted.asked.clear()
    await discover(platform_of(one, *machines, node_pool, status))
    return set(Noted.asked)


CAPACITY = "capacity.cluster-autoscaler.kubernetes.io"
NOTES = {f"{CAPACITY}/gpu-count": "1", f"{CAPACITY}/gpu-type": "nvidia.com/gpu", f"{CAPACITY}/labels": "a=b"}


async def test_a_record_keeps_every_annotation_by_which_pools_are_known() -> None:
    asked = await looked_up("annotations", {}) | await looked_up("annotations", NOTES)
    known = {f"{CAPACITY}/{name}" for name in ("labels", "taints", "gpu-type", "gpu-count")}
    assert asked >= known | {"oci.oraclecloud.com/node-pool-id", "machine.openshift.io/GPU", "cluster.x-k8s.io/machine"}
    for name in asked:
        obj = {"kind": "Node", "metadata": {"name": "n", "annotations": {name: "0"}}}
        assert name in Neutral([obj], (), ()).object(obj)["metadata"]["annotations"], name


async def test_a_record_keeps_every_label_by_which_pools_are_known() -> None:
    asked = await looked_up("labels", {}) | await looked_up("labels", {POOL_LABELS[0]: "a"})
    assert asked >= {*POOL_LABELS, *(name for name, _ in SPOT_LABELS)}
    for name in asked:
        obj = {"kind": "Node", "metadata": {"name": "n", "labels": {name: "true"}}}
        assert Neutral([obj], (), ()).object(obj)["metadata"]["labels"] == {name: "true"}, name


@pytest.mark.parametrize("name", ["cloud.google.com/cuda.driver-version.full", "nvidia.com/cuda.driver.minor"])
def test_a_record_keeps_the_annotations_with_a_driver_s_version(name: str) -> None:
    obj = {"kind": "Node", "metadata": {"name": "n", "annotations": {name: "580.95.05"}}}
    assert Neutral([obj], (), ()).object(obj)["metadata"]["annotations"] == {name: "580.95.05"}


def test_labels_and_taints_in_an_annotation_name_nobody() -> None:
    notes = {
        f"{CAPACITY}/labels": "cloud.google.com/gke-accelerator=nvidia-l4, acme.example/team=rocket,owner=acme",
        f"{CAPACITY}/taints": "nvidia.com/gpu=present:NoSchedule,acme.example/team=rocket:NoExecute,"
        "acme.example/x:NoSchedule",
        "service.beta.openshift.io/serving-cert-secret-name": "rocket-tls",
        "acme.example/note": "rocket",
    }
    labels = {"acme.example/team": "rocket"}
    obj = {"kind": "MachineSet", "metadata": {"name": "m", "annotations": notes, "labels": labels}}
    shown = Neutral([obj], (), ()).object(obj)["metadata"]
    told = shown["annotations"]
    assert not [word for word in ("acme", "rocket") if word in json.dumps(shown)]
    assert told[f"{CAPACITY}/labels"].startswith("cloud.google.com/gke-accelerator=nvidia-l4,")
    first, second, third = told[f"{CAPACITY}/taints"].split(",")
    assert first == "nvidia.com/gpu=present:NoSchedule"
    # As its labels are named.
    (team,) = shown["labels"].items()
    assert second == "=".join(team) + ":NoExecute"
    assert third.endswith(".invalid/x:NoSchedule")
    assert {*told} == {*notes} - {"acme.example/note"}


def test_a_group_without_nodes_is_still_known_by_the_labels_of_its_machines() -> None:
    notes = {f"{CAPACITY}/labels": "cloud.google.com/gke-tpu-accelerator=tpu-v6e-slice,acme.example/team=rocket"}
    obj: Any = {"kind": "MachineSet", "metadata": {"name": "m", "annotations": notes}, "spec": {}}
    assert machines(obj).resource == machines(Neutral([obj], (), ()).object(obj)).resource == "google.com/tpu"
