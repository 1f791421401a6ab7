"""The registry's data, through the command line: what is recorded, dated, compared, left out, and kept."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.certify_material import MUST, certify, junit, product, write
from support.certify_runs import make_run

from aiconform.certify.certificate import expiry
from aiconform.certify.registry import mentions
from aiconform.certify.registry.sources import slug
from aiconform.platform.accelerators.profiles import load_profiles

DAY = "2026-11-01"


def built(corpus: Path, out: Path, *options: str | Path) -> dict[str, Any]:
    result = certify("registry", "build", corpus, out, "--date", DAY, "-o", "json", *options)
    assert result.exit_code == 0, result.output
    return dict(json.loads(result.stdout))


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def dates(tmp_path: Path, **by_name: str) -> Path:
    path = tmp_path / "dates.yaml"
    path.write_text("".join(f"{name.replace('__', '/')}: {day}\n" for name, day in by_name.items()))
    return path


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """One platform in two versions, and one with an error."""
    root = tmp_path / "corpus"
    old = product(metadata={"kubernetesVersion": "v1.36", "platformName": "Test Platform"})
    write(root, old, "v1.36/test-platform")
    shown = {"evidence": ["junit.xml#TestGangScheduling"], "notes": "Kueue admits gangs on NVIDIA H100 Nodes."}
    write(root, product(gang_scheduling=shown), junit__xml=junit(TestGangScheduling="pass"))
    write(root, product(metadata={"platformName": "Other"}, ai_inference={"status": "Not Implemented"}), "v1.37/other")
    return root


def test_a_platform_with_its_versions_and_what_changed(corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert built(corpus, out)["platforms"] == 2
    platform = read(out / "platforms" / "test-platform.json")
    assert [each["version"] for each in platform["versions"]] == ["v1.37", "v1.36"]
    (step,) = platform["changes"]
    assert (step["from"], step["to"]) == ("v1.36", "v1.37")
    changed = {(each["requirement"], each["what"]): (each["before"], each["after"]) for each in step["changes"]}
    assert changed["gang_scheduling", "grade"] == ("documentation-link", "artifact")
    assert changed["pod_autoscaling", "evidence"] == ("1 piece", "the same")
    record = read(out / "platforms" / platform["versions"][0]["record"])
    assert record["accelerators"] == ["nvidia-gpu"]
    assert record["solutions"] == ["kueue"]
    assert record["must_grades"] == {"artifact": 1, "documentation-link": len(MUST) - 1}
    assert "contactEmailAddress" not in record["platform"]


def test_counts_and_index(corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    built(
        corpus,
        out,
        "--dates",
        dates(tmp_path, **{"v1.37__test-platform": "2026-03-01", "v1.36__test-platform": "2025-09-01"}),
    )
    summary = read(out / "registry.json")
    assert summary["counts"]["versions"] == {"v1.36": {"renewed": 1}, "v1.37": {"current": 1, "not-valid": 1}}
    assert summary["counts"]["requirements"]["gang_scheduling"]["v1.37"] == {"artifact": 1, "documentation-link": 1}
    assert summary["counts"]["solutions"] == {"kueue": 1}
    (index,) = summary["index"]
    rows = {(row["slug"], row["version"]): row for row in read(out / index)}
    assert [key for key, row in rows.items() if row["newest"]] == [("other", "v1.37"), ("test-platform", "v1.37")]
    assert rows["test-platform", "v1.37"]["expires"] == "2027-03-01"
    assert rows["other", "v1.37"]["state"] == "not-valid"


def test_without_a_date_the_age_is_unknown_and_says_so(corpus: Path, tmp_path: Path) -> None:
    built(corpus, tmp_path / "out")
    record = read(tmp_path / "out" / "submissions" / "v1.37" / "test-platform.json")
    assert (record["accepted"], record["expires"], record["state"]) == (None, None, "undated")


@pytest.mark.skipif(not shutil.which("git"), reason="there is no git here")
def test_the_date_of_a_merge_comes_from_git(corpus: Path, tmp_path: Path) -> None:
    def git(*arguments: str, day: str = "2026-02-03") -> None:
        when = {"GIT_COMMITTER_DATE": f"{day}T12:00:00Z", "GIT_AUTHOR_DATE": "2020-01-01T00:00:00Z"}
        names = ("-c", "user.name=t", "-c", "user.email=t@t.test", "-c", "commit.gpgsign=false")
        subprocess.run(["git", *names, *arguments], cwd=corpus, check=True, capture_output=True, env=os.environ | when)

    git("init", "-q", "-b", "main")
    git("add", "v1.36")
    git("commit", "-q", "-m", "one")
    git("checkout", "-q", "-b", "side")
    git("add", "v1.37/test-platform")
    git("commit", "-q", "-m", "two", day="2026-03-03")
    git("checkout", "-q", "main")
    git("merge", "-q", "--no-ff", "-m", "merged", "side", day="2026-04-05")
    built(corpus, tmp_path / "out")
    accepted = {
        f"{path.parent.name}/{path.stem}": read(path)["accepted"]
        for path in (tmp_path / "out" / "submissions").rglob("*.json")
    }
    assert accepted == {"v1.36/test-platform": "2026-02-03", "v1.37/test-platform": "2026-04-05", "v1.37/other": None}


def test_a_second_build_reads_and_writes_only_what_changed(corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert built(corpus, out)["recorded"] == 3
    again = built(corpus, out)
    assert (again["recorded"], again["written"], again["removed"]) == (0, 0, 0)
    (corpus / "v1.37" / "test-platform" / "junit.xml").write_text(junit(TestGangScheduling="fail"))
    shutil.rmtree(corpus / "v1.37" / "other")
    third = built(corpus, out)
    assert third["recorded"] == 1
    assert not (out / "platforms" / "other.json").exists()
    assert read(out / "submissions" / "v1.37" / "test-platform.json")["state"] == "not-valid"
    fresh = tmp_path / "fresh"
    built(corpus, fresh)
    for path in filter(Path.is_file, fresh.rglob("*")):
        assert (out / path.relative_to(fresh)).read_bytes() == path.read_bytes(), path


def test_a_broken_record_of_an_earlier_build_is_made_anew(corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    built(corpus, out)
    (out / "submissions" / "v1.37" / "other.json").write_text("[1, 2")
    assert built(corpus, out)["recorded"] == 1


def test_a_bundle_counts_with_its_runs(tmp_path: Path) -> None:
    data = product(secure_accelerator_access={"evidence": ["runs/0a1b2c3d/report.json"]})
    folder = write(tmp_path / "made", data).parent
    make_run(folder / "runs" / "0a1b2c3d")
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    with tarfile.open(corpus / "bundle.tar.gz", "w:gz") as archive:
        archive.add(folder, "v1.37/test-platform")
    out = tmp_path / "out"
    assert built(corpus, out)["submissions"] == 1
    record = read(out / "submissions" / "v1.37" / "test-platform.json")
    assert record["requirements"]["secure_accelerator_access"]["grade"] == "executed"
    assert record["requirements"]["secure_accelerator_access"]["verdict"] == "pass"
    assert [run["agrees"] for run in record["runs"]] == [True]
    assert built(corpus, out)["recorded"] == 0


def test_what_is_left_out_is_named_with_the_reason(corpus: Path, tmp_path: Path) -> None:
    write(corpus, product(), "again/v1.37/test-platform")
    write(corpus, product(), "nowhere/test-platform")
    (corpus / "broken.zip").write_bytes(b"PK")
    left = {each["source"]: each["why"] for each in built(corpus, tmp_path / "out")["left_out"]}
    assert left.keys() == {"v1.37/test-platform", "nowhere/test-platform", "broken.zip"}
    assert "again/v1.37/test-platform is the same product" in left["v1.37/test-platform"]
    assert "names no version" in left["nowhere/test-platform"]
    assert read(tmp_path / "out" / "registry.json")["left_out"]


def test_hostile_submissions_stay_small_and_plain(tmp_path: Path) -> None:
    corpus, out = tmp_path / "corpus", tmp_path / "out"
    long = "<script>alert(1)</script>\u202e\x1b[31m" * 3000
    claim = {"notes": long, "evidence": [f"https://x.test/{long}", *["javascript:alert(1)"] * 500]}
    write(corpus, product(gang_scheduling=claim, metadata={"platformName": long}), "v1.37/<b>..\u202e" + "n" * 90)
    write(corpus, "spec: [", "v1.37/unreadable")
    assert built(corpus, out)["submissions"] == 2
    files = sorted((out / "submissions" / "v1.37").iterdir())
    assert [path.name.isascii() for path in files] == [True, True]
    for path in files:
        text = path.read_text(encoding="utf-8")
        assert len(text) < 60_000
        assert "\u202e" not in text
        assert "\\u001b" not in text
    unreadable = read(out / "submissions" / "v1.37" / "unreadable.json")
    assert unreadable["state"] == "not-valid"
    assert unreadable["platform"]["platformName"] == "unreadable"


def test_a_folder_with_other_files_is_not_filled(corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "mine"
    out.mkdir()
    (out / "letter.txt").write_text("keep me")
    result = certify("registry", "build", corpus, out)
    assert result.exit_code == 2
    assert "has other files" in result.output
    assert [path.name for path in out.iterdir()] == ["letter.txt"]


def test_a_corpus_without_submissions_is_wrong_use(tmp_path: Path) -> None:
    (tmp_path / "corpus").mkdir()
    result = certify("registry", "build", tmp_path / "corpus", tmp_path / "out")
    assert result.exit_code == 2
    assert "no PRODUCT.yaml and no bundle" in result.output


@given(st.text(min_size=1) | st.text("a0-", min_size=59, max_size=72))
def test_a_slug_is_a_plain_name_of_a_file(name: str) -> None:
    made = slug(name)
    assert made
    assert len(made) <= 70
    assert made.isascii()
    assert not set(made) & set("/\\<>\"'& %?#:")
    assert not made.startswith(".")
    assert slug(made) == made


@pytest.mark.parametrize("name", ["con", "AUX", "nul.2", "com1", "-lpt9", "prn.x"])
def test_no_page_has_a_name_of_a_device_of_windows(tmp_path: Path, name: str) -> None:
    write(tmp_path / "corpus", product(), f"v1.37/{name}")
    assert certify("registry", "build", tmp_path / "corpus", tmp_path / "site").exit_code == 0
    (page,) = (tmp_path / "site/platforms").glob("*.html")
    assert page.name.startswith("product-")
    assert slug(page.name.removesuffix(".html")) == page.name.removesuffix(".html")


def test_products_that_differ_have_slugs_that_differ() -> None:
    names = ["a b", "a-b", "a.b", "a/b", "é", "è", "x" * 61, "x" * 62, "<b>", "b"]
    assert len({slug(name) for name in names}) == len(names)


@pytest.mark.parametrize(
    ("text", "accelerators", "solutions"),
    [
        ("DCGM exporter on H100", ["nvidia-gpu"], ["dcgm-exporter"]),
        ("https://x.test/docs/envoy-gateway/", [], ["envoy-gateway"]),
        ("Envoy AI Gateway", [], ["envoy-ai-gateway"]),
        ("使用Kueue与昇腾Ascend", ["huawei-ascend"], ["kueue"]),
        ("array of trays, amdahl, promethean", [], []),
    ],
)
def test_names_are_whole_words(text: str, accelerators: list[str], solutions: list[str]) -> None:
    assert mentions.named(text, mentions.accelerators()) == accelerators
    assert mentions.named(text, mentions.solutions()) == solutions


def test_every_known_accelerator_can_be_named() -> None:
    known = {
        profile.name for profile in load_profiles().accelerators if not profile.simulated and "lab" not in profile.name
    }
    assert {each.title for each in mentions.accelerators()} == known


def test_a_year_from_a_leap_day() -> None:
    from datetime import date

    assert expiry(date(2028, 2, 29)) == date(2029, 3, 1)
    assert expiry(date(2026, 5, 6)) == date(2027, 5, 6)


REPORT = """
apiVersion: gateway.networking.k8s.io/v1
kind: ConformanceReport
date: "{date}"
gatewayAPIVersion: v1.4.0
gatewayAPIChannel: standard
implementation: {{organization: envoyproxy, project: envoy-gateway, url: https://gateway.test, version: {version}}}
profiles:
- name: GATEWAY-HTTP
  core: {{result: {result}, statistics: {{Passed: {passed}, Failed: {failed}, Skipped: 0}}}}
  extended: {{result: success, statistics: {{Passed: 4, Failed: 0, Skipped: 1}}, supportedFeatures: [A, B]}}
"""


def report(
    version: str = "v1.6.0", day: str = "2026-01-02", result: str = "success", passed: int = 33, failed: int = 0
) -> str:
    return REPORT.format(version=version, date=f"{day}T10:00:00Z", result=result, passed=passed, failed=failed)


def test_reports_of_implementations_are_shown_beside_who_names_them(tmp_path: Path) -> None:
    corpus, out, reports = tmp_path / "corpus", tmp_path / "out", tmp_path / "reports"
    write(corpus, product(ai_inference={"notes": "Envoy Gateway routes by header."}))
    (reports / "v1.4.0").mkdir(parents=True)
    (reports / "v1.4.0" / "old.yaml").write_text(report("v1.5.0", "2025-01-02"))
    (reports / "v1.4.0" / "new.yaml").write_text(report())
    inference = report().replace("gatewayAPIVersion: v1.4.0", "GatewayAPIInferenceExtensionVersion: v1.0.0")
    (reports / "inference.yml").write_text(inference)
    (reports / "other.yaml").write_text("kind: Deployment\n")
    (reports / "broken.yaml").write_text("kind: [")
    (left_out,) = built(corpus, out, "--reports", reports)["left_out"]
    assert left_out["source"] == "broken.yaml"
    assert left_out["why"].startswith("it cannot be read: ")
    found = {each["kind"]: each for each in read(out / "reports.json")}
    assert found.keys() == {"gateway-api", "inference-extension"}
    assert found["gateway-api"]["version"] == "v1.6.0"
    assert found["gateway-api"]["outcome"] == "passed"
    assert found["gateway-api"]["solutions"] == ["envoy-gateway"]
    assert found["inference-extension"]["api_version"] == "v1.0.0"
    (profile,) = found["gateway-api"]["profiles"]
    assert (profile["passed"], profile["skipped"], profile["features"]) == (37, 1, 2)
    page = (out / "platforms" / "test-platform.html").read_text()
    assert "about a thing that the vendor names, not about this platform" in page


@pytest.mark.parametrize(
    ("values", "outcome"),
    [
        ({"result": "success", "passed": 0}, "passed"),
        ({"result": "success", "failed": 1}, "failed"),
        ({"result": "failure"}, "failed"),
        ({"result": "partial"}, "partly passed"),
    ],
)
def test_the_counts_of_a_report_decide_before_its_words(tmp_path: Path, values: dict[str, Any], outcome: str) -> None:
    corpus, reports = tmp_path / "corpus", tmp_path / "reports"
    write(corpus, product())
    reports.mkdir()
    (reports / "one.yaml").write_text(report(**values))
    built(corpus, tmp_path / "out", "--reports", reports)
    (found,) = read(tmp_path / "out" / "reports.json")
    assert found["outcome"] == outcome


def test_a_report_without_a_passed_test_shows_nothing(tmp_path: Path) -> None:
    corpus, reports = tmp_path / "corpus", tmp_path / "reports"
    write(corpus, product())
    reports.mkdir()
    (reports / "one.yaml").write_text(report(passed=0).replace("Passed: 4", "Passed: 0"))
    (reports / "two.yaml").write_text("kind: ConformanceReport\nimplementation: {project: x}\n")
    built(corpus, tmp_path / "out", "--reports", reports)
    assert [each["outcome"] for each in read(tmp_path / "out" / "reports.json")] == ["nothing passed"] * 2


def test_reports_and_upstream_tests_in_a_submission(tmp_path: Path) -> None:
    corpus, out = tmp_path / "corpus", tmp_path / "out"
    tests = {"[sig-node] Pods run [Conformance]": "pass", "[sig-apps] Jobs run": "skip", "mine": "pass"}
    claims = {"ai_inference": {"evidence": ["report.yaml"]}, "gang_scheduling": {"evidence": ["junit_01.xml"]}}
    write(corpus, product(**claims), report__yaml=report(), junit_01__xml=junit(**tests))
    built(corpus, out)
    record = read(out / "submissions" / "v1.37" / "test-platform.json")
    upstream, gateway = sorted(record["reports"], key=lambda each: each["kind"], reverse=True)
    assert (upstream["kind"], upstream["passed"], upstream["skipped"]) == ("kubernetes-e2e", 1, 1)
    assert upstream["requirement"] == "gang_scheduling"
    assert (gateway["kind"], gateway["outcome"]) == ("gateway-api", "passed")
    assert "evidence of others" in (out / "platforms" / "test-platform.html").read_text().lower()


def test_every_page_is_written_and_kept_small_whatever_a_submission_holds(tmp_path: Path) -> None:
    corpus, out = tmp_path / "corpus", tmp_path / "out"
    worst = '&"<' * 2000
    metadata = dict.fromkeys(("platformName", "vendorName", "description", "platformVersion", "websiteUrl"), worst)
    claims = {id_: {"notes": worst, "status": worst, "evidence": [f"{n}{worst}" for n in range(40)]} for id_ in MUST}
    for version in ("v1.33", "v1.34", "v1.35", "v1.36", "v1.37"):
        write(corpus, product(metadata=metadata, **claims), f"{version}/worst")
    for number in range(120):
        write(corpus, product(metadata=metadata), f"v1.37/many-{number}")
    built(corpus, out)
    pages = [path for path in out.rglob("*") if path.suffix in (".html", ".js", ".svg", ".css")]
    assert {path.name for path in pages if path.stat().st_size > 300_000} == set()
    assert (out / "list" / "2.html").is_file()
