"""Which process is meant. After a crash a pid alone may be another process's: the start time tells them apart."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ProcessIdentity:
    """One process, unique in this boot of the machine."""

    pid: int
    start: int
    """Clock ticks from boot to the process's start: field 22 of /proc/PID/stat."""

    @classmethod
    def of(cls, pid: int) -> ProcessIdentity | None:
        """The process that has this pid now; None if there is none, or it has ended."""
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            return None
        # The second field is the name in parentheses, which may itself hold blanks and parentheses.
        fields = stat[stat.rindex(")") + 2 :].split()
        return None if fields[0] in "ZX" else cls(pid, int(fields[19]))

    @property
    def alive(self) -> bool:
        return ProcessIdentity.of(self.pid) == self

    def kill(self, number: int = signal.SIGKILL) -> bool:
        """Send a signal to this process and no other; False if it has ended."""
        try:
            descriptor = os.pidfd_open(self.pid)
        except OSError:
            return False
        try:
            # The descriptor holds the process that had the pid when it was opened: now is the time to compare.
            if not self.alive:
                return False
            signal.pidfd_send_signal(descriptor, number)
        except ProcessLookupError:
            return False
        finally:
            os.close(descriptor)
        return True


def boot() -> str:
    """The ID of this boot of the machine."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
