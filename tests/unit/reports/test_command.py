"""`aiconform report` from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from defusedxml import ElementTree
from support.report_examples import example, result

from aiconform.cli import main
from aiconform.engine.evidence import Report, RunInfo
from aiconform.engine.plan import suite_digest
from aiconform.engine.rundir import RunDirectory
from aiconform.reports.formats import FORMATS, write_reports
from aiconform.reports.names import slug
from aiconform.spec import load_standard

RUNS = Path(__file__).parents[2] / "runs"


def finished(path: Path, report: Report, *, chosen: tuple[str, ...] = ("gang_scheduling",)) -> RunDirectory:
    """A run directory as `aiconform run` leaves it."""
    directory = RunDirectory(path)
    directory.create()
    shared = {name: getattr(report, name) for name in RunInfo.model_fields if hasattr(report, name)}
    info = RunInfo(**{**shared, "ended": ""}, chosen=chosen, options={})
    directory.journal.append("started", info.model_dump(mode="json"))
    for check in report.checks:
        directory.journal.append("judged", {"check": check.id, "verdict": check.verdict})
    directory.write_report(report)
    directory.journal.append("ended", {"verdict": report.verdict})
    directory.write_info(info.model_copy(update={"ended": report.ended, "journal": directory.journal.head}))
    return directory


def not_run(path: Path, reason: str = "because not-run") -> Path:
    """A run whose only check was not run, for this reason."""
    standard = load_standard()
    title = standard.requirement("gang_scheduling").title
    check = result(verdict="not-run", seconds=0.0, requests=0, title=title, reason=reason)
    return finished(path, example(check, suite=suite_digest(), standard_digest=standard.digest)).path


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return not_run(tmp_path / "run")


def report(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["report", *map(str, arguments)])


def test_text_is_the_default_and_goes_to_standard_output_alone(run: Path) -> None:
    done = report(run)
    assert done.exit_code == 0
    assert done.stderr == ""
    assert "gang_scheduling  MUST   not-run" in done.stdout
    assert "Undetermined on 1 chosen requirement" in done.stdout


@pytest.mark.parametrize(
    ("form", "begins"),
    [("markdown", "# Undetermined on 1 chosen requirement"), ("html", "<!doctype html>"), ("junit", "<?xml")],
)
def test_other_formats(run: Path, form: str, begins: str) -> None:
    done = report(run, "--format", form)
    assert done.exit_code == 0
    assert done.stdout.startswith(begins)
    assert "because not-run" in done.stdout


def test_junit_is_what_the_run_wrote_for_the_programme(run: Path) -> None:
    root = ElementTree.fromstring(report(run, "--format", "junit").stdout_bytes)
    assert [case.get("name") for case in root.iter("testcase")] == ["TestGangScheduling"]


def test_json_is_the_report(run: Path) -> None:
    done = report(run, "--format", "json")
    assert json.loads(done.stdout) == json.loads((run / "report.json").read_text())


def test_a_file_is_written_and_standard_output_stays_empty(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    done = report(run, "--format", "html", "--out", out)
    assert (done.exit_code, done.stdout) == (0, "")
    assert out.read_text().startswith("<!doctype html>")


def test_a_file_that_cannot_be_written_is_named(run: Path, tmp_path: Path) -> None:
    done = report(run, "--out", tmp_path / "absent" / "page.txt")
    assert done.exit_code == 2
    assert "absent/page.txt cannot be written: No such file or directory" in done.stderr


def test_a_folder_that_is_no_run(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "absent"):
        done = report(path)
        assert (done.exit_code, done.stdout) == (2, "")
        assert f"{path} is not a run directory" in done.stderr
        assert "Traceback" not in done.output


@pytest.mark.parametrize("missing", ["report", "end"])
def test_a_run_that_has_not_ended(run: Path, missing: str) -> None:
    if missing == "report":
        (run / "report.json").unlink()
    else:
        info = json.loads((run / "run.json").read_text())
        (run / "run.json").write_text(json.dumps({**info, "ended": "", "journal": ""}))
    done = report(run)
    assert (done.exit_code, done.stdout) == (2, "")
    assert "unfinished" in done.stderr
    assert f"aiconform run --resume {run}" in done.stderr


@pytest.mark.parametrize("name", ["run.json", "report.json", "observations/gang_scheduling.json"])
@pytest.mark.parametrize("content", ["", "{}", "[", '{"run": 1}', "\xff"])
def test_a_file_that_is_not_what_it_should_be_is_named(run: Path, name: str, content: str) -> None:
    (run / name).write_bytes(content.encode("latin-1"))
    done = report(run)
    assert (done.exit_code, done.stdout) == (2, "")
    assert str(run / name) in done.stderr
    assert "Traceback" not in done.output


def test_two_verdicts_on_one_requirement_are_refused(tmp_path: Path) -> None:
    twice = example(result(), result(verdict="fail"))
    done = report(finished(tmp_path / "run", twice).path)
    assert done.exit_code == 2
    assert "more than one verdict on gang_scheduling" in done.stderr


def test_a_report_that_says_more_than_was_seen_is_not_rendered(tmp_path: Path) -> None:
    run = finished(tmp_path / "run", example(result(), verdict="conformant")).path
    done = report(run)
    assert (done.exit_code, done.stdout) == (2, "")
    assert "the run differs from what its own files say" in done.stderr
    assert f"aiconform judge {run}" in done.stderr


def test_text_of_a_cluster_does_nothing_to_a_terminal(tmp_path: Path) -> None:
    done = report(not_run(tmp_path / "run", "\x1b[2J\x1b]0;x\x07gone\x9b1m\nconformant"))
    assert "gone conformant" in done.stdout
    assert not set(done.stdout) & set("\x1b\x07\x9b")


@pytest.mark.parametrize("old", sorted(path.parent for path in RUNS.glob("*/run.json")), ids=lambda path: path.name)
def test_sub_tests_of_a_run_from_before_ids_are_named_by_their_sentences(old: Path) -> None:
    checks = json.loads((old / "report.json").read_text())["checks"]
    cases = ElementTree.fromstring(report(old, "--format", "junit").stdout_bytes).iter("testcase")
    names = [case.get("name").partition("/")[2] for case in cases]
    expected = [name for check in checks for name in ("", *(slug(each["title"]) for each in check["assertions"]))]
    assert names == expected
    assert report(old).exit_code == 0


def test_every_format_of_the_registry_can_be_rendered_and_is_offered(run: Path) -> None:
    offered = CliRunner().invoke(main, ["report", "--help"]).stdout
    for each in FORMATS:
        assert each.name in offered
        done = report(run, "--format", each.name)
        assert done.exit_code == 0
        assert b"not-run" in done.stdout_bytes or b"not run" in done.stdout_bytes


def test_a_run_writes_the_formats_that_have_a_file(run: Path) -> None:
    write_reports(RunDirectory(run))
    written = {path.relative_to(run).as_posix() for path in run.rglob("*") if path.is_file()}
    assert {"report.html", "cncf/junit.xml", "cncf/results.json", "cncf/e2e.log"} <= written
    assert {each.file for each in FORMATS if each.file} <= written


def test_an_unknown_format_is_wrong_use(run: Path) -> None:
    done = report(run, "--format", "pdf")
    assert done.exit_code == 2
    assert "'pdf' is not one of" in done.stderr
