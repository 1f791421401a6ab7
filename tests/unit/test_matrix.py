"""The matrix of personas and checks is what the tests recorded, and complete."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.matrix import NOT_PERSONAS, PAGE, Cell, checks, defects, page, personas, problems, recorded

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


def test_what_is_missing_wrong_or_of_no_persona_is_named() -> None:
    cells = every_cell()
    of_amd = [cell for cell in cells if cell.persona == "amd" and cell.check == "secure_accelerator_access"]
    leak = next(cell for cell in of_amd if cell.defect == "runtime-leaks-companion-nodes")
    healthy = next(cell for cell in of_amd if not cell.defect)
    lost = problems(page(cell for cell in cells if cell is not leak))
    assert lost == ["amd, secure_accelerator_access: runtime-leaks-companion-nodes is not caught, or no defect of it"]
    # The latest record counts.
    wrong = problems(page([*cells, Cell(healthy.persona, healthy.check, "", False)]))
    assert wrong == ["amd, secure_accelerator_access: not right when healthy"]
    text = page(cells)
    row = next(line for line in text.splitlines() if line.startswith("| amd | dra_support"))
    assert problems(text.replace(row + "\n", "")) == ["amd, dra_support: no row of the matrix"]
    assert problems(f"{text}| abacus | dra_support | right | |\n") == [
        "abacus, dra_support: no such persona, or no check for it"
    ]


def test_cells_are_read_from_the_record_of_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AICONFORM_TEST_RECORD", str(tmp_path))
    cells = [Cell("amd", "dra_support", "", False), Cell("amd", "dra_support", "", True)]
    for cell in cells:
        cell.record()
    assert list(recorded(tmp_path)) == cells
    assert json.loads(next(tmp_path.glob("matrix-*.jsonl")).read_text().splitlines()[0])["persona"] == "amd"


def test_each_persona_has_the_defects_of_its_device_nodes() -> None:
    assert set(personas()) == set(identities()) - set(NOT_PERSONAS)
    access = "secure_accelerator_access"
    assert "runtime-leaks-companion-nodes" in defects("gaudi", access)
    assert "runtime-leaks-companion-nodes" not in defects("neuron", access)
    assert "runtime-leaks-shared-nodes" in defects("tpu", access)
    assert "runtime-honours-environment" in defects("nvidia", access)
    assert "runtime-honours-environment" not in defects("tpu", access)
    by_plugin = ("secure_accelerator_access", "accelerator_metrics")
    assert checks("nvidia-mps") == (*by_plugin, "driver_runtime_management")
    assert checks("ascend") == by_plugin
