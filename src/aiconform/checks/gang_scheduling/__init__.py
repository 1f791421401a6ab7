"""gang_scheduling: all Pods of a group start, or none.

If a gang fits, it runs and finishes. If too few accelerators are free on the nodes (Pods of no gang hold the others; no
quota is touched), none of its Pods is scheduled, the solution reports that the gang waits, and all its Pods run as soon
as there is room. Of two gangs that each fit alone but not together, neither ever holds a part, and both finish.

A gang is confined to the accelerators of one node, or of as few nodes as have enough: this makes the room measurable
and leaves other workloads of the platform undisturbed.
"""

from aiconform.check import collect
from aiconform.checks.gang_scheduling import assertions, figures, options, probes

CHECK = collect("gang_scheduling", options.__name__, probes.__name__, assertions.__name__, figures.__name__)
