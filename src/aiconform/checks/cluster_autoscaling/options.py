"""What a user can set for cluster_autoscaling."""

from __future__ import annotations

from aiconform.check import Options, option


class ClusterAutoscaling(Options):
    pool: str = option(
        "",
        "The node label KEY=VALUE of the pool to scale; by default it is discovered.",
        pattern=r"^$|^[^=\s]+=[^=\s]+$",
    )
    resource: str = option(
        "", "The extended resource that the pool's nodes offer; by default it is discovered.", pattern=r"^$|^\S+/\S+$"
    )
    status: str = option(
        "",
        "The ConfigMap of Cluster Autoscaler's status, NAMESPACE/NAME; by default it is looked for in all namespaces.",
        pattern=r"^$|^[^/\s]+/[^/\s]+$",
    )
    none: bool = option(
        False,
        "This platform has no autoscaler of nodes with accelerators, so the requirement does not apply. Refused where "
        "an autoscaler is found, unless each of its pools is seen to have no accelerators.",
    )
    node_added_seconds: float = option(
        1200.0,
        "The longest time from the Pod being unschedulable until it runs on an added node. Clouds take up to a quarter "
        "of an hour to deliver an accelerator node and to set up its driver.",
        serves=("scale_up",),
        formerly=("up_limit",),
        gt=0,
    )
    node_removed_seconds: float = option(
        1800.0,
        "The longest time from the Pod's deletion until its node is removed. Autoscalers usually keep an unneeded node "
        "for ten minutes, and start that delay again after each scale-up.",
        serves=("scale_down",),
        formerly=("down_limit",),
        gt=0,
    )
