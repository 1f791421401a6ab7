"""The programme's own rules: the same verdict as its validator gives."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.certify_material import certify, junit, product, rules, validated, write

GANG = "TestGangScheduling"


def errors(tmp_path: Path, data: Any = None, name: str = "v1.37/test-platform", **files: str) -> set[str]:
    return rules(validated(write(tmp_path, product() if data is None else data, name, **files))["errors"])


def test_a_valid_submission_passes_and_lacks_only_artifacts(tmp_path: Path) -> None:
    found = validated(write(tmp_path, product()))
    assert found["valid"]
    assert found["version"] == "v1.37"
    assert rules(found["warnings"]) == {"P-no-artifact"}
    assert {w["requirement"] for w in found["warnings"]} == {
        "gang_scheduling",
        "cluster_autoscaling",
        "secure_accelerator_access",
    }
    assert any("links" in text for text in found["not_checked"])
    assert any("member" in text for text in found["not_checked"])


@pytest.mark.parametrize(
    ("field", "value", "rule"),
    [
        ("platformName", None, "P-metadata"),
        ("platformName", "", "P-metadata"),
        ("platformVersion", 1.0, "P-metadata-type"),
        ("platformVersion", True, "P-metadata-type"),
        ("vendorName", "[Vendor Name]", "P-placeholder"),
        ("repoUrl", "[Repository URL]", "P-placeholder"),
        ("k8sConformanceUrl", "https://github.com/cncf/k8s-conformance/tree/dev/v1.37/x", "P-base-conformance"),
        ("k8sConformanceUrl", "https://github.com/cncf/k8s-conformance/tree/master/v1.37/x/y", "P-base-conformance"),
    ],
)
def test_metadata_errors(tmp_path: Path, field: str, value: Any, rule: str) -> None:
    assert errors(tmp_path, product(metadata={field: value})) == {rule}


@pytest.mark.parametrize(
    "changed",
    [
        {"repoUrl": ""},
        {"k8sConformanceUrl": "https://github.com/cncf/k8s-conformance/tree/main/v1.37/x\n"},
        {"repoUrl": None},
        {"k8sConformanceUrl": "https://github.com/cncf/k8s-conformance/tree/main/v1.30/x/"},
        {"platformName": None, "platform_name": "In snake case"},
        {"platformName": "In camel case", "platform_name": 5},
        {"platformVersion": "1.0"},
        {"unknown": [1]},
    ],
)
def test_metadata_that_is_accepted(tmp_path: Path, changed: dict[str, Any]) -> None:
    assert errors(tmp_path, product(metadata=changed)) == set()


def test_a_camel_case_null_wins_over_snake_case(tmp_path: Path) -> None:
    data = product(metadata={"platform_name": "x"})
    data["metadata"]["platformName"] = None
    assert errors(tmp_path, data) == {"P-metadata"}


@pytest.mark.parametrize(
    ("text", "kind"),
    [("yes", "text"), ("1e3", "number"), ("2026-11-24", "date"), ("~", "null"), ("1.2.3", "text"), ("0x1f", "number")],
)
def test_scalars_mean_what_they_mean_in_yaml_1_2(tmp_path: Path, text: str, kind: str) -> None:
    plain = write(tmp_path, product()).read_text().replace('"platformVersion": "2.1"', f'"platformVersion": {text}')
    found = errors(tmp_path, plain)
    assert found == {"text": set(), "null": {"P-metadata"}}.get(kind, {"P-metadata-type"})


@pytest.mark.parametrize(
    ("requirement", "claim", "rule"),
    [
        ("gang_scheduling", {"status": "N/A"}, {"P-must"}),
        ("gang_scheduling", {"status": "implemented"}, {"P-status"}),
        ("gang_scheduling", {"level": "SHOULD", "status": "", "evidence": []}, {"P-status"}),
        ("cluster_autoscaling", {"status": "N/A", "notes": "There is no autoscaler."}, set()),
        ("cluster_autoscaling", {"status": "N/A", "notes": " \n"}, {"P-na-notes"}),
        ("cluster_autoscaling", {"status": "Not Implemented"}, {"P-must"}),
        ("gpu_sharing", {"status": "", "evidence": [""]}, {"P-status"}),
        ("gpu_sharing", {"status": "", "evidence": None}, set()),
        ("gpu_sharing", {"status": "Partially Implemented"}, set()),
        ("gpu_sharing", {"status": "N/A"}, {"P-na-notes"}),
        ("gpu_sharing", {"id": "gpu_shearing"}, {"P-spec"}),
        ("gpu_sharing", {"notes": 5, "status": "Not Implemented"}, set()),
        ("gpu_sharing", {"notes": ["a"]}, {"P-load"}),
        ("gpu_sharing", {"evidence": "N/A"}, {"P-load"}),
        ("gpu_sharing", {"evidence": ""}, {"P-load"}),
        ("gpu_sharing", {"evidence": [{"a": "b"}]}, {"P-load"}),
    ],
)
def test_claims(tmp_path: Path, requirement: str, claim: dict[str, Any], rule: set[str]) -> None:
    assert errors(tmp_path, product(**{requirement: claim})) == rule


@pytest.mark.parametrize(
    ("requirement", "claim", "words"),
    [
        ("gang_scheduling", {"status": "", "evidence": []}, "a MUST is not answered: its status is blank"),
        ("gang_scheduling", {"status": " "}, "a MUST is not answered: its status is blank"),
        ("gang_scheduling", {"status": "done"}, "the status is 'done'"),
        ("gpu_sharing", {"status": "", "evidence": [""]}, "the status is blank, although there is evidence"),
    ],
)
def test_one_mistake_is_one_error(tmp_path: Path, requirement: str, claim: dict[str, Any], words: str) -> None:
    (error,) = validated(write(tmp_path, product(**{requirement: claim})))["errors"]
    assert (error["rule"], error["requirement"]) == ("P-status", requirement)
    assert error["message"].startswith(words)
    assert "Not Implemented" in error["help"]


def test_na_on_cluster_autoscaling_is_a_warning(tmp_path: Path) -> None:
    data = product(cluster_autoscaling={"status": "N/A", "notes": "There is none."})
    assert "P-na-must" in rules(validated(write(tmp_path, data))["warnings"], "cluster_autoscaling")


def test_the_last_answer_counts(tmp_path: Path) -> None:
    data = product()
    first = {"id": "gang_scheduling", "status": "Not Implemented"}
    data["spec"]["schedulingOrchestration"].insert(0, first)
    assert errors(tmp_path, data) == set()
    data["spec"]["schedulingOrchestration"].append(first)
    assert errors(tmp_path, data) == {"P-must"}


def test_missing_sections(tmp_path: Path) -> None:
    whole = product()
    assert errors(tmp_path, {"spec": whole["spec"]}) == {"P-metadata"}
    assert errors(tmp_path, {"metadata": whole["metadata"]}) == {"P-spec"}
    assert errors(tmp_path, "") == {"P-metadata", "P-spec"}
    del whole["spec"]["operator"]
    assert errors(tmp_path, whole) == {"P-spec"}


@pytest.mark.parametrize("name", ["v1.99/x", "somewhere/x", "v1.38/x"])
def test_a_path_without_a_known_version(tmp_path: Path, name: str) -> None:
    assert errors(tmp_path, product(), name) == {"P-version"}


@pytest.mark.parametrize(
    ("entry", "accepted"),
    [
        ("proof.md", True),
        ("/proof.md", True),
        ("file://proof.md#part", True),
        (" proof.md ", True),
        ("file://v1.37/test-platform/proof.md", True),
        ("sub/../proof.md", True),
        ("", True),
        ("v1.37/other/proof.md", False),
        ("v1.36/test-platform/proof.md", False),
        ("../test-platform/proof.md", True),
        ("../../../etc/passwd", False),
        ("//etc/passwd", False),
        (".", False),
        ("#part", False),
        ("  ", False),
        ("missing.md", False),
        ("see proof.md", False),
        ("\0", False),
        ("x" * 5000, False),
    ],
)
def test_evidence_files(tmp_path: Path, entry: str, accepted: bool) -> None:
    data = product(gpu_sharing={"status": "Implemented", "evidence": [entry]})
    assert errors(tmp_path, data, proof__md="shown") == (set() if accepted else {"P-evidence-file"})


def with_gang(evidence: list[str], status: str = "Implemented") -> dict[str, Any]:
    return product(gang_scheduling={"status": status, "evidence": evidence})


def log(**tests: str) -> str:
    return "".join(f"    --- {outcome}: {name} (0.1s)\n" for name, outcome in tests.items())


def events(*lines: tuple[str, str | None]) -> str:
    return "\n".join(
        json.dumps({"Action": action, "Package": "p", **({"Test": test} if test else {})}) for action, test in lines
    )


@pytest.mark.parametrize(
    ("entry", "file", "content", "rule"),
    [
        ("junit.xml", "junit__xml", junit(TestGangScheduling="pass"), None),
        ("JUnit.XML", "JUnit__XML", junit(TestGangScheduling="pass"), None),
        ("junit.xml", "junit__xml", '<testsuite><testcase name="TestGangScheduling"/></testsuite>', None),
        (
            "junit.xml",
            "junit__xml",
            "<a><testsuite><testsuite><testcase name='TestGangScheduling/x'/></testsuite></testsuite></a>",
            None,
        ),
        ("junit.xml", "junit__xml", "<a><b><testcase name='TestGangScheduling'/></b></a>", "P-artifact"),
        ("junit.xml", "junit__xml", "<testsuites/>", "P-artifact"),
        ("junit.xml", "junit__xml", "<testsuites><testcase", "P-artifact"),
        ("junit.xml", "junit__xml", "", "P-artifact"),
        ("junit.xml", "junit__xml", junit(TestGangScheduling="fail"), "P-test-failed"),
        ("junit.xml", "junit__xml", junit(TestGangScheduling="error"), "P-test-failed"),
        ("junit.xml", "junit__xml", junit(TestGangScheduling="pass", TestOther="fail"), "P-test-failed"),
        ("junit.xml", "junit__xml", junit(TestGangScheduling="skip"), "P-test-skipped"),
        ("junit.xml", "junit__xml", junit(TestOther="pass"), "P-test-missing"),
        ("junit.xml#TestOther", "junit__xml", junit(TestOther="pass"), None),
        ("e2e.log", "e2e__log", log(TestGangScheduling="PASS"), None),
        ("e2e.log", "e2e__log", log(TestGangScheduling="FAIL") + log(TestGangScheduling="PASS"), "P-test-failed"),
        ("e2e.log", "e2e__log", log(TestGangScheduling="SKIP") + log(TestGangScheduling="PASS"), None),
        ("e2e.log", "e2e__log", log(TestGangScheduling="PASS") + log(TestGangScheduling="SKIP"), "P-test-skipped"),
        ("e2e.log", "e2e__log", "TestGangScheduling passed\n", "P-artifact"),
        ("results.json", "results__json", events(("run", GANG), ("pass", GANG), ("pass", None)), None),
        ("results.json", "results__json", events(("pass", f"{GANG}/a"), ("skip", f"{GANG}/b")), None),
        ("results.json", "results__json", events(("skip", f"{GANG}/a"), ("skip", f"{GANG}/b")), "P-test-skipped"),
        ("results.json", "results__json", events(("pass", GANG), ("fail", None)), "P-test-failed"),
        ("results.json", "results__json", events(("run", GANG)), "P-artifact"),
        ("results.json", "results__json", "{]\n", "P-artifact"),
        ("results.json", "results__json", '{"action":"pass","test":"TestGangScheduling"}\n', None),
        ("results.json", "results__json", "[" * 100_000, "P-artifact"),
    ],
)
def test_artifacts(tmp_path: Path, entry: str, file: str, content: str, rule: str | None) -> None:
    assert errors(tmp_path, with_gang([entry]), **{file: content}) == ({rule} if rule else set())


def test_a_skipped_test_is_no_error_unless_implemented(tmp_path: Path) -> None:
    data = product(cluster_autoscaling={"status": "N/A", "notes": "There is none.", "evidence": ["junit.xml"]})
    content = junit(TestAcceleratorClusterAutoscaling="skip")
    assert errors(tmp_path, data, junit__xml=content) == set()


def test_a_failure_is_reported_once_for_each_file_and_for_each_reference(tmp_path: Path) -> None:
    data = product(gang_scheduling={"evidence": ["junit.xml"]}, secure_accelerator_access={"evidence": ["junit.xml"]})
    content = junit(TestGangScheduling="fail", TestSecureAcceleratorAccess="pass", TestX="fail")
    found = validated(write(tmp_path, data, junit__xml=content))["errors"]
    assert [(f["rule"], f["requirement"]) for f in found].count(("P-test-failed", None)) == 1
    assert [(f["rule"], f["requirement"]) for f in found].count(("P-test-failed", "gang_scheduling")) == 1
    assert len(found) == 2


def test_members(tmp_path: Path) -> None:
    path = write(tmp_path, product(metadata={"vendorName": " Test Vendor "}))
    names = tmp_path / "members.txt"
    names.write_text("Another (member)\nTest Vendor (supporter)\n")
    assert validated(path, "--members", names)["valid"]
    names.write_text("Another (member)\n")
    assert rules(validated(path, "--members", names)["errors"]) == {"P-member"}
    landscape = tmp_path / "landscape.yml"
    landscape.write_text(
        "landscape:\n- name: CNCF Members\n  subcategories:\n"
        "  - items:\n    - item:\n      name: Test Vendor (member)\n"
    )
    assert validated(path, "--members", landscape)["valid"]


def test_errors_name_file_line_requirement_and_the_way_out(tmp_path: Path) -> None:
    path = write(tmp_path, product(gang_scheduling={"status": "Not Implemented"}))
    (error,) = validated(path)["errors"]
    line = next(n for n, text in enumerate(path.read_text().splitlines(), 1) if "Not Implemented" in text)
    assert (error["file"], error["line"], error["requirement"]) == (path.as_posix(), line, "gang_scheduling")
    assert error["help"]
    text = certify("validate", path, "--offline")
    assert f"{path}:{line}: error P-must: gang_scheduling" in text.output


def test_wrong_use(tmp_path: Path) -> None:
    for arguments in ([tmp_path / "absent"], [tmp_path], []):
        result = certify("validate", *arguments)
        assert result.exit_code == 2
        assert "Traceback" not in result.output
