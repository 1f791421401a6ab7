"""`aiconform compare` and `aiconform history` from the command line: what is told, the exit codes, and bad input."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from support.certify_runs import CHECK, change_json, make_run, sealed

from aiconform.cli import main

RUNS = Path(__file__).parents[2] / "runs"
OBSERVATIONS = f"observations/{CHECK}.json"


def call(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(each) for each in arguments])


def refused(done: Result) -> str:
    """The one sentence on standard error."""
    assert done.exit_code == 2, done.output
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    return line


@pytest.fixture
def holds(tmp_path: Path) -> Path:
    return make_run(tmp_path / "1-holds", run="aaaa0001", at="2026-11-01T02:00:00.000Z")


@pytest.fixture
def leaks(tmp_path: Path) -> Path:
    return make_run(tmp_path / "2-leaks", run="aaaa0002", at="2026-11-02T02:00:00.000Z", leaks=True)


@pytest.fixture
def undecided(tmp_path: Path) -> Path:
    return make_run(tmp_path / "3-undecided", run="aaaa0003", at="2026-11-03T02:00:00.000Z", started=False)


def test_what_fails_now_is_told_with_the_reason_and_ends_with_4(holds: Path, leaks: Path) -> None:
    done = call("compare", holds, leaks)
    assert done.exit_code == 4
    assert f"before: run aaaa0001 of 2026-11-01 02:00, v1.37 on Kubernetes v1.37.2: conformant ({holds})" in done.stdout
    worse, undecided = done.stdout.index("Worse: fails now"), done.stdout.index("Undecided: was decided before")
    assert worse < done.stdout.index(f"{CHECK}/stranger_sees_none: holds -> broken: the Pod") < undecided
    assert "  verdict: conformant -> not-conformant" in done.stdout
    assert done.stdout.endswith("Something got worse.\n")


def test_what_could_not_be_decided_is_no_failure_and_ends_with_3(holds: Path, undecided: Path) -> None:
    done = call("compare", holds, undecided)
    assert done.exit_code == 3
    assert "Worse" not in done.stdout
    assert f"{CHECK}: pass -> error: isolation: no room" in done.stdout


@pytest.mark.parametrize("name", ["leaks", "undecided"])
def test_what_holds_again_ends_with_0(name: str, holds: Path, request: pytest.FixtureRequest) -> None:
    done = call("compare", request.getfixturevalue(name), holds)
    assert done.exit_code == 0
    assert f"{CHECK}/holder_sees_device:" in done.stdout[done.stdout.index("Better:") :]
    assert "The first run is newer than the second one" in done.stdout
    assert done.stdout.endswith("Nothing got worse.\n")


def test_nothing_changes_from_a_run_to_itself(holds: Path) -> None:
    done = call("compare", holds, holds)
    assert done.exit_code == 0
    assert "Both are the same run." in done.stdout
    assert "every verdict and every assertion is what it was" in done.stdout


def test_data_has_every_result_with_its_step(holds: Path, leaks: Path) -> None:
    done = call("compare", holds, leaks, "-o", "json")
    assert done.exit_code == 4
    found = json.loads(done.stdout)
    assert found["step"] == "worse"
    assert (found["before"]["verdict"], found["after"]["verdict"]) == ("conformant", "not-conformant")
    (check,) = found["requirements"]
    assert (check["id"], check["level"], check["step"]) == (CHECK, "MUST", "worse")
    assert (check["before"]["seconds"], check["after"]["requests"]) == (8.2, 93)
    by_id = {each["id"]: each for each in check["assertions"]}
    assert by_id[f"{CHECK}/stranger_sees_none"]["step"] == "worse"
    assert by_id[f"{CHECK}/holder_opens_device"]["step"] == "undecided"
    assert {"what": "verdict", "before": "conformant", "after": "not-conformant"} in found["run"]


def test_runs_of_other_releases_are_judged_by_this_one() -> None:
    done = call("compare", RUNS / "no-dra-api", RUNS / "whole-healthy")
    assert done.exit_code == 0, done.output
    assert "dra_support/api_is_served: broken -> holds" in done.stdout
    assert "Only the run after looked at accelerator_metrics," in done.stdout
    assert done.stdout.endswith("\nNothing got worse of what both runs looked at.\n")
    found = json.loads(call("compare", RUNS / "no-dra-api", RUNS / "whole-healthy", "-o", "json").stdout)
    assert (found["step"], found["unknown"]) == ("better", [])


def test_what_the_later_run_did_not_look_at_is_not_said_to_be_as_it_was() -> None:
    before, after = RUNS / "whole-healthy", RUNS / "accelerators-healthy"
    done = call("compare", before, after)
    assert done.exit_code == 3
    assert "Only the run before looked at accelerator_metrics," in done.stdout
    assert done.stdout.splitlines()[-1].startswith("Nothing is known to be worse; something could not be decided")
    found = json.loads(call("compare", before, after, "-o", "json").stdout)
    assert "accelerator_metrics" in found["unknown"]


def test_runs_with_nothing_in_common_are_refused(holds: Path) -> None:
    said = refused(call("compare", RUNS / "gateway-healthy", holds))
    assert "looked at no requirement in common" in said
    assert str(holds) in said


def test_what_only_another_release_can_recompute_is_not_compared(holds: Path, tmp_path: Path) -> None:
    other = make_run(tmp_path / "other", at="2026-11-04T02:00:00.000Z")
    for name in ("run.json", "report.json"):
        change_json(other / name, "suite", value="sha256:other")
        change_json(other / name, "tool", "version", value="0.2.0")
    change_json(other / OBSERVATIONS, "suite", value="sha256:other")
    change_json(other / OBSERVATIONS, "records", 0, "observation", "new_field", value=1)
    done = call("compare", holds, sealed(other))
    assert done.exit_code == 3
    assert f"{CHECK} is not compared, because this release cannot recompute it:" in done.stdout
    assert "made by aiconform 0.2.0" in done.stdout
    assert "every verdict and every assertion is what it was" not in done.stdout
    history = call("history", tmp_path)
    assert history.exit_code == 3
    assert f"got worse with {other}: this release cannot recompute {CHECK}\n" in history.stdout
    make_run(tmp_path / "newer", at="2026-11-05T02:00:00.000Z")
    assert call("history", tmp_path).exit_code == 0


def test_runs_for_different_versions_need_a_flag(holds: Path, tmp_path: Path) -> None:
    older = make_run(tmp_path / "older", version="v1.36")
    said = refused(call("compare", older, holds))
    assert f"{older} is a run for v1.36 and {holds} one for v1.37" in said
    assert "aiconform spec diff v1.36 v1.37" in said
    done = call("compare", older, holds, "--any-version")
    assert done.exit_code == 0
    assert "  standard: v1.36 -> v1.37" in done.stdout


def _no_run(run: Path) -> str:
    (run / "run.json").unlink()
    return "is not a run directory (it has no run.json)"


def _unfinished(run: Path) -> str:
    (run / "report.json").unlink()
    return "is unfinished: continue it with `aiconform run --resume"


def _not_ended(run: Path) -> str:
    change_json(run / "run.json", "ended", value="")
    return "is unfinished"


def _no_observations(run: Path) -> str:
    (run / OBSERVATIONS).unlink()
    return "the run differs from what its own files say"


def _no_json(run: Path) -> str:
    (run / OBSERVATIONS).write_text("{")
    return f"{OBSERVATIONS}: it is not JSON"


def _changed(run: Path) -> str:
    change_json(run / "report.json", "verdict", value="conformant")
    change_json(run / "report.json", "requests", value=7)
    return "the run differs from what its own files say"


def _newer(run: Path) -> str:
    change_json(run / "run.json", "format", value=99)
    return "has format 99: it was made by aiconform 0.1.0"


@pytest.mark.parametrize("spoil", [_no_run, _unfinished, _not_ended, _no_observations, _no_json, _changed, _newer])
def test_what_is_no_whole_run_is_refused_by_name(spoil, holds: Path, leaks: Path) -> None:  # type: ignore[no-untyped-def]
    words = spoil(leaks)
    for done in (call("compare", holds, leaks), call("compare", leaks, holds)):
        said = refused(done)
        assert words in said
        assert str(leaks) in said
    history = call("history", holds.parent)
    # A folder without run.json is none.
    left_out = spoil is not _no_run
    assert history.exit_code == (3 if left_out else 0), history.output
    assert (f"left out: {leaks}: " in history.stdout) == left_out
    assert (f"not known whether anything got worse with {leaks}: it is left out" in history.stdout) == left_out


def test_what_a_cluster_says_cannot_act_on_a_terminal(holds: Path, tmp_path: Path) -> None:
    evil = make_run(tmp_path / "evil", cluster="\x1b[2Jx\nSomething got worse.")
    done = call("compare", holds, evil)
    assert "\x1b" not in done.stdout
    assert "\nSomething got worse." not in done.stdout
    assert "\x1b" not in call("history", tmp_path).stdout


def test_a_history_is_by_time_and_marks_what_got_worse(holds: Path, leaks: Path, undecided: Path) -> None:
    done = call("history", holds.parent)
    assert done.exit_code == 3  # from what failed to what could not be decided
    rows = done.stdout.splitlines()
    assert [row.split()[-1] for row in rows[1:4]] == [str(each) for each in (holds, leaks, undecided)]
    assert next(row for row in rows if row.startswith(CHECK)).split()[1:] == ["pass", "fail", "!", "error", "?"]
    assert f"2 is worse than 1: {CHECK} (holder_sees_device, stranger_sees_none)" in rows
    assert f"what changed: aiconform compare {holds} {leaks}" in rows


def test_a_history_ends_with_the_last_run_of_each_cluster(holds: Path, leaks: Path, tmp_path: Path) -> None:
    assert call("history", tmp_path).exit_code == 4
    make_run(tmp_path / "elsewhere", at="2026-11-09T02:00:00.000Z", cluster="99999999-2222-3333-4444-555555555555")
    assert call("history", tmp_path).exit_code == 4
    make_run(tmp_path / "healed", at="2026-11-10T02:00:00.000Z")
    assert call("history", tmp_path).exit_code == 0
    make_run(tmp_path / "lost", at="2026-11-11T02:00:00.000Z", started=False)
    assert call("history", tmp_path).exit_code == 3


HOW: dict[str, dict[str, bool]] = {"pass": {}, "fail": {"leaks": True}, "error": {"started": False}}


@pytest.mark.parametrize(
    ("results", "code"),
    [
        ("pass error", 3),
        ("pass error error", 3),
        ("pass error fail", 4),
        ("pass error pass", 0),
        ("fail error fail", 0),
        ("fail error error", 3),
        ("fail error pass", 0),
        ("error error", 0),
        ("error fail", 4),
    ],
)
def test_what_decides_nothing_hides_nothing(results: str, code: int, tmp_path: Path) -> None:
    runs = [
        make_run(tmp_path / f"{number}", at=f"2026-11-0{number}T02:00:00.000Z", **HOW[how])  # type: ignore[arg-type]
        for number, how in enumerate(results.split(), 1)
    ]
    done = call("history", tmp_path)
    assert done.exit_code == code
    if results == "pass error fail":
        assert f"3 is worse than 1: {CHECK}" in done.stdout
        assert f"what changed: aiconform compare {runs[0]} {runs[2]}" in done.stdout


def test_a_history_goes_on_with_an_upgrade(tmp_path: Path) -> None:
    for number, leaks in enumerate((False, True), 1):
        make_run(tmp_path / f"old-{number}", at=f"2026-11-0{number}T02:00:00.000Z", version="v1.36", leaks=leaks)
    make_run(tmp_path / "new-1", at="2026-11-03T02:00:00.000Z", version="v1.37")
    assert call("history", tmp_path).exit_code == 0
    make_run(tmp_path / "newer", at="2026-11-04T02:00:00.000Z", version="v1.38", leaks=True)
    done = call("history", tmp_path)
    assert done.exit_code == 4
    (told,) = [line for line in done.stdout.splitlines() if "--any-version" in line]
    _, _, command = told.partition("aiconform ")
    assert call(*command.split()).exit_code == 4


def test_a_requirement_is_held_against_the_last_run_that_looked_at_it() -> None:
    found = json.loads(call("history", RUNS, "-o", "json").stdout)
    runs = {each["directory"].rpartition("/")[2]: each for each in found["runs"]}
    whole = runs["whole-healthy"]["requirements"]
    assert whole["robust_controller"]["since"]["run"] == runs["operator-stopped"]["run"]
    assert runs["operator-stopped"]["requirements"]["robust_controller"]["since"]["step"] == "worse"
    assert whole["gang_scheduling"]["since"] is None  # another cluster
    times = [each["started"] for each in found["runs"]]
    assert times == sorted(times)
    assert len(times) > 20


def test_the_last_runs_are_shown(holds: Path, leaks: Path) -> None:
    done = call("history", holds.parent, "--last", "1")
    assert "1 older run not shown" in done.stdout
    assert str(leaks) in done.stdout
    assert f"\n1  {holds}" not in done.stdout


def test_runs_are_found_in_folders_and_not_behind_links(holds: Path, tmp_path: Path) -> None:
    nested = tmp_path / "nested"
    shutil.copytree(holds, nested / "2026/11/run")
    (nested / "link").symlink_to(holds)
    found = json.loads(call("history", nested, "-o", "json").stdout)
    assert [each["directory"] for each in found["runs"]] == [str(nested / "2026/11/run")]


def test_only_the_newest_run_of_a_cluster_that_is_left_out_decides(holds: Path, leaks: Path, tmp_path: Path) -> None:
    (leaks / "report.json").unlink()
    found = json.loads(call("history", tmp_path, "-o", "json").stdout)
    assert (found["step"], [each["directory"] for each in found["unknown"]]) == ("undecided", [str(leaks)])
    healed = make_run(tmp_path / "healed", at="2026-11-03T02:00:00.000Z")
    done = call("history", tmp_path)
    assert done.exit_code == 0
    assert f"left out: {leaks}: " in done.stdout
    assert "not known" not in done.stdout
    # What got worse before it is not what it ends with.
    make_run(tmp_path / "worse", at="2026-11-04T02:00:00.000Z", leaks=True)
    assert call("history", tmp_path).exit_code == 4
    last = make_run(tmp_path / "last", at="2026-11-05T02:00:00.000Z")
    (last / "report.json").unlink()
    assert call("history", tmp_path).exit_code == 3
    shutil.rmtree(last)
    shutil.rmtree(tmp_path / "worse")
    # Another cluster, of which there is no other run.
    other = make_run(tmp_path / "other", at="2026-10-01T02:00:00.000Z", cluster="99999999-2222-3333-4444-555555555555")
    (other / "report.json").unlink()
    assert f"with {other}: it is left out\n" in call("history", tmp_path).stdout
    shutil.rmtree(other)
    # Nobody knows when it began.
    (holds / "run.json").write_text("{")
    done = call("history", tmp_path)
    assert done.exit_code == 3
    assert f"with {holds}: it is left out, and when it began cannot be read\n" in done.stdout
    assert str(healed) in done.stdout


def as_owner(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Called by somebody whom the rights of files bind, also where the tests have root's."""
    words = [sys.executable, "-m", "aiconform", *map(str, arguments)]
    if os.geteuid() == 0:
        if not shutil.which("setpriv"):
            pytest.skip("root's rights cannot be given away without setpriv")
        words = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search", *words]
    return subprocess.run(words, capture_output=True, text=True, check=False)


@pytest.mark.skipif(sys.platform == "win32", reason="rights of POSIX")
@pytest.mark.parametrize("rights", [0o600, 0o100])
def test_a_folder_that_cannot_be_read_is_left_out_by_name(rights: int, holds: Path, tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    (closed / "run").mkdir(parents=True)
    closed.chmod(rights)
    try:
        history, compare = as_owner("history", tmp_path), as_owner("compare", holds, closed)
        refused = as_owner("history", closed)
    finally:
        closed.chmod(0o700)
    assert f"left out: {closed}: {closed} cannot be read: Permission denied" in history.stdout
    assert history.returncode == 3
    assert str(holds) in history.stdout
    for done in (compare, refused):
        assert (done.returncode, done.stdout) == (2, "")
        assert str(closed) in done.stderr.splitlines()[-1]
        assert "The trace" not in done.stderr


def test_a_folder_without_a_run_that_can_be_shown_is_refused(leaks: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "it holds no run: name a folder with directories" in refused(call("history", tmp_path / "empty"))
    (leaks / "report.json").unlink()
    assert "1 cannot be shown; the first: the run in" in refused(call("history", tmp_path))
    assert call("history", tmp_path / "absent").exit_code == 2
