"""Who sees which device, as a matrix."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiconform.check.figures import Cell, Matrix
from aiconform.check.registry import load_check
from aiconform.checks.secure_accelerator_access.figures import who_sees_what
from aiconform.checks.secure_accelerator_access.observations import Isolation
from aiconform.engine.rundir import RunDirectory
from aiconform.engine.verdicts import observation_of
from aiconform.kit.container_view import HARMLESS, DeviceNode, OpenAttempt, View

CHECK = "secure_accelerator_access"
RUNS = Path(__file__).parents[2] / "runs"


def isolation(run: str, number: int = 0) -> Isolation:
    record = RunDirectory(RUNS / run).read_evidence(CHECK)[0].records[number]
    seen = observation_of(load_check(CHECK), record)
    assert isinstance(seen, Isolation)
    return seen


def words(figure: Matrix | str) -> dict[str, list[str]]:
    assert isinstance(figure, Matrix)
    return {name: [cell.word for cell in cells] for name, cells in figure.rows}


def test_holders_see_their_own_devices_and_others_none() -> None:
    figure = who_sees_what(isolation("whole-healthy"))
    assert isinstance(figure, Matrix)
    assert figure.columns[:4] == ("Holder", "Second holder", "Sibling in the holder's Pod", "Pod without a claim")
    assert words(figure) == {
        "/dev/aiconform-accel2 c:4:12": ["sees it", "no", "no", "no", "opened", "refused"],
        "/dev/aiconform-accel1 c:4:11": ["no", "sees it", "no", "no", "not tried", "refused"],
    }
    assert {cell.tone for _, cells in figure.rows for cell in cells} == {"good", "quiet"}


def test_what_leaks_stands_out() -> None:
    figure = who_sees_what(isolation("runtime-leaks-devices"))
    assert isinstance(figure, Matrix)
    assert len(figure.rows) == 4
    for _, (holder, second, sibling, stranger, _, forged) in figure.rows:
        assert {holder, second} == {Cell("sees it", "open")}
        assert {sibling, stranger} == {Cell("sees it", "bad")}
        assert forged == Cell("reached", "bad")


@pytest.mark.parametrize(
    ("attempt", "cell"),
    [
        ({"made": True, "outcome": "Operation not permitted"}, Cell("refused", "good")),
        ({"made": True, "outcome": "opened"}, Cell("reached", "bad")),
        ({"made": False, "outcome": "mknod: Read-only file system"}, Cell("could not try", "open")),
        (None, Cell("not tried")),
    ],
)
def test_what_became_of_a_forged_node(attempt: dict[str, object] | None, cell: Cell) -> None:
    forged = [{"device": "c:4:12", **attempt}] if attempt else []
    seen = isolation("whole-healthy").model_dump() | {"forged": forged}
    figure = who_sees_what(Isolation.model_validate(seen))
    assert isinstance(figure, Matrix)
    assert dict(figure.rows)["/dev/aiconform-accel2 c:4:12"][-1] == cell


@pytest.mark.parametrize(
    ("outcome", "tone"), [("opened", "good"), ("Operation not permitted", "bad"), ("No such device", "bad")]
)
def test_what_became_of_the_holders_own(outcome: str, tone: str) -> None:
    own = [{"device": "/dev/aiconform-accel2", "made": True, "outcome": outcome}]
    figure = who_sees_what(Isolation.model_validate(isolation("whole-healthy").model_dump() | {"own": own}))
    assert isinstance(figure, Matrix)
    assert dict(figure.rows)["/dev/aiconform-accel2 c:4:12"][-2] == Cell(outcome, tone)


def test_a_kernel_of_its_own_has_rows_of_its_own() -> None:
    seen = isolation("whole-healthy").model_dump() | {"boot": "node"}
    seen["holder"]["boot"] = "sandbox"
    figure = who_sees_what(Isolation.model_validate(seen))
    assert isinstance(figure, Matrix)
    assert len(figure.rows) == 2


def test_without_holder_or_device_nodes_there_is_nothing_to_draw() -> None:
    seen = isolation("whole-healthy")
    assert who_sees_what(seen.model_copy(update={"holder": None})) == "no Pod started with a device"
    empty = {name: getattr(seen, name).model_copy(update={"nodes": []}) for name in ("holder", "second", "sibling")}
    bare = seen.model_copy(update={**empty, "stranger": empty["sibling"]})
    assert "no container has a device node" in str(who_sees_what(bare))


ACCEL = ("/dev/aiconform-accel0", "c:4:10")
OTHER = ("/dev/aiconform-accel1", "c:4:11")


def view(*nodes: tuple[str, str], boot: str = "") -> View:
    found = [DeviceNode(path=path, number=number) for path, number in nodes]
    return View(nodes=found, environment={}, mounts=[], boot=boot)


def sandbox(**changes: object) -> Isolation:
    fields: dict[str, object] = {"holder": view(ACCEL), "stranger": view(), "total": 4, "boot": "node"}
    seen = isolation("whole-healthy").model_copy(update={"second": None, "sibling": None, "own": (), "forged": ()})
    return seen.model_copy(update=fields | changes)


def attempt(device: str, outcome: str, *, made: bool = True) -> OpenAttempt:
    return OpenAttempt(device=device, made=made, outcome=outcome)


def column(seen: Isolation, name: str) -> list[Cell]:
    figure = who_sees_what(seen)
    assert isinstance(figure, Matrix)
    return [cells[figure.columns.index(name)] for _, cells in figure.rows]


BAD, GOOD, OPEN = (Cell("sees it", tone) for tone in ("bad", "good", "open"))


@pytest.mark.parametrize(("asked", "cell"), [(1, BAD), (2, GOOD)])
def test_a_holder_that_sees_more_than_it_asked_for_stands_out(asked: int, cell: Cell) -> None:
    both = view(ACCEL, OTHER)
    assert column(sandbox(holder=both, asked=asked), "Holder") == [cell, cell]
    one_each = sandbox(holder=view(("/dev/aiconform-accel2", "c:4:12")), second=both, asked=asked)
    assert column(one_each, "Second holder")[1:] == [cell, cell]


def test_control_nodes_without_a_device_are_nothing_good() -> None:
    assert column(sandbox(holder=view(("/dev/nvidiactl", "c:195:255"))), "Holder") == [OPEN]


def test_a_node_that_has_accelerators_after_all_tells_nothing() -> None:
    assert column(sandbox(baseline=view(ACCEL)), "Pod on a node without accelerators") == [OPEN]


def test_an_environment_gives_only_what_others_do_not_have() -> None:
    name = "Pod that asks by its environment"
    assert column(sandbox(asker=view(ACCEL)), name) == [BAD]
    assert column(sandbox(asker=view(ACCEL), stranger=view(ACCEL)), name) == [OPEN]


def test_what_is_ordinary_by_its_path_leaks_nothing() -> None:
    assert column(sandbox(sibling=view(("/dev/fuse", ACCEL[1]))), "Sibling in the holder's Pod") == [OPEN]


@pytest.mark.parametrize(
    ("outcomes", "changes", "tones"),
    [
        (("Permission denied",), {}, ["bad"]),
        (("Permission denied",), {"control": None}, ["open"]),
        (("Permission denied",), {"unprivileged": "it may not"}, ["open"]),
        (("Permission denied", "Operation not permitted"), {"unprivileged": "it may not"}, ["open", "open"]),
        (("Operation not permitted",), {"control": None}, ["bad"]),
        (("No such device", "opened"), {}, ["open", "good"]),
        (("No such device", "No such device"), {}, ["bad", "bad"]),
        (("Device or resource busy",), {}, ["open"]),
        (("Operation not permitted",), {"stranger": view(ACCEL)}, ["open"]),
    ],
)
def test_the_holders_attempts_count_as_for_the_assertion(
    outcomes: tuple[str, ...], changes: dict[str, object], tones: list[str]
) -> None:
    nodes = (ACCEL, OTHER)[: len(outcomes)]
    own = tuple(attempt(path, outcome) for (path, _), outcome in zip(nodes, outcomes, strict=True))
    seen = sandbox(holder=view(*nodes), own=own, **{"control": attempt(HARMLESS, "opened"), **changes})
    assert [cell.tone for cell in column(seen, "The holder opens it")] == tones


def test_an_attempt_is_about_the_holders_node_alone() -> None:
    renumbered = view((ACCEL[0], "c:4:11"))
    seen = sandbox(second=renumbered, own=(attempt(ACCEL[0], "opened"),))
    assert column(seen, "The holder opens it") == [Cell("opened", "good"), Cell("not tried")]


JUDGED = {
    "Holder": "holder_sees_exactly_one",
    "Second holder": "holder_sees_exactly_one",
    "Sibling in the holder's Pod": "sibling_sees_none",
    "Pod without a claim": "stranger_sees_none",
    "Pod that asks by its environment": "environment_gives_nothing",
    "The holder opens it": "holder_opens_device",
    "A Pod without a claim opens a node that it made": "forged_is_refused",
}
POOL = (
    ACCEL,
    OTHER,
    (ACCEL[0], OTHER[1]),
    ("/dev/fuse", ACCEL[1]),
    ("/dev/nvidiactl", "c:195:255"),
    ("/dev/nvidia0", "c:195:0"),
    ("/dev/nvidia-caps/nvidia-cap3", "c:240:3"),
)
views = st.builds(
    lambda nodes, boot: view(*nodes, boot=boot),
    st.lists(st.sampled_from(POOL), max_size=4, unique_by=lambda node: node[0]),
    st.sampled_from(["", "node", "sandbox"]),
)
outcomes = st.sampled_from(
    ["opened", "Operation not permitted", "Permission denied", "No such device or address", "Device or resource busy"]
)


def attempts(devices: list[str]) -> st.SearchStrategy[tuple[OpenAttempt, ...]]:
    each = st.builds(OpenAttempt, device=st.sampled_from(devices), made=st.booleans(), outcome=outcomes)
    return st.lists(each, max_size=3, unique_by=lambda attempt: attempt.device).map(tuple)


@given(
    st.fixed_dictionaries(
        {
            "holder": views,
            "stranger": views,
            "second": st.none() | views,
            "sibling": st.none() | views,
            "asker": st.none() | views,
            "baseline": st.none() | views,
            "own": attempts([path for path, _ in POOL]),
            "forged": attempts([number for _, number in POOL]),
            "control": st.none()
            | st.builds(OpenAttempt, device=st.just(HARMLESS), made=st.booleans(), outcome=outcomes),
            "asked": st.integers(1, 2),
            "total": st.integers(0, 3),
            "unprivileged": st.sampled_from(["", "it may not"]),
        }
    )
)
def test_nothing_is_bad_that_no_assertion_holds_against(changes: dict[str, object]) -> None:
    seen = sandbox(**changes)
    figure = who_sees_what(seen)
    if isinstance(figure, str):
        return
    judge = {each.id: each.function for each in load_check(CHECK).assertions}
    for number, name in enumerate(figure.columns):
        if any(cells[number].tone == "bad" for _, cells in figure.rows):
            assert judge[JUDGED[name]](seen).holds is False
