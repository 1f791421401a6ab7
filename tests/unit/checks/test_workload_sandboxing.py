"""What workload_sandboxing tries on a node and finds, by the shapes of real platforms."""

from __future__ import annotations

import pytest
from support.sandboxed import (
    ADDRESSES,
    ALL,
    FAKED,
    GVISOR,
    HOST,
    KATA,
    NODE_MEMORY,
    PROCESSES,
    Node,
    answer,
    broken,
    fact,
    fetch,
    held,
    host_samples,
    observed,
    platform,
    reason,
    settings,
    undecided,
)

from aiconform.check import ClusterError, NothingToLookAt
from aiconform.check.figures import Matrix
from aiconform.check.registry import load_check
from aiconform.checks.workload_sandboxing.probes import offered_sandboxes
from aiconform.cluster import Forbidden, Object, Rejected, Stuck, TimedOut

CHECK = load_check("workload_sandboxing")
KERNEL = "kernel_is_another"
SHARED = {KERNEL, "memory_is_isolated"}


@pytest.fixture(autouse=True)
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """What Pods do here, they do at once."""
    monkeypatch.setattr("aiconform.checks.workload_sandboxing.starts._LOOK_SECONDS", 0.05)
    monkeypatch.setattr("aiconform.checks.workload_sandboxing.starts._REFUSED_SECONDS", 0.1)
    monkeypatch.setattr("aiconform.kit.starting.LATE_SECONDS", 0.05)


GKE = (("gvisor", "gvisor"),)
LAB = (("gvisor", "runsc"),)
AKS = (("kata-mshv-vm-isolation", "kata"), ("runc", "runc"))
OPENSHIFT = (("kata", "kata"),)
PEER_PODS = (("kata-remote", "kata-remote"),)
EKS_D = (("kata-qemu", "kata-qemu"), ("kata-clh", "kata-clh"), ("nvidia", "nvidia"))


@pytest.mark.parametrize(
    ("classes", "kernel", "title"),
    [
        (GKE, GVISOR, "GKE Sandbox"),
        (AKS, KATA, "AKS Pod Sandboxing"),
        (OPENSHIFT, KATA, "Kata Containers"),
        (PEER_PODS, KATA, "Kata peer pods"),
        (EKS_D, KATA, "Kata Containers"),
    ],
)
async def test_sandboxes_of_vendors_pass(classes: tuple[tuple[str, str], ...], kernel: list[str], title: str) -> None:
    cluster = Node(*classes, kernels={name: kernel for name, _ in classes})
    found = await observed(cluster)
    assert held(found) == dict.fromkeys(ALL, True)
    assert found.known == title
    assert found.listener
    sandboxed = [each for each in cluster.made if each["spec"].get("runtimeClassName")]
    assert len(sandboxed) == 2, "one that tells its kernel, one that tries"
    for each in sandboxed:
        assert "hostNetwork" not in each["spec"]
        assert "volumes" not in each["spec"]
        assert each["spec"]["automountServiceAccountToken"] is False


async def test_a_class_that_is_runc_breaks_kernel_and_memory() -> None:
    found = await observed(Node(*LAB, kernels={}))
    assert broken(found) == SHARED
    assert undecided(found) == set()
    assert "boot id boot-1" in reason(found, KERNEL)
    assert "threads rise and fall by 100" in reason(found, KERNEL)


async def test_a_faked_kernel_is_known_by_what_it_does() -> None:
    cluster = Node(*LAB, kernels={"gvisor": FAKED})
    cluster.samples["gvisor"] = host_samples()[1:-1]
    found = await observed(cluster)
    assert KERNEL in broken(found)
    assert "one kernel: threads rise and fall" in reason(found, KERNEL)


async def test_fake_counters_do_not_hide_shared_memory() -> None:
    cluster = Node(*LAB, kernels={"gvisor": FAKED})
    cluster.samples["gvisor"] = [f"sample 5 - - {line.rpartition(' ')[2]}" for line in host_samples()]
    found = await observed(cluster)
    assert KERNEL in broken(found)
    assert "shared memory (KiB) rise and fall" in reason(found, KERNEL)


async def test_without_any_counter_nothing_is_decided() -> None:
    cluster = Node(*LAB)
    cluster.samples["gvisor"] = ["sample - - - -"]
    found = await observed(cluster)
    assert undecided(found) == {KERNEL}
    assert broken(found) == set()


async def test_counters_alone_are_no_other_kernel() -> None:
    cluster = Node(*LAB, kernels={"gvisor": [line for line in HOST if " boot " not in line and "started" not in line]})
    cluster.samples["gvisor"] = ["sample 7 5 - 0"] * 9
    assert KERNEL in undecided(await observed(cluster))


async def test_a_control_pod_that_is_sandboxed_itself_stands_for_no_node() -> None:
    cluster = Node(*OPENSHIFT, kernels={"kata": KATA})
    cluster.controlled = [fact("boot", "boot-5"), fact("told", "262144"), fact("meminfo", "")]
    found = await observed(cluster)
    assert undecided(found) == {KERNEL, "host_is_not_changed"}
    assert broken(found) == set(), "both have the memory of a usual sandbox"
    assert "spec.runtimeClassName of --pod-template" in reason(found, KERNEL)


async def test_processes_of_the_control_pod() -> None:
    cluster = Node(*LAB)
    cluster.lines = ["process 812 1 VICTIM sh-c", "environment 812"]
    found = await observed(cluster)
    assert broken(found) == {"no_foreign_process_is_visible"}
    assert "visible as 812 and its environment can be read" in reason(found, "no_foreign_process_is_visible")


async def test_processes_of_the_host_under_its_own_kernel() -> None:
    cluster = Node(*LAB, kernels={})
    cluster.lines = ["process 700 2 kubelet kubelet", "process 701 2 containerd containerd"]
    found = await observed(cluster)
    assert "no_foreign_process_is_visible" in broken(found)
    assert "kubelet (700)" in reason(found, "no_foreign_process_is_visible")


async def test_processes_of_a_virtual_machine_are_its_own() -> None:
    cluster = Node(*OPENSHIFT, kernels={"kata": KATA})
    cluster.lines = ["process 61 0 kata-agent kata-agent", "process 3 0 pause pause"]
    found = await observed(cluster)
    assert broken(found) == set()
    assert "kata-agent (61); they run on the sandbox's own kernel" in reason(found, "no_foreign_process_is_visible")


async def test_the_memory_of_the_node() -> None:
    cluster = Node(*LAB)
    cluster.lines = NODE_MEMORY
    assert broken(await observed(cluster)) == {"memory_is_isolated"}


async def test_a_machine_of_the_pods_own_may_be_as_large_as_the_node() -> None:
    cluster = Node(*PEER_PODS, kernels={"kata-remote": KATA})
    cluster.lines = [fact("meminfo", "MemTotal: 64000000 kB\nMemFree: 61000000 kB\n"), fact("told", "64000000")]
    assert broken(await observed(cluster)) == set()
    cluster.lines = NODE_MEMORY
    assert broken(await observed(cluster)) == {"memory_is_isolated"}


async def test_the_hosts_memory_is_opened() -> None:
    cluster = Node(*LAB, kernels={})
    cluster.lines = ["attempt read-made-mem 0 "]
    found = await observed(cluster)
    assert "the host's memory can be read" in reason(found, "memory_is_isolated")
    own = Node(*OPENSHIFT, kernels={"kata": KATA})
    own.lines = ["attempt read-kcore 0 "]
    assert "which is its own kernel's" in reason(await observed(own), "memory_is_isolated")


@pytest.mark.parametrize(
    "lines",
    [
        ["searched /host", "file /host/var/lib/kubelet/pods/control/volumes/x/aiconform-1"],
        ["searched /host", "host /host/etc/kubernetes"],
        ["file /dev/shm/aiconform-1"],
    ],
)
async def test_files_of_the_host_or_of_the_control_pod(lines: list[str]) -> None:
    cluster = Node(*LAB)
    cluster.lines = lines
    found = await observed(cluster)
    assert broken(found) == {"host_filesystem_is_unreachable"}
    assert lines[-1].split(" ")[1] in reason(found, "host_filesystem_is_unreachable")


async def test_the_hosts_disk() -> None:
    cluster = Node(*LAB, kernels={})
    cluster.lines = ["attempt read-made-block:8:1 0 "]
    assert "host_filesystem_is_unreachable" in broken(await observed(cluster))
    own = Node(*OPENSHIFT, kernels={"kata": KATA})
    own.lines = ["attempt read-block:/dev/vda 0 "]
    assert broken(await observed(own)) == set()


@pytest.mark.parametrize(
    "line",
    [
        "fetch-loopback ",
        fetch("kubelet-health", answer("ok")),
        fact("interfaces", f"{ADDRESSES}3: ens5    inet 192.0.2.5/24 scope global ens5\n"),
    ],
)
async def test_the_network_of_the_host_or_of_the_control_pod(line: str) -> None:
    cluster = Node(*LAB)
    cluster.lines = [line]
    assert broken(await observed(cluster)) == {"network_is_isolated"}


async def test_a_server_on_the_hosts_loopback_interface() -> None:
    class Shared(Node):
        def printed(self, made: Object) -> list[str]:
            env = {each["name"]: each["value"] for each in made["spec"]["containers"][0].get("env") or []}
            if "HOST_WORD" in env:
                self.lines = [fetch("host-loopback", answer(env["HOST_WORD"]))]
            return super().printed(made)

    found = await observed(Shared(*LAB))
    assert broken(found) == {"network_is_isolated"}
    assert "a server of the host on its loopback interface" in reason(found, "network_is_isolated")


async def test_where_pod_security_refuses_a_listener_interfaces_tell() -> None:
    cluster = Node(*LAB)
    cluster.refuses_listener = True
    found = await observed(cluster)
    assert held(found) == dict.fromkeys(ALL, True)
    assert "violates PodSecurity" in reason(found, "network_is_isolated")
    cluster.lines = [fact("interfaces", "")]
    found = await observed(cluster)
    assert undecided(found) == {"network_is_isolated"}
    assert "privileged level of Pod Security" in reason(found, "network_is_isolated")


async def test_the_metadata_address_is_told_and_judges_nothing() -> None:
    cluster = Node(*LAB)
    cluster.lines = [fetch("metadata", answer("ami-id"))]
    found = await observed(cluster)
    assert broken(found) == set()
    assert "the metadata address 169.254.169.254 answers" in reason(found, "network_is_isolated")


@pytest.mark.parametrize("what", ["service-name", "service-address", "api"])
async def test_a_service_that_only_the_control_pod_reaches(what: str) -> None:
    cluster = Node(*LAB)
    cluster.lines = [fetch(what, "nc: timed out")]
    found = await observed(cluster)
    assert broken(found) == {"services_are_reachable"}
    assert "nc: timed out" in reason(found, "services_are_reachable")


async def test_services_that_nobody_reaches_say_nothing_of_the_sandbox() -> None:
    cluster = Node(*LAB)
    cluster.lines = cluster.controlled = [
        fetch("service-name", "not resolved: no servers"),
        fetch("service-address", "nc: timed out"),
        fetch("api", "nc: timed out"),
    ]
    found = await observed(cluster)
    assert undecided(found) == {"services_are_reachable"}
    assert "not resolved" in reason(found, "services_are_reachable")


async def test_a_parameter_that_the_control_pod_sees_change() -> None:
    cluster = Node(*LAB, kernels={})
    cluster.controlled = ["parameter /proc/sys/vm/swappiness 61", "parameter /proc/sys/vm/swappiness 60"]
    found = await observed(cluster)
    assert "host_is_not_changed" in undecided(found), "the sandbox could not write it: somebody else did"
    cluster.lines = ["attempt write:/proc/sys/vm/swappiness 0 "]
    found = await observed(cluster)
    assert broken(found) == {*SHARED, "host_is_not_changed"}
    assert "/proc/sys/vm/swappiness was 60 then 61 then 60" in reason(found, "host_is_not_changed")


@pytest.mark.parametrize(
    "line",
    [
        "attempt load-module 1 insmod: can't insert '/tmp/none.ko': invalid module format",
        "attempt write-kernel-log 0 ",
    ],
)
async def test_what_reaches_the_kernel_changes_the_host_only_if_it_is_the_hosts(line: str) -> None:
    cluster = Node(*LAB, kernels={})
    cluster.lines = [line]
    assert "host_is_not_changed" in broken(await observed(cluster))
    own = Node(*OPENSHIFT, kernels={"kata": KATA})
    own.lines = [line]
    assert broken(await observed(own)) == set()


async def test_a_sandbox_without_files_in_proc_decides_only_what_it_tells() -> None:
    class Silent(Node):
        def printed(self, made: Object) -> list[str]:
            lines = super().printed(made)
            if "VICTIM" not in str(made["spec"]["containers"][0].get("env")):
                return lines
            kept = ("fact name", "fact release", "fact version", "sample", "done")
            return [line for line in lines if line.startswith(kept)] if "SECRET" not in str(made) else lines

    found = await observed(Silent(*LAB))
    assert broken(found) == {"services_are_reachable"}
    assert undecided(found) >= {"no_foreign_process_is_visible", "memory_is_isolated", "host_filesystem_is_unreachable"}


async def test_hostile_output_breaks_nothing() -> None:
    cluster = Node(*LAB)
    cluster.lines = [
        "fact boot !!!!",
        "process x y z",
        "process 99999999999999999999999999 1 sh",
        "sample a b",
        "attempt",
        "attempt x " + "9" * 400,
        "file",
        "fetch service-name",
        "shell one",
        "\x00\x1b[31m",
        "looked",
        "x" * 100_000,
    ]
    found = await observed(cluster)
    assert KERNEL not in broken(found)


async def test_a_handler_that_no_node_has_is_what_the_platform_offers() -> None:
    cluster = Node(*LAB)
    cluster.broken["gvisor"] = 'failed to get sandbox runtime: no runtime for "runsc" is configured'
    cluster.status["runtimeHandlers"] = [{"name": ""}, {"name": "runc"}]
    found = await observed(cluster)
    assert broken(found) == {KERNEL}
    assert undecided(found) == ALL - {KERNEL}
    assert 'no runtime for "runsc" is configured' in reason(found, KERNEL)
    assert "of 1 nodes that report their handlers, none has runsc" in reason(found, KERNEL)
    assert "no sandboxed Pod ran" in reason(found, "memory_is_isolated")
    figure = CHECK.figures[0].function(found)
    assert isinstance(figure, str)


async def test_a_handler_that_another_node_has_is_tried_there() -> None:
    class Two(Node):
        def place(self, made: Object) -> None:
            super().place(made)
            if "affinity" in made["spec"] and made["spec"].get("runtimeClassName"):
                names = [{"name": "main", "state": {"running": {}}}]
                made["status"] = {"phase": "Running", "containerStatuses": names, "podIPs": [{"ip": "10.1.0.7"}]}
                made["spec"]["nodeName"] = "n2"

    cluster = Two(*LAB)
    cluster.broken["gvisor"] = 'no runtime for "runsc" is configured'
    cluster.status["runtimeHandlers"] = [{"name": "runc"}]
    status = {**cluster.status, "runtimeHandlers": [{"name": "runsc"}]}
    cluster.objects.append({"kind": "Node", "metadata": {"name": "n2", "labels": {}}, "spec": {}, "status": status})
    found = await observed(cluster)
    assert found.node == "n2"
    assert broken(found) == set()


async def test_a_runtime_that_refuses_where_ordinary_pods_start() -> None:
    cluster = Node(*OPENSHIFT)
    cluster.broken["kata"] = "failed to create shim task: could not access KVM kernel module"
    found = await observed(cluster)
    assert broken(found) == {KERNEL}
    assert "could not access KVM" in reason(found, KERNEL)
    cluster.states["trial-1-control"] = {"phase": "Failed", "reason": "Evicted", "message": "disk"}
    with pytest.raises(Stuck, match="not even one without RuntimeClass kata"):
        await observed(cluster)


@pytest.mark.parametrize("state", ["sandbox", "container"])
async def test_a_runtime_that_refuses_once_and_then_takes_its_time(state: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aiconform.checks.workload_sandboxing.starts._REFUSED_SECONDS", 0.6)

    class Late(Node):
        asked = 0

        async def get(self, api_version: str, kind: str, name: str, namespace: str | None = None) -> Object:
            found = await super().get(api_version, kind, name, namespace)
            if name == "probe-trial-1":
                self.asked += 1
                if self.asked > 8:
                    self.broken = {}
                    self.place(found)
                elif state == "container":
                    waiting = {"reason": "CreateContainerError", "message": "context deadline exceeded"}
                    found["status"]["containerStatuses"][0]["state"] = {"waiting": waiting}
            return found

    cluster = Late(*OPENSHIFT, kernels={"kata": KATA})
    cluster.broken["kata"] = "failed to setup network for sandbox: the plugin is not ready"
    assert broken(await observed(cluster)) == set()


async def test_a_slow_start_is_an_error_with_the_way_out() -> None:
    cluster = Node(*OPENSHIFT)
    cluster.late.add("kata")
    with pytest.raises(TimedOut, match=r"--set workload_sandboxing.start_seconds=N"):
        await observed(cluster)


async def test_the_first_of_several_with_a_kernel_of_its_own_is_judged() -> None:
    cluster = Node(*EKS_D, ("gvisor", "runsc"), kernels={"kata-qemu": KATA})
    cluster.broken["kata-clh"] = "cloud-hypervisor is not there"
    found = await observed(cluster)
    assert found.name == "kata-qemu"
    assert [each.name for each in found.tried] == ["gvisor", "kata-clh", "kata-qemu"]
    assert "of 3 that shows a kernel of its own" in found.why
    assert "kata-clh" not in [each["spec"].get("runtimeClassName") for each in cluster.made], "it is removed at once"
    assert broken(found) == set()
    named = await observed(cluster, runtime_class="gvisor")
    assert broken(named) == SHARED
    assert named.why == "named by workload_sandboxing.runtime_class"


async def test_while_one_of_several_cannot_be_tried_none_fails() -> None:
    cluster = Node(("gvisor", "runsc"), ("kata", "kata"), kernels={})
    cluster.late.add("kata")
    with pytest.raises(TimedOut):
        await observed(cluster)


async def test_nothing_to_look_at_names_what_there_is() -> None:
    with pytest.raises(NothingToLookAt, match="there is no RuntimeClass; the CRDs of agent-sandbox are not there"):
        await observed(Node())
    nvidia = Node(("nvidia", "nvidia"), ("nvidia-legacy", "nvidia-legacy"))
    with pytest.raises(NothingToLookAt, match=r"nvidia \(handler nvidia, NVIDIA Container Runtime: it is runc"):
        await observed(nvidia)
    with pytest.raises(NothingToLookAt, match="there is no RuntimeClass kata"):
        await observed(nvidia, runtime_class="kata")
    shown = await offered_sandboxes(platform(nvidia), settings())
    assert "nvidia-legacy" in shown.missing[0]
    shown = await offered_sandboxes(platform(Node(*EKS_D)), settings())
    assert shown.found[0].startswith("RuntimeClass kata-clh (handler kata-clh, Kata Containers)")
    assert shown.problems[0].startswith("nvidia (")


class Closed(Node):
    """These credentials may not list RuntimeClasses."""

    def list(self, api_version: str, kind: str, namespace: str | None = None, **fields: str):  # type: ignore[no-untyped-def,override]
        if kind == "RuntimeClass":
            raise Forbidden("no permission to list runtimeclasses", verb="list", resource="runtimeclasses")
        return super().list(api_version, kind, namespace, **fields)


async def test_classes_that_may_not_be_listed_can_be_named() -> None:
    with pytest.raises(ClusterError, match=r"or name the sandbox: --set workload_sandboxing\.runtime_class=NAME"):
        await observed(Closed(kernels={"gvisor": GVISOR}))
    found = await observed(Closed(kernels={"gvisor": GVISOR}), runtime_class="gvisor")
    assert broken(found) == set()
    assert found.handler == ""


async def test_where_root_is_refused_the_sandbox_runs_without_it() -> None:
    cluster = Node(*LAB)
    cluster.refuses_root = True
    found = await observed(cluster)
    assert held(found) == dict.fromkeys(ALL, True)
    assert "not as root: " in reason(found, "host_is_not_changed")


async def test_a_class_that_admission_refuses_is_an_error() -> None:
    class Refusing(Node):
        def place(self, made: Object) -> None:
            if made["spec"].get("runtimeClassName"):
                raise Rejected('pods "x" is forbidden: pod rejected: RuntimeClass "gvisor" not found')
            super().place(made)

    with pytest.raises(Rejected, match="RuntimeClass"):
        await observed(Refusing(*LAB))


AGENTS = {"agents.x-k8s.io": ("v1alpha1",), "extensions.agents.x-k8s.io": ("v1alpha1",)}


async def test_agent_sandbox_makes_pods_of_the_class() -> None:
    cluster = Node(*LAB)
    cluster.served = AGENTS
    found = await observed(cluster)
    assert [each.way for each in found.agents] == ["Sandbox", "SandboxClaim"]
    assert held(found) == dict.fromkeys(ALL, True)
    assert "Sandbox and SandboxClaim have another kernel, too" in reason(found, KERNEL)
    assert {each["kind"] for each in cluster.made} >= {"Sandbox", "SandboxTemplate", "SandboxClaim"}
    without = await observed(cluster, agent_sandbox="off")
    assert without.agents == ()
    assert "left out (agent_sandbox=off)" in reason(without, KERNEL)


async def test_newer_claims_of_agent_sandbox_name_a_pool() -> None:
    cluster = Node(*LAB)
    cluster.served = dict.fromkeys(AGENTS, ("v1beta1", "v1alpha1"))
    found = await observed(cluster)
    assert broken(found) == undecided(found) == set()
    (claim,) = [each for each in cluster.made if each["kind"] == "SandboxClaim"]
    assert set(claim["spec"]) == {"warmPoolRef"}


async def test_pods_of_agent_sandbox_that_share_the_kernel_or_do_not_come() -> None:
    class Plain(Node):
        def place(self, made: Object) -> None:
            if made["metadata"]["name"] == "by-sandbox":
                made["spec"].pop("runtimeClassName")
            super().place(made)

    cluster = Plain(*LAB)
    cluster.served = AGENTS
    found = await observed(cluster)
    assert broken(found) == {KERNEL}
    assert "agent-sandbox's Sandbox: one kernel" in reason(found, KERNEL)
    silent = Node(*LAB)
    silent.served, silent.agents_make = AGENTS, False
    found = await observed(silent)
    assert undecided(found) == {KERNEL}
    assert "--set workload_sandboxing.agent_sandbox=off" in reason(found, KERNEL)


@pytest.mark.parametrize("name", ["control", "listener"])
async def test_a_pod_that_ends_meanwhile_says_nothing_of_the_sandbox(name: str) -> None:
    class Ending(Node):
        async def follow(self, namespace: str, pod: str, container: str, *, seconds: float):  # type: ignore[no-untyped-def,override]
            if pod.endswith("-sandbox"):
                other = await self.get("v1", "Pod", f"probe-{name}", namespace)
                other["status"] = {"phase": "Failed", "reason": "Evicted", "message": "memory"}
            async for line in super().follow(namespace, pod, container, seconds=seconds):
                yield line

    cluster = Ending(*LAB)
    cluster.lines = [fetch("service-name", "nc: timed out")]
    if name == "control":
        with pytest.raises(Stuck, match="Pod probe-control ended meanwhile: Evicted"):
            await observed(cluster)
    else:
        found = await observed(cluster)
        assert not found.listener
        assert "Pod probe-listener ended meanwhile" in reason(found, "network_is_isolated")


async def test_the_control_pods_own_limit_is_not_the_nodes_memory() -> None:
    cluster = Node(*LAB)
    cluster.controlled = [fact("meminfo", "MemTotal: 262144 kB\n"), fact("told", "262144")]
    assert broken(await observed(cluster)) == set(), "lxcfs tells ordinary containers their limit"
    cluster.controlled = [fact("meminfo", "MemTotal: 128000000 kB\n"), fact("told", "128000000")]
    cluster.lines = [fact("meminfo", "MemTotal: 128000000 kB\n")]
    assert broken(await observed(cluster)) == {"memory_is_isolated"}, "the node has got more since its kubelet started"


async def test_a_pod_that_admission_leaves_without_a_limit_may_have_all_memory() -> None:
    class Injecting(Node):
        def place(self, made: Object) -> None:
            made["spec"]["containers"] = [*made["spec"]["containers"], {"name": "proxy", "resources": {}}]
            super().place(made)

    cluster = Injecting(*LAB)
    cluster.lines = NODE_MEMORY
    found = await observed(cluster)
    assert undecided(found) == {"memory_is_isolated"}
    assert "container proxy of the sandboxed Pod has no memory limit" in reason(found, "memory_is_isolated")
    cluster.lines = []
    assert held(await observed(cluster)) == dict.fromkeys(ALL, True)


async def test_where_pods_do_not_reach_each_other_services_say_nothing_of_the_sandbox() -> None:
    cluster = Node(*LAB)
    cluster.lines = [fetch(each, "nc: timed out") for each in ("service-name", "service-address")]
    assert broken(await observed(cluster)) == {"services_are_reachable"}
    cluster.lines += [fetch("victim", "nc: timed out")]
    found = await observed(cluster)
    assert undecided(found) == {"services_are_reachable"}
    assert "let the run's Pods reach each other" in reason(found, "services_are_reachable")
    cluster.lines += [fetch("api", "nc: timed out")]
    assert broken(await observed(cluster)) == {"services_are_reachable"}, (
        "the control Pod reaches that of the API server"
    )


async def test_a_control_pod_that_does_not_reach_itself_by_its_service() -> None:
    cluster = Node(*LAB)
    cluster.controlled = [fetch(each, "nc: timed out") for each in ("service-name", "service-address")]
    assert held(await observed(cluster)) == dict.fromkeys(ALL, True), "not each network turns packets back"
    cluster.lines = [fetch("service-name", "not resolved: no servers")]
    assert undecided(await observed(cluster)) == {"services_are_reachable"}


async def test_pods_decline_sidecars() -> None:
    cluster = Node(*LAB)
    await observed(cluster)
    pods = [each for each in cluster.made if each["kind"] == "Pod"]
    assert len(pods) == 4
    assert {each["metadata"]["annotations"]["linkerd.io/inject"] for each in pods} == {"disabled"}


async def test_a_cloud_that_has_no_machine_at_the_moment_is_an_error() -> None:
    cluster = Node(*PEER_PODS)
    cluster.broken["kata-remote"] = "remote hypervisor call failed: creating an instance: InsufficientInstanceCapacity"
    with pytest.raises(Stuck, match=r"a machine for each Pod.*InsufficientInstanceCapacity"):
        await observed(cluster)
    cluster.broken["kata-remote"] = 'no runtime for "kata-remote" is configured'
    assert broken(await observed(cluster)) == {KERNEL}


async def test_while_classes_are_not_tried_none_fails() -> None:
    names = ("gvisor", "kata", "kata-fc", "kata-qemu", "zeta")
    cluster = Node(*((name, name) for name in names), kernels={})
    with pytest.raises(Stuck, match=r"zeta: not tried.*--set workload_sandboxing.runtime_class=NAME"):
        await observed(cluster)
    assert broken(await observed(cluster, runtime_class="zeta")) == SHARED


async def test_parameters_that_were_written_unseen_decide_nothing() -> None:
    cluster = Node(*LAB, kernels={})
    cluster.lines = ["attempt write:/proc/sys/vm/swappiness 0 "]
    found = await observed(cluster)
    assert "host_is_not_changed" in undecided(found)
    assert "/proc/sys/vm/swappiness could be written" in reason(found, "host_is_not_changed")
    own = Node(*OPENSHIFT, kernels={"kata": KATA})
    own.lines = cluster.lines
    assert held(await observed(own)) == dict.fromkeys(ALL, True)


async def test_the_figure_agrees_with_the_assertions() -> None:
    cluster = Node(*LAB)
    good = CHECK.figures[0].function(await observed(cluster))
    assert isinstance(good, Matrix)
    assert {cell.tone for _, cells in good.rows for cell in cells} == {"good", "quiet"}
    cluster = Node(*LAB, kernels={})
    cluster.lines = [fetch("kubelet-health", answer("ok")), fetch("service-name", "nc: timed out"), *PROCESSES]
    bad = CHECK.figures[0].function(await observed(cluster))
    assert isinstance(bad, Matrix)
    rows = dict(bad.rows)
    assert rows["Kernel"][0].tone == "bad"
    assert rows["Memory"][0].tone == "bad"
    assert rows["Service by its name"][0].tone == "bad"
    assert rows["Kubelet's health on the host's loopback interface"][0].tone == "bad"
