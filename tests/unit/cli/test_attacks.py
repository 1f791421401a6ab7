"""What a sceptic tries on the command line: laundered edits, files that are none, names that act on a terminal.

Exit code 1 means that something does not hold, and nothing else.
"""

from __future__ import annotations

import json
import os
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from support.certify_runs import CHECK, as_made_before_ids, change_json, make_run

from aiconform.cli import main

RUNS = Path(__file__).parents[2] / "runs"
BUNDLES = Path(__file__).parents[2] / "bundles/0.1.0"


def call(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(each) for each in arguments])


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A kept bundle, signed by its vendor and a witness."""
    return shutil.copytree(BUNDLES / "v1.37", tmp_path / "v1.37") / "test-platform"


# Edits of a run


@pytest.mark.parametrize("left", [b"", b"no line ends here"], ids=["nothing", "no line"])
def test_a_run_whose_journal_was_emptied_is_not_laundered(tmp_path: Path, left: bytes) -> None:
    """The first format names no digests in its journal, so that an empty one would contradict nothing."""
    run = as_made_before_ids(make_run(tmp_path / "run", simulated=True))
    for file, *keys in (("run.json", "accelerators", 0, "simulated"), ("report.json", "accelerators", 0, "simulated")):
        change_json(run / str(file), *keys, value=False)
    change_json(run / "report.json", "simulated", value=False)
    change_json(run / f"observations/{CHECK}.json", "records", 0, "observation", "simulated", value=False)
    (run / "journal.ndjson").write_bytes(left)
    done = call("judge", run)
    assert done.exit_code == 3
    assert "the last line of the journal is not the one whose hash is in run.json" in done.stdout
    assert call("report", run).exit_code == 2
    assert call("certify", "redact", run, "--out", tmp_path / "redacted").exit_code == 2
    assert not (tmp_path / "redacted").exists()


def test_a_link_beside_an_edited_run_does_not_launder_it(tmp_path: Path) -> None:
    """What cannot be judged is not rendered either."""
    run = make_run(tmp_path / "run", simulated=True)
    change_json(run / "report.json", "simulated", value=False)
    (run / "more").symlink_to("run.json")
    done = call("report", run)
    assert (done.exit_code, done.stdout) == (2, "")
    assert "more is a link or a special file" in done.output


@pytest.mark.parametrize("name", ["run.json", "report.json", f"observations/{CHECK}.json", "identity.json"])
def test_a_key_that_is_there_twice_is_refused(tmp_path: Path, name: str) -> None:
    """People would read the first value, and this tool the last."""
    run = make_run(tmp_path / "run")
    text = (run / name).read_text()
    key, value = next(iter(json.loads(text).items()))
    (run / name).write_text(text.replace("{", f"{{{json.dumps(key)}: {json.dumps(value)},", 1))
    done = call("judge", run)
    assert done.exit_code in (2, 3)
    assert f"it is not JSON: '{key}' is there twice" in done.output


def test_a_recorded_run_without_its_journal_does_not_agree(tmp_path: Path) -> None:
    run = shutil.copytree(RUNS / "whole-healthy", tmp_path / "run")
    assert call("judge", run).exit_code == 0
    (run / "journal.ndjson").write_bytes(b"")
    assert call("judge", run).exit_code == 3


@pytest.mark.parametrize("name", ["observations/notes.txt", f"observations/more/{CHECK}.json"])
def test_a_stray_file_beside_the_observations_is_found(bundle: Path, name: str) -> None:
    run = bundle / "runs/0a1b2c3d"
    (run / name).parent.mkdir(exist_ok=True)
    (run / name).write_text("{}")
    done = call("judge", run)
    assert done.exit_code == 3
    assert f"{name} was not part of the run" in done.stdout
    assert call("certify", "verify", bundle, "--unsigned").exit_code == 1


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59-14:00"])
def test_times_at_the_end_of_the_calendar_are_none(tmp_path: Path, time: str) -> None:
    run = make_run(tmp_path / "run")
    for name in ("run.json", "report.json"):
        change_json(run / name, "started", value=time)
    done = call("judge", run)
    assert done.exit_code == 3
    assert "the time of the start is none" in done.stdout


# Files that the reader names


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _huge(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(5 << 30)


@pytest.mark.parametrize("make", [_pipe, _huge])
@pytest.mark.parametrize(
    "arguments",
    [
        ("verify", "BUNDLE", "--key", "FILE"),
        ("verify", "BUNDLE", "--policy", "FILE"),
        ("verify", "BUNDLE", "--policy", "POLICY"),
        ("verify", "BUNDLE", "--unsigned", "--challenge", "FILE"),
        ("validate", "BUNDLE", "--offline", "--members", "FILE"),
        ("init", "--kubernetes", "v1.37", "--no-input", "--metadata", "FILE"),
        ("life", "CORPUS", "--dates", "FILE"),
    ],
    ids=" ".join,
)
def test_a_pipe_or_a_huge_file_is_refused_with_a_sentence(
    tmp_path: Path, bundle: Path, arguments: tuple[str, ...], make: Callable[[Path], None]
) -> None:
    file = tmp_path / "file"
    make(file)
    policy = tmp_path / "policy.yaml"
    policy.write_text("signers: [{name: a, key: file}]\n")
    names = {"BUNDLE": bundle, "FILE": file, "POLICY": policy, "CORPUS": tmp_path}
    out = ("--out", tmp_path / "out") if arguments[0] == "init" else ()
    done = call("certify", *(names.get(each, each) for each in arguments), *out)
    assert done.exit_code == 2, done.output
    assert "file is not a regular file" in done.stderr or "file is larger than" in done.stderr


@pytest.mark.parametrize(
    "changed",
    [
        {"expires": "never"},
        {"expires": ""},
        {"issued": None},
        {"issued": "0001-01-01T00:00:00+14:00"},
        {"expires": "9999-12-31T23:59:59-14:00"},
    ],
    ids=str,
)
def test_a_challenge_without_its_times_is_none(tmp_path: Path, bundle: Path, changed: dict[str, object]) -> None:
    """A time that is none would bound nothing."""
    known = json.loads((BUNDLES / "challenge.json").read_text())
    given = tmp_path / "challenge.json"
    given.write_text(json.dumps({**known, **changed}))
    done = call("certify", "verify", bundle, "--unsigned", "--challenge", given)
    assert done.exit_code == 2, done.output
    assert "is no time" in done.stderr


# Names and archives


def test_a_name_of_a_file_does_not_act_on_the_terminal(tmp_path: Path, bundle: Path) -> None:
    (bundle / "runs/0a1b2c3d/a\x1b[31m\nrules        met").write_text("")
    done = call("certify", "sign", bundle, "--new-key", tmp_path / "key")
    assert done.exit_code == 2
    assert "\x1b" not in done.stderr
    assert not any(line.startswith("rules") for line in done.stderr.splitlines())


def test_an_archive_of_everything_here_is_a_usual_one(tmp_path: Path, bundle: Path) -> None:
    """`tar -cf FILE .` begins with the folder itself."""
    packed = tmp_path / "packed.tar"
    with tarfile.open(packed, "w") as archive:
        archive.add(bundle.parents[1], ".", filter=lambda member: None if member.name.endswith(".tar") else member)
    done = call("certify", "verify", packed, "--unsigned")
    assert done.exit_code == 0, done.output


# What the programme records


def test_a_record_that_is_a_link_is_not_copied_into_the_repository(tmp_path: Path, bundle: Path) -> None:
    private = tmp_path / "private.yaml"
    private.write_text("merged: 2026-01-01 # a secret\n")
    (bundle / "CERTIFICATE.yaml").symlink_to(private)
    done = call("certify", "appeal", bundle, "--by", "Jane Doe", "--why", "Half of a gang ran.")
    assert done.exit_code == 2
    assert "CERTIFICATE.yaml is a link" in done.stderr
    assert private.read_text() == "merged: 2026-01-01 # a secret\n"


def test_an_appeal_in_bytes_that_are_no_text_leaves_a_record_that_can_be_read(bundle: Path) -> None:
    assert call("certify", "appeal", bundle, "--by", "Jane \udcff", "--why", "Half of a gang ran.").exit_code == 0
    done = call("certify", "life", bundle)
    assert "appeal 1" in done.stdout, done.output


def test_the_last_year_of_the_calendar_has_no_next_one(bundle: Path) -> None:
    (bundle / "CERTIFICATE.yaml").write_text("merged: 9999-12-31\n")
    done = call("certify", "life", bundle, "--date", "9999-12-31")
    assert done.exit_code == 0, done.output
    assert "counts until 9999-12-31" in done.stdout


def test_a_broken_record_hides_no_withdrawal(tmp_path: Path, bundle: Path) -> None:
    dates = tmp_path / "dates.yaml"
    dates.write_text("v1.37/test-platform: 2026-06-01\n")
    withdrawn = "withdrawn: {date: 2026-07-01, by: Acme Inc., why: It is no longer sold.}\n"
    for text, state in (("", "current"), (withdrawn, "withdrawn"), (withdrawn * 2, "undated")):
        (bundle / "CERTIFICATE.yaml").write_text(text or "merged: 2026-06-01\n")
        done = call("certify", "life", tmp_path, "--dates", dates, "--date", "2026-11-29")
        assert done.stdout.startswith(state), done.output
    assert "CERTIFICATE.yaml cannot be read" in done.stdout
