"""The pages beside the runs of a bundle are recomputed, signed or not: what people read is what the runs say."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from support.certify_material import certify, product, write
from support.certify_runs import CHECK, make_run, sealed

TEST = "TestSecureAcceleratorAccess"
BLANK = {"status": "", "evidence": [], "notes": ""}
PAGES = ("README.md", "e2e.log", "junit.xml", "results.json")


def built(tmp_path: Path, *runs: Path) -> Path:
    folder = write(tmp_path, product(**{CHECK: BLANK})).parent
    done = certify("build", *(runs or (make_run(tmp_path / "run"),)), "--out", folder, "--redact")
    assert done.exit_code == 0, done.output
    return folder


def verified(bundle: Path, exit_code: int) -> dict[str, Any]:
    done = certify("verify", bundle, "--unsigned", "-o", "json")
    assert done.exit_code == exit_code, done.output
    return dict(json.loads(done.stdout))


def edited(path: Path, old: str, new: str) -> None:
    text = path.read_bytes().decode()
    assert old in text
    path.write_bytes(text.replace(old, new).encode())


def of_another_release(bundle: Path) -> None:
    edited(bundle / "README.md", "`sha256:", "`sha256:" + "0" * 8)
    page = bundle / "README.md"
    page.write_text(re.sub(r"`sha256:0{8}([0-9a-f]{56})[0-9a-f]{8}`\.$", r"`sha256:00000000\1`.", page.read_text()))


def test_pages_as_they_were_built_hold(tmp_path: Path) -> None:
    found = verified(built(tmp_path), 0)
    assert found["steps"]["pages"] is True
    assert not any("were not checked" in note or "own, and was" in note for note in found["notes"])


def test_those_of_several_runs_hold_as_well(tmp_path: Path) -> None:
    runs = make_run(tmp_path / "1", run="bbbbbbbb"), make_run(tmp_path / "2", run="aaaaaaaa", at="2026-11-25T00:00:00Z")
    assert verified(built(tmp_path, *runs), 0)["steps"]["pages"] is True


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("README.md", "8 assertions hold over 11 subjects", "80 assertions hold over 1100 subjects"),
        ("README.md", "Test Platform 2.1", "Test Platform 3.0"),
        ("README.md", "on Kubernetes v1.37.2", "on Kubernetes v1.37.9"),
        ("README.md", "Redacted before", "Untouched before"),
        ("junit.xml", "8.2", "0.2"),
        ("e2e.log", "11 subjects", "1100 subjects"),
        ("results.json", "11 subjects", "1100 subjects"),
        ("PRODUCT.yaml", "11 subjects", "1100 subjects"),
        ("PRODUCT.yaml", "93 API requests", "930 API requests"),
        ("PRODUCT.yaml", "on Kubernetes v1.37.2", "on Kubernetes v1.37.9"),
    ],
)
def test_an_edited_page_is_found_without_a_signature(tmp_path: Path, name: str, old: str, new: str) -> None:
    bundle = built(tmp_path)
    edited(bundle / name, old, new)
    found = verified(bundle, 1)
    assert found["consistent"] == "no"
    assert any(problem.startswith(f"pages: {name}") for problem in found["problems"]), found["problems"]


@pytest.mark.parametrize("name", ["report.html", "cncf/junit.xml", "cncf/results.json", "cncf/e2e.log"])
def test_an_edited_page_of_a_run_that_was_sealed_again_is_found(tmp_path: Path, name: str) -> None:
    bundle = built(tmp_path)
    (run,) = (bundle / "runs").iterdir()
    edited(run / name, "11 subjects", "1100 subjects")
    sealed(run)
    problems = verified(bundle, 1)["problems"]
    assert any(each.startswith(f"pages: runs/{run.name}/{name}") for each in problems), problems


def test_results_decide_on_pages_of_a_run_of_another_release(tmp_path: Path) -> None:
    bundle = built(tmp_path)
    of_another_release(bundle)
    (run,) = (bundle / "runs").iterdir()
    edited(run / "report.html", "11 subjects", "1100 subjects")
    sealed(run)
    assert any(f"runs/{run.name}/report.html" in note for note in verified(bundle, 0)["notes"])
    edited(run / "cncf/junit.xml", f'name="{TEST}"', 'name="TestGangScheduling"')
    sealed(run)
    problems = verified(bundle, 1)["problems"]
    assert any("junit.xml" in each and "TestGangScheduling is not in the runs" in each for each in problems), problems


@pytest.mark.parametrize("name", PAGES)
def test_any_added_byte_is_found(tmp_path: Path, name: str) -> None:
    bundle = built(tmp_path)
    with (bundle / name).open("ab") as file:
        file.write(b"\n")
    assert any(name in problem for problem in verified(bundle, 1)["problems"])


def test_nobody_signs_an_edited_page(tmp_path: Path) -> None:
    bundle = built(tmp_path)
    edited(bundle / "README.md", "Redacted before", "Untouched before")
    done = certify("sign", bundle, "--new-key", tmp_path / "vendor")
    assert done.exit_code == 2
    assert "a bundle that cannot be verified is not signed" in done.stderr


@pytest.mark.parametrize(
    ("name", "old", "new", "said"),
    [
        ("README.md", "| MUST | Implemented | pass |", "| MUST | Implemented | fail |", CHECK),
        ("README.md", "| pass | 0a1b2c3d |", "| pass | 0a1b2c3e |", CHECK),
        ("e2e.log", f"--- PASS: {TEST} ", f"--- FAIL: {TEST} ", f"{TEST} is fail instead of pass"),
        ("e2e.log", f"--- PASS: {TEST} ", "--- PASS: TestGangScheduling ", "TestGangScheduling is not in the runs"),
        ("e2e.log", f"{TEST}/forged_is_refused", f"{TEST}/holder_sees_nothing", ""),
        ("PRODUCT.yaml", "8.2 s, 93 API requests", "9.9 s, 93 API requests", "is not what the runs say"),
    ],
)
def test_results_decide_on_pages_of_another_release_words_do_not(
    tmp_path: Path, name: str, old: str, new: str, said: str
) -> None:
    bundle = built(tmp_path)
    of_another_release(bundle)
    edited(bundle / name, old, new)
    if said:
        problems = verified(bundle, 1)["problems"]
        assert any(name in problem and said in problem for problem in problems), problems
    else:
        assert verified(bundle, 0)


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("README.md", "Anyone can check this folder", "Everybody can check this folder"),
        ("junit.xml", "subjects", "objects"),
        ("PRODUCT.yaml", "8 assertions hold", "each of 8 assertions holds"),
    ],
)
def test_other_words_of_another_release_are_a_note_that_says_so(tmp_path: Path, name: str, old: str, new: str) -> None:
    bundle = built(tmp_path)
    of_another_release(bundle)
    edited(bundle / name, old, new)
    notes = [note for note in verified(bundle, 0)["notes"] if note.startswith(name)]
    assert notes
    assert "the words were not checked, because this release did not make them" in notes[0]


def test_a_page_of_the_vendors_own_is_said_not_to_be_checked(tmp_path: Path) -> None:
    bundle = built(tmp_path)
    (bundle / "README.md").write_text("# How we tested\n\nWith care.\n")
    assert any(
        note.startswith("README.md: nothing in it is of the runs") and "was not checked" in note
        for note in verified(bundle, 0)["notes"]
    )


def test_converted_line_ends_are_explained(tmp_path: Path) -> None:
    bundle = built(tmp_path)
    edited(bundle / "README.md", "\n", "\r\n")
    assert any("README.md: its lines end in CRLF" in problem for problem in verified(bundle, 1)["problems"])


def test_a_bundle_without_runs_has_no_pages_to_make_again(tmp_path: Path) -> None:
    bundle = write(tmp_path, product()).parent
    (bundle / "README.md").write_text("Words.")
    assert verified(bundle, 1)["steps"]["pages"] is None


def test_a_run_that_no_longer_decides_leaves_no_answer_behind(tmp_path: Path) -> None:
    """Built again of a run that could not decide, the statement, status and evidence of the earlier run go."""
    bundle = built(tmp_path)
    notes = bundle / "PRODUCT.yaml"
    edited(notes, "can be recomputed.", "can be recomputed. Ask us for more.")
    newer = make_run(tmp_path / "newer", run="bbbbbbbb", at="2026-11-25T00:00:00.000Z", started=False)
    done = certify("build", newer, "--out", bundle, "--redact")
    assert done.exit_code == 0, done.output
    text = notes.read_text()
    assert "0a1b2c3d" not in text
    assert "Ask us for more." in text
    assert verified(bundle, 0)["steps"]["pages"] is True
    validated = certify("validate", bundle, "--offline")
    assert validated.exit_code == 1
    assert "a MUST is not answered: its status is blank" in validated.stdout
