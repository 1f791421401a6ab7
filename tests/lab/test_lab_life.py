"""A lab from its beginning to its end: what it runs, what it survives, and that it leaves nothing."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import support.lab
from support.lab import LAB

from aiconform.cluster import ClusterError, Object, connect
from aiconform.cluster.wait import finished, running, until
from aiconform.lab import Lab, load
from aiconform.lab.build.images import BUSYBOX
from aiconform.lab.machines import cgroups
from aiconform.lab.machines.machine import KERNEL_SETTINGS
from aiconform.lab.machines.process_identity import ProcessIdentity

pytestmark = pytest.mark.lab

NAME = f"{LAB}-life"


def aiconform(*arguments: str, code: int = 0) -> str:
    """Standard output of the command."""
    done = subprocess.run(
        [sys.executable, "-m", "aiconform", *arguments], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == code, f"{arguments}: {done.stdout}\n{done.stderr}"
    return done.stdout


@dataclass(frozen=True)
class Inventory:
    """What a lab could leave on the machine."""

    mounts: frozenset[str]
    devices: frozenset[str]
    links: frozenset[str]
    routes: frozenset[str]
    rules: frozenset[str]
    namespaces: frozenset[str]
    folders: frozenset[str]
    kernel: tuple[str, ...]


def device_nodes() -> Iterator[str]:
    """Those of the machine; beside them, there are the terminals and the shared memory of whatever runs here."""
    for path in Path("/dev").rglob("*"):
        # The kernel makes a vcs beside each console that somebody opens: other labs do, too.
        if (path.is_char_device() or path.is_block_device()) and not re.search("/pts/|/vcs", str(path)):
            yield str(path)


def inventory() -> Inventory:
    """Without what belongs to other labs, which come and go as they please."""

    def lines(*command: str) -> frozenset[str]:
        output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        return frozenset(line for line in output.splitlines() if not line.startswith(("#", ":")))

    others = frozenset(f"aiconform{i}" for i in range(8)) - {ours()}
    return Inventory(
        mounts=frozenset(Path("/proc/self/mounts").read_text().splitlines()),
        devices=frozenset(device_nodes()),
        links=frozenset(link["ifname"] for link in json.loads("".join(lines("ip", "-j", "link")))) - others,
        routes=frozenset(line for line in lines("ip", "route") if not any(name in line for name in others)),
        rules=lines("iptables-save"),
        namespaces=frozenset(path.name for path in Path("/run").glob("netns/*")),
        folders=frozenset(
            str(path)
            for folder in ("/var/lib", "/var/log", "/etc", "/run", "/opt")
            for path in Path(folder).iterdir()
            # Made for the first lab and removed with the last.
            if path.name not in ("aiconform", "kubelet", "cni")
        ),
        kernel=tuple(Path("/proc/sys", name).read_text() for name in KERNEL_SETTINGS),
    )


def ours() -> str:
    lab = load(NAME)
    return lab.network.host_device if lab else ""


@pytest.fixture(scope="module")
def taken() -> list[Inventory]:
    """The inventory before the lab: its only element."""
    return []


@pytest.fixture(scope="module")
def lab(lab: support.lab.Lab, taken: list[Inventory]) -> Iterator[Lab]:
    """A lab of its own, beside the one that other tests share."""
    aiconform("lab", "down", "--name", NAME)
    taken.append(inventory())
    aiconform("lab", "up", "--name", NAME, "--accelerators", "2")
    found = load(NAME)
    assert found
    yield found
    aiconform("lab", "down", "--name", NAME)


@pytest.fixture(scope="module")
def before(lab: Lab, taken: list[Inventory]) -> Inventory:
    return taken[0]


def pids(lab: Lab) -> dict[str, ProcessIdentity]:
    """machine/process -> who it is; only what runs."""
    found = {}
    for machine, state in lab.status()["machines"].items():
        for process, entry in state["processes"].items():
            if entry["pid"] and (identity := ProcessIdentity.of(entry["pid"])):
                found[f"{machine}/{process}"] = identity
    return found


def eventually(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "not so in time"
        time.sleep(0.2)


def pod(name: str, script: str, *, node: str | None = None) -> Object:
    spec: Object = {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 0,
        "containers": [{"name": "main", "image": BUSYBOX, "command": ["sh", "-c", script]}],
    }
    if node:
        spec["nodeName"] = node
    labels = {"app": name}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default", "labels": labels},
        "spec": spec,
    }


async def start(lab: Lab, obj: Object) -> Object:
    async with connect(str(lab.kubeconfig)) as cluster:
        return await until(cluster, await cluster.create(obj), running, seconds=60, what="a Pod")


def kubectl(lab: Lab, *arguments: str) -> str:
    command = [support.lab.KUBECTL, "--kubeconfig", lab.kubeconfig, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


async def outcome(lab: Lab, obj: Object) -> tuple[str, str]:
    """(phase, output) of a Pod that runs to its end; it is deleted."""
    async with connect(str(lab.kubeconfig)) as cluster:
        created = await cluster.create(obj)
        ended = await until(cluster, created, finished, seconds=60, what="the end of a Pod")
        output = await cluster.logs("default", obj["metadata"]["name"], "main")
        await cluster.delete(created, grace=0)
        return ended["status"]["phase"], output


def test_nodes_are_ready_and_run_pods_as_any_user(lab: Lab) -> None:
    status = json.loads(aiconform("lab", "status", "--name", NAME, "-o", "json"))
    assert {name: node["ready"] for name, node in status["nodes"].items()} == {"node-1": True, "node-2": True}
    assert [node["allocation"] for node in status["nodes"].values()] == ["dra", "device-plugin"]
    assert status["slowness"] >= 1
    assert status["machines"]["control-plane"]["processes"].keys() >= {"etcd", "kube-apiserver", "kube-scheduler"}
    obj = pod("nobody", "id -u; touch /tmp/mine && echo written", node="node-2")
    obj["spec"]["securityContext"] = {"runAsUser": 4321, "runAsNonRoot": True}
    assert asyncio.run(outcome(lab, obj)) == ("Succeeded", "4321\nwritten\n")


def test_a_service_answers_from_both_nodes_and_by_name(lab: Lab) -> None:
    server = pod("server", "cd /tmp; echo served > index.html; httpd -f -p 8080 -h /tmp", node="node-1")
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "front", "namespace": "default"},
        "spec": {"selector": {"app": "server"}, "ports": [{"port": 80, "targetPort": 8080}]},
    }

    async def ask() -> list[tuple[str, str]]:
        async with connect(str(lab.kubeconfig)) as cluster:
            await cluster.create(service)
        server_pod = await start(lab, server)
        script = "for i in 1 2 3 4 5 6 7 8 9; do timeout 5 wget -qO- http://front && exit; sleep 0.3; done; exit 1"
        answers = [await outcome(lab, pod(f"client-{node}", script, node=node)) for node in ("node-1", "node-2")]
        async with connect(str(lab.kubeconfig)) as cluster:
            await cluster.delete(service)
            await cluster.delete(server_pod, grace=0)
        return answers

    assert asyncio.run(ask()) == [("Succeeded", "served\n")] * 2


def test_the_api_server_reaches_webhooks_in_pods(lab: Lab) -> None:
    """A webhook that speaks no TLS is found out by what the API server says of the connection it made."""
    server = pod("hook", "cd /tmp; httpd -f -p 8443 -h /tmp", node="node-2")
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "hook", "namespace": "default"},
        "spec": {"selector": {"app": "hook"}, "ports": [{"port": 443, "targetPort": 8443}]},
    }
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["secrets"]}
    hook = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": "hook"},
        "webhooks": [
            {
                "name": "hook.aiconform.dev",
                "clientConfig": {"service": {"name": "hook", "namespace": "default"}},
                "rules": [rule],
                "sideEffects": "None",
                "admissionReviewVersions": ["v1"],
            }
        ],
    }
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "refused", "namespace": "default"}}

    async def ask() -> str:
        server_pod = await start(lab, server)
        async with connect(str(lab.kubeconfig)) as cluster:
            await cluster.create(service)
            await cluster.create(hook)
            try:
                # Until the API server knows the webhook and its endpoint.
                async with asyncio.timeout(30):
                    while True:
                        try:
                            await cluster.delete(await cluster.create(secret))
                        except ClusterError as error:
                            if "HTTP response to HTTPS client" in str(error):
                                return str(error)
                        await asyncio.sleep(0.2)
            finally:
                for obj in (hook, service, server_pod):
                    await cluster.delete(obj, grace=0)

    assert "hook.aiconform.dev" in asyncio.run(ask())


def test_nothing_of_the_host_changes_while_a_lab_is_up(lab: Lab, before: Inventory) -> None:
    now = inventory()
    assert now.links - before.links == {lab.network.host_device}
    assert (now.rules, now.mounts, now.devices, now.kernel) == (
        before.rules,
        before.mounts,
        before.devices,
        before.kernel,
    )


def test_a_node_sees_the_cgroups_of_its_own_pods_only(lab: Lab) -> None:
    for name in ("node-1", "node-2"):
        pid = str(lab.status()["machines"][name]["pid"])
        command = ["nsenter", "-t", pid, "-m", "ls", str(cgroups.ROOT / cgroups.below_root(""))]
        seen = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
        assert {"kubepods", cgroups.SYSTEM} <= set(seen)
        assert lab.paths.cgroup not in seen


def test_up_again_changes_nothing(lab: Lab) -> None:
    running_before = pids(lab)
    aiconform("lab", "up", "--name", NAME)
    assert pids(lab) == running_before


def test_what_is_killed_comes_back_and_pods_go_on(lab: Lab) -> None:
    kept = asyncio.run(start(lab, pod("kept", "sleep 1000", node="node-1")))
    killed = {name: identity for name, identity in pids(lab).items() if name != "node-1/images"}
    for identity in killed.values():
        assert identity.kill()
    eventually(lambda: pids(lab).keys() == killed.keys() and not set(pids(lab).values()) & set(killed.values()))
    eventually(lab.healthy)

    async def look() -> Object:
        async with connect(str(lab.kubeconfig)) as cluster:
            found = await cluster.get("v1", "Pod", "kept", "default")
            await cluster.delete(found, grace=0)
            return found

    container = asyncio.run(look())["status"]["containerStatuses"][0]
    assert container["containerID"] == kept["status"]["containerStatuses"][0]["containerID"]


def test_a_machine_that_is_switched_off_starts_anew(lab: Lab) -> None:
    first = lab.status()["machines"]
    lab.node("node-2").crash()
    eventually(lambda: lab.status()["machines"]["node-2"]["pid"] not in (None, first["node-2"]["pid"]))
    lab.crash("control-plane")
    eventually(lambda: lab.status()["machines"]["control-plane"]["pid"] not in (None, first["control-plane"]["pid"]))
    aiconform("lab", "up", "--name", NAME)
    phase, said = asyncio.run(
        outcome(lab, pod("after", "nslookup kubernetes.default.svc.cluster.local", node="node-2"))
    )
    assert phase == "Succeeded", said


def test_a_node_comes_and_goes(lab: Lab) -> None:
    aiconform("lab", "node", "add", "extra", "--name", NAME, "--allocation", "both", "--accelerators", "3")
    changed = load(NAME)
    assert changed
    assert changed.healthy()
    assert changed.node("extra").plan.accelerators == 3
    minors = [node.plan.first_minor + i for node in changed.nodes for i in range(node.plan.accelerators)]
    assert len(set(minors)) == len(minors)
    aiconform("lab", "node", "remove", "extra", "--name", NAME)
    changed = load(NAME)
    assert changed
    assert changed.healthy()
    assert [node.name for node in changed.nodes] == ["node-1", "node-2"]
    assert not cgroups.processes(f"{changed.paths.cgroup}/extra")
    assert not (changed.state / "machines" / "extra").exists()


def test_a_node_that_goes_takes_its_pods_along(lab: Lab) -> None:
    """The cluster's own garbage collector would let `node remove` wait for the DNS for a minute, or fail."""

    async def nodes_of_dns() -> list[str]:
        async with connect(str(lab.kubeconfig)) as cluster:
            found = cluster.list("v1", "Pod", "kube-system", labels="k8s-app=kube-dns")
            return [pod["spec"].get("nodeName", "") async for pod in found]

    aiconform("lab", "node", "add", "extra", "--name", NAME)
    kubectl(lab, "taint", "node", "node-1", "node-2", "moves=dns:NoExecute")
    begun = time.monotonic()
    while asyncio.run(nodes_of_dns()) != ["extra"]:
        assert time.monotonic() - begun < 60
        time.sleep(0.5)
    kubectl(lab, "taint", "node", "node-1", "node-2", "moves-")
    aiconform("lab", "node", "remove", "extra", "--name", NAME)
    assert asyncio.run(nodes_of_dns()) in (["node-1"], ["node-2"])


def test_the_end_of_the_supervisor_ends_all_and_up_goes_on(lab: Lab) -> None:
    asyncio.run(start(lab, pod("witness", "sleep 1000", node="node-1")))
    record = json.loads(lab.paths.supervisor_record.read_text())
    assert ProcessIdentity(record["pid"], record["start"]).kill()
    eventually(lambda: not cgroups.processes(lab.paths.cgroup), seconds=10)
    aiconform("lab", "status", "--name", NAME, code=3)
    aiconform("lab", "up", "--name", NAME)

    async def look() -> Object:
        async with connect(str(lab.kubeconfig)) as cluster:
            return await cluster.get("v1", "Pod", "witness", "default")

    assert asyncio.run(look())["spec"]["nodeName"] == "node-1"


def test_a_second_lab_does_not_meet_the_first(lab: Lab) -> None:
    other = load(LAB)
    assert other
    assert other.healthy()
    assert lab.healthy()
    assert not other.network.block.overlaps(lab.network.block)


def test_down_leaves_nothing(lab: Lab, before: Inventory) -> None:
    asyncio.run(start(lab, pod("left", "sleep 1000", node="node-2")))
    all_pids = [ProcessIdentity.of(pid) for pid in cgroups.processes(lab.paths.cgroup)]
    assert len(all_pids) > 15
    aiconform("lab", "down", "--name", NAME)
    assert not [identity for identity in all_pids if identity and identity.alive]
    assert not [h for h in cgroups.hierarchies() if (h.mount / lab.paths.cgroup).exists()]
    assert not lab.state.exists()
    assert inventory() == before
    assert aiconform("lab", "down", "--name", NAME) == ""
