"""Deliberate defects of the lab: what each assertion of the suite must notice.

`command` is `aiconform lab fault`; `turn` turns one on or off; `reapply` is for a lab that has just come up;
`write_wrapper` makes the runc that the runtime's faults need; `FaultyLab` is what they need of a lab.
"""

from aiconform.lab.faults.registry import FAULTS, Fault, UnknownFault, Where, active, driver_faults, find
from aiconform.lab.faults.runtime import set_runtime, write_wrapper
from aiconform.lab.faults.switch import FaultyLab, FaultyNode, reapply, turn

__all__ = [
    "FAULTS",
    "Fault",
    "FaultyLab",
    "FaultyNode",
    "UnknownFault",
    "Where",
    "active",
    "driver_faults",
    "find",
    "reapply",
    "set_runtime",
    "turn",
    "write_wrapper",
]
