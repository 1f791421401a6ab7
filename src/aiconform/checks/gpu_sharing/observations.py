"""What gpu_sharing records: the Pods that asked for shares of devices of one node, and what their containers show."""

from __future__ import annotations

from aiconform.check import Observation
from aiconform.kit.container_view import View
from aiconform.platform.accelerators.offered import AllocationWay
from aiconform.platform.accelerators.shares import Way


class Shown(Observation):
    """What a file or an injected program shows in a container.

    source: its path, or the command. of_part: whether it can be about a partition, too, and not about its device.
    """

    source: str
    value: str
    of_part: bool = False


class Size(Observation):
    """A memory size that a file or an injected program shows in a container, in bytes."""

    source: str
    bytes: float


class Share(Observation):
    """A Pod that asked for one share.

    asked: the extended resource, or the driver and the product. memory: of such a share as advertised, in bytes; 0 if
    that is not known. waits: what the scheduler said, if it did not place the Pod. problem: how its share kept it from
    starting. late: how it was seen last, if it was not running when its time was over, and nothing was said against its
    share. allocated, published: the devices of its claim, and what is published of the physical device of each.

    The rest is seen in its container: view, None if it did not start; of environment and mounts what `control` lacks.
    parents: what the driver or the kernel says of the physical device. buses: (number of a device node, address of its
    hardware). sizes: of the memory.
    """

    pod: str
    asked: str
    memory: float = 0.0
    waits: str = ""
    problem: str = ""
    late: str = ""
    allocated: tuple[str, ...] = ()
    published: tuple[str, ...] = ()
    view: View | None = None
    parents: tuple[Shown, ...] = ()
    buses: tuple[tuple[str, str], ...] = ()
    sizes: tuple[Size, ...] = ()


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
