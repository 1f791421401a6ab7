"""What gpu_sharing records: the Pods that asked for shares of devices of one node, and what their containers show."""

from __future__ import annotations

from aiconform.check import Observation
from aiconform.kit.container_view import View
from aiconform.kit.inside import DeviceHolder
from aiconform.platform.accelerators.offered import AllocationWay
from aiconform.platform.accelerators.shares import Way


class Share(DeviceHolder):
    """A Pod that asked for one share."""


class Excess(Observation):
    """A Pod that asked for one share more, watched for `window` seconds after the scheduler's first decision.

    not_tried: why there was none. waits: what the scheduler said; empty if it placed the Pod, and then `became` says
    what became of it. others_before, others_after: how many shares others held before and after. bound_after: how many
    were advertised by then.
    """

    not_tried: str = ""
    asked: str = ""
    window: float = 0.0
    waits: str = ""
    became: str = ""
    others_before: int = 0
    others_after: int = 0
    bound_after: int = 0


class Sharing(Observation):
    """Pods that share the devices of one kind on one node in one way.

    said: what advertises it. not_requestable: why no Pod can ask for what is advertised; then none was made. lost:
    other nodes of which only labels speak of such shares, in words. bound: how many shares are advertised, 0 if there
    is no limit; free: how many of them were free; fewer: why not as many Pods asked. physical: how many physical
    devices these are, 0 if not known. whole: the memory of such a device, in bytes, 0 if not known. together: the Pods
    that ran at one moment, after all others had started and the last one was watched. control: a container without a
    device beside them. release, boot: of the node's kernel.
    """

    node: str
    way: AllocationWay
    name: str
    product: str
    simulated: bool
    strategy: Way
    said: str
    not_requestable: str = ""
    lost: tuple[str, ...] = ()
    bound: int = 0
    free: int = 0
    fewer: str = ""
    physical: int = 0
    whole: float = 0.0
    shares: tuple[Share, ...] = ()
    together: tuple[str, ...] = ()
    control: View | None = None
    release: str = ""
    boot: str = ""
    excess: Excess | None = None
