"""Faults of accelerators that several Pods share."""

from __future__ import annotations

from aiconform.lab.accelerators.config import DriverFault
from aiconform.lab.accelerators.sharing import WAYS
from aiconform.lab.faults.fault import Fault, InDriver, assertions

_CHECK, _DRIVERS = "gpu_sharing", "driver_runtime_management"
_BOTH = assertions(_CHECK, "both_pods_run")
_ALL = assertions(_CHECK, "advertised_shares_run")
_RIGHT_DEVICE = assertions(_DRIVERS, "exact_device_is_injected")
# Pods with some of a node's shares do not start.
_USERS = frozenset(
    {"accelerator_metrics", "dra_support", _DRIVERS, "gang_scheduling", "pod_autoscaling", "secure_accelerator_access"}
)

FAULTS = tuple(
    Fault(name, description, breaks, InDriver(), may_break=may_break, disturbs=disturbs, ways=WAYS[name])
    for name, description, breaks, may_break, disturbs in (
        (
            DriverFault.SHARES_APART,
            "Shares that are said to be of one device are of separate devices.",
            assertions(_CHECK, "shares_are_of_one_device"),
            # A claim opens another device than it was allocated.
            _RIGHT_DEVICE,
            frozenset({"accelerator_metrics", _DRIVERS}),
        ),
        (
            DriverFault.MORE_SHARES,
            "One more share can be had than is advertised: of a device whose shares all have holders.",
            assertions(_CHECK, "excess_share_stays_unscheduled"),
            frozenset(),
            # By DRA, whoever waits for a device gets one that others have.
            _USERS,
        ),
        (
            DriverFault.SECOND_SHARE_REFUSED,
            "The Pod with the second share of a device does not start.",
            _BOTH | _ALL,
            frozenset(),
            _USERS,
        ),
        (
            DriverFault.LAST_SHARE_REFUSED,
            "The Pod with the last share of a device does not start.",
            _ALL,
            # Where a device has two shares.
            _BOTH,
            _USERS,
        ),
        (
            DriverFault.SHARES_NOT_OFFERED,
            "The node's labels advertise shares, but no Pod can request one.",
            assertions(_CHECK, "shares_can_be_requested"),
            frozenset(),
            _USERS,
        ),
        (
            DriverFault.MEMORY_OF_WHOLE,
            "A partition shows its holder the memory of the whole device.",
            assertions(_CHECK, "partition_memory_is_its_own"),
            frozenset(),
            frozenset(),
        ),
    )
)
