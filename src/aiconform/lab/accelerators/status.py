"""`status.json`: the status of the process of a node's accelerators, and what it means.

Keys: `pid` (in the node's pid namespace), `config` (digest of the configuration in force), `faults`, `generation` and
`devices` of the published pool, `version` of resource.k8s.io, `published` (whether the API server shows the pool),
`dra_registered`, `plugin_registered`, `allocatable` (how many of the extended resource the kubelet counts), `prepared`
(number of claims) and `problem` (empty if all is well).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from aiconform.lab.accelerators.config import AcceleratorConfig, DriverFault, split

FILE = "status.json"


def digest(config: AcceleratorConfig) -> str:
    """Identifies a configuration."""
    return hashlib.sha256(config.model_dump_json().encode()).hexdigest()


def read_status(state_dir: Path) -> dict[str, object] | None:
    """The latest status of the process; None before the first."""
    try:
        status = json.loads((state_dir / FILE).read_bytes())
    except (OSError, ValueError):
        return None
    return status if isinstance(status, dict) else None


def unsettled(status: Mapping[str, object] | None, config: AcceleratorConfig, *, dra_served: bool = True) -> str:
    """What is missing until the kubelet and the API server have the configuration; empty if nothing is.

    `dra_served` is whether the API server serves resource.k8s.io.
    """
    if status is None:
        return "the accelerators' process has not started"
    if status["config"] != digest(config):
        return str(status["problem"] or "the configuration is not taken up yet")
    to_dra, to_plugin = split(config)
    runs = DriverFault.NO_DRIVER not in config.faults
    if dra_served and not status["published"]:
        return str(status["problem"] or "the ResourceSlices are not published yet")
    if runs and to_dra and not status["dra_registered"]:
        return "the kubelet has not registered the DRA driver yet"
    if runs and to_plugin and not status["plugin_registered"]:
        return "the kubelet has not registered the device plugin yet"
    expected = len(to_plugin) if runs else 0
    if to_plugin and status["allocatable"] != expected:
        return f"the kubelet counts {status['allocatable']} {config.identity.extended_resource}, not {expected}"
    return ""
