"""Kubernetes' own gang scheduling: the PodGroup of scheduling.k8s.io, which is off by default in 1.37."""

from __future__ import annotations

from aiconform.lab.addons.model import AddOn

ADD_ON = AddOn(
    name="workload-api",
    summary="Kubernetes' own Workload and PodGroup API (gang scheduling by the default scheduler).",
    feature_gates={"GenericWorkload": True},
    runtime_config={"scheduling.k8s.io/v1beta1": True},
    since="1.37",
)
