"""dra_support: Pods get devices through Dynamic Resource Allocation, and never more than exist.

The API group is served with its four kinds. A driver publishes devices. A claim with a CEL selector is allocated a
device that satisfies it, and the Pod that holds the claim starts. A claim for more devices than a node has stays
unallocated.
"""

from aiconform.check import collect
from aiconform.checks.dra_support import assertions, probes

CHECK = collect("dra_support", probes.__name__, assertions.__name__)
