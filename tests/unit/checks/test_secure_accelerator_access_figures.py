"""Who sees which device, as a matrix."""

from __future__ import annotations

from pathlib import Path

import pytest

from aiconform.check.figures import Cell, Matrix
from aiconform.check.registry import load_check
from aiconform.checks.secure_accelerator_access.figures import who_sees_what
from aiconform.checks.secure_accelerator_access.observations import Isolation
from aiconform.engine.rundir import RunDirectory
from aiconform.engine.verdicts import observation_of

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
    ("outcome", "tone"), [("opened", "good"), ("Operation not permitted", "bad"), ("No such device", "open")]
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
