"""Submissions by somebody who means harm, or whose editor does: a clear answer, no traceback, no look outside."""

from __future__ import annotations

import json
import os
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.certify_material import certify, junit, product, rules, validated, write

from aiconform.certify.artifacts import BadArtifact, read_results
from aiconform.certify.submission import Unreadable, load
from aiconform.certify.yamlvalues import LARGEST, Malformed, parse

ANY = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{','.join([f'*{before}'] * 9)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("content", "line", "says"),
    [
        (BOMB, None, "aliases counted"),
        ("a: &a [*a]\n", 1, "is inside what it names"),
        ("a: *nothing\n", 1, "names nothing"),
        ("metadata: {}\nmetadata: {}\n", 2, "line 1 already"),
        ("metadata:\n  a: 1\n  a: 2\n", 3, "line 2 already"),
        ("metadata:\n  a: \0\n", 2, "NUL"),
        ("metadata:\n  a: \x07\n", 2, "not YAML"),
        (b"metadata:\n  a: \xff\xfe\n", 2, "not UTF-8"),
        (b"\xff\xfea", 1, "not UTF-8"),
        ("metadata: [unclosed\n", None, "not YAML"),
        ("\tmetadata: x\n", 1, "not YAML"),
        ("[" * 10_000, 1, "nested deeper"),
        ("- " * 10_000, 1, "nested deeper"),
        ("? {a: b}\n: c\n", 1, "a key that is a list"),
        ("just text", 1, "not a mapping"),
        ("metadata: text", 1, "not a mapping"),
        ("spec: []", 1, "not a mapping"),
        ("spec: {operator: {}}", 1, "not a list"),
        ("spec: {operator: [x]}", 1, "not a mapping"),
        ("!!python/object/apply:os.system ['true']", 1, "not a mapping"),
        ("<<: 5\n", None, "<<"),
        (b"x" * (LARGEST + 1), 1, "larger than"),
    ],
)
def test_a_broken_file_is_a_load_error(tmp_path: Path, content: str | bytes, line: int | None, says: str) -> None:
    (error,) = validated(write(tmp_path, content))["errors"]
    assert error["rule"] == "P-load"
    assert says in error["message"]
    assert line is None or error["line"] == line


@pytest.mark.parametrize(
    ("value", "says", "also"),
    [
        ({"evidence": "N/A", "notes": ""}, "not a list", "F-must-no-evidence"),
        ({"evidence": "gone/junit.xml"}, "not a list", "P-evidence-file"),
        ({"evidence": {"a": "b"}}, "not a list", "F-must-no-evidence"),
        ({"evidence": ["gone/x", ["y"]]}, "not text", "P-evidence-file"),
        ({"status": ["Implemented"]}, "status is not text", "P-status"),
        ({"description": {"a": "b"}}, "description is not text", "F-description"),
    ],
)
def test_a_value_that_cannot_be_loaded_hides_no_other_finding(
    tmp_path: Path, value: dict[str, object], says: str, also: str
) -> None:
    claims = {"gang_scheduling": value, "robust_controller": {"status": "Perhaps"}}
    submission = validated(write(tmp_path, product(metadata={"platformName": ""}, **claims)))
    assert not submission["valid"]
    (load,) = [error for error in submission["errors"] if error["rule"] == "P-load"]
    assert says in load["message"]
    found = [*submission["errors"], *submission["findings"]]
    assert also in {each["rule"] for each in found if each["requirement"] == "gang_scheduling"}
    assert "P-metadata" in {each["rule"] for each in found}
    assert "P-status" in {each["rule"] for each in found if each["requirement"] == "robust_controller"}


def test_aliases_that_stay_small_are_read(tmp_path: Path) -> None:
    text = json.dumps(product(), indent=1).replace('"status": "Implemented"', '"status": &s "Implemented"', 1)
    head, tail = text.split("&s", 1)
    assert validated(write(tmp_path, head + "&s" + tail.replace('"status": "Implemented"', '"status": *s')))["valid"]


def test_never_a_look_outside_the_folder(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "junit.xml").write_text(junit(TestGangScheduling="fail", SecretName="fail"))
    evidence = ["junit.xml", "up/junit.xml", "../../secret/junit.xml", str(secret / "junit.xml"), "loop", "gone"]
    path = write(tmp_path, product(gang_scheduling={"evidence": evidence}))
    (path.parent / "junit.xml").symlink_to(secret / "junit.xml")
    (path.parent / "up").symlink_to(secret)
    (path.parent / "loop").symlink_to("loop")
    (path.parent / "gone").symlink_to("nowhere")
    submission = validated(path)
    bad = [error for error in submission["errors"] if error["rule"] == "P-evidence-file"]
    assert len(bad) == len(evidence)
    assert "SecretName" not in json.dumps(submission)


def test_a_product_file_that_is_a_link_to_elsewhere(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere.yaml"
    elsewhere.write_text("secret: [")
    folder = tmp_path / "v1.37/p"
    folder.mkdir(parents=True)
    (folder / "PRODUCT.yaml").symlink_to(elsewhere)
    (error,) = validated(folder)["errors"]
    assert "outside" in error["message"]


def test_special_files_do_not_hang(tmp_path: Path) -> None:
    path = write(tmp_path, product(gang_scheduling={"evidence": ["junit.xml", "e2e.log"]}))
    os.mkfifo(path.parent / "junit.xml")
    (path.parent / "e2e.log").mkdir()
    assert rules(validated(path)["errors"]) == {"P-artifact"}
    other = tmp_path / "v1.37/pipe"
    other.mkdir()
    os.mkfifo(other / "PRODUCT.yaml")
    assert rules(validated(other)["errors"]) == {"P-load"}


@pytest.mark.parametrize(
    "content",
    [
        '<!DOCTYPE a [<!ENTITY x "y">]><testsuite><testcase name="&x;"/></testsuite>',
        '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><testsuite><testcase>&x;</testcase></testsuite>',
        '<!DOCTYPE a [<!ENTITY % x SYSTEM "http://127.0.0.1:1/"> %x;]><testsuite><testcase name="a"/></testsuite>',
        '<?xml version="1.0" encoding="no-such"?><testsuite><testcase name="a"/></testsuite>',
        "<testsuite>" * 20_000,
        '<testsuite><testcase name="a',
        "\0",
    ],
)
def test_hostile_xml(tmp_path: Path, content: str) -> None:
    path = write(tmp_path, product(gang_scheduling={"evidence": ["junit.xml"]}), junit__xml=content)
    (error,) = validated(path)["errors"]
    assert error["rule"] == "P-artifact"
    assert "root:" not in json.dumps(error)


def test_long_logs_take_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "e2e.log"
    with path.open("wb") as file:
        for _ in range(200):
            file.write(b"I1124 some line of a log that nobody counts\n" * 1000)
        file.write(b"x" * (8 << 20) + b"\n--- PASS: TestGangScheduling (1.0s)\n")
    tracemalloc.start()
    try:
        assert read_results(path, "log").tests == {"TestGangScheduling": "pass"}
        assert tracemalloc.get_traced_memory()[1] < 40 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(("kind", "lead"), [("log", b""), ("gotest", b'{"a": "'), ("junit", b'<testsuite name="')])
def test_a_line_without_end_is_refused(tmp_path: Path, kind: str, lead: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(lead + b"x" * (20 << 20))
    with pytest.raises(BadArtifact):
        read_results(path, kind)  # type: ignore[arg-type]


def test_control_characters_do_not_reach_the_terminal(tmp_path: Path) -> None:
    path = write(tmp_path, product(gang_scheduling={"status": "\x1b]0;owned\x07\nINVALID"}))
    out = certify("validate", path, "--offline").stdout
    assert "\x1b" not in out
    assert "\x07" not in out


def test_links_are_followed_by_no_walk(tmp_path: Path) -> None:
    root = tmp_path / "root"
    write(root, product())
    write(tmp_path / "outside", "broken: [", "v1.37/other")
    (root / "v1.37/link").symlink_to(tmp_path / "outside/v1.37/other")
    (root / "v1.37/loop").symlink_to(root)
    result = certify("validate", root, "--offline", "-o", "json")
    assert len(json.loads(result.stdout)["submissions"]) == 1


YAMLISH = st.text(alphabet="metadatspecid: -[]{}&*!|>#'\"\n\t<~0x%@,?\x00é", max_size=200)


@ANY
@given(st.one_of(st.binary(max_size=300), YAMLISH.map(str.encode)))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        parse(data)
        load(Path("v1.37/x/PRODUCT.yaml"), data, Path("/v1.37/x"))
    except (Malformed, Unreadable) as error:
        refused = (error.line, error.help)
    else:
        refused = (1, "nothing to correct")
    assert refused[0] >= 1
    assert refused[1]


SCALAR = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=20))
TREE = st.recursive(
    SCALAR,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=8), inner, max_size=4)),
)
CLAIM = st.fixed_dictionaries(
    {},
    optional={
        "id": st.one_of(st.sampled_from(["gang_scheduling", "gpu_sharing"]), TREE),
        "status": st.one_of(st.sampled_from(["Implemented", "N/A", ""]), TREE),
        "evidence": st.one_of(
            st.lists(st.one_of(SCALAR, st.sampled_from(["junit.xml#T", "../x", "file://", "#"]))), TREE
        ),
        "notes": TREE,
        "level": TREE,
    },
)
SPEC = st.dictionaries(
    st.sampled_from(["accelerators", "schedulingOrchestration", "x"]), st.one_of(st.lists(CLAIM, max_size=3), TREE)
)


@settings(ANY, max_examples=80)
@given(
    st.one_of(
        TREE,
        st.fixed_dictionaries({"metadata": st.one_of(TREE, st.dictionaries(st.text(max_size=9), TREE)), "spec": SPEC}),
    )
)
def test_any_shape_is_judged(tmp_path: Path, data: object) -> None:
    path = write(tmp_path, json.dumps(data))
    result = certify("validate", path, "--offline", "--fix", "-o", "json")
    assert result.exit_code in (0, 1), result.exception
    assert not isinstance(result.exception, Exception)


@ANY
@given(
    st.sampled_from(["junit", "gotest", "log"]),
    st.one_of(
        st.binary(max_size=300),
        st.text(alphabet='<>/= "testcasuinamfl&;!?[]-\n', max_size=120).map(str.encode),
        st.lists(st.dictionaries(st.sampled_from(["Action", "Test", "package", "x"]), TREE), max_size=4).map(
            lambda events: "\n".join(map(json.dumps, events)).encode()
        ),
    ),
)
def test_any_artifact_is_read_or_refused(tmp_path: Path, kind: str, data: bytes) -> None:
    path = tmp_path / "artifact"
    path.write_bytes(data)
    try:
        results = read_results(path, kind)  # type: ignore[arg-type]
    except BadArtifact:
        return
    assert results.tests or results.failures


def test_folder_names_that_are_no_text(tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path) + b"/v1.37/\xff\xfe"
    path = Path(os.fsdecode(folder))
    try:
        path.mkdir(parents=True)
    except OSError:
        pytest.skip("this file system takes only names that are text")
    (path / "PRODUCT.yaml").write_text(json.dumps(product(gang_scheduling={"status": "no"})))
    for output in ("text", "json", "sarif"):
        result = certify("validate", tmp_path, "--offline", "-o", output)
        assert result.exit_code == 1, result.exception
        assert "P-status" in result.stdout


def test_thousands_of_links_are_not_all_asked(tmp_path: Path) -> None:
    links = [f"http://127.0.0.1:1/{n}" for n in range(700)]
    path = write(tmp_path, product(gang_scheduling={"evidence": links}))
    (submission,) = json.loads(certify("validate", path, "-o", "json").stdout)["submissions"]
    assert any("beyond the first 500" in text for text in submission["not_checked"])


def test_findings_stay_few_where_their_causes_are_many(tmp_path: Path) -> None:
    data = product(gang_scheduling={"evidence": ["gone"] * 5000})
    data["spec"]["operator"] = [{"id": "robust_controller"}] * 5000
    result = certify("validate", write(tmp_path, json.dumps(data)), "--offline", "--fix", "-o", "json")
    (submission,) = json.loads(result.stdout)["submissions"]
    assert not submission["valid"]
    told = [error["message"] for error in submission["errors"] if error["rule"] == "P-evidence-file"]
    assert told[-1] == "4900 more like this"
    assert len(told) == 101
    assert len(result.stdout) < 500_000
