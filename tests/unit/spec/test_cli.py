"""`aiconform spec …`, as a user types it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from aiconform.cli import main
from aiconform.spec import load_standard
from aiconform.spec.standard import REQUIREMENTS

SHARED = Path(os.environ.get("AICONFORM_SHARED", "../shared")) / "cncf" / "checklists"


def spec(*words: str | Path) -> Result:
    result = CliRunner().invoke(main, ["spec", *map(str, words)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def data(*words: str | Path) -> object:
    result = spec(*words, "-o", "json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A working copy of the requirement files."""
    folder = tmp_path / "requirements"
    folder.mkdir()
    for path in REQUIREMENTS.glob("*.yaml"):
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


# list


def test_list_has_everything_with_todays_level() -> None:
    rows = data("list")
    assert isinstance(rows, list)
    assert {"id", "title", "area", "stage", "level", "kar"} <= rows[0].keys()
    assert {row["id"] for row in rows} == set(load_standard().ids)
    by_id = {row["id"]: row for row in rows}
    assert by_id["dra_support"]["level"] == "folded"
    assert by_id["data_caching"]["level"] is None
    assert by_id["gang_scheduling"]["kar"] == 53


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--kubernetes", "v1.33", "--level", "should"], ["dra_support"]),
        (["--kubernetes", "1.36", "--level", "folded"], ["dra_support"]),
        (["--area", "storage"], ["data_caching", "fast_storage_class", "shared_volumes"]),
        (["--stage", "must", "--area", "Network"], ["ai_inference"]),
        (["--kubernetes", "v1.38", "--level", "MUST", "--area", "Node"], ["driver_runtime_management"]),
        (["--stage", "proposed", "--level", "MUST"], []),
    ],
)
def test_list_filters(words: list[str], expected: list[str]) -> None:
    rows = data("list", *words)
    assert isinstance(rows, list)
    assert [row["id"] for row in rows] == expected


def test_list_as_text_has_a_line_for_each() -> None:
    result = spec("list", "--kubernetes", "v1.37")
    lines = result.stdout.splitlines()
    assert lines[0].split()[:3] == ["AT", "v1.37", "ID"]
    assert len(lines) == 1 + 16
    assert "no requirement matches" in spec("list", "--stage", "proposed", "--level", "MUST").stderr


# show


def test_show_tells_all_of_a_requirement() -> None:
    said = spec("show", "secure_accelerator_access").stdout
    for part in ("KAR-49", "MUST NOT", "Procedure", "holds", "Time limits", "Does not count", "Related", "History"):
        assert part in said
    shown = data("show", "dra_support")
    assert isinstance(shown, dict)
    assert shown["levels"]["v1.36"] == "folded"


def test_show_names_lines_and_says_who_asks_for_them() -> None:
    said = " ".join(spec("show", "gang_scheduling").stdout.split())
    assert "No Pod of the gang starts. (no_pod_starts, asked by the programme since v1.33)" in said
    assert "The solution reports that the gang waits. (wait_is_reported, asked by this project)" in said
    for part in (
        "(gang_start, set by patience)",
        "(waiting_window)",
        "What it disturbs",
        "If it is not met",
        "TestGangScheduling",
        "Lab add-ons: kueue",
    ):
        assert part in said
    assert "not judged: The API does not say" in " ".join(spec("show", "accelerator_metrics").stdout.split())
    shown = data("show", "gang_scheduling")
    assert isinstance(shown, dict)
    reported = shown["procedure"]["steps"][1]["holds"][1]
    assert (reported["id"], reported["programme"]) == ("wait_is_reported", None)
    assert shown["programme"]["test"] == "TestGangScheduling"
    assert shown["lab"] == {"add_ons": ["kueue"]}
    assert shown["remediation"]
    assert shown["disturbs"]


# diff


def test_diff_names_exactly_the_additions_and_the_fold() -> None:
    found = data("diff", "v1.35", "v1.36")
    assert isinstance(found, dict)
    assert {change["id"]: change["after"] for change in found["added"]} == {
        "advanced_inference_ingress": "SHOULD",
        "high_performance_networking": "SHOULD",
        "disaggregated_inference": "SHOULD",
    }
    assert [(change["id"], change["before"]) for change in found["folded"]] == [("dra_support", "MUST")]
    assert found["promoted"] == found["reworded"] == []
    assert sorted(line.split()[:2] for line in spec("diff", "v1.35", "v1.36").stdout.splitlines()) == [
        ["added", "advanced_inference_ingress"],
        ["added", "disaggregated_inference"],
        ["added", "high_performance_networking"],
        ["folded", "dra_support"],
    ]


def test_diff_of_other_versions() -> None:
    assert "promoted  dra_support  SHOULD -> MUST" in spec("diff", "1.33", "1.34").stdout
    assert "no change from v1.37 to v1.37" in spec("diff", "v1.37", "v1.37").stdout
    announced = spec("diff", "v1.37", "v1.38")
    assert announced.stdout.split()[:2] == ["promoted", "driver_runtime_management"]
    assert "not frozen" in announced.stderr


def test_diff_shows_changed_wording(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from aiconform.cli import spec as module

    path = copy / "gpu_sharing.yaml"
    text = path.read_text(encoding="utf-8")
    earlier = "earlier:\n  - through: v1.36\n    statement: It MUST have been otherwise.\nrationale: |"
    event = "  - event: reworded\n    version: v1.37\n    what: Made clearer.\n"
    path.write_text(text.replace("rationale: |", earlier, 1) + event, encoding="utf-8")
    assert spec("check", copy).exit_code == 0
    changed = load_standard(copy)
    monkeypatch.setattr(module, "_standard", lambda: changed)
    said = spec("diff", "v1.36", "v1.37").stdout
    assert "reworded  gpu_sharing" in said
    assert "- It MUST have been otherwise." in said
    assert "+ Where its accelerators support static sharing" in said
    assert "reworded" not in spec("diff", "v1.35", "v1.36").stdout


# wrong use


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["show", "gang_schedulling"], "did you mean gang_scheduling"),
        (["show", "zzzz"], "aiconform spec list"),
        (["list", "--kubernetes", "v1.40"], "v1.33, v1.34, v1.35, v1.36, v1.37, v1.38"),
        (["diff", "v1.35", "latest"], "it has v1.33"),
        (["diff", "v1.36", "v1.35"], "older version first"),
        (["list", "--area", "Kitchen"], "the areas are Node, Scheduling"),
        (["new", "Not-An-Id"], "cannot be an id"),
        (["new", "gang_scheduling"], "in the standard already"),
        (["new", "fresh", "--into", "/no/such/folder"], "is not a folder"),
        (["new", "fresh", "--area", "Kitchen"], "the areas are Node, Scheduling"),
        (["check", "/no/such/folder"], "does not exist"),
        (["render", os.devnull], "cannot write the site"),
    ],
)
def test_wrong_use_ends_with_2_and_the_way_out(words: list[str], said: str) -> None:
    result = spec(*words)
    assert result.exit_code == 2
    assert said in " ".join(result.stderr.split())
    assert result.stdout == ""
    assert "Traceback" not in result.output


# new


def test_new_writes_a_proposal_that_check_wants_filled_in(copy: Path) -> None:
    result = spec("new", "model_registry", "--area", "storage", "--title", "It's a registry", "--into", copy)
    assert result.exit_code == 0, result.output
    path = copy / "model_registry.yaml"
    assert result.stdout.strip() == str(path)
    checked = spec("check", copy)
    assert checked.exit_code == 1
    assert f"{path}:" in checked.stdout
    assert "still says 'FILL IN'" in checked.stdout
    path.write_text(path.read_text(encoding="utf-8").replace("FILL IN", "do something"), encoding="utf-8")
    assert spec("check", copy).exit_code == 0
    assert load_standard(copy).requirement("model_registry").title == "It's a registry"
    again = spec("new", "model_registry", "--into", copy)
    assert again.exit_code == 2
    assert "exists already" in again.stderr


# check


def test_check_lists_and_counts_what_is_missing() -> None:
    found = data("check")
    assert isinstance(found, dict)
    assert found["valid"] is True
    without_check = [gap["requirement"] for gap in found["gaps"] if gap["kind"] == "check"]
    said = spec("check").stdout
    assert f"{len(without_check)} without a check" in said
    for id_ in without_check:
        assert f"missing: {id_} " in said


def test_check_finds_each_line_and_limit_served_by_the_suite() -> None:
    found = data("check")
    assert isinstance(found, dict)
    assert found["problems"] == []


def test_check_names_lines_that_no_assertion_serves_and_citations_of_none(copy: Path) -> None:
    path = copy / "gang_scheduling.yaml"
    text = path.read_text(encoding="utf-8")
    path.write_text(
        text.replace("id: no_pod_starts", "id: nothing_starts").replace("id: waiting_window", "id: waiting"),
        encoding="utf-8",
    )
    result = spec("check", copy)
    assert result.exit_code == 1
    line = text[: text.index("- id: no_pod_starts")].count("\n") + 1
    assert f"{path}:{line}: gang_scheduling has the line nothing_starts, which no assertion serves" in result.stdout
    assert "gang_scheduling has no line no_pod_starts, which the assertion no_pod_starts serves" in result.stdout
    assert "gang_scheduling has the limit waiting, which no option sets" in result.stdout
    assert "gang_scheduling has no limit waiting_window, which the option " in result.stdout


def test_check_names_file_line_and_expectation_of_every_malformed_file(copy: Path) -> None:
    (copy / "gpu_sharing.yaml").write_text("id: gpu_sharing\nid: twice\n", encoding="utf-8")
    path = copy / "data_caching.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("area: Storage", "area: Cellar"), encoding="utf-8")
    result = spec("check", copy)
    assert result.exit_code == 2
    assert (
        f"{copy / 'gpu_sharing.yaml'}:2: the key 'id' was given on line 1 already; expected each key once"
        in result.stderr
    )
    assert f"{path}:3: area is 'Cellar'; expected Node, Scheduling" in result.stderr


@pytest.mark.skipif(not SHARED.is_dir(), reason="the public checklists are not beside the checkout (AICONFORM_SHARED)")
def test_check_compares_with_the_public_checklists(copy: Path) -> None:
    agreed = spec("check", "--checklists", SHARED)
    assert agreed.exit_code == 0, agreed.output
    assert "compared with the checklists of v1.33, v1.34, v1.35, v1.36, v1.37" in agreed.stdout
    path = copy / "workload_sandboxing.yaml"
    path.write_text(
        path.read_text(encoding="utf-8").replace("category: security", "category: operator"), encoding="utf-8"
    )
    wrong = spec("check", copy, "--checklists", SHARED)
    assert wrong.exit_code == 1
    assert "v1.37 operator/workload_sandboxing: the standard says SHOULD, the checklist nothing" in wrong.stdout


# schema and start


def test_schema_is_printed_as_committed() -> None:
    from aiconform.spec.schema import SCHEMA_FILE

    assert spec("schema").stdout == SCHEMA_FILE.read_text(encoding="utf-8")


def test_the_list_needs_no_client_and_no_renderer() -> None:
    code = (
        "import sys; from aiconform.cli import main; main(['spec', 'list'], standalone_mode=False); "
        "heavy = ('kubernetes', 'grpc', 'jinja2', 'sigstore', 'aiohttp'); "
        "print([name for name in heavy if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"
