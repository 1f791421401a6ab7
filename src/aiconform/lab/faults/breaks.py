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
    "kueue-webhooks-down": {"gang_scheduling"},
    "kueue-ignores-jobs": {"gang_scheduling"},
    "kueue-counts-quota-only": {"gang_scheduling"},
    "kueue-says-nothing": {"gang_scheduling"},
    "kueue-never-releases": {"gang_scheduling"},
    "kueue-never-finishes": {"gang_scheduling"},
    "coscheduling-off": {"gang_scheduling"},
    "pod-groups-ignored": {"gang_scheduling"},
    "autoscaler-at-limit": {"cluster_autoscaling"},
    "autoscaler-never-removes": {"cluster_autoscaling"},
    "autoscaled-never-ready": {"cluster_autoscaling"},
    "autoscaled-another-kind": {"cluster_autoscaling"},
    "autoscaler-removes-used-nodes": {"cluster_autoscaling"},
    "metrics-omit-a-device": {"accelerator_metrics"},
    "metrics-omit-utilization": {"accelerator_metrics"},
    "metrics-without-memory": {"accelerator_metrics"},
    "metrics-without-labels": {"accelerator_metrics"},
    "metrics-frozen": {"accelerator_metrics"},
    "metrics-of-another-device": {"accelerator_metrics"},
    "metrics-of-the-whole-node": {"accelerator_metrics"},
    "metrics-keep-peaks": {"accelerator_metrics"},
    "metrics-are-garbage": {"accelerator_metrics"},
    "gateway-class-refused": {"ai_inference"},
    "gateway-without-data-plane": {"ai_inference"},
    "routes-not-attached": {"ai_inference"},
    "weights-ignored": {"ai_inference"},
    "weights-never-change": {"ai_inference"},
    "header-rules-ignored": {"ai_inference"},
    "path-rules-ignored": {"ai_inference"},
    "routes-match-all": {"ai_inference"},
    "changes-lose-requests": {"ai_inference"},
    "metrics-constant": {"pod_autoscaling"},
    "metrics-of-another": {"pod_autoscaling"},
    "metrics-down": {"pod_autoscaling"},
    "metrics-creep": {"pod_autoscaling"},
    "autoscaler-of-pods-capped": {"pod_autoscaling"},
    "autoscaler-of-pods-never-shrinks": {"pod_autoscaling"},
    "autoscaler-of-pods-ignores-window": {"pod_autoscaling"},
    "scaled-without-accelerators": {"pod_autoscaling"},
}
