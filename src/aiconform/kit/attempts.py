"""What the kernel's answer to an attempt to open a device says.

Opening a node goes through the mode of the file and the options of the mount (EACCES), the device policy of the cgroup
(EPERM), then the driver (anything else; ENXIO if there is none). Source: fs/namei.c and security/device_cgroup.c of
Linux.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from aiconform.kit.container_view import OpenAttempt

Answer = Literal["refused", "reached", "absent", "untried"]
"""By the device policy, beyond it, no such device in this kernel, or nothing that concerns the device."""


def answer(attempt: OpenAttempt, control: OpenAttempt | None, *, own_kernel: bool) -> Answer:
    """What became of a forged node, given what became of one with a harmless number (None in earlier runs)."""
    free = control is not None and control.made and control.outcome == "opened"
    if not attempt.made:
        # The device policy also decides who may make which node; where a harmless one was made, it did.
        return "refused" if free and not_permitted(attempt) else "untried"
    if not_permitted(attempt):
        return "refused" if free or control is None else "untried"
    if denied(attempt):
        return "reached" if free and not own_kernel else "untried"
    if own_kernel:
        # Its numbers are those of another kernel, where they can mean another device.
        return "absent" if no_such_device(attempt) else "untried"
    return "reached"


def stops_holder(attempt: OpenAttempt, control: OpenAttempt | None) -> bool:
    """Whether a holder that runs as root is refused its device.

    In runs made before `control` was recorded, modes of files could stop it as well.
    """
    return not_permitted(attempt) or (denied(attempt) and control is not None)


def opened(attempts: Sequence[OpenAttempt], control: OpenAttempt | None, *, as_root: bool) -> tuple[bool | None, str]:
    """(whether a holder can open its device by its attempts to open its own nodes, None if that is not decided; words).

    as_root: whether it ran as root, whom no mode of a file stops.
    """
    told = ", ".join(f"{attempt.device}: {attempt.outcome}" for attempt in attempts)
    if not as_root and any(map(denied, attempts)):
        return None, f"{told}; the holder could not run as root, whom no mode of a file stops"
    refused = any(stops_holder(attempt, control) for attempt in attempts)
    return not refused and not all(map(no_such_device, attempts)), told


def not_permitted(attempt: OpenAttempt) -> bool:
    """EPERM."""
    return "not permitted" in attempt.outcome


def denied(attempt: OpenAttempt) -> bool:
    """EACCES."""
    return "Permission denied" in attempt.outcome


def no_such_device(attempt: OpenAttempt) -> bool:
    """ENXIO or ENODEV."""
    return "No such device" in attempt.outcome
