"""The life of a certification: merged, counting for a year, renewed, expired, withdrawn, appealed against."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from support.certify_material import certify, product, rules, validated, write
from support.certify_runs import CHECK, make_run

MERGED = "merged: 2026-03-01\n"


def lived(path: Path, day: str, *options: str | Path) -> dict[str, dict[str, Any]]:
    """By version and slug, what `certify life` says on a day."""
    done = certify("life", path, "--date", day, "-o", "json", *options)
    assert done.exit_code == 0, done.output
    return {f"{each['version']}/{each['slug']}": each for each in json.loads(done.stdout)["certifications"]}


def certified(root: Path, text: str = MERGED, name: str = "v1.37/p", **changed: Any) -> Path:
    """The folder of a valid submission with what the programme recorded."""
    folder = write(root, product(**changed), name).parent
    (folder / "CERTIFICATE.yaml").write_text(text)
    return folder


@pytest.mark.parametrize(
    ("text", "day", "state", "expires"),
    [
        (MERGED, "2026-03-01", "current", "2027-03-01"),
        (MERGED, "2027-03-01", "current", "2027-03-01"),
        (MERGED, "2027-03-02", "expired", "2027-03-01"),
        (f"{MERGED}renewed: [2027-02-20]\n", "2027-03-02", "current", "2028-02-20"),
        (f"{MERGED}renewed: [2027-02-20]\n", "2027-02-01", "current", "2027-03-01"),
        (f"{MERGED}renewed: [2027-02-20]\n", "2028-02-21", "expired", "2028-02-20"),
        ("{}\n", "2026-03-01", "undated", None),
        (f"{MERGED}withdrawn: {{date: 2026-05-01, by: Vendor, why: sold}}\n", "2026-04-30", "current", "2027-03-01"),
        (f"{MERGED}withdrawn: {{date: 2026-05-01, by: Vendor, why: sold}}\n", "2026-05-01", "withdrawn", "2026-05-01"),
    ],
)
def test_from_the_merge_to_the_end(tmp_path: Path, text: str, day: str, state: str, expires: str | None) -> None:
    found = lived(certified(tmp_path, text), day)["v1.37/p"]
    assert (found["state"], found["expires"]) == (state, expires)


def test_an_expired_version_lives_on_in_a_newer_one_that_is_certified(tmp_path: Path) -> None:
    certified(tmp_path, "merged: 2025-12-01\n", "v1.36/p")
    newest = certified(tmp_path, "merged: 2026-11-20\n")
    found = lived(tmp_path, "2026-12-10")
    assert {name: each["state"] for name, each in found.items()} == {"v1.37/p": "current", "v1.36/p": "renewed"}
    assert found["v1.36/p"]["renewed_by"] == "v1.37"
    # What is withdrawn renews nothing.
    certify("withdraw", newest, "--by", "Vendor", "--why", "wrong cluster", "--date", "2026-12-01")
    assert lived(tmp_path, "2026-12-10")["v1.36/p"]["state"] == "expired"
    assert lived(tmp_path, "2027-12-10")["v1.36/p"]["state"] == "expired"


def test_the_history_knows_better_than_the_record(tmp_path: Path) -> None:
    folder = certified(tmp_path)
    when = {"GIT_COMMITTER_DATE": "2026-04-05T12:00:00Z", "GIT_AUTHOR_DATE": "2026-04-05T12:00:00Z"}
    for arguments in (("init", "-q"), ("add", "."), ("commit", "-q", "-m", "merged")):
        names = ("-c", "user.name=t", "-c", "user.email=t@t.test", "-c", "commit.gpgsign=false")
        subprocess.run(["git", *names, *arguments], cwd=tmp_path, check=True, env=os.environ | when)
    for path in (tmp_path, folder):
        assert lived(path, "2026-05-01")["v1.37/p"]["accepted"] == "2026-04-05"
    dates = tmp_path / "dates.yaml"
    dates.write_text("v1.37/p: 2026-04-09\n")
    assert lived(folder, "2026-05-01", "--dates", dates)["v1.37/p"]["expires"] == "2027-04-09"


def test_the_record_is_not_what_the_vendor_signs(tmp_path: Path) -> None:
    folder = write(tmp_path, product(**{CHECK: {"status": "", "evidence": []}})).parent
    assert certify("build", make_run(tmp_path / "run"), "--out", folder).exit_code == 0
    assert certify("sign", folder, "--new-key", tmp_path / "vendor").exit_code == 0
    (folder / "CERTIFICATE.yaml").write_text(MERGED)
    assert certify("verify", folder, "--key", tmp_path / "vendor.pub").exit_code == 0
    certify("withdraw", folder, "--by", "Programme", "--why", "The run was of a rented lab.")
    done = certify("verify", folder, "--key", tmp_path / "vendor.pub")
    assert done.exit_code == 0
    assert "note: the programme has withdrawn it on" in done.stdout
    # A build does not touch it.
    assert certify("build", tmp_path / "run", "--out", folder).exit_code == 0
    assert "rented lab" in (folder / "CERTIFICATE.yaml").read_text()


# Appeals


def test_an_appeal_from_the_first_word_to_the_decision(tmp_path: Path) -> None:
    folder = certified(tmp_path, f"# Kept by hand.\n{MERGED}")
    about = ("--about", "gang_scheduling", "--link", "https://programme.test/issues/1", "--date", "2026-05-01")
    assert certify("appeal", folder, "--by", "Jane Doe", "--why", "Half a gang ran.", *about).exit_code == 0
    assert "F-appeal" in rules(validated(folder)["findings"], "gang_scheduling")
    text = certify("life", folder, "--date", "2026-06-01").stdout
    assert "current    v1.37/p  Test Platform: accepted 2026-03-01, counts until 2027-03-01" in text
    assert "appeal 1 of 2026-05-01 by Jane Doe about gang_scheduling (Half a gang ran.): open" in text
    decided = ("--decide", "1", "--outcome", "rejected", "--why", "It was another cluster.", "--date", "2026-06-02")
    assert certify("appeal", folder, *decided).exit_code == 0
    assert "F-appeal" not in rules(validated(folder)["findings"])
    assert "rejected on 2026-06-02: It was another cluster." in certify("life", folder).stdout
    assert certify("appeal", folder, *decided).exit_code == 2
    assert (folder / "CERTIFICATE.yaml").read_text().startswith("# Kept by hand.\n")


def test_an_upheld_appeal_stays_a_finding_and_a_withdrawal_an_error(tmp_path: Path) -> None:
    folder = certified(tmp_path)
    assert certify("appeal", folder, "--by", "J", "--why", "w", "--date", "2026-05-01").exit_code == 0
    decided = ("--decide", "1", "--outcome", "upheld", "--why", "True.", "--date", "2026-06-02")
    assert certify("appeal", folder, *decided).exit_code == 0
    assert certify("withdraw", folder, "--by", "Programme", "--why", "Appeal 1.", "--date", "2026-06-03").exit_code == 0
    found = {each["rule"]: each for each in validated(folder)["findings"]}
    assert "appeal 1 by 'J' was upheld on 2026-06-02: 'True.'" in found["F-appeal"]["message"]
    assert found["F-withdrawn"]["severity"] == "error"
    again = certify("withdraw", folder, "--by", "Programme", "--why", "Again.")
    assert again.exit_code == 2
    assert "was withdrawn on 2026-06-03 already" in again.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("--why", "w"),
        ("--by", "J", "--why", "w", "--about", "gang"),
        ("--why", "w", "--decide", "1"),
        ("--why", "w", "--decide", "1", "--outcome", "upheld"),
        ("--by", "J"),
    ],
)
def test_wrong_use_of_appeal(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    folder = certified(tmp_path)
    assert certify("appeal", folder, *arguments).exit_code == 2
    assert (folder / "CERTIFICATE.yaml").read_text() == MERGED
    assert certify("appeal", tmp_path, "--by", "J", "--why", "w").exit_code == 2


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "merged: soon",
        "merged: 0",
        "merged: '0'",
        "renewed: [20260301]",
        "colour: red",
        "appeals: [{raised: 2026-05-01}]",
        "appeals: [{raised: 2026-05-01, by: J, why: w, decided: 2026-06-01}]",
        "appeals: [{raised: 2026-05-01, by: J, why: w, decided: 2026-04-01, outcome: upheld, decision: d}]",
        "appeals: [{raised: 2026-05-01, by: J, why: w, about: [no_such_thing]}]",
        "withdrawn: yes",
        "a: &a [*a]",
        "[" * 9999,
    ],
)
def test_a_record_that_cannot_be_read_is_a_finding(tmp_path: Path, text: str) -> None:
    folder = certified(tmp_path, text)
    assert "F-certificate" in rules(validated(folder)["findings"])
    found = lived(folder, "2026-05-01")["v1.37/p"]
    assert found["certificate"] is None or found["certificate"]["appeals"]


def test_the_registry_shows_it(tmp_path: Path) -> None:
    folder = certified(tmp_path / "corpus", name="v1.37/p")
    certified(tmp_path / "corpus", "merged: 2025-06-01\n", "v1.36/p", metadata={"kubernetesVersion": "v1.36"})
    certify("appeal", folder, "--by", "<b>J</b>", "--why", "Half a gang ran.", "--date", "2026-05-01")
    out = tmp_path / "out"
    done = certify("registry", "build", tmp_path / "corpus", out, "--date", "2026-11-01", "-o", "json")
    assert done.exit_code == 0, done.output
    page = (out / "platforms/p.html").read_text()
    assert "Half a gang ran." in page
    assert "<b>J</b>" not in page
    platform = json.loads((out / "platforms/p.json").read_text())
    assert [(each["state"], each["renewed_by"]) for each in platform["versions"]] == [
        ("current", None),
        ("renewed", "v1.37"),
    ]
    certify("withdraw", folder, "--by", "Programme", "--why", "Appeal 1.", "--date", "2026-10-01")
    again = certify("registry", "build", tmp_path / "corpus", out, "--date", "2026-11-01", "-o", "json")
    assert json.loads(again.stdout)["recorded"] == 1
    assert "withdrawn 2026-10-01" in (out / "badges/v1.37/p.svg").read_text()
    assert json.loads((out / "platforms/p.json").read_text())["versions"][1]["state"] == "expired"


def test_the_record_of_the_documents_can_be_read(tmp_path: Path) -> None:
    page = (Path(__file__).parents[3] / "docs/certification.md").read_text()
    (text,) = [block for block in re.findall(r"^```yaml\n(.*?)^```", page, re.M | re.S) if "appeals:" in block]
    found = lived(certified(tmp_path, text), "2027-01-01")["v1.37/p"]
    assert found["state"] == "current"
    assert found["certificate"]["appeals"][0]["outcome"] == "rejected"
