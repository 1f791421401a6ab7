"""A run that contradicts itself is found, also where every digest was made to fit again."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from support.certify_runs import CHECK, as_made_before_ids, change_json, make_run, sealed

from aiconform.cli import main

Edit = Callable[[Path], None]
RUNS = Path(__file__).parents[2] / "runs"
OBSERVATIONS = f"observations/{CHECK}.json"
METRICS = "observations/accelerator_metrics.json"


def judged(run: Path) -> Result:
    return CliRunner().invoke(main, ["judge", str(run)])


def both(run: Path, *keys: str | int, value: object) -> None:
    """Change what run.json and the report say alike."""
    for name in ("run.json", "report.json"):
        change_json(run / name, *keys, value=value)


def _simulated(run: Path) -> None:
    both(run, "accelerators", 0, "simulated", value=False)
    change_json(run / "report.json", "simulated", value=False)


def _future(run: Path) -> None:
    both(run, "started", value="2126-11-24T02:00:00.000Z")
    both(run, "ended", value="2126-11-24T02:10:00.000Z")


def _backwards(run: Path) -> None:
    both(run, "ended", value="2026-11-23T02:00:00.000Z")


def _elsewhen(run: Path) -> None:
    both(run, "started", value="2026-11-20T02:00:00.000Z")
    both(run, "ended", value="2026-11-20T02:00:01.000Z")


def _no_time(run: Path) -> None:
    both(run, "started", value="yesterday")


def _too_long(run: Path) -> None:
    for name, where in ((OBSERVATIONS, ()), ("report.json", ("checks", 0))):
        change_json(run / name, *where, "seconds", value=86_400.0)


def _not_a_number(run: Path) -> None:
    change_json(run / "report.json", "seconds", value=float("nan"))


def _other_product(run: Path) -> None:
    change_json(run / OBSERVATIONS, "records", 0, "observation", "product", value="H100")


def _negative(run: Path) -> None:
    both(run, "accelerators", 0, "free", value=-2)


def _negative_seconds(run: Path) -> None:
    for name, where in ((OBSERVATIONS, ()), ("report.json", ("checks", 0))):
        change_json(run / name, *where, "seconds", value=-1.0)


def _fewer_requests(run: Path) -> None:
    change_json(run / "report.json", "requests", value=92)


def _record_twice(run: Path) -> None:
    (record,) = json.loads((run / OBSERVATIONS).read_text())["records"]
    change_json(run / OBSERVATIONS, "records", value=[record, record])


def _offered_twice(run: Path) -> None:
    (entry,) = json.loads((run / "run.json").read_text())["accelerators"]
    both(run, "accelerators", value=[entry, entry])


def _of_another_node(run: Path) -> None:
    change_json(run / OBSERVATIONS, "records", 0, "observation", "node", value="gpu-worker-8")


def _of_another_check(run: Path) -> None:
    change_json(run / OBSERVATIONS, "check", value="dra_support")


def _answers_nobody(run: Path) -> None:
    echo = {"namespace_uid": "n", "pod_uid": "p", "node": "", "said": ["0" * 32]}
    change_json(run / "identity.json", "echo", value=echo)


def _nodes_twice(run: Path) -> None:
    (node,) = json.loads((run / "identity.json").read_text())["nodes"]
    change_json(run / "identity.json", "nodes", value=[node, {**node, "name": "another"}])


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (_simulated, "saw simulated accelerators on"),
        (_future, "lies in the future"),
        (_backwards, "before it started"),
        (_elsewhen, "the journal says that the run started at"),
        (_no_time, "the time of the start is none"),
        (_too_long, "took 86400 s"),
        (_not_a_number, "report.json: seconds is nan"),
        (_other_product, "saw dra gpu.test H100 on"),
        (_negative, "accelerators.0.free is -2"),
        (_negative_seconds, "seconds is -1.0"),
        (_fewer_requests, "made 92 API requests, its checks 93"),
        (_record_twice, "has twice: isolation on"),
        (_offered_twice, "run.json lists twice"),
        (_of_another_check, "is about dra_support"),
        (_of_another_node, "has an observation of gpu-worker-8 for gpu-worker-7"),
        (_answers_nobody, "answers a challenge that run.json does not name"),
        (_nodes_twice, "two nodes with the UID"),
    ],
    ids=lambda each: getattr(each, "__name__", "").strip("_"),
)
def test_what_cannot_be_true_is_found_in_a_run_that_was_sealed_again(tmp_path: Path, edit: Edit, words: str) -> None:
    run = make_run(tmp_path / "run", simulated=True)
    edit(run)
    done = judged(sealed(run))
    assert done.exit_code == 3, done.output
    assert words in done.stdout


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_was_observed_is_a_number(tmp_path: Path, value: float) -> None:
    """Nothing is above a limit that compares with "not a number", so an idle device with such a load would pass."""
    run = shutil.copytree(RUNS / "accelerator-metrics-healthy", tmp_path / "run")
    records = json.loads((run / METRICS).read_text())["records"]
    number, label = next(
        (n, each["observation"]["idle"][0]) for n, each in enumerate(records) if each["probe"] == "load"
    )
    change_json(run / METRICS, "records", number, "observation", "during", label, value=value)
    assert f"records.{number}.observation.during.{label} is {value}" in judged(sealed(run)).stdout


def test_sealing_a_run_again_without_an_edit_changes_nothing(tmp_path: Path) -> None:
    assert judged(sealed(make_run(tmp_path / "run"))).exit_code == 0


@pytest.mark.parametrize(
    "name", ["report.html", "cncf/junit.xml", "cncf/results.json", "cncf/e2e.log", "report.json", "objects"]
)
@pytest.mark.parametrize("how", ["edited", "removed", "added"])
def test_an_edited_page_is_found(tmp_path: Path, name: str, how: str) -> None:
    run = make_run(tmp_path / "run")
    path = next((run / name).rglob("*.json")) if name == "objects" else run / name
    if how == "edited":
        path.write_text(path.read_text().replace("8.2", "0.2").replace("1", "2"))
    elif how == "added":
        path = path.with_name(f"more-{path.name}")
        path.write_text("{}")
    elif name == "report.json":
        return  # that is no finished run
    else:
        path.unlink()
    done = judged(run)
    assert done.exit_code == 3, done.output
    said = {"edited": "differs from what the journal", "added": "was not part of the run", "removed": "is missing"}
    assert f"{path.relative_to(run).as_posix()} {said[how]}" in done.stdout


def test_a_node_with_two_products_of_one_driver_is_no_contradiction(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    (entry,) = json.loads((run / "run.json").read_text())["accelerators"]
    both(run, "accelerators", value=[entry, {**entry, "product": "a partition of it"}])
    done = judged(sealed(run))
    assert done.exit_code == 0, done.output


def test_hardware_may_be_seen_by_the_other_way_to_ask_for_it(tmp_path: Path) -> None:
    """gpu_sharing looks at what a device plugin offers where DRA offers the same devices, which are counted once."""
    run = make_run(tmp_path / "run")
    _other_product(run)
    (entry,) = json.loads((run / "run.json").read_text())["accelerators"]
    change_json(run / "run.json", "others", value=[{**entry, "product": "H100"}])
    done = judged(sealed(run))
    assert "run.json lists no such accelerators" not in done.stdout


def test_what_a_run_covers_can_be_recomputed(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    change_json(run / "report.json", "uncovered", value=[])
    assert "the report leaves nothing uncovered" in judged(sealed(run)).stdout


def test_figures_are_those_of_the_observations(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    change_json(run / "report.json", "checks", 0, "requests", value=1)
    assert "the report says (8.2, 0.0, 1)" in judged(sealed(run)).stdout


def test_a_run_cannot_pretend_to_be_of_the_first_format(tmp_path: Path) -> None:
    """Of such runs the journal does not record every file."""
    run = make_run(tmp_path / "run")
    change_json(run / "run.json", "format", value=1)
    assert "run.json differs from the start" in judged(run).stdout


def test_a_run_of_the_first_format_agrees(tmp_path: Path) -> None:
    assert judged(as_made_before_ids(make_run(tmp_path / "run"))).exit_code == 0


# Runs of another release


def _of_another_release(run: Path) -> None:
    both(run, "suite", value="sha256:other")
    both(run, "tool", "version", value="0.2.0")
    change_json(run / OBSERVATIONS, "suite", value="sha256:other")


def test_equal_verdicts_of_another_release_agree_with_a_note(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    _of_another_release(run)
    change_json(run / "report.json", "checks", 0, "assertions", 0, "reason", value="in other words")
    done = judged(sealed(run))
    assert done.exit_code == 0, done.output
    assert "another version of the suite" in done.stdout
    assert "worded differently" in done.stdout


def test_what_only_another_release_can_recompute_is_neither_right_nor_wrong(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    _of_another_release(run)
    change_json(run / OBSERVATIONS, "records", 0, "observation", "new_field", value=1)
    done = judged(sealed(run))
    assert done.exit_code == 3
    assert "cannot be recomputed here" in done.stdout
    assert "made by aiconform 0.2.0" in done.stdout
    assert "uvx aiconform==0.2.0 judge" in done.stdout
    assert "differs:" not in done.stdout
    assert "agrees" not in done.stdout


def test_what_this_release_should_recompute_differs(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    change_json(run / OBSERVATIONS, "records", 0, "observation", "new_field", value=1)
    assert "differs:" in judged(sealed(run)).stdout


def test_a_newer_format_names_its_release(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    both(run, "tool", "version", value="0.3.0")
    change_json(run / "run.json", "format", value=99)
    change_json(run / "run.json", "a_new_field", value=1)
    done = judged(run)
    assert done.exit_code == 2
    assert "has format 99: it was made by aiconform 0.3.0" in done.output
