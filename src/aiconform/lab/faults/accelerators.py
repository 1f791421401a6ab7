"""Faults of accelerators: in their driver, the container runtime, the allocation, and the API that allocates them."""

from __future__ import annotations

from aiconform.lab.accelerators.config import DriverFault
from aiconform.lab.accelerators.devices import NodeRole
from aiconform.lab.faults.fault import EVERY_OTHER, Fault, InApiServer, InDriver, InRuntime, assertions

LEAKS = {
    "runtime-leaks-devices": frozenset(NodeRole),
    "runtime-leaks-compute-nodes": frozenset({NodeRole.MAIN, NodeRole.PARENT}),
    "runtime-leaks-companion-nodes": frozenset({NodeRole.COMPANION}),
    "runtime-leaks-shared-nodes": frozenset({NodeRole.SHARED}),
}
"""Faults that show device nodes to every container, with the roles of these nodes."""
RUNTIME_OPENS = "runtime-opens-devices"
RUNTIME_HONOURS = "runtime-honours-environment"
# All versions of the group that any supported release can serve.
DRA_VERSIONS = ("resource.k8s.io/v1", "resource.k8s.io/v1beta1", "resource.k8s.io/v1beta2")
_ACCESS, _DRA, _NODES = "secure_accelerator_access", "dra_support", "cluster_autoscaling"
# It opens every device that its container sees, and finds the published devices in the metrics.
_LOAD = frozenset({"accelerator_metrics"})
_DRIVERS, _SHARING, _VIRTUAL = "driver_runtime_management", "gpu_sharing", "virtualized_accelerator"
_NETWORKING = "high_performance_networking"
# Their Pods do not start without an accelerator.
_USERS = _LOAD | {"gang_scheduling", "pod_autoscaling", _DRIVERS, _SHARING, _VIRTUAL, _NETWORKING}

_LEAK = ("sibling_sees_none", "stranger_sees_none", "forged_is_refused")

FAULTS = (
    Fault(
        "runtime-leaks-devices",
        "Every container sees, and can open, every accelerator of its node.",
        assertions(_ACCESS, *_LEAK, "holders_are_disjoint"),
        InRuntime(),
        disturbs=_LOAD | {_VIRTUAL},
    ),
    Fault(
        "runtime-leaks-compute-nodes",
        "Every container can open the accelerators' nodes for work, but none of their other nodes.",
        assertions(_ACCESS, *_LEAK, "holders_are_disjoint"),
        InRuntime(),
        disturbs=_LOAD | {_VIRTUAL},
        roles=frozenset({NodeRole.COMPANION}),
    ),
    Fault(
        "runtime-leaks-companion-nodes",
        "Every container can open the accelerators' further nodes, such as those for control.",
        assertions(_ACCESS, *_LEAK, "holders_are_disjoint"),
        InRuntime(),
        disturbs=_LOAD | {_VIRTUAL},
        roles=frozenset({NodeRole.COMPANION}),
    ),
    Fault(
        "runtime-leaks-shared-nodes",
        "Every container can open the nodes that all holders of accelerators share.",
        assertions(_ACCESS, *_LEAK),
        InRuntime(),
        roles=frozenset({NodeRole.SHARED}),
    ),
    Fault(
        RUNTIME_HONOURS,
        "A container gets the accelerators that its environment names, such as NVIDIA_VISIBLE_DEVICES=all.",
        assertions(_ACCESS, "environment_gives_nothing"),
        InRuntime(),
    ),
    Fault(
        RUNTIME_OPENS,
        "Every container can open any character device by a device node that it creates itself.",
        assertions(_ACCESS, "forged_is_refused"),
        InRuntime(),
    ),
    Fault(
        DriverFault.PREPARES_ALL,
        "Every claim or request gets all accelerators of the node.",
        assertions(_ACCESS, "holder_sees_exactly_one", "holders_are_disjoint")
        | assertions(_DRIVERS, "exact_device_is_injected"),
        InDriver(),
        # Nothing in a container tells then which device its share is of.
        disturbs=_LOAD | {_SHARING, _VIRTUAL},
    ),
    Fault(
        DriverFault.PREPARES_NOTHING,
        "Containers start without the accelerator that is allocated to them.",
        assertions(_ACCESS, "holder_sees_device", "holders_are_disjoint")
        | assertions(_DRIVERS, "exact_device_is_injected"),
        InDriver(),
        # Nothing in a container tells then which device its share is of.
        disturbs=_LOAD | {_SHARING, _VIRTUAL},
    ),
    Fault(
        DriverFault.WITHHOLDS_ACCESS,
        "Containers see their accelerator but cannot open it.",
        assertions(_ACCESS, "holder_opens_device"),
        InDriver(),
        disturbs=_LOAD | {_VIRTUAL},
    ),
    Fault(
        DriverFault.NEVER_PREPARES,
        "No claim or request is ever prepared, so its Pod does not start.",
        assertions(_ACCESS, "holder_starts") | assertions(_DRA, "pod_starts") | assertions(_NODES, "pod_runs_on_node"),
        InDriver(),
        # Where devices are shared, a bound of the shares is not reached, either.
        may_break=assertions(_SHARING, "both_pods_run", "advertised_shares_run"),
        disturbs=_USERS,
    ),
    Fault(
        DriverFault.NO_DRIVER,
        "The driver and the device plugin do not run, and no accelerator is published.",
        assertions(_DRA, "devices_are_published") | assertions(_NODES, "node_offers_accelerator"),
        InDriver(),
        # Where labels advertise shares.
        may_break=assertions(_SHARING, "shares_can_be_requested"),
        disturbs=_USERS | {_ACCESS},
    ),
    Fault(
        DriverFault.RENUMBERS,
        "Preparing an accelerator changes the attributes of all of them: it no longer matches its selector.",
        assertions(_DRA, "selector_is_satisfied"),
        InDriver(),
        disturbs=_LOAD | {_DRIVERS, _SHARING, _VIRTUAL, _NETWORKING},
    ),
    Fault(
        DriverFault.OVERCOMMITS,
        "Claims for more accelerators than a node has are allocated.",
        assertions(_DRA, "excess_claim_stays_unallocated"),
        InDriver(),
        disturbs=_USERS | {_ACCESS},
        # When the claim that got too many devices is deleted, the scheduler treats all of them as free, even one that
        # another claim holds, and can allocate that one again.
        may_break=assertions(_ACCESS, "holders_are_disjoint"),
    ),
    Fault(
        "no-dra-api",
        "The API server does not serve resource.k8s.io.",
        assertions(_DRA, "api_is_served"),
        InApiServer(DRA_VERSIONS),
        disturbs=frozenset({EVERY_OTHER}),  # the API server restarts
    ),
)
