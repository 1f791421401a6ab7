"""What a vendor meets on the way to a bundle: placeholders, builds again, stray files, line ends, whose key it is."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from support.certify_material import certify, product, write
from support.certify_runs import CHECK, make_run

BLANK = {"status": "", "evidence": [], "notes": ""}


def started(tmp_path: Path, **changed: Any) -> Path:
    """The folder of a product that has nothing but its PRODUCT.yaml."""
    return write(tmp_path, product(**{CHECK: BLANK, **changed})).parent


def built(folder: Path, *runs: Path, options: tuple[str, ...] = ("--redact",)) -> str:
    done = certify("build", *runs, "--out", folder, *options)
    assert done.exit_code == 0, done.output
    return done.stderr


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def signed(tmp_path: Path) -> Path:
    folder = started(tmp_path)
    built(folder, make_run(tmp_path / "run"))
    assert certify("sign", folder, "--new-key", tmp_path / "vendor").exit_code == 0
    return folder


# Placeholders


def test_nothing_is_built_of_what_nobody_filled_in(tmp_path: Path) -> None:
    folder = tmp_path / "v1.37/p"
    assert certify("init", "--no-input", "--out", folder, "--platform-name", "P").exit_code == 0
    done = certify("build", make_run(tmp_path / "run"), "--out", folder)
    assert done.exit_code == 2
    assert "line 8: fill in platformVersion, vendorName, websiteUrl" in done.stderr
    assert "platformName" not in done.stderr
    assert [path.name for path in folder.iterdir()] == ["PRODUCT.yaml"]


def test_nobody_signs_a_placeholder(tmp_path: Path, signed: Path) -> None:
    path = signed / "PRODUCT.yaml"
    path.write_text(path.read_text().replace("Test Vendor", "[vendorName]"))
    done = certify("sign", signed, "--key", tmp_path / "vendor")
    assert done.exit_code == 2
    assert "fill in vendorName before somebody signs it" in done.stderr


def test_what_the_programme_requires_and_nobody_gave_is_named(tmp_path: Path) -> None:
    folder = started(tmp_path, metadata={"vendorName": None, "websiteUrl": ""})
    assert "the metadata lack vendorName, websiteUrl" in built(folder, make_run(tmp_path / "run"))


# Again


@pytest.mark.parametrize("options", [(), ("--redact",), ("--redact", "--word", "T1")])
def test_the_same_build_again_changes_nothing(tmp_path: Path, options: tuple[str, ...]) -> None:
    folder, run = started(tmp_path), make_run(tmp_path / "run")
    built(folder, run, options=options)
    assert certify("sign", folder, "--new-key", tmp_path / "vendor").exit_code == 0
    before = files(folder)
    assert "nothing has changed since it was signed: the signature stays" in built(folder, run, options=options)
    assert files(folder) == before
    assert certify("verify", folder, "--key", tmp_path / "vendor.pub").exit_code == 0


def test_an_edit_of_the_vendor_is_built_in_and_signed_again(tmp_path: Path, signed: Path) -> None:
    path = signed / "PRODUCT.yaml"
    path.write_text(path.read_text().replace("A platform that only tests know.", "Another sentence."))
    runs = files(signed / "runs")
    said = built(signed, tmp_path / "run")
    assert "attestation.dsse.json removed: it was the signature of earlier files; sign again" in said
    assert "Another sentence." in path.read_text()
    assert path.read_text().count("Run 0a1b2c3d of aiconform") == 1
    assert files(signed / "runs") == runs
    assert certify("verify", signed, "--key", tmp_path / "vendor.pub").exit_code == 1
    assert certify("sign", signed, "--key", tmp_path / "vendor").exit_code == 0
    assert certify("verify", signed, "--key", tmp_path / "vendor.pub").exit_code == 0


def test_a_newer_run_takes_the_place_of_the_earlier_one(tmp_path: Path, signed: Path) -> None:
    (signed / "proof.md").write_text("seen")
    newer = make_run(tmp_path / "newer", run="bbbbbbbb", at="2026-11-25T00:00:00.000Z", leaks=True)
    said = built(signed, newer)
    assert "runs/ of the earlier build is replaced; without 0a1b2c3d" in said
    assert f"{CHECK}: 'Implemented' was changed to 'Not Implemented'" in said
    assert [path.name for path in (signed / "runs").iterdir()] == ["bbbbbbbb"]
    assert (signed / "proof.md").read_text() == "seen"
    assert "0a1b2c3d" not in (signed / "PRODUCT.yaml").read_text()


def test_a_build_that_fails_leaves_the_earlier_one(tmp_path: Path, signed: Path) -> None:
    before = files(signed)
    (tmp_path / "run" / "report.html").write_text("another page")
    assert certify("build", tmp_path / "run", "--out", signed).exit_code == 2
    assert files(signed) == before
    assert [path.name for path in signed.parent.iterdir()] == ["test-platform"]


def test_a_tampered_copy_is_never_taken_over(tmp_path: Path, signed: Path) -> None:
    """The copy of the earlier build stays only if it differs in its time alone."""
    page = signed / "runs/0a1b2c3d/report.html"
    honest = page.read_bytes()
    page.write_text("another page")
    built(signed, tmp_path / "run")
    assert page.read_bytes() == honest


# Stray files


def test_stray_files_are_told_apart_and_explained(tmp_path: Path, signed: Path) -> None:
    (signed / "gang.log").write_text("seen")
    (signed / "other.log").write_text("seen")
    (signed / ".DS_Store").write_text("x")
    path = signed / "PRODUCT.yaml"
    path.write_text(path.read_text().replace("https://platform.test/docs/2.1/gang_scheduling", "gang.log#part"))
    said = built(signed, tmp_path / "run")
    assert "left behind by a system or an editor, remove: .DS_Store" in said
    assert "no claim names these files; they will be signed all the same: other.log\n" in said
    done = certify("sign", signed, "--key", tmp_path / "vendor")
    assert done.exit_code == 2
    assert "left behind .DS_Store: remove it, or it is part of what you sign" in done.stderr


def test_a_reviewer_is_told_what_a_stray_file_is(tmp_path: Path, signed: Path) -> None:
    (signed / "Thumbs.db").write_text("x")
    (signed / "more.md").write_text("x")
    found = json.loads(certify("verify", signed, "--key", tmp_path / "vendor.pub", "-o", "json").stdout)
    problems = "\n".join(found["problems"])
    assert "not signed: 'Thumbs.db': left behind by a system or an editor, remove it" in problems
    assert "not signed: 'more.md': remove what the vendor did not give you" in problems


def test_what_lies_beside_the_runs_and_is_none_is_found(signed: Path) -> None:
    """Nobody recomputes what it says."""
    shutil.copytree(signed / "runs/0a1b2c3d", signed / "runs/the whole run")
    done = certify("verify", signed, "--unsigned")
    assert done.exit_code == 1
    assert "runs: no run, although beside the runs: 'runs/the whole run'" in done.stdout


# Line ends


def converted(signed: Path, tmp_path: Path) -> Path:
    """As git with core.autocrlf checks it out, where no attributes keep it from that."""
    copy = tmp_path / "copy/v1.37/test-platform"
    shutil.copytree(signed, copy)
    for path in copy.rglob("*"):
        if path.is_file():
            path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    return copy


def test_converted_line_ends_are_named_with_the_way_out(tmp_path: Path, signed: Path) -> None:
    copy = converted(signed, tmp_path)
    done = certify("verify", copy, "--key", tmp_path / "vendor.pub", "-o", "json")
    assert done.exit_code == 1
    problems = json.loads(done.stdout)["problems"]
    assert any("changed, but only the line ends, to CRLF (get the files byte for byte" in each for each in problems)
    assert not any("digests: changed:" in each for each in problems)
    unsigned = json.loads(certify("verify", copy, "--unsigned", "-o", "json").stdout)["problems"]
    assert any("the lines of run.json end in CRLF, as this tool never writes them" in each for each in unsigned)
    # Something else that changed is no matter of line ends.
    (copy / "README.md").write_text("Another one.\r\n")
    problems = json.loads(certify("verify", copy, "--key", tmp_path / "vendor.pub", "-o", "json").stdout)["problems"]
    assert any("digests: changed: 'README.md'" in each for each in problems)


def test_git_keeps_the_bytes_of_a_bundle(signed: Path) -> None:
    assert "* -text\n" in (signed / ".gitattributes").read_text()


# Whose key it is


def test_a_new_key_says_where_it_belongs(tmp_path: Path) -> None:
    folder = started(tmp_path)
    built(folder, make_run(tmp_path / "run"))
    done = certify("sign", folder, "--new-key", tmp_path / "vendor")
    assert "vendor.pub, sha256:" in done.stderr
    assert "publish it where reviewers know that it is yours" in done.stderr
    fingerprint = done.stderr.partition("sha256:")[2][:16]
    assert fingerprint in certify("verify", folder, "--key", tmp_path / "vendor.pub").stdout
    assert "never from this folder" in (folder / "README.md").read_text()


def test_a_key_in_the_bundle_proves_nothing(tmp_path: Path, signed: Path) -> None:
    shutil.copy(tmp_path / "vendor.pub", signed / "vendor.pub")
    (signed / "policy.yaml").write_text("signers: [{name: a, key: vendor.pub}]")
    for trusted in (("--key", signed / "vendor.pub"), ("--policy", signed / "policy.yaml")):
        done = certify("verify", signed, *trusted)
        assert done.exit_code == 2
        assert "lies in the bundle: whoever makes a bundle can put a key into it" in done.stderr
