"""high_performance_networking: Pods get the interfaces that they claim, beside the Pod network, and use them."""

from aiconform.check import collect
from aiconform.checks.high_performance_networking import (
    alignment_assertions,
    assertions,
    data_assertions,
    options,
    probes,
)

CHECK = collect(
    "high_performance_networking",
    options.__name__,
    probes.__name__,
    assertions.__name__,
    data_assertions.__name__,
    alignment_assertions.__name__,
)
