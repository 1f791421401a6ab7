"""Which checks each fault has to break: fault -> requirement ids.

`aiconform spec check` counts by it which MUSTs are known to fail on a broken platform. The lab's tests hold it, down to
the assertions.
"""

from __future__ import annotations

from collections.abc import Mapping, Set

BREAKS: Mapping[str, Set[str]] = {
    "runtime-leaks-devices": {"secure_accelerator_access"},
    "runtime-opens-devices": {"secure_accelerator_access"},
    "driver-prepares-all": {"secure_accelerator_access"},
    "driver-prepares-nothing": {"secure_accelerator_access"},
    "driver-withholds-access": {"secure_accelerator_access"},
    "driver-never-prepares": {"cluster_autoscaling", "dra_support", "secure_accelerator_access"},
    "driver-renumbers-devices": {"dra_support"},
    "allocator-overcommits": {"dra_support"},
    "no-driver": {"cluster_autoscaling", "dra_support"},
    "no-dra-api": {"dra_support"},
    "autoscaler-at-limit": {"cluster_autoscaling"},
    "autoscaler-never-removes": {"cluster_autoscaling"},
    "autoscaled-never-ready": {"cluster_autoscaling"},
    "autoscaled-another-kind": {"cluster_autoscaling"},
    "autoscaler-removes-used-nodes": {"cluster_autoscaling"},
    "metrics-constant": {"pod_autoscaling"},
    "metrics-of-another": {"pod_autoscaling"},
    "metrics-down": {"pod_autoscaling"},
    "metrics-creep": {"pod_autoscaling"},
    "autoscaler-of-pods-capped": {"pod_autoscaling"},
    "autoscaler-of-pods-never-shrinks": {"pod_autoscaling"},
    "autoscaler-of-pods-ignores-window": {"pod_autoscaling"},
    "scaled-without-accelerators": {"pod_autoscaling"},
}
