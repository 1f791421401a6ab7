"""The three answers of `certify verify`, and the verifier's policy: who vouches, how many, for whom, and until when."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from support.certify_material import certify, product, write
from support.certify_runs import CHECK, change_json, make_run, sealed

BLANK = {"status": "", "evidence": [], "notes": ""}


def built(tmp_path: Path, **made: Any) -> Path:
    start = write(tmp_path / "start", product(**{CHECK: BLANK}))
    out = tmp_path / "v1.37/test-platform"
    done = certify("build", make_run(tmp_path / "run", **made), "--product", start, "--out", out)
    assert done.exit_code == 0, done.output
    return out


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A bundle of one run that its vendor has signed; the public key is `vendor.pub` beside its version's folder."""
    out = built(tmp_path)
    assert certify("sign", out, "--new-key", tmp_path / "vendor").exit_code == 0
    return out


def verified(bundle: Path, *options: str | Path) -> tuple[int, dict[str, Any]]:
    done = certify("verify", bundle, "-o", "json", *options)
    assert done.exit_code in (0, 1, 3), done.output
    found = json.loads(done.stdout)
    assert found["holds"] == (done.exit_code == 0)
    return done.exit_code, found


# The three answers


def test_a_bundle_without_a_run_has_nothing_to_recompute(tmp_path: Path) -> None:
    """Placeholders, errors, no run and no signature: nothing of that is verified."""
    words = product(metadata={"platformName": ""}, ai_inference={"evidence": []})
    write(tmp_path, words, "v1.37/p")
    folder = tmp_path / "v1.37/p"
    code, found = verified(folder, "--unsigned")
    assert code == 1
    assert found["consistent"] == "nothing-to-recompute"
    assert found["steps"]["runs"] is None
    assert found["shown"]["by_runs"] == []
    assert CHECK in found["shown"]["by_documents"]
    assert found["valid"] is False
    text = certify("verify", folder, "--unsigned").stdout
    assert "nothing to recompute: the bundle contains no run" in text
    assert "by nobody whom you trust" in text
    assert "0 of 8 MUST by runs" in text
    assert "required, and does NOT hold: consistent" in text


def test_documents_alone_can_be_vouched_for(tmp_path: Path) -> None:
    write(tmp_path, product(), "v1.37/p")
    folder = tmp_path / "v1.37/p"
    assert certify("sign", folder, "--new-key", tmp_path / "vendor").exit_code == 0
    assert verified(folder, "--key", tmp_path / "vendor.pub", "--require", "vouched")[0] == 0
    assert verified(folder, "--key", tmp_path / "vendor.pub")[0] == 1


def test_the_exit_code_follows_what_is_required(tmp_path: Path, bundle: Path) -> None:
    trusted = ("--key", tmp_path / "vendor.pub")
    code, found = verified(bundle, *trusted)
    assert (code, found["consistent"], found["vouched_for"]["holds"]) == (0, "yes", True)
    assert found["shown"]["by_runs"] == [CHECK]
    assert verified(bundle, *trusted, "--require", "valid")[0] == 0
    code, found = verified(bundle, *trusted, "--require", "consistent", "--require", "shown")
    assert (code, found["required"]) == (1, {"consistent": True, "shown": False})
    (voucher,) = found["vouched_for"]["by"]
    assert voucher["key"].startswith("sha256:")
    assert voucher["claimed"]
    assert voucher["proven"] == ""


def test_simulated_runs_show_no_must(tmp_path: Path) -> None:
    code, found = verified(built(tmp_path, simulated=True), "--unsigned")
    assert code == 0
    assert found["shown"]["by_runs"] == []
    assert found["shown"]["by_simulated_runs"] == [CHECK]
    assert found["grades"][CHECK] == "simulated"


def test_a_run_of_another_release_is_the_third_state(tmp_path: Path) -> None:
    bundle = built(tmp_path)
    run = bundle / "runs/0a1b2c3d"
    for name in ("run.json", "report.json"):
        change_json(run / name, "suite", value="sha256:other")
        change_json(run / name, "tool", "version", value="0.2.0")
    change_json(run / f"observations/{CHECK}.json", "records", 0, "observation", "new_field", value=1)
    sealed(run)
    code, found = verified(bundle, "--unsigned")
    assert (code, found["consistent"]) == (3, "another-release")
    assert "made by aiconform 0.2.0" in found["cannot_be_recomputed"][0]
    assert found["grades"][CHECK] != "executed"
    assert "could not be decided: consistent" in certify("verify", bundle, "--unsigned").stdout
    change_json(run / "run.json", "format", value=99)
    code, found = verified(bundle, "--unsigned")
    assert (code, found["consistent"]) == (3, "another-release")
    assert certify("sign", bundle, "--new-key", tmp_path / "vendor").exit_code == 2


def test_what_was_signed_before_its_run_had_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = built(tmp_path)
    monkeypatch.setattr("aiconform.engine.journal.now", lambda: "2026-11-20T00:00:00.000Z")
    assert certify("sign", bundle, "--new-key", tmp_path / "vendor").exit_code == 0
    _, found = verified(bundle, "--key", tmp_path / "vendor.pub")
    assert any("before run 0a1b2c3d had ended" in text for text in found["problems"])


# Two signers


def policy(tmp_path: Path, *signers: dict[str, Any], **more: Any) -> Path:
    path = tmp_path / "policy.yaml"
    path.write_text(json.dumps({"signers": signers, **more}))
    return path


VENDOR = {"name": "Test Vendor", "key": "vendor.pub", "vendors": ["Test Vendor"]}
WITNESS = {"name": "Lab X", "role": "witness", "key": "witness.pub"}
BOTH = {"vendor": 1, "witness": 1}


def test_a_witness_signs_as_well(tmp_path: Path, bundle: Path) -> None:
    two = policy(tmp_path, VENDOR, {**WITNESS, "key": "vendor.pub"}, thresholds=BOTH)
    done = certify("verify", bundle, "--policy", two)
    assert done.exit_code == 2
    assert "the same signer stands in the policy as" in done.output
    shutil.copy(tmp_path / "vendor.pub", tmp_path / "kept.pub")
    copy = tmp_path / "copy/v1.37/test-platform"
    shutil.copytree(bundle, copy)
    assert certify("sign", copy, "--new-key", tmp_path / "witness", "--countersign").exit_code == 0
    two = policy(tmp_path, VENDOR, WITNESS, thresholds=BOTH)
    code, found = verified(bundle, "--policy", two)
    assert code == 1
    assert "policy: 0 of 1 witness signatures that the policy asks for" in found["problems"]
    code, found = verified(copy, "--policy", two)
    assert code == 0, found["problems"]
    assert [(each["name"], each["role"]) for each in found["vouched_for"]["by"]] == [
        ("Test Vendor", "vendor"),
        ("Lab X", "witness"),
    ]


def test_nobody_countersigns_what_was_changed(tmp_path: Path, bundle: Path) -> None:
    (bundle / "README.md").write_text("Another one.")
    done = certify("sign", bundle, "--new-key", tmp_path / "witness", "--countersign")
    assert done.exit_code == 2
    assert "what was signed is not this bundle" in done.output
    assert not (tmp_path / "witness").exists()


def test_there_is_something_to_countersign(tmp_path: Path) -> None:
    done = certify("sign", built(tmp_path), "--new-key", tmp_path / "witness", "--countersign")
    assert done.exit_code == 2
    assert "not signed" in done.output


# The policy


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"vendors": ["Somebody Else"]}, "may not sign for Test Vendor"),
        ({"until": "2020-01-01"}, "expired on 2020-01-01, and no timestamp proves"),
        ({"revoked": "2020-01-01"}, "revoked on 2020-01-01"),
        ({"revoked": "2099-01-01"}, "revoked on 2099-01-01, and no timestamp proves"),
        ({"since": "2099-01-01"}, "count from 2099-01-01"),
        ({"role": "witness"}, "0 of 1 witness"),
    ],
)
def test_whose_signature_does_not_count(tmp_path: Path, bundle: Path, changed: dict[str, Any], words: str) -> None:
    other = {"name": "Other", "key": "other.pub", "role": changed.get("role", "vendor")}
    certify("sign", shutil.copytree(bundle, tmp_path / "o/v1.37/p"), "--new-key", tmp_path / "other")
    signers = (VENDOR, other) if "role" in changed else ({**VENDOR, **changed},)
    thresholds = {changed.get("role", "vendor"): 1}
    code, found = verified(bundle, "--policy", policy(tmp_path, *signers, thresholds=thresholds))
    assert code == 1
    assert not found["vouched_for"]["holds"]
    assert any(words in text for text in found["problems"])
    assert found["consistent"] == "yes"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "signers: []",
        "signers: [{name: a}]",
        "signers: [{name: a, key: absent.pub}]",
        "signers: [{name: a, key: vendor}]",
        "signers: [{name: a, key: vendor.pub, colour: red}]",
        "signers: [{name: a, key: vendor.pub, until: soon}]",
        "signers: [{name: a, key: vendor.pub, until: 20270101}]",
        "signers: [{name: a, key: vendor.pub, revoked: 2027-01-01T12:00:00Z}]",
        "signers: [{name: a, key: vendor.pub}]\nthresholds: {vendor: 2}",
        "signers: [{name: a, key: vendor.pub}]\nthresholds: {vendor: 0}",
        "signers: [{name: a, key: vendor.pub}, {name: b, key: vendor.pub}]",
        "signers: &a [*a]",
    ],
)
def test_what_is_no_policy(tmp_path: Path, bundle: Path, text: str) -> None:
    (tmp_path / "policy.yaml").write_text(text)
    done = certify("verify", bundle, "--policy", tmp_path / "policy.yaml")
    assert done.exit_code == 2, done.output
    assert done.output.startswith("aiconform: ")


# A challenge


def challenged(tmp_path: Path, *options: str) -> tuple[Path, str]:
    """(the file of a new challenge, its nonce)."""
    path = tmp_path / "challenge.json"
    assert certify("challenge", "--out", path, *options).exit_code == 0
    data = json.loads(path.read_text())
    # Runs of these tests were made at a set time.
    path.write_text(json.dumps({**data, "issued": "2026-11-23T00:00:00+00:00"}))
    return path, data["nonce"]


def test_a_run_answers_a_challenge(tmp_path: Path) -> None:
    path, nonce = challenged(tmp_path, "--for", "Test Vendor")
    bundle = built(tmp_path, challenge=nonce)
    code, found = verified(bundle, "--unsigned", "--challenge", path)
    assert (code, found["challenged"]) == (0, True)
    assert found["required"] == {"consistent": True, "challenged": True}
    redacted = tmp_path / "redacted/v1.37/test-platform"
    start = tmp_path / "start/v1.37/test-platform/PRODUCT.yaml"
    assert certify("build", tmp_path / "run", "--product", start, "--out", redacted, "--redact").exit_code == 0
    assert verified(redacted, "--unsigned", "--challenge", path)[0] == 0


@pytest.mark.parametrize(
    ("made", "changed", "words"),
    [
        ({"challenge": ""}, {}, "carries no challenge"),
        ({"challenge": "0" * 32}, {}, "carries another challenge"),
        ({"echoed": False}, {}, "no container of the cluster printed it"),
        ({}, {"issued": "2026-11-25T00:00:00+00:00"}, "before the challenge was issued"),
        ({}, {"expires": "2026-11-23T12:00:00+00:00"}, "after the challenge had expired"),
        ({}, {"vendor": "Somebody Else"}, "made for Somebody Else"),
    ],
)
def test_what_does_not_answer_a_challenge(
    tmp_path: Path, made: dict[str, Any], changed: dict[str, str], words: str
) -> None:
    path, nonce = challenged(tmp_path)
    bundle = built(tmp_path, **{"challenge": nonce, **made})
    path.write_text(json.dumps({**json.loads(path.read_text()), **changed}))
    code, found = verified(bundle, "--unsigned", "--challenge", path)
    assert (code, found["challenged"], found["consistent"]) == (1, False, "yes")
    assert any(words in text for text in found["problems"])


def test_an_old_run_gets_no_challenge_afterwards(tmp_path: Path) -> None:
    """Written into run.json alone, it differs from the journal; sealed again, no container has printed it."""
    path, nonce = challenged(tmp_path)
    bundle = built(tmp_path)
    run = bundle / "runs/0a1b2c3d"
    change_json(run / "run.json", "challenge", value=nonce)
    assert verified(bundle, "--unsigned", "--challenge", path)[1]["consistent"] == "no"
    sealed(run)
    code, found = verified(bundle, "--unsigned", "--challenge", path)
    assert (code, found["challenged"]) == (1, False)


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '{"nonce": "x", "vendor": "", "issued": "", "expires": ""}', "[" * 9999]
)
def test_what_is_no_challenge(tmp_path: Path, bundle: Path, text: str) -> None:
    (tmp_path / "c.json").write_text(text)
    done = certify("verify", bundle, "--unsigned", "--challenge", tmp_path / "c.json")
    assert done.exit_code == 2
    assert "is no challenge" in done.output


def test_a_challenge_is_never_the_same_and_never_overwritten(tmp_path: Path) -> None:
    one, other = (json.loads(certify("challenge").stdout)["nonce"] for _ in range(2))
    assert one != other
    challenged(tmp_path)
    assert certify("challenge", "--out", tmp_path / "challenge.json").exit_code == 2
    assert certify("verify", tmp_path, "--unsigned", "--require", "challenged").exit_code == 2


# Times that an authority confirms; the authority is OpenSSL's own.

CONFIGURATION = """
[tsa]
default_tsa = config
[config]
serial = {folder}/serial
signer_cert = {folder}/tsa.crt
signer_key = {folder}/tsa.key
signer_digest = sha256
default_policy = 1.2.3.4
digests = sha256, sha384, sha512
accuracy = secs:1
ess_cert_id_chain = no
"""


@pytest.fixture
def authority(tmp_path: Path) -> Iterator[str]:
    """The URL of a timestamp authority; its certificate is tsa.pem."""
    folder = tmp_path / "authority"
    folder.mkdir()

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], check=True, cwd=folder, capture_output=True)

    (folder / "serial").write_text("01\n")
    (folder / "tsa.cnf").write_text(CONFIGURATION.format(folder=folder))
    root = (
        "-subj",
        "/CN=Root",
        "-addext",
        "basicConstraints=critical,CA:TRUE",
        "-addext",
        "keyUsage=critical,keyCertSign",
    )
    openssl(
        "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca.crt", "-days", "99", *root
    )
    openssl("req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", "tsa.key", "-out", "tsa.csr", "-subj", "/CN=TSA")
    (folder / "ext").write_text("extendedKeyUsage=critical,timeStamping\nkeyUsage=critical,digitalSignature\n")
    signing = ("-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "99", "-extfile", "ext")
    openssl("x509", "-req", "-in", "tsa.csr", "-out", "tsa.crt", *signing)
    shutil.copy(folder / "ca.crt", tmp_path / "tsa.pem")

    class Authority(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            (folder / "query").write_bytes(self.rfile.read(int(self.headers["Content-Length"])))
            openssl("ts", "-reply", "-queryfile", "query", "-config", "tsa.cnf", "-out", "reply")
            data = (folder / "reply").read_bytes()
            self.send_response(200)
            self.send_header("Content-Type", "application/timestamp-reply")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Authority)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


def test_a_timestamp_outlives_its_key(tmp_path: Path, authority: str) -> None:
    bundle = built(tmp_path)
    done = certify("sign", bundle, "--new-key", tmp_path / "vendor", "--timestamp", authority)
    assert done.exit_code == 0, done.output
    for changed in ({"revoked": "2099-01-01"}, {"until": "2099-01-01"}):
        trusted = policy(tmp_path, {**VENDOR, **changed}, timestamps=["tsa.pem"], timestamps_required=True)
        code, found = verified(bundle, "--policy", trusted)
        assert code == 0, found["problems"]
        assert found["vouched_for"]["by"][0]["proven"]
    assert "proven to exist at" in certify("verify", bundle, "--policy", trusted).stdout
    late = policy(tmp_path, {**VENDOR, "revoked": "2020-01-01"}, timestamps=["tsa.pem"])
    assert verified(bundle, "--policy", late)[0] == 1


def test_a_timestamp_of_another_signature_proves_nothing(tmp_path: Path, authority: str) -> None:
    bundle = built(tmp_path)
    certify("sign", bundle, "--new-key", tmp_path / "vendor", "--timestamp", authority)
    path = bundle / "attestation.timestamps.json"
    (token,) = json.loads(path.read_text())["tokens"].values()
    trusted = policy(tmp_path, VENDOR, timestamps=["tsa.pem"], timestamps_required=True)
    # Signed again, later: the token is put beside the new signature.
    certify("sign", bundle, "--key", tmp_path / "vendor", "--by", "Somebody")
    code, found = verified(bundle, "--policy", trusted)
    assert code == 1
    assert any("no timestamp proves when it signed" in text for text in found["problems"])
    from aiconform.certify.attestation import signature_of
    from aiconform.certify.timestamps import _name

    path.write_text(json.dumps({"tokens": {_name(signature_of(bundle, tmp_path / "vendor")): token}}))
    code, found = verified(bundle, "--policy", trusted)
    assert code == 1
    assert any("not of an authority that you trust" in text for text in found["problems"])


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"tokens": {"a": 1}}', "[" * 100_000])
def test_broken_timestamps_prove_nothing(tmp_path: Path, bundle: Path, text: str) -> None:
    (bundle / "attestation.timestamps.json").write_text(text)
    assert verified(bundle, "--key", tmp_path / "vendor.pub")[0] == 0


def test_an_authority_that_does_not_answer_is_named(tmp_path: Path) -> None:
    done = certify("sign", built(tmp_path), "--new-key", tmp_path / "vendor", "--timestamp", "http://127.0.0.1:9/")
    assert done.exit_code == 2
    assert "http://127.0.0.1:9/ gave no timestamp" in done.output
