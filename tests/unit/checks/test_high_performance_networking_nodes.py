"""What high_performance_networking finds on the nodes' own networks."""

from __future__ import annotations

import pytest
from support.networked import Fabric, held, observed, platform, reason, settings

from aiconform.check import NotApplicable, NothingToLookAt
from aiconform.checks.high_performance_networking import inside
from aiconform.checks.high_performance_networking.probes import offered_networks

TYPE = "node.kubernetes.io/instance-type"
NETWORK_PODS = "aiconform.checks.high_performance_networking.network_pods"


@pytest.fixture(autouse=True)
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{NETWORK_PODS}._POLL_SECONDS", 0.01)
    monkeypatch.setattr(f"{NETWORK_PODS}._LINKS_SECONDS", 0.01)


async def test_nothing_of_the_kind_is_not_applicable() -> None:
    cluster = Fabric(offering=0)
    cluster.hardware = {"n1": ["network eth0 up ", "network ens6 down "]}
    told_there = r"none in any ResourceSlice.*of 3 nodes.*NetworkAttachmentDefinition.*n1: eth0 up, ens6 down; n2: none"
    with pytest.raises(NotApplicable, match=told_there):
        await observed(cluster)
    assert [each["node"] for each in cluster.ever if each["spec"]["hostNetwork"]] == ["n1", "n2", "n3"]
    told = await offered_networks(platform(cluster), settings())
    assert "no network device" in told.missing[0]


async def test_one_node_of_each_kind_is_looked_at() -> None:
    cluster = Fabric(offering=0, nodes=4)
    for each in cluster.of("Node")[:3]:
        each["metadata"]["labels"][TYPE] = "k3s"
    cluster.of("Node")[1]["status"]["allocatable"]["nvidia.com/gpu"] = "8"
    with pytest.raises(NotApplicable):
        await observed(cluster)
    assert [each["node"] for each in cluster.ever] == ["n2", "n1", "n4"]


async def test_what_was_not_looked_at_leaves_it_open() -> None:
    with pytest.raises(NothingToLookAt, match="16 nodes have no RDMA device, and 2 more kinds of nodes were not"):
        await observed(Fabric(offering=0, nodes=18))


async def test_rdma_devices_of_a_node_that_nobody_offers_are_nothing_to_look_at() -> None:
    cluster = Fabric(offering=0)
    cluster.hardware = {"n1": ["network eth0 up "], "n2": ["network eth0 up ", "uplink eth0", "rdma mlx5_0 ib0"]}
    with pytest.raises(NothingToLookAt, match=r"none in any ResourceSlice.*node n2 has RDMA devices \(mlx5_0\)"):
        await observed(cluster)


@pytest.mark.parametrize(
    ("lines", "rdma"),
    [
        # A virtual function under the node's own interface, as machines of a cloud have it.
        (["network eth0 up ", "network enP1s1 up eth0", "uplink eth0", "rdma mlx5_0 enP1s1 "], []),
        (["network eth0 up ", "uplink eth0", "rdma irdma0 eth0"], []),
        (["network eth0 up ", "network ens9 up ", "uplink eth0", "rdma mlx5_0 eth0 ens9"], ["mlx5_0"]),
        (["uplink eth0", "rdma rdmap16s27 "], ["rdmap16s27"]),
        (["rdma mlx5_0 eth0"], ["mlx5_0"]),
        (["rdma", "network", "uplink", ""], []),
    ],
)
def test_rdma_of_the_nodes_own_interface_is_not_for_workloads(lines: list[str], rdma: list[str]) -> None:
    assert inside.hardware(lines)[1] == rdma


async def test_whether_nodes_have_what_nobody_offers_is_not_decided_unseen() -> None:
    cluster = Fabric(offering=0)
    cluster.refuses_host_network = True
    with pytest.raises(NothingToLookAt, match=r"could not be looked at: .*violates PodSecurity"):
        await observed(cluster)
    cluster = Fabric(offering=0)
    for each in cluster.of("Node"):
        each["status"]["conditions"][0]["status"] = "False"
    with pytest.raises(NothingToLookAt, match="no node is open to Pods"):
        await observed(cluster)


class Behind(Fabric):
    """The Pod that looks at a node's network prints late what became of it."""

    late = 3

    async def logs(self, namespace: str, name: str, container: str) -> str:
        self.late -= 1
        if self.late < 0:
            return await super().logs(namespace, name, container)
        return "\n".join([*(f"link {each}" for each in self.first_looks[name]), inside.LOOKED])


async def test_a_list_that_is_behind_is_looked_at_again() -> None:
    found = await observed(Behind())
    assert held(found)["leaves_the_node"], reason(found, "leaves_the_node")
