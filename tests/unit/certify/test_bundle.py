"""From runs to a bundle that others can verify, and everything that must make its verification fail."""

from __future__ import annotations

import io
import json
import shutil
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.certify_material import certify, product, rules, validated, write
from support.certify_runs import CHECK, as_made_before_ids, change_json, make_run, sealed

from aiconform.certify.attestation import NotAttested, new_key, verify_with_key
from aiconform.certify.predicate import run_claims
from aiconform.certify.runs import NoRun, judge_run
from aiconform.check.registry import load_check
from aiconform.cli import main
from aiconform.spec import Requirement

BLANK = {"status": "", "evidence": [], "notes": ""}


def built(tmp_path: Path, *runs: Path, claim: dict[str, Any] | None = None, options: tuple[str, ...] = ()) -> Path:
    start = write(tmp_path / "start", product(**{CHECK: claim or BLANK}))
    out = tmp_path / "v1.37" / "test-platform"
    result = certify("build", *(runs or (make_run(tmp_path / "run"),)), "--product", start, "--out", out, *options)
    assert result.exit_code == 0, result.output
    return out


def signed(tmp_path: Path, bundle: Path) -> Path:
    result = certify("sign", bundle, "--new-key", tmp_path / "key")
    assert result.exit_code == 0, result.output
    assert result.stdout == f"{bundle}/attestation.dsse.json\n"
    return tmp_path / "key.pub"


def verification(bundle: Path, *options: str | Path) -> dict[str, Any]:
    result = certify("verify", bundle, "-o", "json", *options)
    assert result.exit_code in (0, 1), result.output
    found = json.loads(result.stdout)
    assert found["holds"] == (result.exit_code == 0)
    return dict(found)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return built(tmp_path)


def test_a_bundle_of_a_run_is_valid_executed_and_verifies(tmp_path: Path, bundle: Path) -> None:
    submission = validated(bundle)
    assert submission["valid"]
    assert submission["grades"][CHECK] == "executed"
    assert not rules(submission["findings"]) - {"F-description"}
    assert {path.name for path in bundle.iterdir()} == {
        "PRODUCT.yaml",
        "README.md",
        "junit.xml",
        "results.json",
        "e2e.log",
        ".gitattributes",
        "runs",
    }
    found = verification(bundle, "--key", signed(tmp_path, bundle))
    assert found["holds"]
    assert found["verdicts"] == {CHECK: "pass"}
    assert CHECK not in found["claims_without_a_run"]
    assert found["signed"]["platform"]["vendorName"] == "Test Vendor"
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600


def test_what_a_run_has_shown_is_written_and_the_rest_left(tmp_path: Path) -> None:
    text = (
        "# licence\nmetadata:\n  platformName: P  # kept\nspec:\n  security:\n    - id: secure_accelerator_access\n"
        "      status: ''\n      evidence:\n        - https://p.test/isolation\n      notes: Ours.\n"
        "  operator:\n    - id: robust_controller\n      status: Implemented\n"
    )
    start = write(tmp_path / "start", text)
    out = tmp_path / "v1.37/p"
    layer = f"{CHECK}=base platform"
    result = certify("build", make_run(tmp_path / "run"), "--product", start, "--out", out, "--layer", layer)
    assert result.exit_code == 0, result.output
    made = (out / "PRODUCT.yaml").read_text()
    assert made.startswith("# licence\nmetadata:\n  platformName: P  # kept\n")
    assert "status: 'Implemented'" in made or "status: Implemented" in made
    assert f"- junit.xml#TestSecureAcceleratorAccess\n        - runs/0a1b2c3d/observations/{CHECK}.json\n" in made
    assert "- https://p.test/isolation" in made
    assert "Layer: base platform. Run 0a1b2c3d of aiconform" in made
    assert "Ours." in made
    assert "for the vendor to answer" in made
    assert made.count("id: robust_controller") == 1
    again = certify("build", tmp_path / "run", "--product", out / "PRODUCT.yaml", "--out", tmp_path / "v1.37/q")
    assert again.exit_code == 0
    assert (tmp_path / "v1.37/q/PRODUCT.yaml").read_text().count("Run 0a1b2c3d of aiconform") == 1


def test_a_failed_run_is_not_claimed(tmp_path: Path) -> None:
    bundle = built(tmp_path, make_run(tmp_path / "run", leaks=True), claim={"status": "Implemented"})
    submission = validated(bundle)
    assert rules(submission["errors"]) == {"P-must"}
    assert "F-claim-above-run" not in rules(submission["findings"])


def test_what_goes_beyond_the_programme_keeps_no_submission_from_being_valid(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = json.loads((make_run(tmp_path / "whole", leaks=True) / "report.json").read_text())
    broken = [each["id"] for each in report["checks"][0]["assertions"] if each["holds"] is not True]
    asked = frozenset(line for each in load_check(CHECK).assertions if each.id not in broken for line in each.serves)
    monkeypatch.setattr(Requirement, "programme_lines", lambda *_: asked)
    bundle = built(tmp_path, make_run(tmp_path / "run", leaks=True))
    submission = validated(bundle)
    assert submission["valid"]
    assert submission["grades"][CHECK] == "executed"
    assert verification(bundle, "--unsigned")["verdicts"] == {CHECK: "pass"}
    assert f"--- SKIP: TestSecureAcceleratorAccess/{broken[0]} (" in (bundle / "e2e.log").read_text()


def test_evidence_may_name_a_sub_test(tmp_path: Path, bundle: Path) -> None:
    path = bundle / "PRODUCT.yaml"
    (first, *_) = load_check(CHECK).assertions
    whole, part = "junit.xml#TestSecureAcceleratorAccess", f"junit.xml#TestSecureAcceleratorAccess/{first.id}"
    path.write_text(path.read_text().replace(whole, part))
    assert part in path.read_text()
    assert validated(bundle)["valid"]
    assert "F-fragment" not in rules(validated(bundle)["findings"])


def test_what_a_run_could_not_decide_stays_for_the_vendor(tmp_path: Path) -> None:
    start = write(tmp_path / "start", product(**{CHECK: BLANK}))
    run = make_run(tmp_path / "run", started=False)
    result = certify("build", run, "--product", start, "--out", tmp_path / "v1.37/p", "-o", "json")
    found = json.loads(result.stdout)
    assert CHECK in found["open"]
    assert found["shown"] == {}


def test_the_newest_of_several_runs_counts(tmp_path: Path) -> None:
    old = make_run(tmp_path / "old", run="aaaaaaaa", leaks=False, at="2026-11-23T00:00:00.000Z")
    new = make_run(tmp_path / "new", run="bbbbbbbb", leaks=True, at="2026-11-24T00:00:00.000Z")
    bundle = built(tmp_path, new, old)
    found = verification(bundle, "--unsigned")
    assert found["verdicts"] == {CHECK: "fail"}
    assert "<testsuite " in (bundle / "junit.xml").read_text()
    assert (bundle / "e2e.log").read_text().count("--- FAIL: TestSecureAcceleratorAccess (") == 1
    assert (bundle / "e2e.log").read_text().count("--- PASS: TestSecureAcceleratorAccess (") == 1


@pytest.mark.parametrize("case", ["clusters", "versions", "twice", "broken", "place", "name", "none"])
def test_what_cannot_be_built(tmp_path: Path, case: str) -> None:
    runs = [make_run(tmp_path / "run")]
    out = tmp_path / "v1.37/p"
    match case:
        case "clusters":
            runs.append(make_run(tmp_path / "b", run="b", cluster="other"))
        case "versions":
            runs.append(make_run(tmp_path / "b", run="b", version="v1.36"))
        case "twice":
            runs.append(runs[0])
        case "broken":
            change_json(runs[0] / "report.json", "verdict", value="not-conformant")
        case "place":
            out = tmp_path / "v1.36/p"
        case "name":
            write(tmp_path, product(), "v1.37/p")
            (out / "other.txt").symlink_to(tmp_path)
        case "none":
            runs = [tmp_path]
    start = write(tmp_path / "start", product())
    result = certify("build", *runs, "--product", start, "--out", out)
    assert result.exit_code == 2
    assert result.output.startswith("aiconform: ")
    assert not isinstance(result.exception, Exception)


RUN = Path("runs/0a1b2c3d")


def _observation(bundle: Path) -> None:
    where = ("records", 0, "observation", "stranger", "nodes")
    change_json(bundle / RUN / f"observations/{CHECK}.json", *where, value=[{"path": "/dev/gpu0", "number": "c:240:0"}])


def _verdict(bundle: Path) -> None:
    change_json(bundle / RUN / "report.json", "checks", 0, "verdict", value="not-applicable")


def _status(bundle: Path) -> None:
    path = bundle / "PRODUCT.yaml"
    head, name, tail = path.read_text().partition(f'"{CHECK}"')
    path.write_text(head + name + tail.replace("Implemented", "N/A", 1))


def _artifact(bundle: Path) -> None:
    path = bundle / "e2e.log"
    path.write_text(path.read_text().replace("8 assertions", "9 assertions"))


def _signature(bundle: Path) -> None:
    path = bundle / "attestation.dsse.json"
    data = json.loads(path.read_text())
    sig = data["signatures"][0]["sig"]
    data["signatures"][0]["sig"] = ("A" if sig[0] != "A" else "B") + sig[1:]
    path.write_text(json.dumps(data))


def _payload(bundle: Path) -> None:
    path = bundle / "attestation.dsse.json"
    data = json.loads(path.read_text())
    data["payload"] = data["payload"][:-8] + "AAAA" + data["payload"][-4:]
    path.write_text(json.dumps(data))


def _swapped(bundle: Path) -> None:
    shutil.rmtree(bundle / RUN)
    make_run(bundle / RUN, at="2026-11-25T02:00:00.000Z")


def _journal(bundle: Path) -> None:
    path = bundle / RUN / "journal.ndjson"
    path.write_text(path.read_text().replace('"number": 2', '"number": 2 ', 1))


def _missing(bundle: Path) -> None:
    (bundle / "README.md").unlink()


def _extra(bundle: Path) -> None:
    (bundle / "runs/extra.txt").write_text("x")


def _link(bundle: Path) -> None:
    (bundle / "README.md").unlink()
    (bundle / "README.md").symlink_to("PRODUCT.yaml")


def _unsigned(bundle: Path) -> None:
    (bundle / "attestation.dsse.json").unlink()


CHANGES = (
    _observation,
    _verdict,
    _status,
    _artifact,
    _signature,
    _payload,
    _swapped,
    _journal,
    _missing,
    _extra,
    _link,
    _unsigned,
)


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_any_change_is_found(tmp_path: Path, bundle: Path, change: Callable[[Path], None]) -> None:
    key = signed(tmp_path, bundle)
    assert verification(bundle, "--key", key)["holds"]
    change(bundle)
    found = verification(bundle, "--key", key)
    assert not found["holds"]
    assert found["problems"]


@pytest.mark.parametrize("change", [_observation, _verdict, _journal], ids=lambda change: change.__name__)
def test_a_changed_run_is_found_even_unsigned(bundle: Path, change: Callable[[Path], None]) -> None:
    change(bundle)
    assert not verification(bundle, "--unsigned")["steps"]["runs"]
    assert "F-run-broken" in rules(validated(bundle)["findings"])
    assert validated(bundle)["grades"][CHECK] != "executed"


def test_a_claim_above_its_run_is_found_even_unsigned(tmp_path: Path) -> None:
    bundle = built(tmp_path, make_run(tmp_path / "run", leaks=True))
    path = bundle / "PRODUCT.yaml"
    path.write_text(path.read_text().replace("Not Implemented", "Implemented"))
    for name in ("junit.xml", "results.json", "e2e.log"):
        (bundle / name).unlink()
    (bundle / "e2e.log").write_text("--- PASS: TestSecureAcceleratorAccess (8.2s)\n")
    path.write_text(path.read_text().replace('"evidence": [runs/', '"evidence": [e2e.log, runs/'))
    assert "F-claim-above-run" in rules(validated(bundle)["findings"], CHECK)
    problems = " ".join(verification(bundle, "--unsigned")["problems"])
    assert "the verdict of run 0a1b2c3d is fail (broken: secure_accelerator_access/" in problems
    assert "e2e.log says pass" in problems


def test_a_bundle_of_a_run_from_before_assertions_had_ids(tmp_path: Path) -> None:
    bundle = built(tmp_path, as_made_before_ids(make_run(tmp_path / "run")))
    found = verification(bundle, "--key", signed(tmp_path, bundle))
    assert found["holds"]
    assert found["verdicts"] == {CHECK: "pass"}


def test_what_such_a_run_reported_is_what_was_signed_and_what_its_artifacts_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its one verdict was over all assertions, and is a fail; by the programme's own words it passes."""
    run = as_made_before_ids(make_run(tmp_path / "run", leaks=True))
    broken = {name.partition("/")[2] for name, holds in judge_run(run).assertions[CHECK].items() if not holds}
    asked = frozenset(line for each in load_check(CHECK).assertions if each.id not in broken for line in each.serves)
    monkeypatch.setattr(Requirement, "programme_lines", lambda *_: asked)
    judged = judge_run(run)
    assert (judged.verdicts, judged.reported) == ({CHECK: "pass"}, {CHECK: "fail"})
    assert run_claims([judged])[0]["verdicts"] == {CHECK: "fail"}


def test_a_simulated_run_has_a_grade_of_its_own(tmp_path: Path) -> None:
    """Also by its artifacts: they show no more than the run."""
    bundle = built(tmp_path, make_run(tmp_path / "run", simulated=True))
    assert validated(bundle)["grades"][CHECK] == "simulated"


def test_a_run_of_a_cluster_of_another_version_is_found(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    for name in ("run.json", "report.json"):
        change_json(run / name, "kubernetes", value="v1.29.4")
    bundle = built(tmp_path, sealed(run))
    said = CliRunner().invoke(main, ["judge", str(run)]).stdout
    assert "note: the run, for v1.37, is of a cluster of v1.29.4: it certifies nothing" in said
    assert "F-run-kubernetes" in rules(validated(bundle)["findings"])
    assert any("a cluster of v1.29.4" in text for text in verification(bundle, "--unsigned")["problems"])


@pytest.mark.parametrize("same", ["run", "cluster"])
def test_a_run_in_two_products_is_found(tmp_path: Path, same: str) -> None:
    first = built(tmp_path, make_run(tmp_path / "run"))
    again = make_run(tmp_path / "again", run="ffffffff") if same == "cluster" else tmp_path / "run"
    second = built(tmp_path / "two", again)
    shutil.move(second, first.parent / "other-platform")
    data = json.loads(certify("validate", first.parent, "--offline", "-o", "json").stdout)
    for submission in data["submissions"]:
        assert "F-run-elsewhere" in rules(submission["findings"])


def test_another_key_does_not_verify(tmp_path: Path, bundle: Path) -> None:
    signed(tmp_path, bundle)
    other = built(tmp_path / "other")
    found = verification(bundle, "--key", signed(tmp_path / "other", other))
    assert found["steps"]["signature"] is False


def test_a_bundle_signed_for_something_else(tmp_path: Path, bundle: Path) -> None:
    """The envelope of another bundle: good signature, other files."""
    key = signed(tmp_path, bundle)
    other = built(tmp_path / "other", make_run(tmp_path / "second", run="ffffffff"))
    shutil.copy(bundle / "attestation.dsse.json", other)
    found = verification(other, "--key", key)
    assert found["steps"]["signature"] is True
    assert found["steps"]["digests"] is False
    assert found["steps"]["attested"] is False


def test_wrong_use_of_sign_and_verify(tmp_path: Path, bundle: Path) -> None:
    assert certify("verify", bundle).exit_code == 2
    assert certify("sign", bundle).exit_code == 2
    (tmp_path / "no.pem").write_text("nothing")
    result = certify("sign", bundle, "--key", tmp_path / "no.pem")
    assert result.exit_code == 2
    assert "PEM" in result.output
    signed(tmp_path, bundle)
    assert "never overwritten" in certify("sign", bundle, "--new-key", tmp_path / "key").output
    assert certify("verify", tmp_path / "gone", "--unsigned").exit_code == 2
    _observation(bundle)
    assert "not signed" in certify("sign", bundle, "--key", tmp_path / "key").output


def test_a_locked_key(tmp_path: Path, bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AICONFORM_KEY_PASSWORD", "long enough")
    key = signed(tmp_path, bundle)
    monkeypatch.delenv("AICONFORM_KEY_PASSWORD")
    assert "AICONFORM_KEY_PASSWORD" in certify("sign", bundle, "--key", tmp_path / "key").output
    assert verification(bundle, "--key", key)["holds"]


# Archives


def packed(tmp_path: Path, bundle: Path, suffix: str) -> Path:
    base = tmp_path / "packed"
    kind = {".tar": "tar", ".tar.gz": "gztar", ".zip": "zip"}[suffix]
    return Path(shutil.make_archive(str(base), kind, bundle.parent.parent, f"v1.37/{bundle.name}"))


@pytest.mark.parametrize("suffix", [".tar", ".tar.gz", ".zip"])
def test_an_archive_verifies_as_its_folder(tmp_path: Path, bundle: Path, suffix: str) -> None:
    key = signed(tmp_path, bundle)
    assert verification(packed(tmp_path, bundle, suffix), "--key", key)["holds"]


def _tar(path: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
    with tarfile.open(path, "w") as archive:
        for info, data in members:
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def _member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


@pytest.mark.parametrize(
    "member",
    [
        _member("../escaped"),
        _member("a/../../escaped"),
        _member("/escaped"),
        _member("a\\..\\..\\escaped"),
        _member("C:\\escaped"),
        _member("v1.37/p/PRODUCT.yaml", tarfile.SYMTYPE, "/etc/passwd"),
        _member("v1.37/p/PRODUCT.yaml", tarfile.LNKTYPE, "/etc/passwd"),
        _member("v1.37/p/PRODUCT.yaml", tarfile.FIFOTYPE),
    ],
    ids=lambda member: f"{member.name}-{member.type!r}",
)
def test_hostile_archives(tmp_path: Path, member: tarfile.TarInfo) -> None:
    path = _tar(tmp_path / "b.tar", (member, b"x" if member.isreg() else b""))
    result = certify("verify", path, "--unsigned")
    assert result.exit_code == 1
    assert not isinstance(result.exception, Exception)
    assert not list(tmp_path.parent.rglob("escaped"))


def test_broken_archives(tmp_path: Path) -> None:
    for name, data in (("a.tar", b"x" * 2000), ("b.zip", b"PK\x03\x04"), ("c.tgz", b"\x1f\x8b\x08"), ("d.tar", b"")):
        (tmp_path / name).write_bytes(data)
        result = certify("verify", tmp_path / name, "--unsigned")
        assert result.exit_code == 1, name
        assert not isinstance(result.exception, Exception)
    with zipfile.ZipFile(tmp_path / "e.zip", "w") as archive:
        archive.writestr("../escaped", "x")
    assert "leads out" in certify("verify", tmp_path / "e.zip", "--unsigned").output


# Runs that somebody else wrote


def test_a_journal_that_names_a_file_elsewhere(tmp_path: Path, bundle: Path) -> None:
    elsewhere = tmp_path / "elsewhere.json"
    elsewhere.write_text('{"secret": 1}')
    path = bundle / RUN / "journal.ndjson"
    path.write_text(path.read_text().replace(f'"check": "{CHECK}"', f'"check": "{"../" * 8}{str(elsewhere)[1:-5]}"'))
    found = verification(bundle, "--unsigned")
    assert found["steps"]["runs"] is False
    assert "secret" not in json.dumps(found)


ANYTHING = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=10)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=6), inner, max_size=3)),
    max_leaves=8,
)


@st.composite
def _mutation(draw: st.DrawFn) -> tuple[str, tuple[int, ...], Any]:
    file = draw(st.sampled_from(["run.json", "report.json", f"observations/{CHECK}.json", "journal.ndjson"]))
    return file, tuple(draw(st.lists(st.integers(0, 12), max_size=6))), draw(ANYTHING)


def _replaced(data: Any, path: tuple[int, ...], value: Any) -> Any:
    """The data with what is at the path of positions replaced."""
    if not path or not isinstance(data, dict | list) or not data:
        return value
    if isinstance(data, dict):
        key = sorted(data)[path[0] % len(data)]
        return {**data, key: _replaced(data[key], path[1:], value)}
    index = path[0] % len(data)
    return [*data[:index], _replaced(data[index], path[1:], value), *data[index + 1 :]]


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_mutation())
def test_any_change_of_a_runs_data_is_found_or_changes_nothing(
    tmp_path: Path, mutation: tuple[str, tuple[int, ...], Any]
) -> None:
    run = tmp_path / "run"
    if not run.exists():
        make_run(run)
    file, where, value = mutation
    path = run / file
    before = path.read_text()
    lines = before.splitlines() if file.endswith("ndjson") else [before]
    index = len(before) % len(lines)
    lines[index] = json.dumps(_replaced(json.loads(lines[index]), where, value))
    path.write_text("\n".join(lines) + "\n")
    try:
        judged = judge_run(run)
        same = path.read_text().split() == before.split() or json.dumps(value) in before
        # A report's own figures (seconds, requests) and the run's options are not computed from observations.
        assert judged.problems or same or file in ("report.json", "run.json")
        assert judged.verdicts == {CHECK: "pass"} or judged.problems
    except NoRun:
        pass  # refused: as good
    finally:
        path.write_text(before)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.one_of(
        ANYTHING.map(json.dumps),
        st.text(max_size=40),
        st.fixed_dictionaries(
            {"payload": st.one_of(st.just("e30="), ANYTHING), "payloadType": ANYTHING, "signatures": ANYTHING}
        ).map(json.dumps),
    )
)
def test_any_envelope_is_refused(tmp_path: Path, text: str) -> None:
    folder = tmp_path / "any"
    if not folder.exists():
        folder.mkdir()
        new_key(tmp_path / "any.key")
    (folder / "attestation.dsse.json").write_text(text)
    with pytest.raises(NotAttested):
        verify_with_key(folder, (tmp_path / "any.key.pub").read_bytes(), "any")


@pytest.mark.parametrize("text", ["", "{}", "[" * 100_000, '{"mediaType": "x"}'])
def test_a_broken_sigstore_bundle_is_refused(bundle: Path, text: str) -> None:
    (bundle / "attestation.sigstore.json").write_text(text)
    result = certify("verify", bundle, "--identity", "someone@corp.test", "--issuer", "https://issuer.test")
    assert result.exit_code == 1, result.exception
    assert "signature    DOES NOT HOLD" in result.stdout
