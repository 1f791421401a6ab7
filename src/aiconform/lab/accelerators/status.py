"""`status.json`: the status of the process of a node's accelerators, and what it means.

Keys: `pid` (in the node's pid namespace), `config` (digest of the configuration in force), `faults`, `generation` and
`devices` of the published pool, `version` of resource.k8s.io, `published` (whether the API server shows the pool),
`dra_registered`, `plugins_registered` (resources), `allocatable` (how many of each the kubelet counts), `prepared`
(number of claims) and `problem` (empty if all is well).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aiconform.lab.accelerators.config import AcceleratorConfig, DriverFault, split
from aiconform.lab.accelerators.sharing import plugged

FILE = "status.json"


def digest(config: AcceleratorConfig) -> str:
    """Identifies a configuration."""
    return hashlib.sha256(config.model_dump_json().encode()).hexdigest()


def read_status(state_dir: Path) -> dict[str, Any] | None:
    """The latest status of the process; None before the first."""
    try:
        status = json.loads((state_dir / FILE).read_bytes())
    except (OSError, ValueError):
        return None
    return status if isinstance(status, dict) else None


def unsettled(status: Mapping[str, Any] | None, config: AcceleratorConfig, *, dra_served: bool = True) -> str:
    """What is missing until the kubelet and the API server have the configuration; empty if nothing is.

    `dra_served` is whether the API server serves resource.k8s.io.
    """
    if status is None:
        return "the accelerators' process has not started"
    if status["config"] != digest(config):
        return str(status["problem"] or "the configuration is not taken up yet")
    to_dra, _ = split(config)
    runs = DriverFault.NO_DRIVER not in config.faults
    if dra_served and not status["published"]:
        return str(status["problem"] or "the ResourceSlices are not published yet")
    if runs and to_dra and not status["dra_registered"]:
        return "the kubelet has not registered the DRA driver yet"
    for resource, ids in plugged(config).items():
        if runs and resource not in status["plugins_registered"]:
            return f"the kubelet has not registered the device plugin of {resource} yet"
        expected = len(ids) if runs else 0
        counted = status["allocatable"].get(resource, 0)
        if counted != expected:
            return f"the kubelet counts {counted} {resource}, not {expected}"
    return ""
