"""`inspect --record`: what is written reads as the platform did, and tells nothing of whose it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from support.replayed import replayed

from aiconform.cli import main
from aiconform.recorded import RecordedPlatform

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
