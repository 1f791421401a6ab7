"""The next certification of a platform, and platforms that are layered on others: `certify delta`, `init --from`,
`certify layers`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.certify_material import METADATA, MUST, certify, junit, product, rules, validated, write
from support.certify_runs import CHECK, make_run

DOCUMENT = "https://platform.test/docs/2.1/sharing"


def old(root: Path, name: str = "v1.36/p", **changed: Any) -> Path:
    """The folder of a submission for v1.36."""
    metadata = {
        "kubernetesVersion": "v1.36",
        "k8sConformanceUrl": METADATA["k8sConformanceUrl"].replace("1.37", "1.36"),
    }
    return write(root, product(metadata={**metadata, **changed.pop("metadata", {})}, **changed), name).parent


def steps(submission: Path, *options: str) -> dict[str, dict[str, Any]]:
    done = certify("delta", submission, "-o", "json", *options)
    assert done.exit_code == 0, done.output
    return {each["requirement"]: each for each in json.loads(done.stdout)["requirements"]}


def test_what_a_run_can_show_is_run_again_and_documents_may_be_carried_over(tmp_path: Path) -> None:
    shared = {"status": "Implemented", "evidence": [DOCUMENT], "notes": "By time slices."}
    folder = old(tmp_path, virtualized_accelerator=shared)
    found = steps(folder, "--kubernetes", "v1.37")
    assert {id_ for id_, each in found.items() if each["what"] == "run"} == set(MUST)
    carried = found["virtualized_accelerator"]
    assert carried["what"] == "carry"
    assert (carried["evidence"], carried["status"]) == ([DOCUMENT], "Implemented")
    assert "read again what they say of v1.37" in carried["why"]
    # On the list of v1.37 alone.
    assert found["workload_sandboxing"]["what"] == "answer"
    assert "new on the list of v1.37" in found["workload_sandboxing"]["why"]
    text = certify("delta", folder, "--kubernetes", "v1.37").stdout
    assert "v1.36/p to v1.37: 8 to run again" in text
    assert "k8sConformanceUrl: the base has to be Certified Kubernetes for v1.37 first" in text


@pytest.mark.parametrize(
    ("claim", "what", "why"),
    [
        ({"status": "Implemented", "evidence": ["https://platform.test/k8s-1.36-conformance"]}, "show", "is of v1.36"),
        ({"status": "Implemented", "evidence": ["sharing.log"]}, "show", "is of v1.36"),
        ({"status": "Implemented", "evidence": ["junit.xml#TestSharing"]}, "show", "is of v1.36"),
        ({"status": "Implemented", "evidence": []}, "show", "nothing was shown"),
        ({"status": "N/A", "notes": "No shares.", "evidence": [DOCUMENT]}, "answer", "it was 'N/A'"),
        ({"status": "Not Implemented", "evidence": [DOCUMENT]}, "answer", "it was 'Not Implemented'"),
        ({}, "answer", "it was not answered"),
    ],
)
def test_what_is_of_one_version_is_not_carried_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, claim: dict[str, Any], what: str, why: str
) -> None:
    monkeypatch.setattr("aiconform.certify.delta.has_check", lambda id_: id_ != "high_performance_networking")
    folder = old(tmp_path, high_performance_networking=claim)
    (folder / "sharing.log").write_text("seen")
    (folder / "junit.xml").write_text(junit(TestSharing="pass"))
    found = steps(folder, "--kubernetes", "v1.37")["high_performance_networking"]
    assert found["what"] == what
    assert why in found["why"]
    assert (found["evidence"], found["status"]) == ([], "")


def test_a_run_is_of_its_version_and_day(tmp_path: Path) -> None:
    folder = old(tmp_path, **{CHECK: {"status": "", "evidence": [], "notes": "In our words."}})
    run = make_run(tmp_path / "run", version="v1.36", at="2025-11-24T02:00:00.000Z")
    assert certify("build", run, "--out", folder, "--layer", f"{CHECK}=the base").exit_code == 0
    found = steps(folder, "--kubernetes", "v1.37")[CHECK]
    assert found["what"] == "run"
    assert found["why"] == "run 0a1b2c3d is of v1.36.2 on 2025-11-24: it shows nothing of v1.37"
    assert found["notes"] == "Layer: the base. In our words."
    again = steps(folder, "--kubernetes", "v1.36")[CHECK]
    assert again["why"].endswith("it shows nothing a year later")


def test_what_the_base_took_over_is_gone(tmp_path: Path) -> None:
    whole = product(metadata={"kubernetesVersion": "v1.35"})
    whole["spec"]["accelerators"] += [
        {"id": "dra_support", "level": "MUST", "status": "Implemented", "evidence": ["x"]}
    ]
    folder = write(tmp_path, whole, "v1.35/p").parent
    found = steps(folder, "--kubernetes", "v1.36")["dra_support"]
    assert (found["what"], found["why"]) == ("gone", "base conformance covers it from v1.36 on")


def test_the_next_file_has_what_may_be_carried_over_and_nothing_else(tmp_path: Path) -> None:
    shared = {"status": "Implemented", "evidence": [DOCUMENT], "notes": 'By "time slices": #1.'}
    folder = old(tmp_path, virtualized_accelerator=shared)
    out = tmp_path / "v1.37/p"
    done = certify("init", "--from", folder, "--kubernetes", "v1.37", "--no-input", "--out", out)
    assert done.exit_code == 0, done.output
    assert "to fill in: k8sConformanceUrl\n" in done.stderr
    assert "to run again:" in done.stderr
    submission = validated(out)
    assert rules(submission["errors"]) == {"P-placeholder", "P-status"}
    assert {each["requirement"] for each in submission["errors"] if each["rule"] == "P-status"} == set(MUST)
    assert submission["grades"]["virtualized_accelerator"] == "documentation-link"
    text = (out / "PRODUCT.yaml").read_text()
    assert 'kubernetesVersion: "v1.37"' in text
    assert 'platformName: "Test Platform"' in text
    assert 'notes: "By \\"time slices\\": #1."' in text
    assert f"docs/2.1/{CHECK}" not in text
    # What is given on the command line is newer.
    more = ("--platform-version", "3.0", "--k8s-conformance-url", METADATA["k8sConformanceUrl"])
    other = tmp_path / "v1.37/q"
    assert (
        certify("init", "--from", folder, "--kubernetes", "v1.37", "--no-input", "--out", other, *more).exit_code == 0
    )
    assert 'platformVersion: "3.0"' in (other / "PRODUCT.yaml").read_text()
    assert certify("build", make_run(tmp_path / "run"), "--out", other).exit_code == 0


def test_wrong_use_of_delta(tmp_path: Path) -> None:
    folder = old(tmp_path)
    for arguments in ((folder, "--kubernetes", "v1.35"), (folder, "--kubernetes", "v1.38"), (tmp_path,)):
        done = certify("delta", *arguments)
        assert done.exit_code == 2, done.output
        assert done.stderr.startswith("aiconform: ")


# Layers


BASE = {"platformName": "Solid Ground", "vendorName": "Other"}


def layered(root: Path, **changed: Any) -> tuple[Path, Path]:
    """(a product on top of another one, its base)."""
    base = write(root, product(metadata=BASE), "v1.37/solid-ground").parent
    (base / "CERTIFICATE.yaml").write_text("merged: 2026-09-01\n")
    claims: dict[str, Any] = {id_: {"notes": "Layer: Solid Ground 4. Seen."} for id_ in MUST}
    claims["gang_scheduling"] = {"notes": "Layer: our queues. Seen."}
    return write(root, product(**{**claims, **changed}), "v1.37/p").parent, base


def told(product_: Path, base: Path, code: int, day: str = "2026-11-01") -> dict[str, dict[str, Any]]:
    done = certify("layers", product_, base, "--date", day, "-o", "json")
    assert done.exit_code == code, done.output
    return {each["requirement"]: each for each in json.loads(done.stdout)["requirements"]}


def test_what_a_product_adds_and_what_its_base_is_certified_for(tmp_path: Path) -> None:
    one, base = layered(tmp_path)
    found = told(one, base, 0)
    assert found["gang_scheduling"]["provider"] == "product"
    assert {each["provider"] for id_, each in found.items() if id_ != "gang_scheduling"} == {"base"}
    assert found[CHECK]["base_grade"] == "documentation-link"
    text = certify("layers", one, base, "--date", "2026-11-01").stdout
    assert text.startswith("Solid Ground v1.37: current\nadded by the product:\n  MUST   gang_scheduling: ")
    assert "provided by its base:\n" in text


def test_a_claim_that_rests_on_nothing_is_told(tmp_path: Path) -> None:
    based = {"status": "Implemented", "notes": "Layer: base."}
    claims = {"pod_autoscaling": {"notes": "Seen."}, "virtualized_accelerator": based}
    one, base = layered(tmp_path, **claims)
    found = told(one, base, 1)
    assert found["pod_autoscaling"]["problems"] == ["the notes name no layer"]
    assert found["virtualized_accelerator"]["problems"] == ["the base is not certified for it (not claimed)"]
    assert "problem: the base is not certified for it" in certify("layers", one, base).stdout
    found = told(one, base, 1, "2028-01-01")
    assert found[CHECK]["problems"] == ["the base's certification is expired"]
    assert certify("withdraw", base, "--by", "Other", "--why", "gone", "--date", "2026-10-01").exit_code == 0
    assert told(one, base, 1)[CHECK]["problems"] == ["the base's certification is withdrawn"]


def test_a_base_of_another_version(tmp_path: Path) -> None:
    one, _ = layered(tmp_path)
    base = old(tmp_path, "v1.36/solid-ground", metadata=BASE)
    (base / "CERTIFICATE.yaml").write_text("merged: 2026-09-01\n")
    assert told(one, base, 1)[CHECK]["problems"] == ["the base is certified for v1.36, not for v1.37"]
    assert certify("layers", one, tmp_path).exit_code == 2
