"""The real submissions of 2026, where they are at hand (AICONFORM_SHARED, or ../shared beside the checkout)."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import yaml
from support.certify_material import certify

SHARED = Path(os.environ.get("AICONFORM_SHARED", Path(__file__).parents[3].parent / "shared"))
SUBMISSIONS = SHARED / "cncf" / "submissions"
pytestmark = pytest.mark.skipif(not SUBMISSIONS.is_dir(), reason="no corpus: set AICONFORM_SHARED to its folder")
REQUIRED = (
    "kubernetesVersion",
    "platformName",
    "platformVersion",
    "vendorName",
    "websiteUrl",
    "documentationUrl",
    "productLogoUrl",
    "description",
    "contactEmailAddress",
    "k8sConformanceUrl",
)


@pytest.fixture(scope="module")
def corpus() -> dict[str, dict[str, object]]:
    result = certify("validate", SUBMISSIONS, "--offline", "-o", "json")
    assert result.exit_code == 1
    return {"/".join(s["path"].split("/")[-3:-1]): s for s in json.loads(result.stdout)["submissions"]}


def test_the_verdicts_are_those_counted_by_hand(corpus: dict[str, dict[str, object]]) -> None:
    valid: dict[str, list[int]] = {}
    for name, submission in corpus.items():
        valid.setdefault(name.split("/")[0], []).append(int(bool(submission["valid"])))
    assert {version: (sum(each), len(each)) for version, each in valid.items()} == {
        "v1.33": (2, 10),
        "v1.34": (7, 15),
        "v1.35": (16, 17),
        "v1.36": (3, 3),
    }


def test_every_missing_field_is_reported_and_no_other(corpus: dict[str, dict[str, object]]) -> None:
    for name, submission in corpus.items():
        errors = {(e["rule"], e["message"].split()[0]) for e in submission["errors"]}  # type: ignore[attr-defined]
        told = {field for rule, field in errors if rule == "P-metadata"}
        fields = yaml.safe_load((SUBMISSIONS / name / "PRODUCT.yaml").read_bytes())["metadata"]
        present = {key.replace("_", "").lower() for key, value in fields.items() if value}
        missing = {field for field in REQUIRED if field.lower() not in present}
        if name != "v1.33/talos":  # scalar evidence: not loaded at all
            assert told == missing, name


def test_the_known_oddities_are_found(corpus: dict[str, dict[str, object]]) -> None:
    def has(name: str, rule: str, requirement: str | None = None) -> bool:
        every = [f for kind in ("errors", "warnings", "findings") for f in corpus[name][kind]]  # type: ignore[attr-defined]
        return any(f["rule"] == rule and f["requirement"] == requirement for f in every)

    assert has("v1.33/talos", "P-load")
    assert has("v1.33/giantswarm", "P-evidence-file", "secure_accelerator_access")
    assert has("v1.35/daocloud", "P-artifact", "dra_support")
    assert has("v1.36/orkestrix", "F-contradiction", "cluster_autoscaling")
    assert has("v1.33/jdos", "F-copied-notes", "gang_scheduling")
    assert has("v1.33/chinaunicom-csk", "F-copied-notes", "cluster_autoscaling")
    assert has("v1.35/ericsson-ccd", "F-must-no-evidence", "cluster_autoscaling")
    assert has("v1.35/viettel-ai-platform", "F-version-form")
    assert has("v1.34/rke2", "F-level", "dra_support")
    assert has("v1.34/Taichu", "F-description", "gang_scheduling")
    assert has("v1.34/cks", "F-example")
    assert has("v1.36/aks", "F-other-version", "secure_accelerator_access")
