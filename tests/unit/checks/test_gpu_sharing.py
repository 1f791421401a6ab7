"""What gpu_sharing asserts of Pods that share devices, over shapes of vendors."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiconform.check.registry import load_check
from aiconform.check.testing import findings
from aiconform.checks.gpu_sharing.observations import Excess, Share, Sharing
from aiconform.kit.container_view import DeviceNode, View
from aiconform.kit.inside import Shown, Size
from aiconform.kit.memory_size import judged_size
from aiconform.platform.accelerators.shares import WAYS

CHECK = load_check("gpu_sharing")
GIB = 2.0**30
CONTROL = View(nodes=[DeviceNode(path="/dev/null", number="c:1:3")], environment={}, mounts=["/"], boot="node")
NO_ROOM = "Unschedulable: 0/1 nodes are available: 1 Insufficient nvidia.com/gpu."


def view(*nodes: tuple[str, str], boot: str = "node", **environment: str) -> View:
    own = [DeviceNode(path=path, number=number) for path, number in nodes]
    return View(nodes=[*CONTROL.nodes, *own], environment=environment, mounts=["/"], boot=boot)


def gpu(index: int) -> tuple[str, str]:
    return f"/dev/nvidia{index}", f"c:195:{index}"


def share(number: int, seen: View | None, **fields: Any) -> Share:
    return Share(pod=f"share-{number}", asked="nvidia.com/gpu", view=seen, **fields)


def sharing(*shares: Share, **fields: Any) -> Sharing:
    known: dict[str, Any] = {
        "node": "n1",
        "way": "device-plugin",
        "name": "nvidia.com/gpu",
        "product": "H100",
        "simulated": False,
        "strategy": "device-plugin-replicas",
        "said": "label nvidia.com/gpu.replicas=2",
        "bound": len(shares),
        "free": len(shares),
        "physical": 1,
        "shares": shares,
        "together": tuple(each.pod for each in shares if each.view),
        "control": CONTROL,
        "boot": "node",
        "excess": Excess(asked="nvidia.com/gpu", window=30.0, waits=NO_ROOM),
    }
    return Sharing(**{**known, **fields})


def time_slices(**fields: Any) -> Sharing:
    return sharing(share(0, view(gpu(0))), share(1, view(gpu(0))), **fields)


def instance(number: int, **fields: Any) -> Share:
    cap = f"/dev/nvidia-caps/nvidia-cap{number}"
    sizes = (Size(source="nvidia-smi -q -x", bytes=9856 * 2.0**20),)
    return share(number, view(gpu(0), (cap, f"c:240:{number}")), **{"memory": 10e9, "sizes": sizes, **fields})


def instances(*shares: Share, **fields: Any) -> Sharing:
    return sharing(*(shares or (instance(66), instance(75))), **{"strategy": "hardware-partitions", **fields})


def outcome(seen: Sharing, assertion: str) -> bool | None:
    return findings(CHECK, seen)[assertion].holds


def reason(seen: Sharing, assertion: str) -> str:
    return findings(CHECK, seen)[assertion].reason


def broken(seen: Sharing) -> set[str]:
    return {name for name, finding in findings(CHECK, seen).items() if finding.holds is False}


def left_out(seen: Sharing) -> set[str]:
    return {name for name, finding in findings(CHECK, seen).items() if not finding.applies}


def test_two_time_slices_of_one_device_hold() -> None:
    found = findings(CHECK, time_slices())
    assert left_out(time_slices()) == {"partition_memory_is_its_own"}
    assert {finding.holds for finding in found.values() if finding.applies} == {True}
    assert "both have /dev/nvidia0" in found["shares_are_of_one_device"].reason
    assert "Insufficient nvidia.com/gpu" in found["excess_share_stays_unscheduled"].reason


def test_two_instances_of_one_device_hold() -> None:
    assert {finding.holds for finding in findings(CHECK, instances()).values()} == {True}


def test_a_claim_of_two_pods_has_no_limit() -> None:
    seen = time_slices(strategy="shared-claim", way="dra", bound=0, excess=None)
    assert left_out(seen) == {
        "advertised_shares_run",
        "excess_share_stays_unscheduled",
        "partition_memory_is_its_own",
    }
    assert broken(seen) == set()
    assert outcome(seen, "shares_are_of_one_device") is True


# shares_can_be_requested


def test_shares_that_only_a_label_speaks_of_cannot_be_requested() -> None:
    seen = sharing(not_requestable="label nvidia.com/mig-1g.10gb.count=7, and the node has no nvidia.com/mig-1g.10gb")
    assert broken(seen) == {"shares_can_be_requested"}
    undecided = {name for name, finding in findings(CHECK, seen).items() if finding.holds is None and finding.applies}
    assert undecided == {
        "both_pods_run",
        "shares_are_of_one_device",
        "advertised_shares_run",
        "excess_share_stays_unscheduled",
    }


def test_shares_that_the_scheduler_gives_to_nobody_decide_nothing() -> None:
    seen = sharing(share(0, None, waits=NO_ROOM), share(1, None, waits=NO_ROOM), excess=None)
    applying = {finding.holds for finding in findings(CHECK, seen).values() if finding.applies}
    assert applying == {None}
    assert "share-1 waits" in reason(seen, "both_pods_run")


# both_pods_run


def test_a_second_pod_that_its_share_keeps_from_starting_is_a_failure() -> None:
    seen = sharing(share(0, view(gpu(0))), share(1, None, problem="UnexpectedAdmissionError: in use"), excess=None)
    assert broken(seen) == {"both_pods_run", "advertised_shares_run"}
    assert "in use" in reason(seen, "both_pods_run")
    assert outcome(seen, "shares_can_be_requested") is True
    assert outcome(seen, "shares_are_of_one_device") is None
    assert outcome(seen, "excess_share_stays_unscheduled") is None


def test_one_pod_on_each_device_is_not_two_on_one() -> None:
    refused = [share(number, None, problem="Allocate: in use") for number in (2, 3)]
    seen = sharing(share(0, view(gpu(0))), share(1, view(gpu(1))), *refused, physical=2, excess=None)
    assert broken(seen) == {"both_pods_run", "advertised_shares_run"}
    assert "each on a device of its own" in reason(seen, "both_pods_run")
    assert outcome(seen, "shares_are_of_one_device") is None
    same = sharing(share(0, view(gpu(0))), share(1, view(gpu(0))), *refused, physical=2, excess=None)
    assert broken(same) == {"advertised_shares_run"}


def test_a_pod_that_ends_when_the_second_one_starts_did_not_run_beside_it() -> None:
    assert "share-0 started and did not go on" in reason(time_slices(together=("share-1",)), "both_pods_run")
    assert "both_pods_run" in broken(time_slices(together=("share-1",)))


# shares_are_of_one_device


def test_two_shares_that_are_two_complete_devices_are_a_failure() -> None:
    seen = sharing(share(0, view(gpu(0))), share(1, view(gpu(1))))
    assert broken(seen) == {"shares_are_of_one_device"}
    assert "/dev/nvidia1" in reason(seen, "shares_are_of_one_device")


def test_two_shares_on_two_of_two_devices_say_nothing_while_others_were_free() -> None:
    apart = [share(index, view(gpu(index))) for index in (0, 1)]
    seen = sharing(*apart, physical=2, bound=4, free=2, excess=None)
    assert outcome(seen, "shares_are_of_one_device") is None
    three = sharing(*apart, share(2, view(gpu(1))), physical=2, bound=4, free=3)
    assert outcome(three, "shares_are_of_one_device") is True
    distinct = sharing(*apart, share(2, view(gpu(2))), physical=2, bound=4, free=3)
    assert outcome(distinct, "shares_are_of_one_device") is False


def test_all_advertised_shares_on_devices_of_their_own_are_a_failure() -> None:
    assert broken(sharing(share(0, view(gpu(0))), share(1, view(gpu(1))), physical=0)) == {"shares_are_of_one_device"}


def test_a_claims_device_counts_against_what_the_container_sees() -> None:
    one = share(0, view(gpu(0)), published=("0000:11:00.0",))
    other = share(1, view(gpu(1)), published=("0000:11:00.0",))
    seen = sharing(one, other, strategy="consumable-capacity", way="dra", physical=2, bound=8, free=2)
    assert "shares_are_of_one_device" in broken(seen)
    assert "0000:11:00.0" in reason(seen, "shares_are_of_one_device")
    apart = sharing(one, share(1, view(gpu(0)), published=("0000:12:00.0",)), strategy="consumable-capacity")
    assert outcome(apart, "shares_are_of_one_device") is None


def test_partitions_with_nodes_of_their_own_are_of_one_device_by_the_kernels_word() -> None:
    def partition(number: int, *parents: str) -> Share:
        own = (f"/dev/dri/renderD{128 + number}", f"c:226:{128 + number}")
        parent = tuple(Shown(source="/sys/class/kfd/kfd/topology/nodes/2/properties", value=each) for each in parents)
        return share(number, view(own), parents=parent)

    about: dict[str, Any] = {"strategy": "hardware-partitions", "physical": 0}
    silent = sharing(partition(0), partition(1), **about)
    assert outcome(silent, "shares_are_of_one_device") is None, "they can be partitions of one device"
    assert "gpu_sharing.device" in reason(silent, "shares_are_of_one_device")
    assert outcome(sharing(partition(0, "77"), partition(1, "77"), **about), "shares_are_of_one_device") is True
    assert outcome(sharing(partition(0, "77"), partition(1, "78"), **about), "shares_are_of_one_device") is False


def test_numbers_that_partitions_have_of_their_own_tell_only_what_is_alike() -> None:
    def partition(number: int, unique: str, bus: str = "") -> Share:
        own = (f"/dev/dri/renderD{128 + number}", f"c:226:{128 + number}")
        shown = (Shown(source="/sys/class/kfd/kfd/topology/nodes/2/properties", value=unique, of_part=True),)
        return share(number, view(own), parents=shown, buses=((own[1], bus),) if bus else ())

    def found(one: Share, other: Share) -> bool | None:
        seen = sharing(one, other, strategy="hardware-partitions", physical=0)
        return outcome(seen, "shares_are_of_one_device")

    bus, another = "0000:11:00.0", "0000:12:00.0"
    assert found(partition(0, "77"), partition(1, "78")) is None
    assert found(partition(0, "77"), partition(1, "77")) is True
    assert found(partition(0, "77", bus), partition(1, "78", bus)) is True
    assert found(partition(0, "77", bus), partition(1, "78", another)) is False
    assert found(partition(0, "77", bus), partition(1, "78")) is None


def test_the_address_of_the_hardware_tells_functions_of_one_device() -> None:
    def function(number: int, bus: str) -> Share:
        return share(number, view(gpu(number)), buses=((f"c:195:{number}", bus),))

    same = sharing(function(0, "0000:11:00.0"), function(1, "0000:11:00.0"))
    assert outcome(same, "shares_are_of_one_device") is True


def test_without_device_nodes_the_environment_tells_what_is_alike() -> None:
    def named(number: int, value: str) -> Share:
        return share(number, view(NVIDIA_VISIBLE_DEVICES=value))

    one, other = (f"{number}f8d0c1a-1b2c-3d4e-5f60-718293a4b5c6" for number in (1, 2))
    assert outcome(sharing(named(0, f"GPU-{one}"), named(1, f"GPU-{one}")), "shares_are_of_one_device") is True
    assert outcome(sharing(named(0, f"MIG-{one}"), named(1, f"MIG-{other}")), "shares_are_of_one_device") is None


@pytest.mark.parametrize(("name", "value"), [
    ("NVIDIA_VISIBLE_DEVICES", "void"),
    ("NVIDIA_VISIBLE_DEVICES", "0"),
    ("NVIDIA_VISIBLE_DEVICES", "0:1"),
    ("NVIDIA_VISIBLE_DEVICES", "/var/run/nvidia-container-devices"),
    ("NVIDIA_DRIVER_CAPABILITIES", "compute,utility"),
    ("MTHREADS_DRIVER_CAPABILITIES", "compute"),
    ("NVIDIA_MIG_CONFIG_DEVICES", "GPU-1f8d0c1a-1b2c-3d4e-5f60-718293a4b5c6"),
    ("NVIDIA_MIG_MONITOR_DEVICES", "0"),
    ("ROCR_VISIBLE_DEVICES", "0"),
    ("HIP_VISIBLE_DEVICES", "0,1"),
])  # fmt: skip
def test_what_every_container_can_have_names_no_device(name: str, value: str) -> None:
    seen = sharing(*(share(number, view(**{name: value})) for number in (0, 1)))
    assert outcome(seen, "shares_are_of_one_device") is None


@pytest.mark.parametrize(("name", "value"), [
    ("ROCR_VISIBLE_DEVICES", "GPU-2f8d0c1a1b2c3d4e"),
    ("AMD_VISIBLE_DEVICES", "0x2f8d0c1a1b2c3d4e"),
    ("HABANA_VISIBLE_DEVICES", "0000:4d:00.0"),
])  # fmt: skip
def test_what_is_the_same_wherever_it_is_seen_from_names_a_device(name: str, value: str) -> None:
    seen = sharing(*(share(number, view(**{name: value})) for number in (0, 1)))
    assert outcome(seen, "shares_are_of_one_device") is True


def test_numbers_under_a_kernel_of_its_own_are_not_those_of_the_node() -> None:
    seen = sharing(share(0, view(gpu(0), boot="guest-1")), share(1, view(gpu(0), boot="guest-2")))
    assert outcome(seen, "shares_are_of_one_device") is None


# advertised_shares_run


def test_one_advertised_share_that_does_not_start_is_a_failure() -> None:
    running = [share(index, view(gpu(0))) for index in range(3)]
    seen = sharing(*running, share(3, None, problem="CreateContainerError: no share is left"), excess=None)
    assert broken(seen) == {"advertised_shares_run"}


def test_more_shares_than_this_run_starts_are_not_decided() -> None:
    seen = time_slices(bound=48, free=48, fewer="use 48", excess=Excess(not_tried="48 shares were free"))
    assert outcome(seen, "advertised_shares_run") is None
    assert "use 48" in reason(seen, "advertised_shares_run")
    assert outcome(seen, "excess_share_stays_unscheduled") is None
    assert broken(seen) == set()


def test_shares_of_others_count_as_held() -> None:
    seen = time_slices(bound=3, free=2)
    assert outcome(seen, "advertised_shares_run") is True
    assert "beside 1 that others hold" in reason(seen, "advertised_shares_run")


def test_a_share_that_somebody_else_took_meanwhile_is_no_failure() -> None:
    seen = sharing(*time_slices().shares, share(2, None, waits=NO_ROOM), excess=None)
    assert outcome(seen, "advertised_shares_run") is None
    assert outcome(seen, "both_pods_run") is True


# excess_share_stays_unscheduled


@pytest.mark.parametrize("became", ["it runs", "UnexpectedAdmissionError: no share is left"])
def test_one_too_many_that_is_placed_is_a_failure(became: str) -> None:
    seen = time_slices(excess=Excess(asked="nvidia.com/gpu", window=30.0, became=became, bound_after=2))
    assert broken(seen) == {"excess_share_stays_unscheduled"}
    assert became in reason(seen, "excess_share_stays_unscheduled")


@pytest.mark.parametrize("changed", [{"others_before": 1, "others_after": 0}, {"bound_after": 3}])
def test_one_more_than_before_is_none_too_many_where_a_share_became_free(changed: dict[str, int]) -> None:
    excess = Excess(asked="nvidia.com/gpu", window=30.0, became="it runs", **{"bound_after": 2, **changed})
    assert outcome(time_slices(excess=excess), "excess_share_stays_unscheduled") is None


def test_a_share_that_two_schedulers_gave_away_says_nothing_of_the_limit() -> None:
    became = "Pod excess to start: OutOfnvidia.com/gpu: Node didn't have enough resource: nvidia.com/gpu, used: 2"
    seen = time_slices(excess=Excess(became=became, bound_after=2))
    assert outcome(seen, "excess_share_stays_unscheduled") is None


def test_a_pod_that_waits_for_something_else_says_nothing_of_the_limit() -> None:
    waits = "Unschedulable: 0/1 nodes are available: 1 Insufficient cpu."
    assert outcome(time_slices(excess=Excess(waits=waits)), "excess_share_stays_unscheduled") is None


# partition_memory_is_its_own


def sized(*sizes: float, memory: float = 10e9) -> Share:
    return instance(66, memory=memory, sizes=tuple(Size(source="/sys/size", bytes=size * GIB) for size in sizes))


def test_a_partition_that_sees_the_memory_of_the_complete_device_is_a_failure() -> None:
    seen = instances(instance(75), sized(80), whole=80 * GIB)
    assert broken(seen) == {"partition_memory_is_its_own"}
    assert "80.00 GiB in /sys/size" in reason(seen, "partition_memory_is_its_own")


@pytest.mark.parametrize(("size", "memory", "whole", "right"), [
    (9.75, 10e9, 0, True),  # 1g.10gb of an H100
    (4.75, 5e9, 0, True),  # 1g.5gb of an A100
    (39.5, 40e9, 80, True),  # 3g.40gb
    (80, 10e9, 0, False),
    (5, 10e9, 0, False),
    (24, 0, 192, True),  # advertised nowhere: less than the whole
    (190, 0, 192, False),
    (24, 0, 0, None),
])  # fmt: skip
def test_sizes_are_compared_with_what_is_advertised(
    size: float, memory: float, whole: float, *, right: bool | None
) -> None:
    assert judged_size(sized(size, memory=memory), whole * GIB, CHECK.id)[0] is right


def test_memory_that_nothing_shows_is_not_decided_and_the_way_out_is_said() -> None:
    seen = instances(sized(), instance(75))
    assert outcome(seen, "partition_memory_is_its_own") is None
    assert "gpu_sharing.memory" in reason(seen, "partition_memory_is_its_own")
    assert outcome(instances(sized(10, 80)), "partition_memory_is_its_own") is None, "which of both is its own?"
    assert outcome(instances(share(0, None, problem="no")), "partition_memory_is_its_own") is None


# Whatever is observed


nodes = st.lists(st.sampled_from([gpu(0), gpu(1), ("/dev/nvidia-caps/nvidia-cap66", "c:240:66")]), max_size=3)
states = st.one_of(
    st.fixed_dictionaries({"waits": st.just(NO_ROOM)}),
    st.fixed_dictionaries({"problem": st.just("no")}),
    st.fixed_dictionaries({"late": st.just("creating")}),
    st.fixed_dictionaries({"nodes": nodes}),
)


@given(
    st.lists(states, max_size=5),
    st.sampled_from(WAYS),
    st.integers(0, 6),
    st.integers(0, 3),
    st.sampled_from([None, Excess(waits=NO_ROOM), Excess(became="it runs"), Excess(not_tried="why")]),
)
def test_no_observation_breaks_an_assertion_or_passes_without_two_pods(
    found: list[dict[str, Any]], way: Any, bound: int, physical: int, excess: Excess | None
) -> None:
    shares = [
        share(number, view(*state.pop("nodes")) if "nodes" in state else None, **state)
        for number, state in enumerate(map(dict, found))
    ]
    seen = sharing(*shares, strategy=way, bound=bound, physical=physical, excess=excess)
    decided = findings(CHECK, seen)
    if sum(each.view is not None for each in shares) < 2:
        assert decided["both_pods_run"].holds is not True
        assert decided["shares_are_of_one_device"].holds is None
    if not any(each.problem for each in shares):
        assert decided["both_pods_run"].holds is not False, "who waits may wait for others"
