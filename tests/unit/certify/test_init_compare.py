"""`certify init` and `certify compare`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.certify_material import METADATA, certify, junit, product, rules, validated, write
from support.certify_runs import CHECK, make_run


def test_a_new_checklist_has_every_requirement_and_only_placeholders_to_mend(tmp_path: Path) -> None:
    out = tmp_path / "v1.37/p"
    result = certify(
        "init", "--kubernetes", "1.37", "--no-input", "--out", out, "--platform-name", 'A "new" platform: #1'
    )
    assert result.exit_code == 0
    assert "to fill in: platformVersion" in result.stderr
    submission = validated(out)
    assert rules(submission["errors"]) == {"P-placeholder", "P-status"}
    assert set(submission["grades"].values()) == {"bare-claim", "not-claimed"} or submission["grades"]
    assert not {"F-level", "F-description"} & rules(submission["findings"])
    assert len(submission["grades"]) == 15


@pytest.mark.parametrize("version", ["v1.33", "v1.34", "v1.35", "v1.36", "v1.37"])
def test_every_version(tmp_path: Path, version: str) -> None:
    metadata = tmp_path / "metadata.yaml"
    metadata.write_text(json.dumps({k: v for k, v in METADATA.items() if k != "kubernetesVersion"}))
    out = tmp_path / version / "p"
    assert certify("init", "--kubernetes", version, "--no-input", "--metadata", metadata, "--out", out).exit_code == 0
    submission = validated(out)
    assert rules(submission["errors"]) == {"P-status"}
    assert "F-description" not in rules(submission["findings"])
    text = (out / "PRODUCT.yaml").read_text()
    (out / "PRODUCT.yaml").write_text(text.replace('description: "', 'description: "Not ', 99))
    assert "F-description" in rules(validated(out)["findings"])


def test_the_programmes_wording_where_it_is_at_hand(tmp_path: Path) -> None:
    (tmp_path / "AIConformance-1.37.yaml").write_text(
        "spec:\n  security:\n  - id: secure_accelerator_access\n    description: Their words.\n    level: MUST\n"
    )
    out = tmp_path / "v1.37/p"
    assert certify("init", "--no-input", "--out", out, "--checklists", tmp_path).exit_code == 0
    assert 'description: "Their words."' in (out / "PRODUCT.yaml").read_text()


def test_wrong_use_of_init(tmp_path: Path) -> None:
    assert certify("init", "--kubernetes", "v9.9", "--no-input", "--out", tmp_path).exit_code == 2
    assert certify("init", "--kubernetes", "v1.38", "--no-input", "--out", tmp_path).exit_code == 2
    (tmp_path / "m.yaml").write_text("platfromName: x\n")
    assert "platfromName" in certify("init", "--no-input", "--out", tmp_path, "--metadata", tmp_path / "m.yaml").output
    assert certify("init", "--no-input", "--out", tmp_path / "x").exit_code == 0
    assert "exists" in certify("init", "--no-input", "--out", tmp_path / "x").output


def test_two_versions_of_a_product(tmp_path: Path) -> None:
    old = product(metadata={"platformVersion": "2.0"})
    new = product(
        gang_scheduling={"evidence": ["junit.xml"], "notes": "By a run."}, gpu_sharing={"status": "Implemented"}
    )
    one = write(tmp_path, old, "v1.36/p")
    two = write(tmp_path, new, "v1.37/p", junit__xml=junit(TestGangScheduling="pass"))
    result = certify("compare", one, two)
    assert result.exit_code == 0
    assert "platformVersion: 2.0 -> 2.1" in result.stdout
    assert "gang_scheduling: grade: documentation-link -> artifact" in result.stdout
    assert "gpu_sharing: status: - -> Implemented" in result.stdout
    assert "ai_inference: evidence unchanged (the same 1 entry)" in result.stdout
    assert "workload_sandboxing: level: - -> SHOULD" in result.stdout
    assert "- -> -" not in result.stdout
    data = json.loads(certify("compare", one, two, "-o", "json").stdout)
    assert data["requirements"]["workload_sandboxing"][0]["level"] is None
    assert data["requirements"]["workload_sandboxing"][1]["level"] == "SHOULD"
    assert {"requirement": "gpu_sharing", "what": "status", "before": "", "after": "Implemented"} in data["changes"]


def test_assertions_that_came_out_differently_are_named(tmp_path: Path) -> None:
    start = write(tmp_path / "start", product(**{CHECK: {"status": "", "evidence": []}}))
    bundles = []
    for version, leaks in (("v1.36", False), ("v1.37", True)):
        run = make_run(tmp_path / f"run-{version}", run=version.replace(".", ""), version=version, leaks=leaks)
        bundles.append(tmp_path / version / "p")
        built = certify("build", run, "--product", start, "--out", bundles[-1])
        assert built.exit_code == 0, built.output
    changes = json.loads(certify("compare", *bundles, "-o", "json").stdout)["changes"]
    named = [change for change in changes if change["what"].startswith(f"{CHECK}/")]
    assert named
    assert {change["before"] for change in named} == {"holds"}
    assert "broken" in {change["after"] for change in named}


def test_platforms_side_by_side(tmp_path: Path) -> None:
    paths = [write(tmp_path, product(), f"v1.37/{name}") for name in "abc"]
    result = certify("compare", *paths)
    assert "v1.37/a" in result.stdout.splitlines()[0]
    assert json.loads(certify("compare", *paths, "-o", "json").stdout)["changes"] is None


def test_what_cannot_be_compared(tmp_path: Path) -> None:
    one = write(tmp_path, product())
    assert certify("compare", one).exit_code == 2
    broken = write(tmp_path, "a: [", "v1.37/broken")
    result = certify("compare", one, broken)
    assert result.exit_code == 2
    assert "broken" in result.output


def test_two_platforms_are_compared_with_their_age_and_what_grades_mean(tmp_path: Path) -> None:
    other = {"platformName": "Bravo Cloud", "vendorName": "Bravo", "platformVersion": "9"}
    one, two = write(tmp_path, product()).parent, write(tmp_path, product(metadata=other), "v1.37/bravo").parent
    (tmp_path / "dates.yaml").write_text("v1.37/test-platform: 2026-11-03\nv1.37/bravo: 2025-10-01\n")
    day = ("--dates", tmp_path / "dates.yaml", "--date", "2026-11-29")
    said = certify("compare", one, two, *day)
    assert said.exit_code == 0, said.output
    assert "Test Platform 2.1 by Test Vendor; current, accepted 2026-11-03, counts until 2027-11-03" in said.stdout
    assert "Bravo Cloud 9 by Bravo; expired, accepted 2025-10-01, counts until 2026-10-01" in said.stdout
    assert "  documentation-link: a page that says how it could be done" in said.stdout
    found = json.loads(certify("compare", one, two, *day, "-o", "json").stdout)["submissions"]
    assert [(each["slug"], each["state"]) for each in found] == [("test-platform", "current"), ("bravo", "expired")]
