"""The configuration of a node's containerd."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from aiconform.lab.addons.model import RuntimeHandler
from aiconform.lab.build.assets import Assets
from aiconform.lab.build.images import PAUSE
from aiconform.lab.config import LabError

SNAPSHOTTER = "io.containerd.snapshotter.v1.overlayfs"
SOCKET = "/run/containerd/containerd.sock"
# Where containerd looks for CDI specifications: the default folders, of which only the second is the machine's own.
CDI_FOLDER = "/run/cdi"
DEFAULT_HANDLER = "runc"
REGISTRIES = "registries"
"""In a node's state folder: a folder for each registry that is not asked as usual, with its hosts.toml."""


def configuration(folder: Path, assets: Assets, handlers: Iterable[RuntimeHandler] = ()) -> str:
    """The configuration file (TOML) for a node with this state folder. Raises LabError for two handlers of one name."""
    snapshotter = "native" if is_overlay(folder) else "overlayfs"
    runc = RuntimeHandler(DEFAULT_HANDLER, options={"BinaryName": str(folder / "runc"), "SystemdCgroup": False})
    return f"""version = 4
root = "{folder / "containerd"}"
state = "/run/containerd"
# Plugins that need what this machine may not have, or that the lab does not use.
disabled_plugins = [
  "io.containerd.snapshotter.v1.blockfile", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.erofs",
  "io.containerd.snapshotter.v1.zfs", "io.containerd.tracing.processor.v1.otlp",
]

[grpc]
address = "{SOCKET}"

# What is written survives the end of containerd, though not a loss of power.
[plugins."io.containerd.metadata.v1.bolt"]
no_sync = true

# A plugin that is late is dropped, and containers start without what it gives them, such as interfaces. A busy machine
# is no defect of a plugin.
[plugins."io.containerd.nri.v1.nri"]
plugin_registration_timeout = "60s"
plugin_request_timeout = "60s"

[plugins."io.containerd.cri.v1.images"]
snapshotter = "{snapshotter}"

[plugins."io.containerd.cri.v1.images".pinned_images]
sandbox = "{PAUSE}"

[plugins."io.containerd.cri.v1.images".registry]
config_path = "{folder / REGISTRIES}"

[plugins."io.containerd.cri.v1.runtime"]
cdi_spec_dirs = ["/etc/cdi", "{CDI_FOLDER}"]
# A profile would stay loaded in this machine's kernel.
disable_apparmor = true
# The CPU of every container once a second by default, which only a kubelet asks for that takes its figures from here.
stats_collect_period = "1h"
# Without CAP_SYS_RESOURCE, lowering an OOM score fails, and no sandbox would start.
restrict_oom_score_adj = true

[plugins."io.containerd.cri.v1.runtime".cni]
bin_dirs = ["{assets.folder("ptp")}"]
conf_dir = "{folder / "cni.d"}"

[plugins."io.containerd.cri.v1.runtime".containerd]
default_runtime_name = "{DEFAULT_HANDLER}"
{_runtimes([runc, *handlers])}"""


def plain(registry: str) -> str:
    """The hosts.toml of a registry at this address that speaks HTTP without TLS."""
    return f"""server = "http://{registry}"

[host."http://{registry}"]
capabilities = ["pull", "resolve"]
"""


def _runtimes(handlers: Iterable[RuntimeHandler]) -> str:
    sections: dict[str, str] = {}
    for handler in handlers:
        if handler.name in sections:
            raise LabError(f"two runtime handlers have the name {handler.name}")
        # Strings and booleans of JSON are those of TOML.
        name = json.dumps(handler.name)
        table = f'[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.{name}'
        settings = {"runtime_type": handler.runtime_type}
        if handler.shim:
            settings["runtime_path"] = str(handler.shim)
        # No table at all without options: some shims refuse an empty message of another type than theirs.
        options = f"\n{table}.options]\n{_table(handler.options)}" if handler.options else ""
        sections[handler.name] = f"\n{table}]\n{_table(settings)}{options}"
    return "".join(sections.values())


def _table(settings: Mapping[str, str | bool]) -> str:
    return "".join(f"{key} = {json.dumps(value)}\n" for key, value in settings.items())


def is_overlay(folder: Path) -> bool:
    """Whether a folder is on an overlay file system, on which no other overlay can be."""
    best, kind = "", ""
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, target, found, *_ = line.split()
        if folder.is_relative_to(target) and len(target) >= len(best):
            best, kind = target, found
    return kind == "overlay"
