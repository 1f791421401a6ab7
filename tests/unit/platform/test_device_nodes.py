"""What device nodes are to accelerators, and which accelerators are shared on purpose."""

from __future__ import annotations

import pytest

from aiconform.platform.accelerators.device_nodes import known_nodes
from aiconform.platform.accelerators.sharing import perhaps_shared, shared


@pytest.mark.parametrize(
    ("path", "role"),
    [
        ("/dev/nvidia0", "device"),
        ("/dev/nvidia15", "device"),
        ("/dev/nvidiactl", "companion"),
        ("/dev/nvidia-uvm-tools", "companion"),
        ("/dev/nvidia-modeset", "companion"),
        ("/dev/nvidia-caps/nvidia-cap1", "companion"),
        ("/dev/nvidia-fs15", "companion"),
        ("/dev/nvidia-caps/nvidia-cap2", "companion"),
        ("/dev/nvidia-caps/nvidia-cap12", "partition"),
        ("/dev/nvidia-caps/nvidia-cap3", "partition"),
        ("/dev/nvidia-caps-imex-channels/channel0", "control"),
        ("/dev/kfd", "companion"),
        ("/dev/dri/renderD128", "device"),
        ("/dev/accel0", "device"),
        ("/dev/accel/accel7", "device"),
        ("/dev/accel/accel_controlD7", "control"),
        ("/dev/hl_controlD0", "control"),
        ("/dev/vfio/vfio", "companion"),
        ("/dev/vfio/0", "device"),
        ("/dev/neuron3", "device"),
        ("/dev/davinci5", "device"),
        ("/dev/davinci_manager", "companion"),
        ("/dev/devmm_svm", "companion"),
        ("/dev/infiniband/uverbs0", "companion"),
        ("/dev/fuse", None),
        ("/dev/new-accelerator0", None),
    ],
)
def test_the_role_of_a_node(path: str, role: str | None) -> None:
    assert known_nodes().role(path) == role


def test_no_accelerator_is_ordinary() -> None:
    known = known_nodes()
    assert known.is_ordinary("/dev/fuse")
    assert known.is_ordinary("/dev/net/tun")
    assert not any(known.is_ordinary(f"/dev/{name}") for name in ("nvidia0", "kfd", "dri/card0", "unknown", "fused"))


GKE = "cloud.google.com/gke"


@pytest.mark.parametrize(
    ("resource", "labels", "said"),
    [
        ("nvidia.com/gpu", {}, ""),
        ("nvidia.com/gpu", {"nvidia.com/gpu.replicas": "1", "nvidia.com/gpu.sharing-strategy": "none"}, ""),
        ("nvidia.com/gpu", {"nvidia.com/gpu.replicas": "4"}, "label nvidia.com/gpu.replicas=4"),
        ("nvidia.com/gpu", {"nvidia.com/gpu.sharing-strategy": "mps"}, "label nvidia.com/gpu.sharing-strategy=mps"),
        ("nvidia.com/gpu", {f"{GKE}-max-shared-clients-per-gpu": "1"}, ""),
        ("nvidia.com/gpu", {f"{GKE}-max-shared-clients-per-gpu": "4"}, f"label {GKE}-max-shared-clients-per-gpu=4"),
        (
            "nvidia.com/gpu",
            {f"{GKE}-gpu-sharing-strategy": "time-sharing"},
            f"label {GKE}-gpu-sharing-strategy=time-sharing",
        ),
        ("amd.com/gpu", {f"{GKE}-max-shared-clients-per-gpu": "4"}, ""),
        ("nvidia.com/mig-1g.10gb", {"nvidia.com/gpu.replicas": "4"}, ""),
        ("nvidia.com/mig-1g.10gb", {"nvidia.com/mig-1g.10gb.replicas": "2"}, "label nvidia.com/mig-1g.10gb.replicas=2"),
        ("nvidia.com/mig-1g.10gb.shared", {}, "nvidia.com/mig-1g.10gb.shared is a share of a device"),
        ("nvidia.com/gpu.shared", {}, "nvidia.com/gpu.shared is a share of a device"),
        ("aws.amazon.com/neuroncore", {}, "aws.amazon.com/neuroncore is a share of a device"),
        ("aws.amazon.com/neuron", {}, ""),
    ],
)
def test_what_is_shared_on_purpose(resource: str, labels: dict[str, str], said: str) -> None:
    assert shared(resource, labels) == said


def test_what_may_be_shared_without_a_word() -> None:
    assert perhaps_shared("gpu.intel.com/i915")
    assert not perhaps_shared("nvidia.com/gpu")


def test_environments_ask_with_texts() -> None:
    asked = known_nodes().environment
    assert asked["NVIDIA_VISIBLE_DEVICES"] == "all"
    assert all(isinstance(value, str) and value for value in asked.values())
