"""What workload_sandboxing records: what a sandboxed Pod and an ordinary one see on one node, and what became of tries.

No line that a container printed of others is kept: of processes their names, of a kernel's log digests.
"""

from __future__ import annotations

from aiconform.check import Observation
from aiconform.kit.container_view import OpenAttempt

SERVICES = ("service-name", "service-address")
"""What is asked of the control Pod's Service, by its name and by its address."""


class Kernel(Observation):
    """What a container is told of its kernel; empty where it is told nothing.

    banner: /proc/version. started: when it booted, in seconds since 1970. log: digests of lines of its log.
    """

    name: str = ""
    release: str = ""
    version: str = ""
    machine: str = ""
    banner: str = ""
    boot: str = ""
    started: int | None = None
    log: tuple[str, ...] = ()


class Sample(Observation):
    """Counters of the kernel at one moment; None where the container is not told.

    threads: of all processes. forks: since it booted. files: that are open. shared: memory that is shared, in KiB.
    """

    threads: int | None = None
    forks: int | None = None
    files: int | None = None
    shared: int | None = None


class Memory(Observation):
    """KiB by /proc/meminfo (total, free) and by the kernel's call (told); None where that is not told."""

    total: int | None = None
    free: int | None = None
    told: int | None = None


class Process(Observation):
    """A process that a container sees. victim: its name is that of the control Pod's process."""

    pid: int
    parent: int
    name: str
    victim: bool = False


class Found(Observation):
    """A file. own: it is the container's; victim: it has what only the control Pod wrote."""

    path: str
    own: bool = False
    victim: bool = False


class Fetch(Observation):
    """A request that a container made. word: which server answered, by its words, or empty."""

    what: str
    word: str = ""
    said: str = ""


class Attempt(Observation):
    """Something that a container tried. code: 0 if it worked inside."""

    what: str
    code: int
    said: str = ""


class Parameter(Observation):
    """A parameter of the kernel as a container saw it, each time that it was another."""

    path: str
    values: tuple[str, ...]


class Sight(Observation):
    """What one container saw. shell: the process of its own shell; user: whom it ran as; -1 if it did not say.

    interfaces: (name, address) of its network. host_paths: paths of a node that are there. devices: special files
    beside those of every container. searched: in how many mounts files were looked for. environments: (process, whether
    it had the control Pod's secret) of processes whose environment was read. whole: it printed all of it.
    """

    kernel: Kernel = Kernel()
    memory: Memory = Memory()
    shell: int = -1
    user: int = -1
    processes: tuple[Process, ...] = ()
    interfaces: tuple[tuple[str, str], ...] = ()
    devices: tuple[str, ...] = ()
    searched: int = 0
    found: tuple[Found, ...] = ()
    host_paths: tuple[str, ...] = ()
    environments: tuple[tuple[int, bool], ...] = ()
    samples: tuple[Sample, ...] = ()
    fetches: tuple[Fetch, ...] = ()
    attempts: tuple[Attempt, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    whole: bool = False

    def fetched(self, what: str) -> Fetch | None:
        return next((each for each in self.fetches if each.what == what), None)

    def served(self, what: str) -> bool:
        """Whether the control Pod's server answered."""
        fetch = self.fetched(what)
        return fetch is not None and fetch.word == "victim"


class Tried(Observation):
    """A RuntimeClass that was tried. outcome: what became of it."""

    name: str
    handler: str
    outcome: str


class AgentPod(Observation):
    """A Pod that agent-sandbox made. way: by which of its kinds. problem: why there was none, or what it did not tell.

    samples: counters of its kernel, taken while the control Pod ran.
    """

    way: str
    runtime_class: str = ""
    problem: str = ""
    kernel: Kernel | None = None
    samples: tuple[Sample, ...] = ()


class Isolation(Observation):
    """A sandboxed Pod beside a control Pod on one node.

    name, handler: of the RuntimeClass; known: the runtime, if its name or handler is known; why: it was chosen.
    machine: each of its Pods gets a machine of its own. problem: why none of its Pods starts, where that is what the
    platform offers. tried, passed_over: other RuntimeClasses.

    release, boot: of the node's kernel as its kubelet reports it; memory: of the node, in KiB, 0 if not told.
    unlimited: why the sandboxed Pod may use all of it, or empty.
    addresses: of the node; pod_addresses: of the sandboxed Pod. pulse_threads, pulse_shared: threads, and KiB of shared
    memory, that the control Pod took and gave back again and again. listener: whether a Pod listened on the node's
    loopback interface; no_listener: why not. unprivileged: why the sandboxed Pod did not run as root. denied: the
    NetworkPolicies that may deny the Pods their traffic. agents_left_out: why agent-sandbox made none.
    """

    name: str
    handler: str
    known: str = ""
    why: str = ""
    machine: bool = False
    problem: str = ""
    tried: tuple[Tried, ...] = ()
    passed_over: tuple[str, ...] = ()
    node: str = ""
    release: str = ""
    boot: str = ""
    memory: int = 0
    unlimited: str = ""
    addresses: tuple[str, ...] = ()
    pod_addresses: tuple[str, ...] = ()
    pulse_threads: int = 0
    pulse_shared: int = 0
    sandbox: Sight | None = None
    control: Sight | None = None
    listener: bool = False
    no_listener: str = ""
    unprivileged: str = ""
    denied: str = ""
    agents: tuple[AgentPod, ...] = ()
    agents_left_out: str = ""


class AcceleratedPod(Observation):
    """A Pod of a RuntimeClass that asked for an accelerator. problem: why it does not run.

    opens: what became of opening its device nodes. without: the kernel of a Pod of the class without an accelerator,
    where this one does not have one of its own.
    """

    name: str
    handler: str
    problem: str = ""
    kernel: Kernel | None = None
    without: Kernel | None = None
    opens: tuple[OpenAttempt, ...] = ()


class Accelerated(Observation):
    """Sandboxed Pods that asked for an accelerator of a node, until one had a kernel of its own.

    untried: why there was none. asked: the driver or the extended resource. release, boot: of the node's kernel.
    """

    node: str = ""
    asked: str = ""
    untried: str = ""
    release: str = ""
    boot: str = ""
    pods: tuple[AcceleratedPod, ...] = ()
