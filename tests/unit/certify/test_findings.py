"""What goes beyond the programme's rules: each finding on a submission that earns it, and not on one that does not."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from support.certify_material import certify, junit, product, rules, validated, write

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def found(tmp_path: Path, data: Any = None, requirement: str | None = None, **files: str) -> set[str]:
    submission = validated(write(tmp_path, product() if data is None else data, **files))
    return rules(submission["findings"], requirement) - {"F-description"}  # the material has no descriptions


def test_nothing_is_found_in_a_careful_submission(tmp_path: Path) -> None:
    assert found(tmp_path) == set()


@pytest.mark.parametrize(
    ("requirement", "claim", "rule"),
    [
        ("cluster_autoscaling", {"notes": "The platform does not provide an autoscaler."}, "F-contradiction"),
        ("cluster_autoscaling", {"notes": "This is not applicable in our data centres."}, "F-contradiction"),
        ("gang_scheduling", {"notes": "Gang scheduling is planned for the next release."}, "F-contradiction"),
        ("gang_scheduling", {"notes": "A gang is refused without partial placement; MIG is not supported."}, None),
        ("secure_accelerator_access", {"notes": "A Pod without a claim cannot access the device."}, None),
        ("cluster_autoscaling", {"status": "N/A", "notes": "It does not provide an autoscaler."}, None),
        ("gpu_sharing", {"status": "Not Implemented", "notes": "It is fully supported."}, "F-contradiction"),
        ("gang_scheduling", {"evidence": []}, "F-must-no-evidence"),
        ("gpu_sharing", {"status": "Implemented"}, "F-no-evidence"),
        ("gang_scheduling", {"evidence": ["", "https://platform.test/docs/2.1/gangs"]}, "F-blank-evidence"),
        ("gang_scheduling", {"level": "SHOULD"}, "F-level"),
        ("gang_scheduling", {"evidence": ["https://github.com/a/b/blob/main/c.md"]}, "F-unpinned"),
        ("gang_scheduling", {"evidence": ["https://raw.githubusercontent.com/a/b/refs/heads/main/c.md"]}, "F-unpinned"),
        ("gang_scheduling", {"evidence": [f"https://github.com/a/b/blob/{COMMIT}/c.md"]}, None),
        ("gang_scheduling", {"evidence": ["https://github.com/a/b/blob/v1.2.3/c.md"]}, None),
        ("gang_scheduling", {"evidence": ["https://platform.test/docs/latest/gangs"]}, "F-moving"),
        ("gang_scheduling", {"evidence": [f"https://github.com/a/b/blob/{COMMIT}/v1.36/c.md"]}, "F-other-version"),
        ("gang_scheduling", {"evidence": ["https://platform.test/k8s-1.35-conformance"]}, "F-other-version"),
        ("gang_scheduling", {"evidence": ["https://platform.test/docs/1.30/gangs"]}, None),
        ("gang_scheduling", {"evidence": ["https://platform.test/a", "https://platform.test/a"]}, "F-twice"),
        ("gang_scheduling", {"evidnce": []}, "F-unknown-key"),
    ],
)
def test_claims(tmp_path: Path, requirement: str, claim: dict[str, Any], rule: str | None) -> None:
    assert found(tmp_path, product(**{requirement: claim}), requirement) == ({rule} if rule else set())


@pytest.mark.parametrize(
    ("changed", "rule"),
    [
        ({"kubernetesVersion": "v1.37.2"}, "F-version-form"),
        ({"kubernetesVersion": "1.37"}, "F-version-form"),
        ({"kubernetesVersion": "v1.36"}, "F-version-differs"),
        ({"kubernetesVersion": "v1.3"}, "F-version-differs"),
        ({"k8sConformanceUrl": "https://github.com/cncf/k8s-conformance/tree/master/v1.36/x"}, "F-base-version"),
        ({"productLogoUrl": "https://platform.test/logo.png"}, "F-logo"),
        ({"repoUrl": "https://github.com/yoyo.dyne/turbo-encabulator"}, "F-example"),
        ({"website_url": "https://platform.test/", "websiteUrl": None}, "F-spelling"),
        ({"platform_name": "x"}, "F-both-spellings"),
        ({"platfromName": "x"}, "F-unknown-key"),
        ({"vendorName": " Test Vendor"}, "F-blanks"),
    ],
)
def test_metadata(tmp_path: Path, changed: dict[str, Any], rule: str) -> None:
    assert found(tmp_path, product(metadata=changed)) == {rule}


def test_evidence_that_is_the_same_everywhere(tmp_path: Path) -> None:
    one = {"evidence": ["https://platform.test/all"]}
    three = product(gang_scheduling=one, ai_inference=one, pod_autoscaling=one)
    assert found(tmp_path, three, "ai_inference") == {"F-reused"}
    assert found(tmp_path, product(gang_scheduling=one, ai_inference=one)) == set()


def test_files(tmp_path: Path) -> None:
    evidence = {"evidence": ["proof.md"]}
    assert found(tmp_path, product(gang_scheduling=evidence), proof__md="") == {"F-empty-file"}
    assert found(tmp_path, product(gang_scheduling=evidence), proof__md="seen") == set()
    folder = tmp_path / "v1.37/test-platform/logs"
    folder.mkdir()
    assert found(tmp_path, product(gang_scheduling={"evidence": ["logs"]})) == {"F-folder"}


GANG = {"evidence": ["junit.xml"]}


@pytest.mark.parametrize(
    ("requirement", "entry", "rule"),
    [
        ("gang_scheduling", "junit.xml#TestSecureAcceleratorAccess", "F-fragment"),
        ("gang_scheduling", "junit.xml#TestOfMine", "F-fragment"),
        ("gang_scheduling", "junit.xml#TestGangScheduling/two_gangs", None),
        ("pod_autoscaling", "junit.xml#TestPodAutoscaling", None),
        ("pod_autoscaling", "junit.xml#TestRobustController", "F-fragment"),
        ("pod_autoscaling", "junit.xml", "F-no-fragment"),
    ],
)
def test_fragments(tmp_path: Path, requirement: str, entry: str, rule: str | None) -> None:
    names = ["TestGangScheduling", "TestGangScheduling/two_gangs", "TestSecureAcceleratorAccess", "TestOfMine"]
    content = junit(**dict.fromkeys([*names, "TestPodAutoscaling", "TestRobustController"], "pass"))
    data = product(**{requirement: {"evidence": [entry]}})
    assert found(tmp_path, data, requirement, junit__xml=content) == ({rule} if rule else set())


def test_artifacts_that_disagree_and_unit_tests_among_them(tmp_path: Path) -> None:
    data = product(gang_scheduling={"evidence": ["junit.xml", "e2e.log", "results.json"]})
    events = [
        {"Action": "pass", "Package": "a", "Test": "TestGangScheduling", "Elapsed": 60.1},
        {"Action": "pass", "Package": "b", "Test": "TestParseQuantity", "Elapsed": 0},
    ]
    submission = validated(
        write(
            tmp_path,
            data,
            junit__xml=junit(TestGangScheduling="pass"),
            e2e__log="--- SKIP: TestGangScheduling (0.00s)\n",
            results__json="\n".join(map(json.dumps, events)),
        )
    )
    findings = {finding["rule"]: finding["message"] for finding in submission["findings"]}
    assert "TestGangScheduling" in findings["F-artifacts-disagree"]
    assert "1 tests" in findings["F-unit-tests"]
    assert "TestParseQuantity" in findings["F-unit-tests"]
    assert "0 s" in findings["F-unit-tests"]
    assert "all 1 tests" in findings["F-nothing-passed"]


def test_results_that_the_programme_does_not_read(tmp_path: Path) -> None:
    data = product(gang_scheduling={"evidence": ["junit_01.xml"]})
    (finding,) = [
        f
        for f in validated(write(tmp_path, data, junit_01__xml=junit(TestX="fail")))["findings"]
        if "name" in f["rule"]
    ]
    assert finding["rule"] == "F-artifact-name"


def test_an_answer_that_the_list_does_not_ask_for(tmp_path: Path) -> None:
    data = product()
    data["spec"]["accelerators"] += [{"id": "dra_support"}, {"id": "gpu_sharing"}]
    assert found(tmp_path, data) == {"F-not-listed", "F-duplicate", "F-level"}


def test_form(tmp_path: Path) -> None:
    text = json.dumps(product(), indent=1)
    assert found(tmp_path, text.replace("\n", "\r\n")) == {"F-encoding"}
    assert found(tmp_path, b"\xef\xbb\xbf" + text.encode()) == {"F-encoding"}
    assert found(tmp_path, text.encode("utf-16")) == {"F-encoding"}
    assert found(tmp_path, f"{text}\n---\nmore: 1\n") == {"F-second-document"}


def test_a_layered_product_names_layers(tmp_path: Path) -> None:
    data = product(metadata={"description": "A layered product."}, gang_scheduling={"notes": "Layer: ours."})
    assert "F-layer" in found(tmp_path, data, "ai_inference")
    assert found(tmp_path, data, "gang_scheduling") == set()


def both(tmp_path: Path) -> dict[str, dict[str, Any]]:
    result = certify("validate", tmp_path, "--offline", "-o", "json")
    return {s["path"].split("/")[-2]: s for s in json.loads(result.stdout)["submissions"]}


def test_notes_copied_from_another_vendor(tmp_path: Path) -> None:
    words = (
        "On a cluster of two nodes we started a gang of three Pods and saw that none of them ran until room was there."
    )
    write(tmp_path, product(gang_scheduling={"notes": words}), "v1.37/one")
    other = product(metadata={"vendorName": "Other"}, gang_scheduling={"notes": f"{words} Really."})
    write(tmp_path, other, "v1.37/two")
    assert rules(both(tmp_path)["two"]["findings"], "gang_scheduling") >= {"F-copied-notes"}
    other["metadata"]["vendorName"] = "Test Vendor"
    write(tmp_path, other, "v1.37/two")
    assert not rules(both(tmp_path)["two"]["findings"], "gang_scheduling") & {"F-copied-notes"}


def test_evidence_carried_over(tmp_path: Path) -> None:
    evidence = {"evidence": ["https://platform.test/gangs", "gang.log"]}
    write(tmp_path, product(gang_scheduling=evidence), "v1.36/p", gang__log="seen then")
    write(tmp_path, product(gang_scheduling=evidence), "v1.37/p", gang__log="seen then")
    result = json.loads(certify("validate", tmp_path, "--offline", "-o", "json").stdout)["submissions"]
    assert [rules(s["findings"], "gang_scheduling") & {"F-carried-over"} for s in result] == [set(), {"F-carried-over"}]
    write(tmp_path, product(gang_scheduling=evidence), "v1.37/p", gang__log="seen now")
    result = json.loads(certify("validate", tmp_path, "--offline", "-o", "json").stdout)["submissions"]
    assert not rules(result[1]["findings"], "gang_scheduling") & {"F-carried-over"}


def test_grades(tmp_path: Path) -> None:
    data = product(
        gang_scheduling={"evidence": ["junit.xml", "https://platform.test/"]},
        ai_inference={"evidence": ["output.md"]},
        pod_autoscaling={"evidence": ["https://platform.test/results/run.log"]},
        accelerator_metrics={"evidence": []},
    )
    graded = validated(write(tmp_path, data, junit__xml=junit(TestGangScheduling="pass"), output__md="seen"))["grades"]
    assert graded["gang_scheduling"] == "artifact"
    assert graded["ai_inference"] == "captured-log"
    assert graded["pod_autoscaling"] == "captured-log"
    assert graded["ai_service_metrics"] == "documentation-link"
    assert graded["accelerator_metrics"] == "bare-claim"
    assert graded["gpu_sharing"] == "not-claimed"


CHECKLIST = """
spec:
  schedulingOrchestration:
    - id: gang_scheduling
      description: The gang's own wording.
      level: MUST
"""


def test_fix_mends_what_is_mechanical_and_nothing_else(tmp_path: Path) -> None:
    checklists = tmp_path / "lists"
    checklists.mkdir()
    (checklists / "AIConformance-1.37.yaml").write_text(CHECKLIST)
    path = write(
        tmp_path,
        "# a licence\r\nmetadata:\r\n  platform_name: 'Quoted'  # kept\r\n  platformVersion: \"2.1\"\r\n"
        "  kubernetesVersion: v1.37.4\r\nspec:\r\n  schedulingOrchestration:\r\n    - id: gang_scheduling\r\n"
        "      description: >-\r\n        another\r\n        wording\r\n      level: SHOULD  # why\r\n"
        "      status: Implemented\r\n      evidence:\r\n        - ''\r\n        - a\r\n        - a\r\n",
    )
    first = certify("validate", path, "--offline", "--fix", "--checklists", checklists)
    assert "platform_name renamed to platformName" in first.stderr
    assert re.sub(rb" +#", b" #", path.read_bytes()).lstrip() == (
        b"# a licence\nmetadata:\n  platformName: 'Quoted' # kept\n  platformVersion: \"2.1\"\n"
        b"  kubernetesVersion: v1.37\nspec:\n  schedulingOrchestration:\n    - id: gang_scheduling\n"
        b"      description: >-\n        The gang's own wording.\n      level: MUST # why\n"
        b"      status: Implemented\n      evidence:\n        - a\n"
    )
    again = certify("validate", path, "--offline", "--fix", "--checklists", checklists)
    assert again.stderr == ""


@pytest.mark.parametrize(
    ("description", "said"),
    [
        ("The gang's own wording.", ""),
        ("The gang's own…", "is a part of the checklist's"),
        ("another wording", "is not the checklist's"),
        ("", "is missing"),
    ],
)
def test_a_shortened_description_is_told_from_another_one(tmp_path: Path, description: str, said: str) -> None:
    (tmp_path / "AIConformance-1.37.yaml").write_text(CHECKLIST)
    path = write(tmp_path, product(gang_scheduling={"description": description}))
    done = certify("validate", path, "--offline", "--checklists", tmp_path, "-o", "json")
    (submission,) = json.loads(done.stdout)["submissions"]
    messages = [
        each["message"]
        for each in submission["findings"]
        if (each["rule"], each["requirement"]) == ("F-description", "gang_scheduling")
    ]
    assert messages == ([f"the description {said}"] if said else [])


def test_sarif(tmp_path: Path) -> None:
    path = write(tmp_path, product(gang_scheduling={"status": "N/A"}))
    out = tmp_path / "out.sarif"
    result = certify("validate", path, "--offline", "--sarif", out, "-o", "sarif")
    log = json.loads(result.stdout)
    assert json.loads(out.read_text()) == log
    assert log["version"] == "2.1.0"
    (run,) = log["runs"]
    known = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    for entry in run["results"]:
        assert known[entry["ruleIndex"]] == entry["ruleId"]
        assert entry["level"] in ("error", "warning", "note")
        assert entry["locations"][0]["physicalLocation"]["region"]["startLine"] >= 1
    assert "P-must" in known


def test_strict_counts_errors_beyond_the_rules(tmp_path: Path) -> None:
    path = write(tmp_path, product(gang_scheduling={"evidence": []}))
    assert certify("validate", path, "--offline").exit_code == 0
    assert certify("validate", path, "--offline", "--strict").exit_code == 1
