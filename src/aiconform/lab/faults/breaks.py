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
    "driver-never-prepares": {"dra_support", "secure_accelerator_access"},
    "driver-renumbers-devices": {"dra_support"},
    "allocator-overcommits": {"dra_support"},
    "no-driver": {"dra_support"},
    "no-dra-api": {"dra_support"},
    "operator-stopped": {"robust_controller"},
    "operator-update-stuck": {"robust_controller"},
    "operator-webhook-ignored": {"robust_controller"},
    "operator-makes-nothing": {"robust_controller"},
    "operator-replaces-nothing": {"robust_controller"},
    "operator-does-not-come-back": {"robust_controller"},
    "operator-lease-stuck": {"robust_controller"},
    "children-stay": {"robust_controller"},
}
