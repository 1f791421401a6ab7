"""What the views of holder, sibling and stranger mean: no cluster, made-up containers of real vendors' shapes."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiconform.check.registry import load_check
from aiconform.check.testing import findings
from aiconform.checks.secure_accelerator_access.observations import Isolation
from aiconform.kit import container_view as views
from aiconform.kit.container_view import DeviceNode, OpenAttempt, View

STANDARD = {"/dev/null": "c:1:3", "/dev/urandom": "c:1:9", "/dev/pts/0": "c:136:0", "/dev/console": "c:5:1"}
CHECK = load_check("secure_accelerator_access")
STARTS = "holder_starts"
SEES = "holder_sees_device"
EXACT = "holder_sees_exactly_one"
SIBLING = "sibling_sees_none"
STRANGER = "stranger_sees_none"
DISJOINT = "holders_are_disjoint"
OPENS = "holder_opens_device"
FORGED = "forged_is_refused"

NVIDIA = {"/dev/nvidiactl": "c:195:255", "/dev/nvidia-uvm": "c:511:0"}
AMD = {"/dev/kfd": "c:242:0"}


def gpu(index: int) -> dict[str, str]:
    return {f"/dev/nvidia{index}": f"c:195:{index}"}


def amd(index: int) -> dict[str, str]:
    return {f"/dev/dri/renderD{128 + index}": f"c:226:{128 + index}", f"/dev/dri/card{index}": f"c:226:{index}"}


def view(*nodes: dict[str, str], environment: dict[str, str] | None = None) -> View:
    merged = dict(STANDARD)
    for each in nodes:
        merged |= each
    listed = [DeviceNode(path=path, number=number) for path, number in merged.items()]
    return View(nodes=listed, environment=environment or {}, mounts=["/", "/proc"])


def isolation(
    holder: View | None,
    second: View | None,
    sibling: View | None = None,
    stranger: View | None = None,
    *,
    outcome: str = "can't open: Operation not permitted",
    own: str = "opened",
    **fields: object,
) -> Isolation:
    holders = [each for each in (holder, second) if each]
    special = [node for each in holders for node in views.special(each)]
    return Isolation(
        node="node-1",
        way="dra",
        served_by="dra",
        name="gpu.nvidia.com",
        product="H100",
        simulated=False,
        holder=holder,
        second=second,
        sibling=sibling or (view() if holder else None),
        stranger=stranger or (view() if holder else None),
        asker=stranger or (view() if holder else None),
        own=tuple(OpenAttempt(device=node.path, made=True, outcome=own) for node in special),
        forged=tuple(OpenAttempt(device=node.number, made=True, outcome=outcome) for node in special),
        **fields,  # type: ignore[arg-type]
    )


def outcomes(seen: Isolation) -> dict[str, bool | None]:
    found = findings(CHECK, seen)
    assert all(finding.reason for finding in found.values())
    return {id_: finding.holds for id_, finding in found.items() if finding.applies}


def broken(seen: Isolation) -> set[str]:
    return {id_ for id_, holds in outcomes(seen).items() if holds is False}


HEALTHY = [
    isolation(view(gpu(0), NVIDIA), view(gpu(1), NVIDIA)),
    isolation(view(amd(0), AMD), view(amd(1), AMD)),
    isolation(view(gpu(3)), view(gpu(0))),
    # A platform that gives every container /dev/fuse shows no accelerator by that.
    isolation(view(gpu(0), fuse := {"/dev/fuse": "c:10:229"}), view(gpu(1), fuse), view(fuse), view(fuse)),
]


@pytest.mark.parametrize("seen", HEALTHY, ids=["nvidia", "amd", "bare", "fuse"])
def test_every_assertion_holds_where_devices_are_isolated(seen: Isolation) -> None:
    assert set(outcomes(seen).values()) == {True}


def test_a_runtime_that_leaks_all_devices_breaks_what_the_views_show() -> None:
    every = view(gpu(0), gpu(1), gpu(2), NVIDIA)
    found = broken(isolation(every, every, every, every, outcome="opened"))
    assert found == {SEES, SIBLING, STRANGER, DISJOINT, FORGED}


def test_one_leaked_device_is_enough() -> None:
    seen = isolation(view(gpu(0), gpu(2)), view(gpu(1), gpu(2)), view(gpu(2)), view(gpu(2)))
    assert broken(seen) == {SIBLING, STRANGER, DISJOINT}


def test_a_leak_to_the_sibling_only() -> None:
    assert broken(isolation(view(gpu(0)), view(gpu(1)), sibling=view(gpu(0)))) == {SIBLING}


def test_a_driver_that_hands_out_all() -> None:
    every = view(gpu(0), gpu(1), NVIDIA)
    assert broken(isolation(every, every)) == {EXACT, DISJOINT}


def test_a_driver_that_hands_out_one_too_many() -> None:
    assert broken(isolation(view(gpu(0), gpu(2)), view(gpu(1)))) == {EXACT}


def test_a_driver_that_gives_nothing() -> None:
    found = outcomes(isolation(view(), view()))
    assert {title for title, holds in found.items() if holds is False} == {SEES, DISJOINT}
    assert found[FORGED] is None


def test_two_holders_of_the_same_device() -> None:
    assert broken(isolation(view(gpu(0), NVIDIA), view(gpu(0), NVIDIA))) == {DISJOINT}


def test_renumbered_paths_do_not_hide_that_devices_differ() -> None:
    first, second = view({"/dev/nvidia0": "c:195:4"}), view({"/dev/nvidia0": "c:195:5"})
    assert broken(isolation(first, second)) == set()


@pytest.mark.parametrize("outcome", ["opened", "can't open: No such device or address", "blocked"])
def test_a_forged_node_that_reaches_the_driver(outcome: str) -> None:
    assert broken(isolation(view(gpu(0)), view(gpu(1)), outcome=outcome)) == {FORGED}


def test_a_forgery_that_could_not_be_tried_decides_nothing() -> None:
    seen = isolation(view(gpu(0)), view(gpu(1)))
    unmade = tuple(entry.model_copy(update={"made": False}) for entry in seen.forged)
    assert outcomes(seen.model_copy(update={"forged": unmade}))[FORGED] is None
    nodev = isolation(view(gpu(0)), view(gpu(1)), outcome="can't open: Permission denied")
    assert outcomes(nodev)[FORGED] is None


def test_a_device_that_its_holder_may_not_open() -> None:
    assert broken(isolation(view(gpu(0)), view(gpu(1)), own="Operation not permitted")) == {OPENS}


def test_a_pod_that_did_not_start_shows_nothing_else() -> None:
    found = outcomes(isolation(None, None, problem="FailedPrepareDynamicResources"))
    assert found.pop(STARTS) is False
    assert set(found.values()) == {None}


def test_one_free_device_and_a_second_pod_that_waits() -> None:
    assert broken(isolation(view(gpu(0)), None, second_waited=True)) == set()
    assert outcomes(isolation(view(gpu(0)), None))[DISJOINT] is None


def test_a_device_without_a_node_leaves_the_kernel_undecided() -> None:
    given_by_environment = view(environment={"TPU_VISIBLE_CHIPS": "0"})
    found = outcomes(isolation(given_by_environment, view(environment={"TPU_VISIBLE_CHIPS": "1"})))
    assert found[SEES] is True
    assert found[FORGED] is None
    assert found[STRANGER] is None


@given(
    st.lists(st.integers(0, 7), min_size=2, max_size=2, unique=True),
    st.sets(st.integers(0, 7), max_size=3),
    st.booleans(),
)
def test_any_accelerator_that_a_stranger_sees_is_found(held: list[int], leaks: set[int], control: bool) -> None:
    shared = NVIDIA if control else {}
    leak = [gpu(index) for index in leaks]
    seen = isolation(view(gpu(held[0]), shared, *leak), view(gpu(held[1]), shared, *leak), stranger=view(*leak))
    assert (STRANGER in broken(seen)) == bool(leaks)


def test_what_a_container_prints_is_read() -> None:
    environment = base64.b64encode(b"A=1\0MULTI=two\nlines\0B=x=y\0").decode()
    seen = views.parse_view(
        [
            "node /dev/accel0 4 a character special file",
            "node /dev/with space 103 1f block special file",
            "noise",
            f"env {environment}",
            "mount /proc",
            "kernel 6.8.0-41-generic 3f2504e0-4f89-11d3-9a0c-0305e82c3301",
            "own /dev/accel0 opened",
        ]
    )
    assert [(node.path, node.number) for node in seen.nodes] == [
        ("/dev/accel0", "c:4:10"),
        ("/dev/with space", "b:259:31"),
    ]
    assert seen.environment == {"A": "1", "MULTI": "two\nlines", "B": "x=y"}
    assert seen.mounts == ["/proc"]
    assert (seen.release, seen.boot) == ("6.8.0-41-generic", "3f2504e0-4f89-11d3-9a0c-0305e82c3301")
    assert views.parse_view(["kernel 4.4.0 "]).boot == ""
    control = views.parse_control(["control unmade c:1:3 mknod: Operation not permitted", "unmade c:4:11 no"])
    assert control == OpenAttempt(device="c:1:3", made=False, outcome="mknod: Operation not permitted")
    assert views.parse_control(["forged c:4:10 opened"]) is None
    attempts = views.parse_attempts(["own /dev/a x y", "forged c:4:10 z", "unmade c:4:11 no"], "forged")
    assert [(entry.device, entry.made, entry.outcome) for entry in attempts] == [
        ("c:4:10", True, "z"),
        ("c:4:11", False, "no"),
    ]


@given(st.lists(st.text(max_size=60)))
def test_no_output_of_a_container_breaks_the_reading(lines: list[str]) -> None:
    assert isinstance(views.parse_view([*lines, *(f"env {line}" for line in lines)]), View)
    assert views.parse_attempts(lines, "own") == tuple(
        entry for entry in views.parse_attempts(lines, "own") if entry.made
    )
