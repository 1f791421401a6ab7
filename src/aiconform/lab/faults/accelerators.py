"""Faults of accelerators: of their driver, the container runtime, the allocator, and the API that hands them out."""

from __future__ import annotations

from aiconform.lab.accelerators.config import DriverFault
from aiconform.lab.faults.fault import Fault, InApiServer, InDriver, InRuntime, of

RUNTIME_LEAKS = "runtime-leaks-devices"
RUNTIME_OPENS = "runtime-opens-devices"
# All versions of the group that any supported release can serve.
DRA_VERSIONS = ("resource.k8s.io/v1", "resource.k8s.io/v1beta1", "resource.k8s.io/v1beta2")
_ACCESS, _DRA, _NODES = "secure_accelerator_access", "dra_support", "cluster_autoscaling"

FAULTS = (
    Fault(
        RUNTIME_LEAKS,
        "Every container sees and can open every accelerator of its node.",
        of(_ACCESS, "sibling_sees_none", "stranger_sees_none", "holders_are_disjoint", "forged_is_refused"),
        InRuntime(),
    ),
    Fault(
        RUNTIME_OPENS,
        "Every container can open every character device whose node it creates itself.",
        of(_ACCESS, "forged_is_refused"),
        InRuntime(),
    ),
    Fault(
        DriverFault.PREPARES_ALL,
        "Any claim or request gets all accelerators of the node.",
        of(_ACCESS, "holder_sees_exactly_one", "holders_are_disjoint"),
        InDriver(),
    ),
    Fault(
        DriverFault.PREPARES_NOTHING,
        "Containers start, but without the accelerator that was allocated to them.",
        of(_ACCESS, "holder_sees_device", "holders_are_disjoint"),
        InDriver(),
    ),
    Fault(
        DriverFault.WITHHOLDS_ACCESS,
        "Containers see their accelerator, but the kernel does not let them open it.",
        of(_ACCESS, "holder_opens_device"),
        InDriver(),
    ),
    Fault(
        DriverFault.NEVER_PREPARES,
        "No claim or request is ever prepared: its Pod does not start.",
        of(_ACCESS, "holder_starts") | of(_DRA, "pod_starts") | of(_NODES, "pod_runs_on_node"),
        InDriver(),
    ),
    Fault(
        DriverFault.NO_DRIVER,
        "The driver and the device plugin are gone, and no accelerator is published.",
        of(_DRA, "devices_are_published") | of(_NODES, "node_offers_accelerator"),
        InDriver(),
    ),
    Fault(
        DriverFault.RENUMBERS,
        "Preparing an accelerator changes the attributes of all: it is no longer what was asked for.",
        of(_DRA, "selector_is_satisfied"),
        InDriver(),
    ),
    Fault(
        DriverFault.OVERCOMMITS,
        "Claims for more accelerators than a node has are allocated.",
        of(_DRA, "excess_claim_stays_unallocated"),
        InDriver(),
        # When the claim that got too much is deleted, the scheduler takes all its devices for free, also one that a
        # holder has, and can give that one to a second holder.
        may_break=of(_ACCESS, "holders_are_disjoint"),
    ),
    Fault(
        "no-dra-api",
        "The API server does not serve resource.k8s.io.",
        of(_DRA, "api_is_served"),
        InApiServer(DRA_VERSIONS),
    ),
)
