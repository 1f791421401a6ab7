"""The requirement files: what is in them, and what is said of files that are wrong."""

from __future__ import annotations

import contextlib
import dataclasses
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from aiconform.spec import MalformedFile, UnknownRequirement, UnknownVersion, load_standard
from aiconform.spec.standard import REQUIREMENTS, requirement_from
from aiconform.spec.yamlfile import LARGEST_FILE, NotYaml, Tree, documents, parse

HERE = Path("some.yaml")
STANDARD = load_standard()
GOOD = (REQUIREMENTS / "gang_scheduling.yaml").read_text(encoding="utf-8")


def loading(text: str | bytes, name: str = "gang_scheduling.yaml") -> MalformedFile:
    """What is said of a file with this text."""
    with pytest.raises(MalformedFile) as caught:
        requirement_from(parse(Path(name), text.encode() if isinstance(text, str) else text))
    return caught.value


def reading(raw: bytes) -> Tree | MalformedFile:
    """What became of these bytes."""
    try:
        return parse(HERE, raw)
    except MalformedFile as error:
        return error


# What the standard holds


def test_levels_and_lists() -> None:
    assert STANDARD.versions == ("v1.33", "v1.34", "v1.35", "v1.36", "v1.37", "v1.38")
    assert STANDARD.newest == "v1.37"
    dra = STANDARD.requirement("dra_support")
    assert [dra.level_at(version) for version in STANDARD.versions] == ["SHOULD", "MUST", "MUST", *["folded"] * 3]
    assert STANDARD.requirement("driver_runtime_management").level_at("v1.38") == "MUST"
    assert STANDARD.requirement("workload_sandboxing").level_at("v1.36") is None
    assert [r.id for r in STANDARD.at("1.33") if r.level_at("v1.33") == "SHOULD"] == ["dra_support"]
    assert [str(r.levels["v1.37"]) for r in STANDARD.at("v1.37")] == ["MUST"] * 8 + ["SHOULD"] * 7 + ["folded"]


def test_kar_numbers_are_those_of_the_programme() -> None:
    numbers = {r.id: r.kar for r in STANDARD.requirements if r.kar}
    assert numbers == {
        "driver_runtime_management": 1,
        "gpu_sharing": 3,
        "virtualized_accelerator": 4,
        "high_performance_networking": 10,
        "advanced_inference_ingress": 11,
        "workload_sandboxing": 20,
        "disaggregated_inference": 41,
        "secure_accelerator_access": 49,
        "dra_support": 51,
        "gang_scheduling": 53,
        "cluster_autoscaling": 55,
        "pod_autoscaling": 57,
        "accelerator_metrics": 59,
        "ai_service_metrics": 61,
        "robust_controller": 63,
    }


def test_every_area_has_a_requirement_and_the_thin_ones_a_proposal() -> None:
    from aiconform.spec import Area

    assert {r.area for r in STANDARD.requirements if not r.levels} == set(Area)


def test_unknown_id_and_version_name_the_way_out() -> None:
    with pytest.raises(UnknownRequirement) as unknown:
        STANDARD.requirement("gang-schedulling")
    assert unknown.value.nearest[0] == "gang_scheduling"
    with pytest.raises(UnknownVersion, match=r"v1\.33, .*v1\.38"):
        STANDARD.at("v1.32")


def test_the_digest_follows_the_files(tmp_path: Path) -> None:
    for path in REQUIREMENTS.glob("*.yaml"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    assert load_standard(tmp_path).digest == STANDARD.digest
    changed = tmp_path / "gang_scheduling.yaml"
    changed.write_bytes(changed.read_bytes() + b"\n")
    assert load_standard(tmp_path).digest != STANDARD.digest


@pytest.mark.parametrize("path", sorted(REQUIREMENTS.glob("*.yaml")), ids=lambda path: path.stem)
def test_other_yaml_parsers_read_the_same(path: Path) -> None:
    # Dates are text to us and dates to others; everything else has to be the same data.
    theirs = yaml.load(path.read_bytes(), yaml.BaseLoader)  # noqa: S506 - BaseLoader makes nothing but text
    assert _as_text(parse(path, path.read_bytes()).data) == theirs


def _as_text(value: object) -> object:
    if isinstance(value, dict):
        return {key: _as_text(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_as_text(part) for part in value]
    return str(value).lower() if isinstance(value, bool) else value if isinstance(value, str) else str(value)


# Files that are wrong


def test_an_unknown_key_is_named_with_its_line_and_the_keys_that_exist() -> None:
    error = loading(GOOD.replace("rationale: |", "rationals: |"))
    line = GOOD.split("rationale")[0].count("\n") + 1
    assert error.line == line or any(more.line == line for more in error.more)
    said = " ".join(map(str, (error, *error.more)))
    assert "unknown key 'rationals'" in said
    assert "rationale" in said
    assert "'rationale' is missing" in said


def test_an_unknown_key_deep_inside() -> None:
    error = loading(GOOD.replace("    - do: Make room again.", "    - do: Make room again.\n      undo: it"))
    assert error.line == GOOD.split("    - do: Make room again.")[0].count("\n") + 2
    assert "procedure.steps[2].undo" in error.problem
    assert error.expected == "one of do, observe, holds"


@pytest.mark.parametrize(
    ("change", "problem", "expected"),
    [
        (("stage: MUST", "stage: SHALL"), "stage is 'SHALL'", "proposed, SHOULD, MUST or folded"),
        (("kar: 53", "kar: many"), "kar is 'many'", "valid integer"),
        (("v1.33: MUST", "v133: MUST"), "'v133'", "like ^v1"),
        (("area: Scheduling", "area: Planning"), "'Planning'", "Node, Scheduling, Storage"),
        (("id: gang_scheduling", "id: gang_schedule"), "the id is 'gang_schedule'", "'gang_scheduling'"),
        (("owners: [sig-scheduling", "owners: [Fred, sig-scheduling"), "'Fred'", "[a-z]"),
        (("owners: [sig-scheduling", "owners: [fred, sig-scheduling"), "'fred' is no SIG", "a value as"),
        (("date: 2025-09-02", "date: yesterday"), "history[0].date", "a value"),
        (("kar: 53", "kar: 53\nkar: 54"), "'kar' was given on line 2", "each key once"),
        (("kar: 53", "kar: &a 53"), "anchor", "written out"),
        (("kar: 53", "kar: !!int 53"), "the tag", "without tags"),
        (("kar: 53", "[kar]: 53"), "a key is not text", "plain words"),
        (("kar: 53", "kar: [53"), "", "well-formed YAML"),
        (("kar: 53", "kar: \t'53"), "", "well-formed YAML"),
        (("kar: 53", "kar: 53\n---\n{}"), "second document", "one document"),
        (("sources: [\"https:", "sources: [\"ftp:"), "history[0].sources[0]", "https://"),
        (("  needs:", "  needs: []\n  wants:"), "procedure.needs", "at least 1 item"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_line_and_expectation(change: tuple[str, str], problem: str, expected: str) -> None:
    assert change[0] in GOOD
    error = loading(GOOD.replace(*change, 1))
    assert error.line
    said = " ".join(map(str, (error, *error.more)))
    assert problem in said
    assert expected in said


def test_a_statement_without_a_word_of_rfc_2119_is_refused() -> None:
    text = GOOD.replace("MUST", "must").replace(": must", ": MUST")
    assert "no RFC 2119 word" in str(loading(text))


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"", "one mapping"),
        (b"- a list", "a mapping"),
        (b"\xff\xfe", "UTF-8"),
        (b"id: a\0b", "well-formed"),
        (b"a: " + b"[" * 10000, "levels"),
        (b"x: " + b"y" * LARGEST_FILE, "at most"),
        (b"a: &a [x, x]\nb: &b [*a, *a]\n", "written out"),
    ],
)
def test_files_that_are_no_requirement_at_all(raw: bytes, expected: str) -> None:
    assert expected in loading(raw).expected


def test_surprising_scalars_are_text() -> None:
    data = parse(
        HERE, b"a: on\nb: 1.30\nc: 2026-01-02\nd: 010\ne: 0x1f\nf: true\ng: 12\nh: ~\ni: '12'\nj: 1_000\n"
    ).data
    assert data == {
        "a": "on", "b": "1.30", "c": "2026-01-02", "d": "010", "e": "0x1f",
        "f": True, "g": 12, "h": None, "i": "12", "j": "1_000",
    }  # fmt: skip


def test_an_empty_folder_and_a_missing_one(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(MalformedFile, match="holds no requirement"):
            load_standard(folder)


# Properties

plain = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=20)
values = st.recursive(
    plain | st.integers(-(10**17), 10**17) | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(plain, inner, max_size=3),
    max_leaves=12,
)


@settings(deadline=None)
@given(st.dictionaries(plain, values, max_size=4))
def test_what_pyyaml_writes_is_read_the_same_or_refused_for_a_rule_of_ours(data: dict[str, object]) -> None:
    found = reading(yaml.safe_dump(data, allow_unicode=True).encode())
    if isinstance(found, MalformedFile):
        assert any(rule in found.problem for rule in ("nested", "anchor", "not text"))
    else:
        assert found.data == data


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused_with_a_place(raw: bytes) -> None:
    found = reading(raw)
    if isinstance(found, MalformedFile):
        assert str(found).startswith("some.yaml")
        assert found.expected
    else:
        assert found.lines
        assert min(found.lines.values()) >= 1


@settings(deadline=None)
@given(st.integers(0, len(GOOD) - 1), plain)
def test_a_requirement_with_anything_put_into_it_loads_or_is_refused_with_a_line(place: int, text: str) -> None:
    found = reading((GOOD[:place] + text + GOOD[place:]).encode())
    if isinstance(found, Tree):
        name = dataclasses.replace(found, path=Path("gang_scheduling.yaml"))
        with contextlib.suppress(MalformedFile):
            assert requirement_from(name).id == "gang_scheduling"
    else:
        assert found.line is None or 1 <= found.line <= GOOD.count("\n") + len(text) + 2


@settings(deadline=None)
@given(st.text(max_size=30))
def test_any_wrong_id_gets_an_answer(text: str) -> None:
    if text not in STANDARD.ids:
        with pytest.raises(UnknownRequirement):
            STANDARD.requirement(text)


# YAML that others wrote


def test_documents_are_read_without_dates() -> None:
    text = "a: &x {when: 2025-09-02, share: 0.5, is: =}\nb: *x\n---\n[1]\n---\n"
    first = {"when": "2025-09-02", "share": 0.5, "is": "="}
    assert documents(text) == [{"a": first, "b": first}, [1], None]
    assert documents(text.encode()) == documents(text)
    assert documents("") == []


@pytest.mark.parametrize(
    ("raw", "line"),
    [("a: [1", 2), ("a: b: c", 1), ("a: 1\n\tb: 2", 2), (b"\xff\xfe\xff", None), ("a: !!python/none x", 1)],
)
def test_what_is_no_yaml_is_said_with_its_line(raw: str | bytes, line: int | None) -> None:
    with pytest.raises(NotYaml) as caught:
        documents(raw)
    assert caught.value.line == line
    assert caught.value.problem
