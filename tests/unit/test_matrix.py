"""The matrix of personas and checks is what the tests recorded, and complete."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.lab import Outcome
from support.matrix import (
    NOT_PERSONAS,
    PAGE,
    Cell,
    cannot_be_told,
    checks,
    defects,
    main,
    page,
    personas,
    problems,
    recorded,
    shown,
)

from aiconform.lab.accelerators import identities


def every_cell() -> list[Cell]:
    return [
        Cell(persona, check, defect, True)
        for persona in personas()
        for check in checks(persona)
        for defect in ("", *defects(persona, check))
    ]


@pytest.mark.skipif(not PAGE.exists(), reason="no test run has filled it yet")
def test_the_page_in_docs_is_complete() -> None:
    assert problems(PAGE.read_text()) == []


def test_a_complete_record_makes_a_complete_page() -> None:
    assert problems(page(every_cell())) == []


def test_what_is_not_tried_anew_stays_as_it_is_on_the_page() -> None:
    cells = every_cell()
    for position, cell in enumerate(cells[:30]):
        if position % 3:
            cells[position] = Cell(cell.persona, cell.check, cell.defect, False, position % 3 == 1)
    text = page(cells[:-5])
    assert page(shown(text)) == text
    first = cells[0]
    anew = Cell(first.persona, first.check, first.defect, False)
    assert page([*shown(text), anew]) == page([*cells[:-5], anew]) != text


def test_what_is_missing_wrong_or_of_no_persona_is_named() -> None:
    cells = every_cell()
    of_amd = [cell for cell in cells if cell.persona == "amd" and cell.check == "secure_accelerator_access"]
    leak = next(cell for cell in of_amd if cell.defect == "runtime-leaks-companion-nodes")
    healthy = next(cell for cell in of_amd if not cell.defect)
    lost = problems(page(cell for cell in cells if cell is not leak))
    assert lost == ["amd, secure_accelerator_access: not caught: runtime-leaks-companion-nodes (not tried)"]
    # The latest record counts.
    wrong = problems(page([*cells, Cell(healthy.persona, healthy.check, "", False)]))
    assert wrong == ["amd, secure_accelerator_access: healthy: wrong"]
    text = page(cells)
    row = next(line for line in text.splitlines() if line.startswith("| amd | dra_support"))
    assert problems(text.replace(row + "\n", "")) == ["amd, dra_support: no row of the matrix"]
    shorter = row.replace("driver-never-prepares, ", "no-driver, ")
    assert problems(text.replace(row, shorter)) == [
        "amd, dra_support: not in the row: driver-never-prepares",
        "amd, dra_support: no defect of it: no-driver",
    ]
    assert problems(f"{text}| abacus | dra_support | right | | | |\n") == [
        "abacus, dra_support: no such persona, or no check for it"
    ]


def test_a_small_record_shows_what_is_caught_missed_undecided_and_not_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seen = [
        ("neuron", "accelerator_metrics", "", True, False),
        ("neuron", "accelerator_metrics", "metrics-frozen", True, False),
        ("neuron", "accelerator_metrics", "metrics-keep-peaks", False, False),
        ("neuron", "accelerator_metrics", "metrics-without-labels", False, True),
        ("amd", "dra_support", "", False, True),
    ]
    lines = []
    for at, (persona, check, defect, right, undecided) in enumerate(seen):
        line = {"at": at, "worker": "main", "persona": persona, "check": check, "defect": defect, "right": right}
        # Records that do not say it are of runs before it was recorded.
        lines.append(line | ({"undecided": True} if undecided else {}))
    (tmp_path / "matrix-main.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    monkeypatch.setattr("sys.argv", ["matrix", str(tmp_path)])
    monkeypatch.setattr("support.matrix.PAGE", tmp_path / "none.md")
    with pytest.raises(SystemExit) as ended:
        main()
    text = capsys.readouterr().out
    rows = {tuple(cells[:2]): cells[2:] for cells in map(cells_of, text.splitlines()) if len(cells) > 2}
    healthy, caught, rest, cannot = rows["neuron", "accelerator_metrics"]
    assert (healthy, caught) == ("right", "metrics-frozen")
    assert {"metrics-keep-peaks", "metrics-without-labels (undecided)", "metrics-are-garbage (not tried)"} <= {
        *rest.split(", ")
    }
    assert "metrics-omit-a-device" in cannot.split(", ")
    assert rows["amd", "dra_support"][0] == "undecided"
    assert rows["amd", "accelerator_metrics"][0] == "not tried"
    told = str(ended.value).splitlines()
    assert "amd, dra_support: healthy: undecided" in told
    assert "amd, accelerator_metrics: healthy: not tried" in told
    assert "neuron, accelerator_metrics: not caught: metrics-keep-peaks" in told


def test_what_a_node_breaks_and_what_is_undecided_there_is_told_apart(tmp_path: Path) -> None:
    def of(holds: bool | None, reason: str, **targets: bool | None) -> dict[str, object]:
        named = {
            name.replace("node_", "node-") + (", x" if name != "cluster" else ""): v for name, v in targets.items()
        }
        return {"id": reason.partition(":")[0], "holds": holds, "reason": reason, "targets": named}

    assertions = [
        of(None, "a: one on node-1 is missing, or shares", cluster=None),
        of(False, "b: one on node-2 is missing", cluster=False),
        of(None, "c: nothing was found", node_1=True, node_2=None),
        of(True, "d: fine", cluster=True),
    ]
    report = {"checks": [{"id": "metrics", "assertions": assertions}]}
    done = Outcome(0, report, tmp_path, "")
    assert [done.undecided("metrics", node) for node in ("node-1", "node-2")] == [{"a"}, {"c"}]
    assert [done.broken("metrics", node) for node in ("node-1", "node-2")] == [set(), {"b"}]


def cells_of(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_what_cannot_be_told_is_no_defect_that_has_to_be_caught() -> None:
    assert cannot_be_told("nvidia-mig-single", "accelerator_metrics") == ("metrics-of-another-device",)
    assert cannot_be_told("nvidia-mig-mixed", "accelerator_metrics") == ()
    assert "metrics-of-the-whole-node" in cannot_be_told("tpu", "accelerator_metrics")
    for persona in personas():
        for check in checks(persona):
            assert not {*cannot_be_told(persona, check)} & {*defects(persona, check)}


def test_cells_are_read_from_the_record_of_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AICONFORM_TEST_RECORD", str(tmp_path))
    cells = [Cell("amd", "dra_support", "", False, True), Cell("amd", "dra_support", "", True)]
    for cell in cells:
        cell.record()
    assert list(recorded(tmp_path)) == cells
    assert json.loads(next(tmp_path.glob("matrix-*.jsonl")).read_text().splitlines()[0])["persona"] == "amd"


def test_each_persona_has_the_defects_of_its_device_nodes_and_shares() -> None:
    assert set(personas()) == set(identities()) - set(NOT_PERSONAS)
    access = "secure_accelerator_access"
    assert "runtime-leaks-companion-nodes" in defects("gaudi", access)
    assert "runtime-leaks-companion-nodes" not in defects("neuron", access)
    assert "runtime-leaks-shared-nodes" in defects("tpu", access)
    assert "runtime-honours-environment" in defects("nvidia", access)
    assert "runtime-honours-environment" not in defects("tpu", access)
    assert "partition-shows-whole-memory" in defects("amd-partitioned", "gpu_sharing")
    assert "partition-shows-whole-memory" not in defects("nvidia-mps", "gpu_sharing")
    assert not {*defects("nvidia", "gpu_sharing"), *defects("tpu", "gpu_sharing")}
    by_plugin = ("secure_accelerator_access", "accelerator_metrics")
    assert checks("nvidia-mps") == (*by_plugin, "driver_runtime_management", "gpu_sharing")
    assert checks("ascend") == by_plugin
