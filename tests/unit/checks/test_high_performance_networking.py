"""What high_performance_networking tries on nodes with fast interfaces, and finds."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from support.networked import (
    HOLDERS,
    Fabric,
    PciFunctions,
    attributes,
    broken,
    held,
    link,
    node,
    observed,
    platform,
    reason,
    settings,
    undecided,
)

from aiconform.check import ClusterError, NothingToLookAt
from aiconform.checks.high_performance_networking import inside
from aiconform.checks.high_performance_networking.observations import PublishedDevice
from aiconform.checks.high_performance_networking.options import HighPerformanceNetworking
from aiconform.checks.high_performance_networking.probes import offered_networks, published
from aiconform.cluster import Forbidden, Object, Stuck, TimedOut

IN_POD = "interface_is_in_pod"
OF_PODS = {
    "runs_where_device_is",
    IN_POD,
    "interface_is_up",
    "keeps_pod_network",
    "leaves_the_node",
    "other_pods_have_none",
    "data_arrives",
    "data_uses_claimed_interfaces",
    "two_interfaces_in_one_pod",
    "interface_comes_back",
}


@pytest.fixture(autouse=True)
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """What Pods do here, they do at once."""
    monkeypatch.setattr("aiconform.kit.starting.LATE_SECONDS", 0.05)
    monkeypatch.setattr("aiconform.kit.starting.CONTROL_SECONDS", 0.2)
    for pause in ("_POLL_SECONDS", "_LINKS_SECONDS"):
        monkeypatch.setattr(f"aiconform.checks.high_performance_networking.network_pods.{pause}", 0.01)
    monkeypatch.setattr("aiconform.checks.high_performance_networking.session._LEAVES_SECONDS", 0.05)


async def test_a_healthy_fabric_passes() -> None:
    cluster = Fabric()
    found = await observed(cluster)
    assert held(found) == dict.fromkeys(OF_PODS, True)
    assert "Mbit/s over the interface" in reason(found, "data_arrives")
    assert "over the Pod network" in reason(found, "data_arrives")
    ends = ["without-interface", "on-node"]
    names = {each["metadata"]["name"] for each in cluster.ever}
    assert names == {*(f"probe{end}" for end in HOLDERS), *(f"probe-{end}" for end in ends)}
    for each in cluster.ever:
        assert [one["name"] for one in each["spec"]["containers"]] == ["networks"]
        assert each["metadata"]["name"].endswith("on-node") == bool(each["spec"].get("hostNetwork"))
    assert cluster.of("Pod") == [], "what it made is gone"


async def test_the_first_pod_is_pinned_to_no_node_and_both_are_of_one_network() -> None:
    cluster = Fabric()
    found = await observed(cluster)
    first = next(each for each in cluster.ever if each["metadata"]["name"].endswith("-with-interface"))
    assert "affinity" not in first["spec"]
    assert "nodeSelector" not in first["spec"]
    assert found.peer is not None
    assert found.data is not None
    assert found.first.node != found.peer.node
    assert [each.interface for each in found.first.devices] == [each.interface for each in found.peer.devices]
    assert found.data.way == "network"


async def test_devices_of_one_network_are_preferred() -> None:
    cluster = Fabric()
    cluster.stuck = {("n1", "fast0")}
    found = await observed(cluster)
    assert found.peer is not None
    assert {each.name for each in (*found.first.devices, *found.peer.devices)} == {"fast1"}
    assert broken(found) == set()


async def test_unused_ports_and_unimportant_interfaces_are_tried_last() -> None:
    cluster = Fabric(rails=4)
    for links in cluster.links.values():
        attributes(links[0], state="down", rdma=True)
        for each in links[2:]:
            attributes(each, rdma=True)
    found = await observed(cluster)
    assert found.peer is not None
    assert found.two is not None
    names = [each.name for pod in (found.first, found.peer, found.two) for each in pod.devices]
    assert names[:2] in (["fast2", "fast2"], ["fast3", "fast3"])
    assert "fast0" not in names
    assert broken(found) == set()


async def test_of_many_nodes_those_with_rdma_are_tried() -> None:
    cluster = Fabric(nodes=12, offering=12)
    for each in (*cluster.links["n8"], *cluster.links["n9"]):
        attributes(each, rdma=True)
    found = await observed(cluster)
    assert found.peer is not None
    assert found.two is not None
    assert {found.first.node, found.peer.node} == {"n8", "n9"}
    assert found.two.node in {"n8", "n9"}


@pytest.mark.parametrize("state", ["down", "lower-layer-down"])
async def test_an_unused_port_that_is_down_in_the_pod_is_not_decided(state: str) -> None:
    cluster = Fabric("interface-down")
    for links in cluster.links.values():
        for each in links:
            attributes(each, state=state)
    found = await observed(cluster)
    assert (broken(found), undecided(found)) == (set(), {"interface_is_up"})
    assert "as it was published before" in reason(found, "interface_is_up")


FAULTS: dict[str, set[str]] = {
    "interface-stays-on-node": {IN_POD},
    "interface-down": {"interface_is_up"},
    "interface-replaces-pod-network": {"keeps_pod_network"},
    "interface-stays-visible": {"leaves_the_node"},
    "interface-stays-under-another-name": {"leaves_the_node"},
    "interface-in-other-pod": {"other_pods_have_none"},
    "interface-reaches-nobody": {"data_arrives"},
    "traffic-over-pod-network": {"data_uses_claimed_interfaces"},
    "second-interface-lost": {"two_interfaces_in_one_pod"},
    "interface-not-returned": {"interface_comes_back"},
    "claims-are-ignored": {"runs_where_device_is", IN_POD},
}


@pytest.mark.parametrize("reports", [True, False])
@pytest.mark.parametrize("fault", FAULTS)
async def test_each_fault_breaks_exactly_its_assertions(fault: str, reports: bool) -> None:
    cluster = Fabric(fault)
    cluster.reports = reports
    found = await observed(cluster)
    assert broken(found) == FAULTS[fault]
    assert undecided(found) == set()


def test_no_assertion_is_without_a_fault() -> None:
    assert set().union(*FAULTS.values()) == OF_PODS


async def test_devices_describe_themselves() -> None:
    found = await published(platform(Fabric()), None, settings(), None)  # type: ignore[arg-type]
    assert held(found) == {"describes_devices": True}
    assert "type=macvlan" in reason(found, "describes_devices")


@pytest.mark.parametrize(
    ("kept", "words"),
    [
        ({"ifName", "mac"}, "no kind"),
        ({"ifName", "type"}, "nothing to select by"),
        ({"ifName", "rdma"}, "no kind"),
        (set(), "no kind"),
    ],
)
async def test_a_device_that_does_not_describe_itself(kept: set[str], words: str) -> None:
    cluster = Fabric()
    for each in cluster.links["n2"]:
        each["attributes"] = {
            name: value for name, value in each["attributes"].items() if name.partition("/")[2] in kept
        }
    found = await published(platform(cluster), None, settings(), None)  # type: ignore[arg-type]
    assert broken(found) == {"describes_devices"}
    assert words in reason(found, "describes_devices")
    assert "2 of 4 devices" in reason(found, "describes_devices")


def _hold(cluster: Fabric, pool: str, name: str) -> None:
    """Have a workload's claim hold a device."""
    results = [{"driver": cluster.driver, "pool": pool, "device": name}]
    about = {"name": f"training-{pool}-{name}", "namespace": "team"}
    status = {"allocation": {"devices": {"results": results}}}
    cluster.objects.append({"kind": "ResourceClaim", "metadata": about, "status": status, "spec": {}})


async def test_what_is_held_need_not_describe_itself() -> None:
    cluster = PciFunctions()
    _hold(cluster, "n2", "fast1")
    found = await published(platform(cluster), None, settings(), None)  # type: ignore[arg-type]
    assert held(found) == {"describes_devices": True}
    assert "3 devices state" in reason(found, "describes_devices")
    assert "1 more are held" in reason(found, "describes_devices")
    assert broken(found.model_copy(update={"devices": tuple(_freed(found.devices))})) == {"describes_devices"}
    for pool, name in (("n1", "fast0"), ("n1", "fast1"), ("n2", "fast0")):
        _hold(cluster, pool, name)
    found = await published(platform(cluster), None, settings(), None)  # type: ignore[arg-type]
    assert undecided(found) == {"describes_devices"}


def _freed(devices: tuple[PublishedDevice, ...]) -> list[PublishedDevice]:
    return [each.model_copy(update={"held": False}) for each in devices]


async def test_only_devices_that_are_meant_have_to_describe_themselves() -> None:
    cluster = Fabric()
    _shared(cluster, "cni0", "")
    for each in cluster.links["n2"]:
        attributes(each, type=None)
    selector = 'device.attributes["dra.net"].mac.startsWith("aa:00:00:00:01")'
    found = await published(platform(cluster), None, settings(selector=selector), None)  # type: ignore[arg-type]
    assert held(found) == {"describes_devices": True}
    assert [each.node for each in found.devices] == ["n1", "n1"]


async def test_a_function_is_offered_again_with_its_interface() -> None:
    assert held(await observed(PciFunctions())) == dict.fromkeys(OF_PODS, True)
    found = await observed(PciFunctions("interface-not-returned"))
    assert broken(found) == {"interface_comes_back"}
    assert "not offered again" in reason(found, "interface_comes_back")


async def test_addresses_that_are_of_no_network_are_waited_for() -> None:
    class Leased(Fabric):
        """An interface gets its address of a host again some looks after its device is back."""

        looks = 0

        def interfaces(self, pod: Object) -> Any:
            late = pod["metadata"]["name"].endswith("-next-with-interface") and self.looks < 20
            return [(*one[:4], [] if late and one[0] != "eth0" else one[4]) for one in super().interfaces(pod)]

        def slices(self) -> list[Object]:
            found = super().slices()
            ended = any(each["metadata"]["name"].endswith("-with-interface") for each in self.deleted)
            self.looks += ended
            for each in found:
                for one in each["spec"]["devices"]:
                    attributes(one, ipv4="" if ended and self.looks < 20 else f"10.9.0.{one['name'][-1]}/32")
            return found

    assert broken(await observed(Leased(), return_seconds=5)) == set()


@pytest.mark.parametrize("changed", [{"mtu": 9000}, {"mac": "aa:00:00:00:99:99"}])
async def test_a_device_that_comes_back_changed_is_claimed_again(changed: Object) -> None:
    class Changing(Fabric):
        def allocate(self, claim: Object, name: str, made: Object) -> bool:
            given = super().allocate(claim, name, made)
            for each in made["given"]:
                attributes(each, **changed)
            return given

    found = await observed(Changing(rails=1), parameters=json.dumps({"interface": {"mtu": 9000}}))
    assert held(found)["interface_comes_back"] is True
    found = await observed(Changing(offering=1))
    assert (held(found)["interface_comes_back"], held(found)["two_interfaces_in_one_pod"]) == (True, True)


async def test_a_driver_that_publishes_no_attributes_is_tried_all_the_same() -> None:
    cluster = Fabric()
    for each in [one for links in cluster.links.values() for one in links]:
        each["attributes"] = {}
    cluster.reports = False
    found = await observed(cluster)
    assert broken(found) == set()
    assert held(found)[IN_POD] is True
    assert {"leaves_the_node", "other_pods_have_none"} <= undecided(found)


async def test_one_node_with_two_devices() -> None:
    found = await observed(Fabric(nodes=1, offering=1))
    assert broken(found) == set()
    assert "there is no other node" in reason(found, "runs_where_device_is")
    # Its two devices are of two networks.
    assert undecided(found) == set() or undecided(found) == {"data_uses_claimed_interfaces"}
    assert found.peer is not None
    assert found.peer.node == found.first.node


async def test_one_device_only() -> None:
    found = await observed(Fabric(nodes=2, offering=1, rails=1))
    assert undecided(found) == {"data_arrives", "data_uses_claimed_interfaces"}
    assert "no second free device" in reason(found, "data_arrives")
    assert "two_interfaces_in_one_pod" not in held(found)
    assert broken(found) == set()


async def test_without_addresses_link_local_ones_are_used() -> None:
    cluster = Fabric()
    cluster.addressless = {"fast0", "fast1"}
    found = await observed(cluster)
    assert held(found) == dict.fromkeys(OF_PODS, True)
    assert found.data is not None
    assert found.data.way == "link-local"
    peer = next(each for each in cluster.ever if each["metadata"]["name"].endswith("-peer"))
    env = {each["name"]: each["value"] for each in peer["spec"]["containers"][0]["env"]}
    assert (env["PEER_ADDRESS"], env["PEER_LINK"], env["USUAL"]) == ("", "fe80::1:0", "lo eth0")


async def test_link_local_addresses_that_reach_nobody_decide_nothing() -> None:
    cluster = Fabric("interface-reaches-nobody")
    cluster.addressless = {"fast0", "fast1"}
    found = await observed(cluster)
    assert (broken(found), undecided(found)) == (set(), {"data_arrives"})


async def test_without_any_address_nothing_is_sent() -> None:
    cluster = Fabric()
    cluster.addressless, cluster.link_local = {"fast0", "fast1"}, False
    found = await observed(cluster)
    assert undecided(found) == {"data_arrives", "data_uses_claimed_interfaces"}
    assert "not even a link-local one" in reason(found, "data_arrives")


async def test_interfaces_of_two_networks_decide_nothing() -> None:
    cluster = Fabric("interface-reaches-nobody", rails=1)
    cluster.links["n2"] = [link(2, 1)]
    found = await observed(cluster)
    assert "data_arrives" in undecided(found) | broken(found)
    assert found.data is not None
    unknown = found.model_copy(update={"data": found.data.model_copy(update={"way": "", "route": ""})})
    assert "data_arrives" in undecided(unknown)
    assert "high_performance_networking.selector" in reason(unknown, "data_arrives")


async def test_an_ipv6_pod_network() -> None:
    cluster = Fabric()
    cluster.v6 = True
    assert held(await observed(cluster)) == dict.fromkeys(OF_PODS, True)
    peer = next(each for each in cluster.ever if each["metadata"]["name"].endswith("-peer"))
    env = {each["name"]: each["value"] for each in peer["spec"]["containers"][0]["env"]}
    assert env["PEER_POD"].startswith("[fd00::")


async def test_a_driver_that_renames_interfaces_is_followed() -> None:
    class Renaming(Fabric):
        def interfaces(self, pod: Object) -> Any:
            return [
                ("net1" if one[0].startswith("fast") and pod["given"] else one[0], *one[1:])
                for one in super().interfaces(pod)
            ]

    cluster = Renaming(rails=1)
    cluster.reports = False
    found = await observed(cluster)
    assert broken(found) == set()
    assert "as interface net1" in reason(found, IN_POD)


async def test_a_pod_network_that_is_called_like_a_device_of_the_node() -> None:
    cluster = Fabric()
    for each in cluster.links["n1"] + cluster.links["n2"]:
        if each["name"] == "fast1":
            each["attributes"]["dra.net/ifName"] = {"string": "eth0"}
    found = await observed(cluster)
    assert "other_pods_have_none" not in broken(found)
    assert held(found)["keeps_pod_network"] is True


async def test_a_pod_network_of_ipvlans_on_a_device_of_the_node() -> None:
    class Ipvlan(Fabric):
        """Each Pod's eth0 has the hardware address of the first device of its node."""

        def interfaces(self, pod: Object) -> Any:
            if pod["spec"].get("hostNetwork"):
                return super().interfaces(pod)
            mac = self.text(self.links[pod["node"]][0], "mac")
            return [(one[0], mac if one[0] == "eth0" else one[1], *one[2:]) for one in super().interfaces(pod)]

    for reports in (True, False):
        cluster = Ipvlan()
        cluster.reports = reports
        found = await observed(cluster)
        assert held(found) == dict.fromkeys(OF_PODS, True)
        assert "as interface fast" in reason(found, IN_POD)
    cluster = Ipvlan("interface-stays-on-node")
    assert IN_POD in broken(await observed(cluster))


async def test_no_pod_on_the_nodes_network_leaves_that_undecided() -> None:
    cluster = Fabric()
    cluster.refuses_host_network = True
    found = await observed(cluster)
    assert undecided(found) == {"leaves_the_node"}
    assert "violates PodSecurity" in reason(found, "leaves_the_node")


async def test_what_an_interface_was_made_on_may_have_its_hardware_address() -> None:
    found = await observed(Fabric("parent"))
    assert held(found) == dict.fromkeys(OF_PODS, True)
    assert found.first.devices[0].mac in [each.mac for each in found.node_interfaces]
    assert "leaves_the_node" in undecided(found.model_copy(update={"node_before": ()}))


async def test_a_pod_that_does_not_start_with_its_device_fails() -> None:
    cluster = Fabric()
    message = "NodePrepareResources failed: no such link"
    cluster.states["-with-interface"] = {"phase": "Failed", "reason": "UnexpectedAdmissionError", "message": message}
    found = await observed(cluster)
    assert broken(found) == {IN_POD}
    assert message in reason(found, IN_POD)
    assert undecided(found) == set()


async def test_a_node_on_which_no_pod_starts_is_an_error() -> None:
    cluster = Fabric()
    for end in ("-with-interface", "-control", "-without-interface"):
        cluster.states[end] = {"phase": "Failed", "reason": "UnexpectedAdmissionError", "message": "no address is left"}
    with pytest.raises(Stuck, match=r"no Pod starts|no address is left"):
        await observed(cluster)


async def test_a_pod_that_is_not_placed_is_an_error() -> None:
    cluster = Fabric()
    cluster.states["-with-interface"] = {"phase": "Pending"}
    cluster.allocate = lambda *_: False  # type: ignore[method-assign]
    with pytest.raises(TimedOut, match="to be scheduled"):
        await observed(cluster)


async def test_trouble_of_later_pods_leaves_only_their_assertions_undecided() -> None:
    cluster = Fabric()
    for end in ("-with-interface-peer", "-two-interfaces", "-next-with-interface"):
        evicted = {"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory."}
        cluster.states[end] = evicted
    found = await observed(cluster)
    assert broken(found) == set()
    assert undecided(found) == {
        "data_arrives",
        "data_uses_claimed_interfaces",
        "two_interfaces_in_one_pod",
        "interface_comes_back",
    }
    assert "low on resource" in reason(found, "interface_comes_back")


async def test_rdma_without_an_interface_is_not_decided() -> None:
    cluster = Fabric("interface-stays-on-node")
    for each in [one for links in cluster.links.values() for one in links]:
        each["attributes"] = {"dra.net/rdma": {"bool": True}, "dra.net/rdmaDevice": {"string": each["name"]}}
    found = await observed(cluster)
    assert undecided(found) >= {IN_POD}
    assert "RDMA without an interface" in reason(found, IN_POD)
    assert broken(found) == set()


async def test_a_driver_whose_devices_stay_on_the_node() -> None:
    cluster = Fabric("interface-stays-visible")
    cluster.driver = "cni.dra.networking"
    found = await observed(cluster)
    assert broken(found) == set()
    assert "leaves_the_node" not in held(found)
    assert not any(each["spec"].get("hostNetwork") for each in cluster.ever)


async def test_what_policies_may_deny_is_nobodys_fault() -> None:
    cluster = Fabric("interface-reaches-nobody")
    found = await observed(cluster)
    assert found.data is not None
    assert found.data.over_pods is not None
    lost = found.data.model_copy(update={"over_pods": found.data.over_pods.model_copy(update={"code": 1})})
    denied = found.model_copy(update={"data": lost, "denied": "NetworkPolicy default-deny may deny"})
    assert undecided(denied) == {"data_arrives"}
    assert "default-deny" in reason(denied, "data_arrives")


async def test_data_with_another_digest_has_not_arrived() -> None:
    found = await observed(Fabric())
    assert found.data is not None
    assert found.data.over_interface is not None
    changed = found.data.over_interface.model_copy(update={"digest": "00" * 32})
    other = found.model_copy(update={"data": found.data.model_copy(update={"over_interface": changed})})
    assert broken(other) == {"data_arrives"}
    assert "another digest" in reason(other, "data_arrives")


async def test_unknown_counters_decide_nothing() -> None:
    found = await observed(Fabric())
    assert found.data is not None
    silent = found.data.model_copy(update={"between": found.data.before.model_copy(update={"peer": ()})})
    assert undecided(found.model_copy(update={"data": silent})) == {"data_uses_claimed_interfaces"}


async def test_an_interface_that_comes_back_without_its_address() -> None:
    found = await observed(Fabric())
    assert found.next_pod is not None
    bare = [each.model_copy(update={"addresses": ("fe80::1/64",)}) for each in found.next_pod.interfaces]
    lost = found.model_copy(update={"next_pod": found.next_pod.model_copy(update={"interfaces": tuple(bare)})})
    assert broken(lost) == {"interface_comes_back"}
    assert "has no address" in reason(lost, "interface_comes_back")


@pytest.mark.parametrize("trouble", ["claim", "node"])
async def test_a_device_that_others_took_meanwhile_is_nobodys_fault(trouble: str) -> None:
    cluster = Fabric("interface-not-returned")
    delete = cluster.delete

    async def taken(obj: Object) -> None:
        await delete(obj)
        (pool, name), *_ = sorted(cluster.stuck) or [("", "")]
        if trouble == "node":
            cluster.of("Node")[0]["status"]["conditions"][0]["status"] = "False"
        elif name and not cluster.of("ResourceClaim"):
            about = {"name": "training", "namespace": "team"}
            results = [{"driver": "dra.net", "pool": pool, "device": name}]
            status = {"allocation": {"devices": {"results": results}}}
            cluster.objects.append({"kind": "ResourceClaim", "metadata": about, "status": status})

    cluster.delete = taken  # type: ignore[method-assign]
    found = await observed(cluster)
    assert "interface_comes_back" in undecided(found)
    said = "claim team/training has it" if trouble == "claim" else "not Ready"
    assert said in reason(found, "interface_comes_back")


async def test_a_pod_that_its_node_took_along_says_nothing_of_its_device() -> None:
    class Reclaimed(Fabric):
        """Its node is removed once the Pod has looked: the Pod goes, and its claim is allocated nothing."""

        async def follow(self, namespace: str, name: str, container: str, *, seconds: float) -> AsyncIterator[str]:
            async for line in super().follow(namespace, name, container, seconds=seconds):
                if line == inside.LOOKED and name.endswith("-with-interface"):
                    pod = await self.get("v1", "Pod", name)
                    for claim in self.claims_of(pod):
                        del claim["status"]["allocation"]
                    await self.delete(pod)
                yield line

    with pytest.raises(
        Stuck, match=r"allocated nothing any more; Pod probe-.*with-interface ran; someone else deleted"
    ):
        await observed(Reclaimed())


# What there is to look at


async def test_what_is_not_offered_by_dra_is_nothing_to_look_at() -> None:
    cluster = Fabric(offering=0)
    cluster.of("Node")[0]["status"]["allocatable"]["openshift.io/mlxnics"] = "4"
    with pytest.raises(NothingToLookAt, match=r"openshift.io/mlxnics on 1 node.*by DRA only"):
        await observed(cluster)


@pytest.mark.parametrize("forbidden", [False, True])
async def test_network_attachments_are_nothing_to_look_at(forbidden: bool) -> None:
    class Multus(Fabric):
        async def groups(self) -> dict[str, tuple[str, ...]]:
            return {"resource.k8s.io": ("v1",), "k8s.cni.cncf.io": ("v1",)}

        async def list(self, api_version: str, kind: str, namespace: str | None = None, **more: Any) -> Any:
            if kind == "NetworkAttachmentDefinition":
                if forbidden:
                    raise Forbidden("forbidden", verb="list", resource="network-attachment-definitions")
                yield {"metadata": {"name": "fast", "namespace": "team"}}
            async for each in super().list(api_version, kind, namespace, **more):
                yield each

    with pytest.raises(Forbidden if forbidden else NothingToLookAt, match="forbidden" if forbidden else "team/fast"):
        await observed(Multus(offering=0))


async def test_lists_that_are_forbidden_are_errors() -> None:
    class Closed(Fabric):
        async def list(self, api_version: str, kind: str, namespace: str | None = None, **more: Any) -> Any:
            if kind == "ResourceSlice":
                raise Forbidden("forbidden", verb="list", resource="resourceslices")
            async for each in super().list(api_version, kind, namespace, **more):
                yield each

    with pytest.raises(Forbidden):
        await observed(Closed())


async def test_devices_that_others_have_are_an_error() -> None:
    cluster = Fabric(offering=1)
    cluster.links["n1"][0]["taints"] = cluster.links["n1"][1]["taints"] = [{"key": "x", "effect": "NoSchedule"}]
    with pytest.raises(Stuck, match=r"none of 2 network devices is free.*tainted"):
        await observed(cluster)


async def test_devices_that_the_user_does_not_mean() -> None:
    with pytest.raises(Stuck, match=r"not selected by high_performance_networking\.selector"):
        await observed(Fabric(), selector='device.attributes["dra.net"].ifName == "eth9"')
    found = await observed(Fabric(), selector='device.attributes["dra.net"].ifName == "fast1"')
    assert found.first.devices[0].name == "fast1"


async def test_each_claim_has_the_users_selector_beside_its_own() -> None:
    cluster = Fabric()
    for each in [one for links in cluster.links.values() for one in links]:
        attributes(each, ifName=None, mac=None)
    attributes(cluster.links["n2"][1], ipv4="10.8.1.2/24")
    wanted = 'device.attributes["dra.net"].ipv4.startsWith("10.9.1.")'
    found = await observed(cluster, selector=wanted)
    assert [each.name for each in found.first.devices] == ["fast1"]
    assert found.first.offering == ("n1",)
    asked = [each["spec"]["devices"]["requests"] for each in cluster.deleted if each["kind"] == "ResourceClaim"]
    assert asked
    for request in [one for requests in asked for one in requests]:
        assert request["exactly"]["selectors"][1:] == [{"cel": {"expression": wanted}}]


async def test_the_first_pod_stays_on_chosen_nodes() -> None:
    cluster = Fabric(nodes=4, offering=3)
    for each in [one for links in cluster.links.values() for one in links]:
        attributes(each, mac=None)
    for position in (1, 3):
        cluster.of("Node")[position]["metadata"]["labels"]["pool"] = "spare"
    found = await observed(cluster, chosen="pool=spare")
    assert (found.first.node, found.first.offering, found.first.elsewhere) == ("n2", ("n2",), True)
    assert {each["spec"]["nodeName"] for each in cluster.ever} == {"n2"}
    assert broken(found) == set()


def _shared(cluster: Fabric, name: str, kind: str) -> None:
    """Give each node a link of this type, which its own network is on."""
    for number, links in enumerate(cluster.links.values(), 1):
        links.insert(0, attributes(link(number, 5), ifName=name, type=kind) | {"name": name})


async def test_links_that_carry_others_traffic_are_never_claimed() -> None:
    cluster = Fabric()
    for name, kind in (("bond1", "bond"), ("cni0", "bridge"), ("docker0", "device")):
        _shared(cluster, name, kind)
    told = await offered_networks(platform(cluster), settings())
    assert len(told.found) == 4
    problems = "\n".join(told.problems)
    for name, why in (("bond1", "bond"), ("cni0", "bridge"), ("docker0", "docker0")):
        assert f"{name} of dra.net on n1: carries others' traffic ({why})" in problems
    await observed(cluster)
    assert {each["name"] for pod in cluster.ever for each in pod["given"]} == {"fast0", "fast1"}


@pytest.mark.parametrize("selector", ["", 'device.driver == "dra.net"'])
async def test_links_that_carry_others_traffic_alone_are_nothing_to_look_at(selector: str) -> None:
    cluster = Fabric(rails=0)
    _shared(cluster, "bond1", "bond")
    with pytest.raises(NothingToLookAt, match=r"bond1.*carries others' traffic.*high_performance_networking\.selector"):
        await observed(cluster, selector=selector)
    assert cluster.ever == []


@pytest.mark.parametrize("literal", ['ifName == "bond1"', 'type == "bond"'])
async def test_a_link_that_the_user_names_is_claimed(literal: str) -> None:
    cluster = Fabric()
    _shared(cluster, "bond1", "bond")
    found = await observed(cluster, selector=f'device.attributes["dra.net"].{literal}')
    assert found.first.devices[0].name == "bond1"


async def test_a_driver_that_asks_for_parameters() -> None:
    cluster = Fabric()
    cluster.driver = "sriovnetwork.k8snetworkplumbingwg.io"
    with pytest.raises(ClusterError, match=r"high_performance_networking\.parameters=JSON"):
        await observed(cluster)
    made: list[Object] = []
    place = cluster.allocate
    cluster.allocate = lambda claim, *rest: made.append(claim) or place(claim, *rest)  # type: ignore[method-assign,func-returns-value]
    await observed(cluster, parameters=json.dumps({"netAttachDefName": "fast"}))
    (config,) = made[0]["spec"]["devices"]["config"]
    opaque = {"driver": cluster.driver, "parameters": {"netAttachDefName": "fast"}}
    assert config == {"requests": ["interface-0"], "opaque": opaque}
    two = next(each for each in made if each["metadata"]["name"].endswith("-two-interfaces"))
    assert two["spec"]["devices"]["config"] == [
        {"requests": [f"interface-{number}"], "opaque": opaque} for number in range(2)
    ]


@pytest.mark.parametrize(
    ("parameters", "nameless"),
    [
        ({"ifName": "net1", "netAttachDefName": "fast"}, {"netAttachDefName": "fast"}),
        ({"interface": {"name": "net1", "mtu": 9000}}, {"interface": {"mtu": 9000}}),
        ({"podIfName": "net1"}, {}),
        ({"interface": "net1"}, {"interface": "net1"}),
    ],
)
async def test_no_two_interfaces_of_a_pod_get_one_name(parameters: Object, nameless: Object) -> None:
    cluster = Fabric()
    made: list[Object] = []
    place = cluster.allocate
    cluster.allocate = lambda claim, *rest: made.append(claim) or place(claim, *rest)  # type: ignore[method-assign,func-returns-value]
    await observed(cluster, parameters=json.dumps(parameters))
    for each in made:
        asked = [one["opaque"]["parameters"] for one in each["spec"]["devices"]["config"]]
        two = each["metadata"]["name"].endswith("-two-interfaces")
        assert asked == ([nameless] * 2 if two else [parameters])


async def test_a_class_that_names_the_interface_has_none_for_two() -> None:
    cluster = Fabric()
    config = [{"opaque": {"driver": "dra.net", "parameters": {"interface": {"name": "net1"}}}}]
    spec = {"selectors": [{"cel": {"expression": 'device.driver == "dra.net"'}}], "config": config}
    cluster.objects.append({"kind": "DeviceClass", "metadata": {"name": "netdev"}, "spec": spec})
    found = await observed(cluster)
    assert (broken(found), undecided(found)) == (set(), {"two_interfaces_in_one_pod"})
    assert "same name" in reason(found, "two_interfaces_in_one_pod")


async def test_a_device_that_a_program_gets_without_an_interface_is_not_decided() -> None:
    found = await observed(Fabric("interface-stays-on-node"), parameters=json.dumps({"driver": "vfio-pci"}))
    assert undecided(found) >= {IN_POD}
    assert "its driver is vfio-pci" in reason(found, IN_POD)
    assert broken(found) == set()


async def test_the_platforms_own_class_is_used() -> None:
    cluster = Fabric()
    spec = {"selectors": [{"cel": {"expression": 'device.driver == "dra.net"'}}]}
    cluster.objects.append({"kind": "DeviceClass", "metadata": {"name": "netdev"}, "spec": spec})
    made: list[Object] = []
    place = cluster.allocate
    cluster.allocate = lambda claim, *rest: made.append(claim) or place(claim, *rest)  # type: ignore[method-assign,func-returns-value]
    await observed(cluster)
    assert {each["exactly"]["deviceClassName"] for claim in made for each in claim["spec"]["devices"]["requests"]} == {
        "netdev"
    }
    with pytest.raises(Stuck, match="there is no DeviceClass other"):
        await observed(cluster, device_class="other")


async def test_what_is_offered_is_told_before_a_run() -> None:
    cluster = Fabric()
    cluster.objects += [node("n9")]
    told = await offered_networks(platform(cluster), settings())
    assert len(told.found) == 4
    assert told.missing == ()


@pytest.mark.parametrize("text", ["[]", "{", "1"])
def test_parameters_that_are_no_object(text: str) -> None:
    with pytest.raises(ValueError, match="JSON"):
        HighPerformanceNetworking(parameters=text)


async def test_few_requests_are_made() -> None:
    cluster = Fabric()
    await observed(cluster)
    assert cluster.requests < 60
    assert inside.SIZE == 8 << 20
