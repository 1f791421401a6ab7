"""How slow this machine is now, so that limits inside the lab are multiples of what it can do."""

from __future__ import annotations

import hashlib
import statistics
import time

# CPU seconds that `_work` takes on a core of the machine on which the limits were set.
_REFERENCE_SECONDS = 0.00025
# One sample can fall into a moment in which others have the CPUs; the median of several does not.
_SAMPLES = 5
_WORK_SECONDS = 0.01
_PAUSE_SECONDS = 0.02
# On the slowest machine all of them take this and one sample more.
_LONGEST_SECONDS = 0.5
_CONTENT = bytes(64 * 1024)
# More would make a lab that hangs look like one that is slow.
_MOST = 10.0


def slowness() -> float:
    """How many times as long work takes here, now, as on a quiet machine; at least 1.

    It takes a moment, and is measured for every use: a machine that was busy while the lab came up must not be waited
    for so long ever after.
    """
    deadline = time.perf_counter() + _LONGEST_SECONDS
    samples = [_measured()]
    while len(samples) < _SAMPLES and time.perf_counter() < deadline:
        time.sleep(_PAUSE_SECONDS)
        samples.append(_measured())
    return round(min(max(statistics.median_low(samples), 1.0), _MOST), 1)


def limit(seconds: float) -> float:
    """A limit that is `seconds` on a quiet machine."""
    return seconds * slowness()


def _measured() -> float:
    began, begun_work, rounds = time.perf_counter(), time.process_time(), 0
    while True:
        _work()
        rounds += 1
        took = time.perf_counter() - began
        if time.process_time() - begun_work > _WORK_SECONDS or took > _LONGEST_SECONDS:
            return took / rounds / _REFERENCE_SECONDS


def _work() -> None:
    for _ in range(4):
        hashlib.sha256(_CONTENT).digest()
