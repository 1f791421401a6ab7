"""What the lab needs of the machine it is on, and what it marks there."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from aiconform.lab.config import ROOT, LabError, needs, require_linux
from aiconform.lab.machines.machine import MOUNTS

# command -> the Debian package that brings it
_COMMANDS = {
    "runc": "runc",
    "iptables-restore": "iptables",
    "ip": "iproute2",
    "unshare": "util-linux",
    "nsenter": "util-linux",
    "setpriv": "util-linux",
    "mount": "mount",
    "modprobe": "kmod",
    "busybox": "busybox-static",
}
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt"
_MADE = ".mount-points.json"
INOTIFY_INSTANCES = 8192

Progress = Callable[[str], None]
"""Takes a line for people about what is being done."""


def quiet(_: str) -> None:
    """Progress that nobody wants to see."""


def require() -> None:
    """Raises LabError where no lab can be: not on Linux, or not as root."""
    require_linux()
    if os.geteuid() != 0:
        raise needs("root")


def raise_limits() -> None:
    """Raise the machine's number of inotify instances where it is low.

    A node's kubelet, containerd and kube-proxy use about twenty of them, and the kernel's default of 128 for each user
    ends a third lab's kubelets with "too many open files". The limit only ever goes up, and stays after the lab.
    """
    limit = Path("/proc/sys/fs/inotify/max_user_instances")
    if int(limit.read_text()) < INOTIFY_INSTANCES:
        limit.write_text(str(INOTIFY_INSTANCES))


def install_packages(progress: Progress) -> None:
    """Install the system's packages that are missing, where that is Debian's apt.

    Raises LabError naming what is missing elsewhere.
    """
    missing = {command: package for command, package in _COMMANDS.items() if not shutil.which(command, path=_PATH)}
    apt = shutil.which("apt-get")
    if apt and not Path(_AUTHORITIES).exists() and "SSL_CERT_FILE" not in os.environ:
        missing[_AUTHORITIES] = "ca-certificates"  # Go asks for them when it fetches modules
    if not missing:
        return
    packages = sorted(set(missing.values()))
    if apt is None:
        raise LabError(
            f"commands missing: {', '.join(sorted(missing))}. Install them (Debian's packages: {' '.join(packages)})"
        )
    progress(f"installing {', '.join(packages)}")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install = [apt, "install", "-y", "-qq", "--no-install-recommends", *packages]
    for step in (install, [apt, "update", "-qq"], install):
        done = subprocess.run(step, env=environment, capture_output=True, text=True, check=False)
        if step is install and done.returncode == 0:
            return
    raise LabError(f"apt-get install {' '.join(packages)} failed: {done.stderr.strip() or done.stdout.strip()}")


def environment() -> dict[str, str]:
    """For all processes of a lab: no proxy, locale or credentials of whoever started it."""
    kept = {name: os.environ[name] for name in ("HOME", "PYTHONPATH", "VIRTUAL_ENV") if name in os.environ}
    return {"PATH": _PATH, "LANG": "C.UTF-8", "HOME": "/root", **kept}


def command(name: str) -> str:
    """Path of a command of `_COMMANDS`."""
    found = shutil.which(name, path=_PATH)
    if found is None:
        raise LabError(f"{name} is not installed; Debian's package is {_COMMANDS[name]}")
    return found


@contextmanager
def locked(folder: Path, busy: Callable[[], None] = lambda: None) -> Iterator[None]:
    """One at a time in this folder, which is made if missing and may be removed meanwhile; also between processes.

    `busy` is called if somebody else is there, before the wait.
    """
    while True:
        # A lab's folder holds keys and control sockets, the root only labs' folders: both are root's alone.
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                busy()
                fcntl.flock(lock, fcntl.LOCK_EX)
            # Whoever had it before may have removed the folder: then this locks nothing that others see.
            if folder.exists() and folder.stat().st_ino == os.fstat(lock).st_ino:
                yield
                return
        finally:
            os.close(lock)


def make_mount_points(root: Path = ROOT) -> None:
    """Make the folders that machines mount over, and note which were not there. Call it with the root locked."""
    record = root / _MADE
    made = set(json.loads(record.read_text())) if record.exists() else set()
    made.update(path for path in MOUNTS if not Path(path).exists())
    record.write_text(json.dumps(sorted(made)))
    for path in MOUNTS:
        Path(path).mkdir(parents=True, exist_ok=True)


def forget_unused(state: Path) -> None:
    """Remove a lab's folder in which nothing came to be."""
    with contextlib.suppress(OSError):
        state.rmdir()
        with locked(state.parent):
            forget_last(state.parent)


def forget_last(root: Path = ROOT) -> None:
    """When no lab is left, remove the folders that were made for labs. Call it with the root locked."""
    if any(entry.is_dir() for entry in root.iterdir()):
        return
    record = root / _MADE
    for path in json.loads(record.read_text()) if record.exists() else ():
        try:
            Path(path).rmdir()
        except OSError:
            continue  # somebody else has begun to use it
    record.unlink(missing_ok=True)
    root.rmdir()
