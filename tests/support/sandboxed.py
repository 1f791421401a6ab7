"""A node with RuntimeClasses: a cluster whose sandboxed and ordinary containers print what real ones do."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Sequence
from typing import Any

from aiconform.check import Settings
from aiconform.check.registry import load_check
from aiconform.check.testing import findings
from aiconform.checks.workload_sandboxing import inside
from aiconform.checks.workload_sandboxing.observations import Isolation
from aiconform.checks.workload_sandboxing.options import WorkloadSandboxing
from aiconform.checks.workload_sandboxing.probes import isolation
from aiconform.cluster import NotFound, Object, Rejected
from aiconform.platform import Platform
from aiconform.platform.images import Images
from support.shared_devices import FakeCluster, FakeScratch

ALL = {
    "kernel_is_another",
    "no_foreign_process_is_visible",
    "memory_is_isolated",
    "host_filesystem_is_unreachable",
    "network_is_isolated",
    "services_are_reachable",
    "host_is_not_changed",
}
ROUNDS = 4


def fact(name: str, text: str) -> str:
    return f"fact {name} {base64.b64encode(text.encode()).decode()}"


def fetch(what: str, said: str) -> str:
    return f"fetch {what} {base64.b64encode(said.encode()).decode()}"


def answer(word: str) -> str:
    return f"HTTP/1.1 200 OK\r\nContent-type: text/html\r\n\r\n{word}"


REFUSED = "nc: can't connect to remote host (127.0.0.1): Connection refused"


def kernel(release: str, version: str, boot: str, started: int, log: str = "") -> list[str]:
    banner = f"Linux version {release} {version}"
    named = {"name": "Linux", "release": release, "version": version, "machine": "x86_64", "banner": banner}
    told = {**named, "boot": boot, "started": str(started), "log": log}
    return [fact(name, text) for name, text in told.items()]


HOST = kernel("6.8.0-45-generic", "#45-Ubuntu SMP", "boot-1", 1_700_000_000)
GVISOR = kernel("4.19.0-gvisor", "#1 SMP Sun Jan 10 15:06:54 PST 2016", "boot-9", 1_700_090_000)
KATA = kernel("6.12.28", "#1 SMP Thu Jul 3", "boot-8", 1_700_090_000)
FAKED = kernel("2.6.60-45-generic", "#45-Ubuntu SMP", "boot-7", 1_700_090_000)


def host_samples() -> list[str]:
    """Of the node's kernel, while the control Pod starts and ends processes."""
    found = []
    for number in range(ROUNDS):
        for level in (100, 0):
            threads, shared = 2000 + level, 50_000 + (32_768 if level else 0)
            found += [f"sample {threads} {2_600_000 + 200 * number + level} 7000 {shared}"] * 2
    return [*found, "sample 2000 2601000 7000 50000"]


GVISOR_SAMPLES = ["sample 0 - - 0"] * 12
KATA_SAMPLES = [f"sample {90 + number % 2} {700 + number} 500 120" for number in range(12)]


def meminfo(total: int, free: int) -> list[str]:
    return [fact("meminfo", f"MemTotal: {total} kB\nMemFree: {free} kB\n"), fact("told", str(total))]


NODE_MEMORY = meminfo(64_000_000, 30_000_000)
OWN_MEMORY = meminfo(262_144, 250_000)
ADDRESSES = "1: lo    inet 127.0.0.1/8 scope host lo\n2: eth0    inet 10.1.0.7/24 scope global eth0\n"
ATTEMPTS = [
    "attempt mount-tmpfs 1 mount: permission denied (are you root?)",
    "attempt user-namespace 0 ",
    "attempt load-module 1 insmod: can't insert '/tmp/none.ko': Operation not permitted",
    "attempt write-kernel-log 1 sh: can't create /tmp/kmsg: No such device or address",
    "attempt read-mem 1 head: /dev/mem: No such file or directory",
    "attempt read-made-mem 1 head: /tmp/mem: No such device or address",
    "attempt read-made-block:8:1 1 head: /tmp/block-1: No such device or address",
    "attempt write:/proc/sys/vm/swappiness 2 not there",
]
PROCESSES = ["shell 1", "process 1 0 sh sh-c", "process 9 1 find find"]


class Node(FakeCluster):
    """One node; Pods of the classes in `kernels` have that kernel, and others the node's.

    broken: RuntimeClass -> what the runtime says in place of running its Pods. late: classes whose Pods stay Pending
    without a word. more: by what the sandboxed container prints, in place of what it usually does (a line's first two
    words tell which). controlled: more of what the control container prints.
    """

    def __init__(self, *classes: tuple[str, str], kernels: dict[str, list[str]] | None = None) -> None:
        about = {"name": "n1", "labels": {}}
        self.status: Object = {
            "conditions": [{"type": "Ready", "status": "True"}],
            "nodeInfo": {"kernelVersion": "6.8.0-45-generic", "bootID": "boot-1"},
            "capacity": {"memory": "64000000Ki"},
            "addresses": [{"type": "InternalIP", "address": "192.0.2.5"}, {"type": "Hostname", "address": "n1"}],
        }
        runtimes = [
            {"kind": "RuntimeClass", "metadata": {"name": name}, "handler": handler} for name, handler in classes
        ]
        super().__init__({"kind": "Node", "metadata": about, "spec": {}, "status": self.status}, *runtimes)
        self.kernels = kernels if kernels is not None else {name: GVISOR for name, _ in classes}
        self.broken: dict[str, str] = {}
        self.late: set[str] = set()
        self.samples: dict[str, list[str]] = {}
        self.lines: list[str] = []
        self.controlled: list[str] = []
        self.served: dict[str, tuple[str, ...]] = {}
        self.refuses_root = self.refuses_listener = False
        self.agents_make = True
        self.opens = ["own /dev/net/tun opened", "own /dev/nvidia0 opened"]
        self.requests = 0

    async def groups(self) -> dict[str, tuple[str, ...]]:
        return self.served

    def schedule(self, made: Object) -> str:
        return ""

    def place(self, made: Object) -> None:
        super().place(made)
        runtime = made["spec"].get("runtimeClassName", "")
        made["status"] |= {"podIP": "10.1.0.7", "podIPs": [{"ip": "10.1.0.7"}]}
        if runtime in self.broken or runtime in self.late:
            waiting = {"name": "main", "state": {"waiting": {"reason": "ContainerCreating"}}}
            made["status"] = {"phase": "Pending", "containerStatuses": [waiting]}
        if runtime in self.broken:
            about = {"uid": made["metadata"]["uid"]}
            message = f"Failed to create pod sandbox: {self.broken[runtime]}"
            event = {"reason": "FailedCreatePodSandBox", "type": "Warning", "message": message, "involvedObject": about}
            self.objects.append({"kind": "Event", "metadata": {"name": "e"}, **event})

    async def list(
        self, api_version: str, kind: str, namespace: str | None = None, *, labels: str = "", fields: str = ""
    ) -> AsyncIterator[Object]:
        async for each in super().list(api_version, kind, namespace, labels=labels, fields=fields):
            if kind != "Event" or each["involvedObject"]["uid"] in fields:
                yield each

    async def get(self, api_version: str, kind: str, name: str, namespace: str | None = None) -> Object:
        try:
            return await super().get(api_version, kind, name, namespace)
        except (StopIteration, RuntimeError):
            raise NotFound(f"{kind} {name} not found") from None

    async def snapshot(
        self, api: str, kind: str, namespace: str | None, *, labels: str, fields: str
    ) -> tuple[list[Object], str]:
        found, version = await super().snapshot(api, kind, namespace, labels=labels, fields=fields)
        by = {"sandboxed-by=agent": "by-sandbox", "sandboxed-by=claim": "by-sandboxclaim"}
        names = [name for label, name in by.items() if labels.endswith(label)]
        return [each for each in found if not names or each["metadata"]["name"] in names], version

    async def follow(self, namespace: str, name: str, container: str, *, seconds: float) -> AsyncIterator[str]:
        for line in self.printed(await self.get("v1", "Pod", name, namespace)):
            yield line

    async def logs(self, namespace: str, pod: str, container: str, *, limit_bytes: int = 1 << 20) -> str:
        return "\n".join(self.printed(await self.get("v1", "Pod", pod, namespace)))

    def printed(self, made: Object) -> list[str]:
        script = made["spec"]["containers"][0]["command"][2]
        env = {each["name"]: each["value"] for each in made["spec"]["containers"][0].get("env") or []}
        runtime = made["spec"].get("runtimeClassName", "")
        own = self.kernels.get(runtime, HOST)
        if script == inside.TRIAL:
            return [*own, *self.counted(runtime)[:1], inside.LOOKED]
        if script == inside.ACCELERATED:
            return [*self.kernels.get(runtime, HOST), *self.opens, inside.LOOKED]
        if script == inside.LISTENER:
            return [fetch("host-loopback", answer(env["HOST_WORD"])), inside.LOOKED]
        served = [
            fetch("service-name", answer(env["SERVED_WORD"])),
            fetch("service-address", answer(env["SERVED_WORD"])),
            fetch("api", "connected"),
            fetch("metadata", "nc: timed out"),
        ]
        if script == inside.CONTROL:
            told = [f"parameter {path} 60" for path in inside.PARAMETERS]
            self.secret, self.victim, self.loopback = env["SECRET"], env["VICTIM_NAME"], env["LOOPBACK_WORD"]
            usual = [*HOST, *NODE_MEMORY, "block 8:1", "block 0:55", inside.LOOKED, *served, *told, *host_samples()]
            return replaced(usual, self.controlled)
        memory = NODE_MEMORY if own is HOST else OWN_MEMORY
        usual = [*own, *memory, fact("user", "0"), fact("interfaces", ADDRESSES), *PROCESSES]
        usual += [
            "searched /",
            "searched /tmp",
            f"file /tmp/{env['MARK']} {base64.b64encode(b'own').decode()}",
            *served,
        ]
        usual += [fetch("victim", answer(env["SERVED_WORD"]))]
        usual += [fetch(each, REFUSED) for each in ("victim-loopback", "host-loopback", "kubelet-health")]
        usual += [*ATTEMPTS, *self.counted(runtime)]
        return [*replaced(usual, [self.filled(line) for line in self.lines]), inside.DONE]

    def counted(self, runtime: str) -> Sequence[str]:
        own = self.kernels.get(runtime, HOST)
        usual = host_samples()[1:-1] if own is HOST else KATA_SAMPLES if own is KATA else GVISOR_SAMPLES
        return self.samples.get(runtime, usual)

    def filled(self, line: str) -> str:
        """With what only the control Pod knows."""
        kind, _, rest = line.partition(" ")
        if kind == "fetch-loopback":
            return fetch("victim-loopback", answer(self.loopback))
        if kind in ("file", "environment"):
            return f"{kind} {rest} {base64.b64encode(self.secret.encode()).decode()}"
        return line.replace("VICTIM", self.victim)


def replaced(lines: Sequence[str], by: Sequence[str]) -> list[str]:
    """The lines, with those in place of them that begin with the same two words."""
    keys = {tuple(line.split(" ")[:2]) for line in by if line.split(" ")[0] in ("fact", "fetch", "attempt", "shell")}
    return [*(line for line in lines if tuple(line.split(" ")[:2]) not in keys), *by]


class NodeScratch(FakeScratch):
    """As a run's; what a cluster refuses is in the Node."""

    cluster: Node

    async def create(self, obj: Object, *, security: str | None = None) -> Object:
        spec = obj["spec"]
        if security == "privileged" and self.cluster.refuses_listener:
            raise Rejected('pods "listener" is forbidden: violates PodSecurity "baseline:latest": host namespaces')
        for each in spec.get("containers") or []:
            if self.cluster.refuses_root and (each.get("securityContext") or {}).get("runAsUser") == 0:
                raise Rejected('pods "x" is forbidden: violates PodSecurity "restricted:latest": runAsUser=0')
        made = await super().create(obj)
        if obj["kind"] == "Service":
            made["spec"]["clusterIP"] = "10.96.0.9"
        if obj["kind"] in ("Sandbox", "SandboxClaim") and self.cluster.agents_make:
            template = spec.get("podTemplate") or self.cluster.of("SandboxTemplate")[0]["spec"]["podTemplate"]
            pod = {"kind": "Pod", "apiVersion": "v1", "metadata": {"name": f"by-{obj['kind'].lower()}"}}
            await super().create({**pod, "spec": template["spec"]})
        return made


def settings(**options: Any) -> Settings:
    known = {**WorkloadSandboxing().model_dump(), "start_seconds": 1.0, **options}
    return Settings(patience=1.0, options=(WorkloadSandboxing.model_construct(**known),))


def platform(cluster: Node) -> Platform:
    return Platform(cluster, Images())  # type: ignore[arg-type]


async def observed(cluster: Node, **options: Any) -> Isolation:
    """What the probe records; what it made is gone afterwards."""
    try:
        return await isolation(platform(cluster), NodeScratch(cluster), settings(**options), None)  # type: ignore[arg-type]
    finally:
        cluster.made, cluster.created = cluster.created, []


def held(found: Isolation) -> dict[str, bool | None]:
    return {name: each.holds for name, each in findings(load_check("workload_sandboxing"), found).items()}


def broken(found: Isolation) -> set[str]:
    return {name for name, value in held(found).items() if value is False}


def undecided(found: Isolation) -> set[str]:
    return {name for name, value in held(found).items() if value is None}


def reason(found: Isolation, name: str) -> str:
    return findings(load_check("workload_sandboxing"), found)[name].reason
