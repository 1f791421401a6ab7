"""Which assertions each fault has to break: fault -> check -> titles of assertions, no more and no fewer.

`aiconform spec check` counts by it which MUSTs are known to fail on a broken platform; the lab's tests hold it.
"""

from __future__ import annotations

from collections.abc import Mapping, Set

_DRA = "dra_support"
_ACCESS = "secure_accelerator_access"

_SERVED = "The DRA API is served with its four kinds and all their verbs"
_PUBLISHES = "A DRA driver publishes devices"
_SATISFIED = "A claim with a selector is allocated one device that satisfies it"
_POD_STARTS = "The Pod that holds an allocated claim starts"
_NO_MORE = "A claim for more devices than a node has stays unallocated"
_STARTS = "A Pod that asks for a device starts with it"
_SEES = "The holder sees a device that a Pod without a claim does not see"
_EXACT = "Each holder sees exactly the device it asked for"
_SIBLING = "A sibling container without the claim sees no device"
_STRANGER = "A Pod without a claim on the same node sees no device"
_DISJOINT = "Two holders see disjoint devices"
_OPENS = "The holder can open its device"
_FORGED = "The kernel refuses a Pod without a claim that makes its own node for a held device"

BREAKS: Mapping[str, Mapping[str, Set[str]]] = {
    "runtime-leaks-devices": {_ACCESS: {_SEES, _SIBLING, _STRANGER, _DISJOINT, _FORGED}},
    "runtime-opens-devices": {_ACCESS: {_FORGED}},
    "driver-prepares-all": {_ACCESS: {_EXACT, _DISJOINT}},
    "driver-prepares-nothing": {_ACCESS: {_SEES, _DISJOINT}},
    "driver-withholds-access": {_ACCESS: {_OPENS}},
    "driver-never-prepares": {_DRA: {_POD_STARTS}, _ACCESS: {_STARTS}},
    "driver-renumbers-devices": {_DRA: {_SATISFIED}},
    "allocator-overcommits": {_DRA: {_NO_MORE}},
    "no-driver": {_DRA: {_PUBLISHES}},
    "no-dra-api": {_DRA: {_SERVED}},
}
