"""Prepared claims: device nodes, a CDI spec for each claim, and a record that survives restarts."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from aiconform.lab import device_numbers
from aiconform.lab.accelerators.config import AcceleratorConfig, devices_of
from aiconform.lab.accelerators.devices import Device, DeviceNode
from aiconform.lab.accelerators.driver import DeviceFolder, DriverFile, device_folder, driver_files
from aiconform.lab.accelerators.identity import AcceleratorError
from aiconform.lab.machines.files import write_json

# The first version of CDI with a device node's hostPath.
CDI_VERSION = "0.5.0"
MOUNT_OPTIONS = ["ro", "nosuid", "nodev", "bind"]
# As accelerators' device nodes usually have: the device cgroup restricts access, not the mode.
NODE_MODE = 0o666


class Granted(BaseModel):
    """One device of a claim's allocation."""

    model_config = ConfigDict(frozen=True)

    request: str
    pool: str
    device: str
    cdi: tuple[str, ...]
    """Full CDI names: `<driver>/claim=<uid>-<device>`."""


_RECORD = TypeAdapter(dict[str, tuple[Granted, ...]])


def make_device_nodes(nodes: Iterable[DeviceNode]) -> None:
    """Create the character devices; correct ones are left alone.

    Raises AcceleratorError if the folder cannot hold device nodes that can be opened.
    """
    for node in nodes:
        path = node.host_path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if console := device_numbers.console(node.major, node.minor):
                _open_once(path.with_name(f".console-{path.name}"), os.makedev(*console))
            _make(path, os.makedev(node.major, node.minor))
        except OSError as err:
            raise AcceleratorError(
                f"cannot make the device node {path}: {err.strerror}; "
                "device_dir needs root and a file system without nodev"
            ) from err


def _make(path: Path, number: int) -> None:
    if path.exists() and not (stat.S_ISCHR(path.stat().st_mode) and path.stat().st_rdev == number):
        path.unlink()
    if not path.exists():
        os.mknod(path, stat.S_IFCHR | NODE_MODE, number)
        path.chmod(NODE_MODE)  # mknod's mode is cut by the umask


def _open_once(path: Path, number: int) -> None:
    _make(path, number)
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY))
    finally:
        path.unlink()


class Prepared:
    """The claims that are prepared on this node: their CDI specs, and the record of them in the state folder."""

    def __init__(self, config: AcceleratorConfig) -> None:
        self.config = config
        self._file = config.state_dir / "prepared.json"
        self._claims = self._read()

    def _read(self) -> dict[str, tuple[Granted, ...]]:
        try:
            return _RECORD.validate_json(self._file.read_bytes())
        except FileNotFoundError:
            return {}
        except (OSError, ValidationError) as err:
            raise AcceleratorError(
                f"{self._file} is not a record of prepared claims ({err}); remove it to start over"
            ) from err

    def __len__(self) -> int:
        return len(self._claims)

    def get(self, uid: str) -> tuple[Granted, ...] | None:
        """The devices of the claim, if it is prepared and its CDI spec still exists."""
        granted = self._claims.get(uid)
        if granted is None or (any(g.cdi for g in granted) and not self._spec_path(uid).exists()):
            return None
        return granted

    def devices(self) -> dict[str, frozenset[str]]:
        """UID of each claim -> the names of its devices."""
        return {uid: frozenset(each.device for each in granted) for uid, granted in self._claims.items()}

    def held(self, besides: str = "") -> list[str]:
        """The names of the devices of all claims, once for each, apart from those of the claim with this UID."""
        return [each.device for uid, granted in self._claims.items() if uid != besides for each in granted]

    def put(
        self,
        uid: str,
        results: Sequence[tuple[str, str, str]],
        opened: Sequence[Sequence[Device]],
    ) -> tuple[Granted, ...]:
        """Prepare a claim: write its CDI spec, then the record.

        `results` are (request, pool, device name); `opened` are the devices that each of them opens to a container:
        itself, on a sound driver.
        """
        kind = f"{self.config.identity.driver}/claim"
        nodes = {device.name: device for devices in opened for device in devices}
        if nodes:
            write_spec(self._spec_path(uid), kind, {f"{uid}-{name}": each for name, each in nodes.items()}, self.config)
        granted = tuple(
            Granted(
                request=request,
                pool=pool,
                device=name,
                cdi=tuple(f"{kind}={uid}-{device.name}" for device in devices),
            )
            for (request, pool, name), devices in zip(results, opened, strict=True)
        )
        self._claims[uid] = granted
        self._save()
        return granted

    def remove(self, uid: str) -> None:
        """Unprepare a claim; does nothing if it is not prepared."""
        self._spec_path(uid).unlink(missing_ok=True)
        if self._claims.pop(uid, None) is not None:
            self._save()

    def _save(self) -> None:
        write_json(self._file, _RECORD.dump_python(self._claims, mode="json"))

    def _spec_path(self, uid: str) -> Path:
        return self.config.cdi_dir / f"{self.config.identity.driver}-claim_{uid}.json"


def write_spec(path: Path, kind: str, devices: Mapping[str, Device], config: AcceleratorConfig) -> None:
    """Write a CDI specification of devices by the names that they have in it."""
    versions = [CDI_VERSION, *(each.real.cdi_version for each in devices.values() if each.real)]
    spec: dict[str, object] = {
        "cdiVersion": max(versions, key=lambda version: [int(part) for part in version.split(".") if part]),
        "kind": kind,
        "devices": [{"name": name, "containerEdits": _edits(config, device)} for name, device in devices.items()],
    }
    if files := driver_files(config):
        # Once for all devices.
        spec["containerEdits"] = {"mounts": [_mount(each) for each in files]}
    # Readers of the folder select files by suffix; the draft of write_json has another one.
    write_json(path, spec)


def _mount(file: DriverFile | DeviceFolder) -> dict[str, object]:
    return {"containerPath": file.container_path, "hostPath": str(file.host_path), "options": MOUNT_OPTIONS}


def _edits(config: AcceleratorConfig, device: Device) -> dict[str, object]:
    folder = device_folder(config, device)
    more = device.real.edits if device.real else {"mounts": [_mount(folder)]} if folder else {}
    own = [f"{key}={value}" for key, value in environment(config, [device], by="cdi").items()]
    return {
        **more,
        "env": [*more.get("env", []), *own],
        "deviceNodes": [
            {
                "path": node.container_path,
                "hostPath": str(node.host_path),
                "type": "c",
                "major": node.major,
                "minor": node.minor,
                "permissions": config.permissions(device),
            }
            for node in device.nodes
        ],
    }


def write_plugin_spec(config: AcceleratorConfig) -> None:
    """Write the CDI specification that the device plugin refers to; only real devices need one."""
    path = config.cdi_dir / f"{config.identity.driver}-device.json"
    if config.real:
        names = {device.name: device for device in devices_of(config)}
        write_spec(path, plugin_kind(config), names, config)


def plugin_kind(config: AcceleratorConfig) -> str:
    """The kind of these devices: the part of a CDI name before `=`."""
    return f"{config.identity.driver}/device"


def environment(config: AcceleratorConfig, devices: Sequence[Device], *, by: str) -> dict[str, str]:
    """The environment variables of a container with these devices. by: the integration that sets them."""
    identity = config.identity
    about = {
        "DRIVER_VERSION": identity.driver_version,
        "RUNTIME_VERSION": identity.runtime_version,
        "INJECTED_BY": by,
    }
    return {
        # Those of real hardware are not known.
        **{f"{identity.env_prefix}_{name}": value for name, value in about.items() if not config.real},
        **{f"{identity.env_prefix}_DEVICE_{device.index}": device.uuid for device in devices},
    }
