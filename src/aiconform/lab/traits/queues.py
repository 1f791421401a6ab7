"""Traits of queues: which workloads wait in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import yaml

from aiconform.lab.faults.fault import InCluster
from aiconform.lab.faults.gangs import DEPLOYMENT, NAMESPACE, works
from aiconform.lab.faults.workloads import configure
from aiconform.lab.traits.trait import Trait

if TYPE_CHECKING:
    from aiconform.cluster import Cluster

_NAME = "unqueued-jobs"
_CONFIG = ("kueue-manager-config", "controller_manager_config.yaml")


async def _without_jobs(cluster: Cluster) -> None:
    name, key = _CONFIG
    config = yaml.safe_load((await cluster.get("v1", "ConfigMap", name, NAMESPACE))["data"][key])
    config["integrations"]["frameworks"].remove("batch/job")
    await configure(cluster, NAMESPACE, DEPLOYMENT, _CONFIG, _NAME, yaml.safe_dump(config))
    await works(cluster)


async def _with_jobs(cluster: Cluster) -> None:
    await configure(cluster, NAMESPACE, DEPLOYMENT, _CONFIG, _NAME, None)
    await works(cluster)


TRAITS = (
    Trait(
        _NAME,
        "Kueue does not manage Jobs: batch/job is none of its integrations.",
        "error with the integration",
        InCluster(_without_jobs, _with_jobs),
        needs=("kueue",),
    ),
)
