"""What a released version asks stays as it was recorded."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from aiconform.cli import main
from aiconform.spec import load_standard
from aiconform.spec.frozen import NAME, differences, frozen, record_of, text_of, unrecorded
from aiconform.spec.standard import REQUIREMENTS, VERSIONS


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The standard with its versions and its record; the folder of the requirement files."""
    shutil.copy(VERSIONS, tmp_path)
    shutil.copy(VERSIONS.with_name(NAME), tmp_path)
    shutil.copytree(REQUIREMENTS, tmp_path / "requirements")
    return tmp_path / "requirements"


def spec(*words: str | Path) -> Result:
    return CliRunner().invoke(main, ["spec", *map(str, words)])


def change(path: Path, before: str, after: str) -> int:
    """Replace the first place and return its line."""
    text = path.read_text(encoding="utf-8")
    assert before in text
    path.write_text(text.replace(before, after, 1), encoding="utf-8")
    return text[: text.index(before)].count("\n") + 1


def test_the_record_is_complete_and_agrees() -> None:
    standard = load_standard()
    record = frozen(VERSIONS.with_name(NAME))
    assert unrecorded(standard, record) == []
    assert differences(standard, record) == []
    assert VERSIONS.with_name(NAME).read_text(encoding="utf-8") == text_of(record)


def test_a_line_that_makes_a_released_version_stricter_is_named(copy: Path) -> None:
    path = copy / "gang_scheduling.yaml"
    line = change(path, "- id: wait_is_reported", "- programme: v1.36\n          id: wait_is_reported")
    result = spec("check", copy)
    assert result.exit_code == 1
    said = result.stdout.splitlines()
    assert said[0].startswith(
        f"{path}:{line}: gang_scheduling has wait_is_reported as a line that the programme asks for at v1.36, "
        "with which it was not frozen; name a version that is not released yet"
    )
    assert said[1].startswith(
        f"{path}:{line}: gang_scheduling has wait_is_reported as a line that the programme asks for at v1.37"
    )
    assert "v1.35" not in result.stdout


def test_a_line_of_a_coming_version_is_no_difference(copy: Path) -> None:
    change(
        copy / "gang_scheduling.yaml", "- id: wait_is_reported", "- programme: v1.38\n          id: wait_is_reported"
    )
    assert spec("check", copy).exit_code == 0


def test_a_renamed_line_is_named_as_gone_and_as_new(copy: Path) -> None:
    change(copy / "gang_scheduling.yaml", "id: no_pod_starts", "id: none_starts")
    said = spec("check", copy).stdout
    assert "no longer has no_pod_starts as a line that the programme asks for at v1.33" in said
    assert "has none_starts as a line that the programme asks for at v1.33" in said


def test_levels_of_released_versions_stay(copy: Path) -> None:
    change(copy / "gpu_sharing.yaml", "v1.37: SHOULD", "v1.37: MUST")
    said = spec("check", copy).stdout
    assert "gpu_sharing is MUST at v1.37, which was frozen with it as SHOULD; levels of a released version stay" in said


def test_requirements_do_not_join_or_leave_a_released_version() -> None:
    standard = load_standard()
    record = frozen(VERSIONS.with_name(NAME))
    del record["v1.37"]["gpu_sharing"]
    record["v1.33"]["gpu_sharing"] = record["v1.36"]["gpu_sharing"]
    said = [f"{breach.requirement} {breach.problem}" for breach in differences(standard, record)]
    assert "gpu_sharing is SHOULD at v1.37, which was frozen with no such requirement" in said
    assert "gpu_sharing is not listed at v1.33, which was frozen with it as SHOULD" in said


def test_a_version_is_frozen_before_it_is_released(copy: Path) -> None:
    change(copy.parent / VERSIONS.name, "released: false", "released: true")
    unfrozen = spec("check", copy)
    assert unfrozen.exit_code == 1
    assert (
        "has no record of v1.38, which is released; set `released: false`, run `aiconform spec freeze v1.38`"
        in unfrozen.stdout
    )
    assert spec("freeze", "v1.38", copy).exit_code == 2
    change(copy.parent / VERSIONS.name, "- version: v1.38\n  released: true", "- version: v1.38\n  released: false")
    done = spec("freeze", "1.38", copy)
    assert done.exit_code == 0, done.output
    assert done.stdout.strip() == str(copy.parent / NAME)
    record = frozen(copy.parent / NAME)
    assert record["v1.38"] == record_of(load_standard(copy), "v1.38")
    assert text_of({v: a for v, a in record.items() if v != "v1.38"}) == VERSIONS.with_name(NAME).read_text(
        encoding="utf-8"
    )
    change(
        copy / "gang_scheduling.yaml", "- id: wait_is_reported", "- programme: v1.38\n          id: wait_is_reported"
    )
    assert spec("freeze", "v1.38", copy).exit_code == 0
    assert "wait_is_reported" in frozen(copy.parent / NAME)["v1.38"]["gang_scheduling"].lines


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["v1.37"], "v1.37 is released, so its record stays as it is"),
        (["v1.99"], "the standard has no Kubernetes version 'v1.99'"),
        (["v1.38", "/no/such/folder"], "does not exist"),
    ],
)
def test_what_cannot_be_frozen(copy: Path, words: list[str], said: str) -> None:
    result = spec("freeze", *words, *([] if len(words) > 1 else [copy]))
    assert result.exit_code == 2
    assert said in " ".join(result.stderr.split())


def test_a_record_that_is_malformed(copy: Path) -> None:
    change(copy.parent / NAME, "level: MUST", "level: MUST\n    rank: 1")
    result = spec("check", copy)
    assert result.exit_code == 2
    assert "unknown key 'v1.33.accelerator_metrics.rank'; expected one of level, lines" in result.stderr
