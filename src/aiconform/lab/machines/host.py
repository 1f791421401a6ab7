"""What the lab needs on its machine, and what it changes there."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from aiconform.lab.config import ROOT, LabError, needs, require_linux
from aiconform.lab.machines.machine import MOUNTS

# command -> the Debian package that contains it
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
_APT_SECONDS = 300
_MADE = ".mount-points.json"
INOTIFY_INSTANCES = 8192

Progress = Callable[[str], None]
"""Takes a line that tells the user what is being done."""


def quiet(_: str) -> None:
    """Discards progress."""


def require() -> None:
    """Raises LabError if this process cannot run a lab: not on Linux, or not as root."""
    require_linux()
    if os.geteuid() != 0:
        raise needs("root")


def require_family(family: str) -> None:
    """Raises LabError if this machine's kernel has no addresses of this IP family."""
    if family == "ipv6" and not Path("/proc/sys/net/ipv6").exists():
        raise needs("a kernel with IPv6 for --ip-family ipv6 (it was started with ipv6.disable=1, or has none)")


def raise_limits() -> None:
    """Raise the limit of inotify instances if it is low.

    A node's kubelet, containerd and kube-proxy use about twenty of them, and the kernel's default of 128 for each user
    makes the kubelets of a third lab fail with "too many open files". The limit is never lowered,
    and stays after the lab.
    """
    limit = Path("/proc/sys/fs/inotify/max_user_instances")
    if int(limit.read_text()) < INOTIFY_INSTANCES:
        limit.write_text(str(INOTIFY_INSTANCES))


def install_packages(progress: Progress, more: Mapping[str, str] | None = None, root: Path = ROOT) -> None:
    """Install missing system packages with apt; `more` are further commands -> packages.

    Labs that come up at the same time wait for each other, since a second apt gives up at once. Raises LabError naming
    the missing commands on a system without apt.
    """
    wanted = {**_COMMANDS, **(more or {})}
    if not _missing(wanted):
        return
    with locked(root):
        missing = _missing(wanted)
        packages = sorted(set(missing.values()))
        if packages and (apt := shutil.which("apt-get")):
            _install(apt, packages, progress)
        elif packages:
            raise LabError(
                f"commands missing: {', '.join(sorted(missing))}. Install them (Debian packages: {' '.join(packages)})"
            )


def _missing(wanted: Mapping[str, str]) -> dict[str, str]:
    """Missing command, or file -> its package."""
    missing = {command: package for command, package in wanted.items() if not shutil.which(command, path=_PATH)}
    if shutil.which("apt-get") and not Path(_AUTHORITIES).exists() and "SSL_CERT_FILE" not in os.environ:
        missing[_AUTHORITIES] = "ca-certificates"  # Go asks for them when it fetches modules
    return missing


def _install(apt: str, packages: Sequence[str], progress: Progress) -> None:
    progress(f"installing {', '.join(packages)}")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    # A machine that has just started may install updates by itself.
    patient = ["-o", f"DPkg::Lock::Timeout={_APT_SECONDS}"]
    install = [apt, "install", "-y", "-qq", "--no-install-recommends", *patient, *packages]
    for step in (install, [apt, "update", "-qq"], install):
        done = subprocess.run(step, env=environment, capture_output=True, text=True, check=False)
        if step is install and done.returncode == 0:
            return
    raise LabError(f"apt-get install {' '.join(packages)} failed: {done.stderr.strip() or done.stdout.strip()}")


def environment() -> dict[str, str]:
    """The environment of a lab's processes: no proxy, locale or credentials of the user who started it."""
    kept = {name: os.environ[name] for name in ("HOME", "PYTHONPATH", "VIRTUAL_ENV") if name in os.environ}
    return {"PATH": _PATH, "LANG": "C.UTF-8", "HOME": "/root", **kept}


def command(name: str) -> str:
    """Path of a command of `_COMMANDS`."""
    found = shutil.which(name, path=_PATH)
    if found is None:
        raise LabError(f"{name} is not installed; the Debian package is {_COMMANDS[name]}")
    return found


@contextmanager
def locked(folder: Path, busy: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Hold an exclusive lock on this folder, also between processes. The folder is created if missing.

    `busy` is called before waiting for another holder. The folder can be removed while the lock is held.
    """
    while True:
        # A lab's folder holds keys and control sockets, and the root folder holds labs: only root may enter them.
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                busy()
                fcntl.flock(lock, fcntl.LOCK_EX)
            # If the previous holder has removed the folder, this lock is on a folder that nobody else sees.
            if folder.exists() and folder.stat().st_ino == os.fstat(lock).st_ino:
                yield
                return
        finally:
            os.close(lock)


def make_mount_points(root: Path = ROOT) -> None:
    """Create the folders that machines mount over, and record those that were missing. Call it with the root locked."""
    record = root / _MADE
    made = set(json.loads(record.read_text())) if record.exists() else set()
    made.update(path for path in MOUNTS if not Path(path).exists())
    record.write_text(json.dumps(sorted(made)))
    for path in MOUNTS:
        Path(path).mkdir(parents=True, exist_ok=True)


def forget_unused(state: Path) -> None:
    """Remove the folder of a lab if it is empty."""
    with contextlib.suppress(OSError):
        state.rmdir()
        with locked(state.parent):
            forget_last(state.parent)


def forget_last(root: Path = ROOT) -> None:
    """If no lab is left, remove the folders that were created for labs. Call it with the root locked."""
    if any(entry.is_dir() for entry in root.iterdir()):
        return
    record = root / _MADE
    for path in json.loads(record.read_text()) if record.exists() else ():
        try:
            Path(path).rmdir()
        except OSError:
            continue  # something else uses it by now
    record.unlink(missing_ok=True)
    root.rmdir()
