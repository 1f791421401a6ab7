"""What makes compilers faster and changes nothing in what they make.

A compiler of Go lives for a second or two: collecting its garbage costs more than the memory is worth, as long as there
is memory. DWARF is left out by the linker (`-s -w`) in the end, so it need not be made.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

AT_ONCE = 2
"""Components that are built at once: one links, by one thread, while the other compiles."""
_LEAST = 256 << 20
"""Below this limit for each compiler, more collections cost more than having none before it saves."""
_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


@dataclass(frozen=True)
class Levers:
    """Which of them are used; `benchmarks/build.py` measures each."""

    memory: bool = True
    """No garbage collection up to a limit that follows from the memory that is available."""
    no_dwarf: bool = True

    @property
    def flags(self) -> tuple[str, ...]:
        """Further arguments of `go build`."""
        return ("-gcflags=all=-dwarf=false",) if self.no_dwarf else ()

    def environment(self, available: Callable[[], int] | None = None) -> dict[str, str]:
        """Environment variables of the build; what the user has set takes precedence over them."""
        limit = (available or available_memory)() // 2 // ((os.cpu_count() or 1) * AT_ONCE)
        if not self.memory or limit < _LEAST:
            return {}
        return {"GOGC": "off", "GOMEMLIMIT": f"{limit >> 20}MiB"}


ALL = Levers()


def available_memory() -> int:
    """Bytes that processes can still use: of the machine, and at most those of its cgroup."""
    found = [0]
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            found = [int(line.split()[1]) << 10]
    for file in map(Path, _LIMITS):
        if file.exists() and (text := file.read_text().strip()).isdigit():
            found.append(int(text))
    return min(found)
