"""What a scaling that was seen means, and how nodes and the waiting Pod are followed: no cluster, made-up objects."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiconform.check import NotApplicable, NothingToLookAt, Settings
from aiconform.check.registry import load_check
from aiconform.check.testing import findings
from aiconform.checks.cluster_autoscaling import probes
from aiconform.checks.cluster_autoscaling.assertions import subject
from aiconform.checks.cluster_autoscaling.choice import choose
from aiconform.checks.cluster_autoscaling.node_history import NodeHistory
from aiconform.checks.cluster_autoscaling.observations import NodeSeen, Scaling
from aiconform.checks.cluster_autoscaling.options import ClusterAutoscaling
from aiconform.checks.cluster_autoscaling.probes import scaling
from aiconform.checks.cluster_autoscaling.waiting_pod import (
    MOST_HELD,
    WaitingPod,
    nodes_to_hold,
    placeholder,
    pods_in_the_way,
    waiting_pod_manifest,
)
from aiconform.cluster import Stuck
from aiconform.engine.options import parse
from aiconform.engine.plan import BadChoice
from aiconform.kit.following import ChangeSignal
from aiconform.kit.starting import BLAME_SECONDS
from aiconform.platform.accelerators.nodes import Toleration
from aiconform.platform.accelerators.profiles import load_profiles
from aiconform.platform.autoscaling.cluster_autoscaler import BACKS_OFF
from aiconform.platform.autoscaling.discovery import known_with
from aiconform.platform.autoscaling.pools import BY_CLUSTER_AUTOSCALER, BY_KARPENTER, BY_LABEL, GIVEN, Autoscaling, Pool
from aiconform.platform.autoscaling.shortages import reported

Object = dict[str, Any]
GPU = "nvidia.com/gpu"
CHECK = load_check("cluster_autoscaling")
ADDED = "node_is_added"
KIND = "node_is_of_right_kind"
READY = "node_becomes_ready"
OFFERS = "node_offers_accelerator"
RUNS = "pod_runs_on_node"
REMOVED = "node_is_removed"
STAY = "used_nodes_stay"


def came(name: str = "new-1", **fields: Any) -> NodeSeen:
    seen: dict[str, Any] = {"of_pool": True, "came": 30.0, "ready": 90.0, "gone": 700.0, "offers": {GPU: 8}}
    return NodeSeen(name=name, **(seen | {"problem": ""} | fields))


def seen(*nodes: NodeSeen, **fields: Any) -> Scaling:
    """A pool that grew from one node and shrank again, but for what is given."""
    values: dict[str, Any] = {
        "autoscaler": BY_CLUSTER_AUTOSCALER,
        "pool": "gpu",
        "resource": GPU,
        "simulated": False,
        "size": 1,
        "bounds": "",
        "full": "",
        "held": ("old-1",),
        "lost": (),
        "unschedulable": "0/3 nodes are available: 3 Insufficient nvidia.com/gpu.",
        "said": (),
        "nodes": nodes or (came(),),
        "pod_node": "new-1",
        "ran": 95.0,
        "problem": "",
        "released": 96.0,
        "waited_up": 1200.0,
        "waited_down": 1800.0,
    }
    return Scaling(**(values | fields))


NOT_PLACED = {"pod_node": "", "ran": None, "problem": "Pending", "released": None}


def broken(of: Scaling) -> set[str]:
    return {id_ for id_, finding in findings(CHECK, of).items() if finding.holds is False}


def open_(of: Scaling) -> set[str]:
    return {id_ for id_, finding in findings(CHECK, of).items() if finding.holds is None}


def test_the_order_of_the_assertions_is_that_of_the_procedure() -> None:
    assert [entry.id for entry in CHECK.assertions] == [ADDED, KIND, READY, OFFERS, RUNS, REMOVED, STAY]


def test_earlier_names_of_options_still_set_them() -> None:
    notes: list[str] = []
    (found,) = parse(["cluster_autoscaling.up_limit=10", "cluster_autoscaling.down_limit=20"], notes.append)
    assert found == ClusterAutoscaling(node_added_seconds=10, node_removed_seconds=20)
    assert ["node_added_seconds" in notes[0], "node_removed_seconds" in notes[1]] == [True, True]


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("pool=gpu", "should match pattern"),
        ("resource=gpu", "should match pattern"),
        ("status=cluster-autoscaler-status", "should match pattern"),
        ("node_added_seconds=0", "greater than 0"),
    ],
)
def test_values_that_cannot_be_used_are_refused(word: str, message: str) -> None:
    with pytest.raises(BadChoice, match=message):
        parse([f"cluster_autoscaling.{word}"])


def test_a_pool_that_grows_and_shrinks_passes() -> None:
    assert all(finding.holds and finding.subjects for finding in findings(CHECK, seen()).values())


@pytest.mark.parametrize(
    ("what", "breaks", "undecided"),
    [
        (seen(came(of_pool=False), **NOT_PLACED), {ADDED}, {KIND, READY, OFFERS, RUNS, REMOVED}),
        (seen(came(offers={"amd.com/gpu": 8}, gone=None), **NOT_PLACED), {KIND}, {OFFERS, RUNS, REMOVED}),
        (
            seen(came(of_pool=None, offers={"amd.com/gpu": 8}, gone=None), **NOT_PLACED),
            {KIND},
            {OFFERS, RUNS, REMOVED},
        ),
        (
            seen(came(ready=None, gone=None, offers={}, problem="no CNI"), **NOT_PLACED),
            {READY},
            {OFFERS, RUNS, REMOVED},
        ),
        (seen(came(gone=None, offers={}), **NOT_PLACED), {OFFERS}, {RUNS, REMOVED}),
        (seen(ran=None, problem="UnexpectedAdmissionError: no device"), {RUNS}, set()),
        (seen(came(gone=None), **NOT_PLACED), {RUNS}, {REMOVED}),
        (seen(came(gone=None)), {REMOVED}, set()),
        (seen(came(gone=95.5)), {REMOVED}, set()),
        (seen(lost=("old-1",)), {STAY}, set()),
    ],
)
def test_what_goes_wrong_breaks_one_assertion(what: Scaling, breaks: set[str], undecided: set[str]) -> None:
    assert broken(what) == breaks
    assert open_(what) == undecided


def test_a_pool_of_which_only_a_label_is_known_is_not_blamed_for_not_growing() -> None:
    what = seen(nodes=(), autoscaler=BY_LABEL, **NOT_PLACED)
    assert broken(what) == set()
    assert ADDED in open_(what)


LIMITS = "FailedScheduling: Failed to schedule pod, all available instance types exceed limits for nodepool"


@pytest.mark.parametrize(
    ("fields", "way_out"),
    [
        # Earlier versions tried a pool that may not grow.
        ({"full": "its maximum of 1 nodes is reached"}, "raise its maximum above its size, or free a node"),
        ({"said": (f'{LIMITS} "gpu"',)}, "raise them"),
        ({"said": (f'{LIMITS}: "gpu", other words',)}, "raise them"),
        ({"said": (f"{LIMITS} (NodePool=gpu)",)}, "raise them"),
    ],
)
def test_an_autoscaler_that_keeps_to_the_bounds_of_its_pool_does_not_fail(fields: dict[str, Any], way_out: str) -> None:
    what = seen(came("cpu-7", of_pool=False, offers={}), **fields, **NOT_PLACED)
    assert broken(what) == set()
    assert open_(what) == {ADDED, KIND, READY, OFFERS, RUNS, REMOVED}
    assert way_out in findings(CHECK, what)[ADDED].reason


@pytest.mark.parametrize("said", [f'{LIMITS} "gpu-2"', f"{LIMITS} (NodePool=cpu)", "max node group size reached"])
def test_the_bounds_of_other_pools_excuse_nothing(said: str) -> None:
    assert broken(seen(came("cpu-7", of_pool=False, offers={}), said=(said,), **NOT_PLACED)) == {ADDED}


def test_the_reason_says_the_bounds_what_was_said_and_what_else_came() -> None:
    what = seen(
        came("cpu-7", of_pool=False, offers={}),
        bounds="minimum is maximum",
        said=("NotTriggerScaleUp: 1 max node group size reached",),
        **NOT_PLACED,
    )
    reason = findings(CHECK, what)[ADDED].reason
    assert "minimum is maximum" in reason
    assert "max node group size reached" in reason
    assert "cpu-7" in reason


def test_an_autoscaler_that_flaps_is_told_from_one_that_is_slow() -> None:
    flaps = seen(came("new-1", gone=120.0), came("new-2", came=130.0, gone=200.0), **NOT_PLACED)
    assert broken(flaps) == {RUNS}
    assert "added and removed again: new-1 after 90 s, new-2 after 70 s" in findings(CHECK, flaps)[RUNS].reason
    gone_at_once = seen(came(ready=None, gone=45.0, offers={}), **NOT_PLACED)
    assert "it was removed after 15 s" in findings(CHECK, gone_at_once)[READY].reason


def test_the_node_that_the_pod_was_on_counts_and_the_newest_of_its_name() -> None:
    two = (came("new-0", of_pool=True, gone=None), came("new-1", came=10.0, gone=20.0), came("new-1", came=40.0))
    found = subject(seen(*two))
    assert found is not None
    assert found.came == 40.0
    later = subject(seen(came("a", gone=50.0), came("b", gone=None), **NOT_PLACED))
    assert later is not None
    assert later.name == "b"


moments = st.none() | st.floats(0, 5000)
nodes_seen = st.builds(
    NodeSeen,
    name=st.sampled_from(["new-1", "new-2", "old-1"]),
    of_pool=st.none() | st.booleans(),
    came=st.floats(0, 1000),
    ready=moments,
    gone=moments,
    offers=st.dictionaries(st.sampled_from([GPU, "amd.com/gpu"]), st.integers(1, 8)),
    problem=st.text(max_size=5),
)
scalings = st.builds(
    seen,
    nodes=st.lists(nodes_seen, max_size=4).map(tuple),
    pod_node=st.sampled_from(["", "new-1", "new-2"]),
    ran=moments,
    released=moments,
    held=st.sampled_from([(), ("old-1",)]),
    lost=st.sampled_from([(), ("old-1",)]),
    autoscaler=st.sampled_from([BY_KARPENTER, BY_LABEL]),
)


@given(scalings)
def test_every_judgement_has_a_reason_and_what_was_not_seen_holds_nothing(what: Scaling) -> None:
    for finding in findings(CHECK, what).values():
        assert finding.reason
        assert (finding.holds is None) == (finding.subjects == 0)
    if all(finding.holds for finding in findings(CHECK, what).values()):
        node = subject(what)
        assert node is not None
        assert what.ran is not None
        assert node.offers[GPU]
        assert node.gone is not None
        assert what.held
        assert not what.lost


@given(scalings)
def test_an_observation_survives_its_file(what: Scaling) -> None:
    assert Scaling.model_validate_json(what.model_dump_json()) == what


# Which pool


def pools(*found: Pool, **fields: Any) -> Autoscaling:
    return Autoscaling(pools=found, looked=("NodePools", "a ConfigMap"), **fields)


def test_no_autoscaler_is_not_applicable_only_if_the_user_says_so() -> None:
    with pytest.raises(NothingToLookAt, match=r"cluster_autoscaling\.none=true"):
        choose(pools(), ClusterAutoscaling())
    with pytest.raises(NotApplicable, match="looked at: NodePools; a ConfigMap"):
        choose(pools(), ClusterAutoscaling(none=True))
    with pytest.raises(NothingToLookAt, match="there is Karpenter"):
        choose(pools(autoscalers=(BY_KARPENTER,)), ClusterAutoscaling(none=True))
    with pytest.raises(NothingToLookAt, match="there is ConfigMap a/b does not exist"):
        choose(pools(problems=("ConfigMap a/b does not exist",)), ClusterAutoscaling(none=True))


def test_an_autoscaler_of_pools_without_accelerators_leaves_the_condition_unmet() -> None:
    cpu, unknown = Pool("cpu", BY_KARPENTER, without="its family is m"), Pool("any", BY_KARPENTER)
    with pytest.raises(NotApplicable, match=r"no pool that Karpenter scales has accelerators: cpu \(no acc"):
        choose(pools(cpu, autoscalers=(BY_KARPENTER,)), ClusterAutoscaling(none=True))
    for others in ([cpu, unknown], [cpu, Pool("gpu", BY_KARPENTER, resource=GPU)]):
        with pytest.raises(NothingToLookAt, match="but there is Karpenter"):
            choose(pools(*others, autoscalers=(BY_KARPENTER,)), ClusterAutoscaling(none=True))
    with pytest.raises(NothingToLookAt, match="there is Karpenter, but no pool was found"):
        choose(pools(autoscalers=(BY_KARPENTER,)), ClusterAutoscaling())


def test_a_pool_without_a_known_accelerator_is_told_with_the_way_out() -> None:
    with pytest.raises(NothingToLookAt, match=r"any \(hardware unknown; 2 nodes\)\); odd\. .* hardware of any"):
        choose(pools(Pool("any", BY_KARPENTER, size=2), problems=("odd",)), ClusterAutoscaling())
    with pytest.raises(NothingToLookAt, match=r"cpu \(no accelerator: its family is m; 2 nodes\)\)\. Name the pool"):
        choose(pools(Pool("cpu", BY_KARPENTER, size=2, without="its family is m")), ClusterAutoscaling())
    assert choose(pools(Pool("gpu", BY_KARPENTER, resource=GPU)), ClusterAutoscaling()).name == "gpu"


@pytest.mark.parametrize(
    ("by", "fields"),
    [
        (BY_CLUSTER_AUTOSCALER, {"size": 2, "minimum": 2, "maximum": 2, "full": "its minimum is its maximum, 2"}),
        (BY_CLUSTER_AUTOSCALER, {"size": 4, "maximum": 4, "full": "its maximum of 4 nodes is reached"}),
        (BY_KARPENTER, {"size": 1, "limits": "limits cpu: 8", "full": "its limit of 8 cpu is reached"}),
        (GIVEN, {"full": "it is of fixed size"}),
    ],
)
def test_a_pool_that_may_not_grow_is_no_verdict_and_is_told_with_its_bounds(by: str, fields: dict[str, Any]) -> None:
    full, cpu = Pool("gpu", by, resource=GPU, **fields), Pool("cpu", by, without="its family is m")
    with pytest.raises(
        NothingToLookAt, match=r"no pool with accelerators may grow \(gpu \(.*Raise the maximum"
    ) as raised:
        choose(pools(full, cpu), ClusterAutoscaling())
    assert fields["full"] in str(raised.value)
    assert "cpu (" not in str(raised.value)


def test_a_pool_that_may_grow_is_tried_whichever_autoscaler_scales_it() -> None:
    full = Pool("full", BY_KARPENTER, resource=GPU, full="its limit of 8 cpu is reached")
    grows = Pool("grows", BY_CLUSTER_AUTOSCALER, resource=GPU, size=1, maximum=2)
    assert choose(pools(full, grows), ClusterAutoscaling()) == grows
    # Nothing shows that anybody scales a pool that only has a label.
    with pytest.raises(NothingToLookAt, match="full"):
        choose(pools(full, Pool("label", BY_LABEL, resource=GPU)), ClusterAutoscaling())


def test_the_limits_of_the_user_bound_the_probe() -> None:
    declared = scaling.__probe__  # type: ignore[attr-defined]
    options = ClusterAutoscaling(node_added_seconds=10, node_removed_seconds=20)
    assert declared.seconds(Settings(patience=5, options=(options,))) == 10 + 20 + 3 * 5 + 60 + BLAME_SECONDS


# Places that are held


def node(name: str, *, ready: bool = True, taint: str = "", labels: dict[str, str] | None = None) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "uid": f"uid-{name}", "labels": labels or {}, "resourceVersion": "1"},
        "spec": {"taints": [{"key": taint, "effect": "NoSchedule"}] if taint else []},
        "status": {"conditions": [{"type": "Ready", "status": "True" if ready else "False", "message": "no CNI"}]},
    }


IN_POOL = {"pool": "gpu"}
POOL = Pool("gpu", BY_KARPENTER, ("pool", "gpu"), resource=GPU, taints=((GPU, "NoSchedule"), ("soft", "Prefer")))


def held(pool: Pool, nodes: list[Object], free: dict[str, int]) -> list[str]:
    return [each["metadata"]["name"] for each in nodes_to_hold(pool, nodes, free)]


def test_places_are_held_where_the_pod_could_go_and_somewhere_in_any_case() -> None:
    members = [node("a", labels=IN_POOL, taint=GPU), node("b", labels=IN_POOL), node("c", labels=IN_POOL, ready=False)]
    others = [node("tainted", taint="control-plane"), node("other")]
    assert held(POOL, [*members, *others], {"a": 1, "b": 2, "c": 3, "other": 4}) == ["a", "b"]
    assert held(POOL, [*members, *others], {"a": 0, "b": 0}) == ["a"]
    assert held(POOL, others, {"other": 4}) == ["other"]
    assert held(POOL, others[:1], {}) == ["tainted"]
    unlabelled = Pool("gpu", BY_CLUSTER_AUTOSCALER, resource=GPU)
    assert held(unlabelled, [*members, *others], {"b": 1, "other": 4}) == ["b", "other"]
    many = [node(f"n{i}", labels=IN_POOL) for i in range(MOST_HELD + 1)]
    with pytest.raises(NothingToLookAt, match="51 nodes of pool gpu"):
        nodes_to_hold(POOL, many, {each["metadata"]["name"]: 1 for each in many})


def test_the_waiting_pod_goes_to_the_pool_alone_and_where_no_place_is_held() -> None:
    made = waiting_pod_manifest("w", POOL, "image", "low")
    spec = made["spec"]
    assert (spec["nodeSelector"], spec["priorityClassName"]) == ({"pool": "gpu"}, "low")
    assert [each["key"] for each in spec["tolerations"]] == [GPU]
    assert spec["containers"][0]["resources"]["limits"][GPU] == "1"
    (term,) = spec["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    place = placeholder({"metadata": {"name": "h"}})
    assert place["metadata"]["labels"].items() >= term["labelSelector"]["matchLabels"].items()
    assert (
        "nodeSelector"
        not in waiting_pod_manifest("w", Pool("x", BY_CLUSTER_AUTOSCALER, resource=GPU), "image", "low")["spec"]
    )


def test_the_waiting_pod_tolerates_what_the_user_names_for_an_empty_pool() -> None:
    made = waiting_pod_manifest("w", POOL, "image", "low", [Toleration("sku", "gpu")])
    assert [each["key"] for each in made["spec"]["tolerations"]] == [GPU, "sku"]


def test_daemon_sets_ended_pods_and_our_own_keep_no_node_in_use() -> None:
    def pod(name: str, namespace: str = "a", *, owner: str = "", phase: str = "Running") -> Object:
        owners = [{"kind": owner}] if owner else []
        metadata = {"name": name, "namespace": namespace, "ownerReferences": owners}
        return {"metadata": metadata, "status": {"phase": phase}}

    found = [pod("x"), pod("d", owner="DaemonSet"), pod("e", phase="Failed"), pod("o", "ours"), pod("j", owner="Job")]
    assert pods_in_the_way(found, "ours") == ["a/j", "a/x"]


# Following


def test_a_history_tells_new_nodes_from_those_that_were_there() -> None:
    told: list[str] = []
    history = NodeHistory(["uid-old"], ChangeSignal(), told.append)
    history.see(node("old"))
    starting = node("new", ready=False, labels={"pool": "gpu"})
    starting["status"]["allocatable"] = {GPU: "8"}
    history.see(starting)
    (entry,) = history.new_nodes.values()
    # What a node offers before it is Ready was only made up.
    assert (entry.ready, entry.offers, entry.problem) == (None, {}, "node new is not Ready: no CNI")
    ready = node("new", labels={"pool": "gpu"})
    ready["status"]["allocatable"] = {GPU: "8", "cpu": "4"}
    history.see(ready)
    assert entry.ready is not None
    assert entry.offers == {GPU: 8}
    history.see(ready, deleted=True)
    history.see(node("old"), deleted=True)
    assert entry.gone is not None
    assert list(history.lost) == ["old"]
    said = [
        "node new was added",
        "node new is Ready",
        f"node new offers 8 {GPU}",
        "node new was removed",
        "node old was removed",
    ]
    assert told == said


def test_a_resource_of_no_known_accelerator_counts_if_the_pod_requests_it() -> None:
    history = NodeHistory([], ChangeSignal(), profiles=known_with(load_profiles(), "example.com/npu"))
    ready = node("new")
    ready["status"]["allocatable"] = {"example.com/npu": "4", "example.com/nic": "2"}
    history.see(ready)
    assert [entry.offers for entry in history.new_nodes.values()] == [{"example.com/npu": 4}]


def test_a_node_that_was_removed_before_it_was_seen_is_not_a_new_node() -> None:
    history = NodeHistory(["uid-old"], ChangeSignal())
    history.see(node("never-seen"), deleted=True)
    assert not history.new_nodes


def pod_state(phase: str = "Pending", *, at: str = "", unschedulable: str = "", **status: Any) -> Object:
    conditions = [{"type": "PodScheduled", "status": "False", "message": unschedulable}] if unschedulable else []
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "w", "namespace": "n", "uid": "u"},
        "spec": {"nodeName": at} if at else {},
        "status": {"phase": phase, "conditions": conditions} | status,
    }


def test_the_waiting_pod_is_unschedulable_once_and_for_all() -> None:
    waiting = WaitingPod(pod_state(), ChangeSignal())
    assert (waiting.node, waiting.unschedulable, waiting.ended) == ("", "", False)
    waiting.see(pod_state(unschedulable="no room"))
    waiting.see(pod_state(unschedulable="something else"))
    running = [{"name": "holder", "state": {"running": {}}}]
    waiting.see(pod_state("Running", at="new", containerStatuses=running))
    assert (waiting.node, waiting.unschedulable, waiting.started, waiting.problem) == ("new", "no room", True, "")


def test_a_pod_whose_place_others_take_says_nothing_of_the_pool() -> None:
    waiting = WaitingPod(pod_state(), ChangeSignal())
    waiting.see(pod_state("Failed", at="new", reason="Evicted", message="low on memory"))
    with pytest.raises(Stuck, match="no room for the Pod that waited for it: Evicted: low on memory"):
        assert waiting.ended
    preempted = {"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler", "message": "p"}
    waiting.see(pod_state("Running", at="new", conditions=[preempted]))
    with pytest.raises(Stuck, match="others took the place"):
        assert waiting.started


def test_a_pod_whose_node_is_removed_did_not_run_there() -> None:
    waiting = WaitingPod(pod_state(), ChangeSignal())
    evicted = {"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI", "message": "drained"}
    waiting.see(pod_state("Failed", at="new", reason="Terminated", conditions=[evicted]))
    assert (waiting.ended, waiting.started) == (True, False)


def test_a_pod_that_its_node_refuses_did_not_start_and_a_missing_image_is_nobody_s_fault() -> None:
    waiting = WaitingPod(pod_state(), ChangeSignal())
    waiting.see(pod_state("Failed", at="new", reason="UnexpectedAdmissionError", message="no device"))
    assert waiting.ended
    assert not waiting.started
    assert waiting.problem == "UnexpectedAdmissionError: no device"
    pulling = [{"name": "holder", "state": {"waiting": {"reason": "InvalidImageName"}}, "image": "x"}]
    waiting.see(pod_state(at="new", containerStatuses=pulling))
    with pytest.raises(Stuck, match="InvalidImageName"):
        assert waiting.ended


# A watch that is behind


def _scheduled(node: str, *, waited: bool = False) -> WaitingPod:
    created: Object = {"metadata": {"name": "waiting"}, "spec": {}, "status": {"phase": "Pending"}}
    waiting = WaitingPod(created, ChangeSignal())
    if waited:
        condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "no node"}
        waiting.see({**created, "status": {"phase": "Pending", "conditions": [condition]}})
    waiting.see({**created, "spec": {"nodeName": node}})
    return waiting


BEFORE: list[Object] = [{"metadata": {"name": "old", "uid": "1"}}]


@pytest.mark.parametrize(
    ("node", "waited", "counts"), [("old", False, False), ("new", False, True), ("new", True, True)]
)
async def test_a_pod_on_an_added_node_waited_for_it_whether_or_not_that_was_seen(
    node: str, waited: bool, counts: bool
) -> None:
    judged = probes._until_unschedulable(_scheduled(node, waited=waited), BEFORE, ChangeSignal(), 1.0)
    if counts:
        await judged
    else:
        with pytest.raises(NothingToLookAt, match="scheduled to old at once"):
            await judged


async def test_an_added_node_is_waited_for_if_the_pod_is_seen_on_it_first() -> None:
    changes = ChangeSignal()
    history = NodeHistory(["1"], changes)
    placed = asyncio.create_task(probes._placed(_scheduled("new", waited=True), history, BEFORE, changes, 5.0))
    await asyncio.sleep(0)
    history.see({"metadata": {"name": "new", "uid": "2"}, "status": {}})
    assert await placed == "2"
    with pytest.raises(NothingToLookAt, match="an existing node"):
        await probes._placed(_scheduled("old", waited=True), history, BEFORE, changes, 5.0)


@pytest.mark.parametrize(
    "said",
    [
        "FailedScaleUp: Node scale up in zones z associated with this pod failed: GCE out of resources.",
        "its last scale-up failed (OutOfResource: placeholder-cannot-be-fulfilled), and it backs off",
        "InsufficientCapacityError: creating instance, insufficient capacity: UnfulfillableCapacity",
        "its last scale-up failed (QUOTA_EXCEEDED: GPUs), and it backs off",
        "FailedScaleUp: SkuNotAvailable",
    ],
)
def test_a_cloud_without_a_machine_is_no_defect_of_the_autoscaler(said: str) -> None:
    for fields in ({"said": (said,)}, {"bounds": said}, {"unknown": "events of NodeClaims may not be listed"}):
        what = seen(came("cpu-7", of_pool=False, offers={}), **fields, **NOT_PLACED)  # type: ignore[arg-type]
        assert broken(what) == set()
        assert ADDED in open_(what)
    short = seen(came("cpu-7", of_pool=False, offers={}), said=(said,), **NOT_PLACED)
    assert "raise the quota" in findings(CHECK, short)[ADDED].reason
    assert "may not be listed" in findings(CHECK, what)[ADDED].reason


def test_what_karpenter_says_of_machines_for_a_pool_is_read() -> None:
    def event(claim: str, message: str, **times: Any) -> Object:
        about = {"involvedObject": {"name": claim}, "reason": "InsufficientCapacityError", "message": message}
        return about | times

    now, before = "2026-05-13T09:00:05Z", "2026-05-13T08:00:05Z"
    found = (
        event("gpu-x7k2p", "a", lastTimestamp=now),
        event("gpu-9s8d7", "a", eventTime="2026-05-13T09:00:05.123456Z"),
        event("gpu-b2b2b", "of another time", lastTimestamp=before),
        event("gpu-large-x7k2p", "of another pool", lastTimestamp=now),
        event("gpu-c3c3c", "b", lastTimestamp=before, series={"lastObservedTime": "2026-05-13T09:00:09.000001Z"}),
    )

    class Platform:
        def __init__(self) -> None:
            self.cluster = self

        async def list(self, *what: str, fields: str) -> Any:
            assert (what, fields) == (("v1", "Event", "default"), "involvedObject.kind=NodeClaim")
            for each in found:
                yield each

    def read(pool: Pool) -> tuple[str, ...]:
        return asyncio.run(reported(Platform(), pool, now))  # type: ignore[arg-type]

    own = Pool("gpu", BY_KARPENTER, ("karpenter.sh/nodepool", "gpu"))
    assert read(own) == ("InsufficientCapacityError: a", "InsufficientCapacityError: b")
    assert read(Pool("gpu", BY_LABEL, ("pool", "gpu"))) == ()


def test_a_pool_that_never_removes_nodes_is_told_before_a_node_is_ordered() -> None:
    pool = Pool("gpu", BY_KARPENTER, resource=GPU, keeps_seconds=math.inf)
    with pytest.raises(NothingToLookAt, match="for ever"):
        choose(pools(pool), ClusterAutoscaling())


@pytest.mark.parametrize(
    ("problem", "new", "unknown"),
    [
        ("", (), ""),
        ("its health is Unhealthy", ("its health is Unhealthy",), ""),
        (BACKS_OFF, (BACKS_OFF,), BACKS_OFF),
        ("as before", (), ""),
    ],
)
async def test_what_is_reported_of_any_group_of_the_pool_is_read_after_a_node_did_not_come(
    monkeypatch: pytest.MonkeyPatch, problem: str, new: tuple[str, ...], unknown: str
) -> None:
    pool = Pool("gpu-a", BY_CLUSTER_AUTOSCALER, ("pool", "gpu"), problem="as before")
    elsewhere = Pool("cpu", BY_CLUSTER_AUTOSCALER, ("pool", "cpu"), problem="of another pool")

    async def discovered(*_: Any, **__: Any) -> Autoscaling:
        return pools(pool, Pool("gpu-b", BY_CLUSTER_AUTOSCALER, ("pool", "gpu"), problem=problem), elsewhere)

    async def nothing(*_: Any) -> tuple[str, ...]:
        return ("an event",)

    monkeypatch.setattr(probes, "discover", discovered)
    monkeypatch.setattr(probes, "_events", nothing)
    created = {"metadata": {"creationTimestamp": "2026-05-13T09:00:05Z"}}
    assert await probes._said(None, created, pool, ClusterAutoscaling()) == (  # type: ignore[arg-type]
        ("an event", *new),
        unknown,
    )
