"""Keyless signatures through the command line, with the real services of sigstore."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from support.certify_material import certify, product, write
from support.certify_runs import CHECK, make_run
from support.sigstore import Issuer

VENDOR, WITNESS = "release@acme.test", "somebody@lab.test"
SIGNED = "attestation.sigstore.json"
IN_TIME = "import aiconform.certify.keyless as k; k.SECONDS = 3; from aiconform.__main__ import main; main()"


def run(*arguments: str | Path, code: int = 0, quick: bool = False, **environment: str) -> str:
    """What `aiconform certify` says. quick: it has less patience with services."""
    command = [sys.executable, *(("-c", IN_TIME) if quick else ("-m", "aiconform")), "certify", *map(str, arguments)]
    variables = {**os.environ, **environment}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=variables, timeout=120)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def verified(bundle: Path, *options: str | Path, code: int = 0) -> dict[str, Any]:
    text = run("verify", bundle, "-o", "json", *options, code=code)
    return json.JSONDecoder().raw_decode(text[text.index("{") :])[0]


def policy(folder: Path, config: Path, *signers: str, more: str = "") -> Path:
    shutil.copy(config, folder / "deployment.json")
    path = folder / "policy.yaml"
    path.write_text(f"signers: [{', '.join(signers)}]\nsigstore_config: deployment.json\n{more}")
    return path


@pytest.fixture(scope="module")
def unsigned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundle")
    start = write(folder / "start", product(**{CHECK: {"status": "", "evidence": [], "notes": ""}}))
    out = folder / "v1.37/test-platform"
    assert certify("build", make_run(folder / "run"), "--product", start, "--out", out).exit_code == 0
    return out


@pytest.fixture(scope="module")
def signed(unsigned: Path, ours: Path, issuer: Issuer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that its vendor has signed without a key."""
    bundle = tmp_path_factory.mktemp("signed") / "v1.37/test-platform"
    shutil.copytree(unsigned, bundle)
    said = run("sign", bundle, *keyless(ours, issuer.token(VENDOR)))
    assert f"--identity {VENDOR} --issuer {issuer.url}" in said
    return bundle


def keyless(config: Path, token: str) -> tuple[str | Path, ...]:
    return "--keyless", "--identity-token", token, "--sigstore-config", config


@pytest.fixture
def bundle(signed: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(signed, tmp_path / "v1.37/test-platform"))


@pytest.fixture
def blank(unsigned: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(unsigned, tmp_path / "v1.37/blank"))


# Who, confirmed by whom, when


def test_who_vouches_confirmed_by_whom_and_since_when(bundle: Path, ours: Path, issuer: Issuer) -> None:
    trusted = ("--identity", VENDOR, "--sigstore-config", ours)
    said = run("verify", bundle, *trusted, "--issuer", issuer.url)
    now = datetime.now(UTC)
    found = re.search(
        rf"vouched for  {VENDOR} \(vendor, {VENDOR}, confirmed by {issuer.url}, proven to exist at (\S+)\)", said
    )
    assert found, said
    assert timedelta(0) <= now - datetime.fromisoformat(found[1]) < timedelta(minutes=10)
    # Where no issuer is asked for, the one that confirmed it is told all the same.
    (voucher,) = verified(bundle, *trusted)["vouched_for"]["by"]
    assert (voucher["key"], voucher["issuer"]) == (VENDOR, issuer.url)


def test_a_policy_is_for_one_identity_and_one_issuer(tmp_path: Path, bundle: Path, ours: Path, issuer: Issuer) -> None:
    other = issuer.url.replace("/acme", "/other")
    cases = {
        (VENDOR, issuer.url): 0,
        (VENDOR, other): 1,
        ("other@acme.test", issuer.url): 1,
        (VENDOR.upper(), issuer.url): 1,
    }
    for (identity, confirmed), code in cases.items():
        file = policy(tmp_path, ours, f"{{name: Acme, identity: {identity}, issuer: {confirmed}}}")
        found = verified(bundle, "--policy", file, code=code)
        assert found["vouched_for"]["holds"] is (code == 0)
        assert found["consistent"] == "yes"


def test_another_issuer_may_confirm_the_same_name(blank: Path, ours: Path, issuer: Issuer) -> None:
    run("sign", blank, *keyless(ours, issuer.token(VENDOR, "other")))
    trusted = ("--identity", VENDOR, "--sigstore-config", ours)
    other = issuer.url.replace("/acme", "/other")
    assert verified(blank, *trusted)["vouched_for"]["by"][0]["issuer"] == other
    assert verified(blank, *trusted, "--issuer", issuer.url, code=1)["vouched_for"]["by"] == []


# What is not what was signed


def test_a_bundle_that_was_changed(bundle: Path, ours: Path) -> None:
    readme = bundle / "README.md"
    readme.write_text(readme.read_text() + "\nAnd it is the best.\n")
    found = verified(bundle, "--identity", VENDOR, "--sigstore-config", ours, code=1)
    assert found["steps"]["signature"] is True
    assert found["steps"]["digests"] is False
    assert not found["vouched_for"]["holds"]


def with_payload(signature: dict[str, Any]) -> None:
    payload = json.loads(base64.b64decode(signature["dsseEnvelope"]["payload"]))
    payload["predicate"]["by"] = "Somebody else"
    signature["dsseEnvelope"]["payload"] = base64.b64encode(json.dumps(payload).encode()).decode()


def without_time(signature: dict[str, Any]) -> None:
    signature["verificationMaterial"]["timestampVerificationData"] = {"rfc3161Timestamps": []}


def with_claimed_time(signature: dict[str, Any]) -> None:
    without_time(signature)
    signature["verificationMaterial"]["tlogEntries"][0]["integratedTime"] = str(int(time.time()))


def without_log(signature: dict[str, Any]) -> None:
    signature["verificationMaterial"]["tlogEntries"] = []


@pytest.mark.parametrize("change", [with_payload, without_time, with_claimed_time, without_log])
def test_a_signature_that_was_changed(bundle: Path, ours: Path, change: Callable[[dict[str, Any]], None]) -> None:
    signature = json.loads((bundle / SIGNED).read_text())
    change(signature)
    (bundle / SIGNED).write_text(json.dumps(signature))
    found = verified(bundle, "--identity", VENDOR, "--sigstore-config", ours, code=1)
    assert found["steps"]["signature"] is False
    assert found["vouched_for"]["by"] == []


def test_a_deployment_with_other_keys_is_not_trusted(
    blank: Path, bundle: Path, ours: Path, foreign: Path, issuer: Issuer
) -> None:
    run("sign", blank, *keyless(foreign, issuer.token(VENDOR)))
    assert verified(blank, "--identity", VENDOR, "--sigstore-config", foreign)["vouched_for"]["holds"]
    for made_by, believed in ((blank, ours), (bundle, foreign)):
        assert verified(made_by, "--identity", VENDOR, "--sigstore-config", believed, code=1)["vouched_for"]["by"] == []


# Times


def test_a_certificate_that_has_expired_since(blank: Path, short: Path, issuer: Issuer) -> None:
    from sigstore.models import Bundle

    run("sign", blank, *keyless(short, issuer.token(VENDOR)))
    certificate = Bundle.from_json((blank / SIGNED).read_bytes()).signing_certificate
    while datetime.now(UTC) <= certificate.not_valid_after_utc:
        time.sleep(0.1)
    (voucher,) = verified(blank, "--identity", VENDOR, "--sigstore-config", short)["vouched_for"]["by"]
    assert datetime.fromisoformat(voucher["proven"]) <= certificate.not_valid_after_utc


@pytest.mark.filterwarnings("ignore:Attribute's length must be:UserWarning")  # Fulcio's own authority is in "USA"
def test_a_time_outside_of_the_certificate(bundle: Path, later: Path, issuer: Issuer) -> None:
    """`sign` keeps no such signature; somebody else's program can."""
    from sigstore.dsse import Statement
    from sigstore.models import ClientTrustConfig
    from sigstore.oidc import IdentityToken
    from sigstore.sign import SigningContext

    statement = base64.b64decode(json.loads((bundle / SIGNED).read_text())["dsseEnvelope"]["payload"])
    context = SigningContext.from_trust_config(ClientTrustConfig.from_json(later.read_text()))
    with context.signer(IdentityToken(issuer.token(VENDOR))) as signer:
        made = signer.sign_dsse(Statement(statement))
    (bundle / SIGNED).write_text(made.to_json())
    found = verified(bundle, "--identity", VENDOR, "--sigstore-config", later, code=1)
    assert found["vouched_for"]["by"] == []
    (bundle / SIGNED).unlink()
    assert "sigstore could not sign" in run("sign", bundle, *keyless(later, issuer.token(VENDOR)), code=2)
    assert not (bundle / SIGNED).exists()


@pytest.mark.parametrize(
    ("limit", "days", "why"),
    [
        ("until", 1, ""),
        ("until", 0, "expired on"),
        ("revoked", 1, ""),
        ("revoked", 0, "revoked on"),
        ("since", 0, ""),
        ("since", 1, "count from"),
    ],
)
def test_limits_of_a_policy_are_held_against_the_proven_time(
    tmp_path: Path, bundle: Path, ours: Path, limit: str, days: int, why: str
) -> None:
    signed = datetime.fromisoformat(
        verified(bundle, "--identity", VENDOR, "--sigstore-config", ours)["vouched_for"]["by"][0]["proven"]
    )
    day = signed.date() + timedelta(days=days)
    file = policy(tmp_path, ours, f"{{name: A, identity: {VENDOR}, {limit}: {day}}}", more="timestamps_required: true")
    (voucher,) = verified(bundle, "--policy", file, code=1 if why else 0)["vouched_for"]["by"]
    assert why in voucher["why_not"] if why else not voucher["why_not"]


# Two signers


def test_a_keyless_witness_of_a_keyless_vendor(tmp_path: Path, bundle: Path, ours: Path, issuer: Issuer) -> None:
    vendor = f"{{name: Acme, identity: {VENDOR}, issuer: {issuer.url}}}"
    witness = f"{{name: Lab, role: witness, identity: {WITNESS}, issuer: {issuer.url}}}"
    both = policy(tmp_path, ours, vendor, witness, more="thresholds: {vendor: 1, witness: 1}")
    said = run("verify", bundle, "--policy", both, code=1)
    assert "0 of 1 witness signatures" in said
    run("sign", bundle, *keyless(ours, issuer.token("passer@by.test")), "--countersign")
    verified(bundle, "--policy", both, code=1)
    run("sign", bundle, *keyless(ours, issuer.token(WITNESS)), "--countersign")
    found = verified(bundle, "--policy", both)
    assert [(each["role"], each["key"]) for each in found["vouched_for"]["by"]] == [
        ("vendor", VENDOR),
        ("witness", WITNESS),
    ]
    assert all(each["proven"] for each in found["vouched_for"]["by"])
    countersigned = bundle / "attestation.countersigned.sigstore.jsonl"
    first, second = countersigned.read_text().splitlines()
    countersigned.write_text(f"{first}\nnot a bundle\n")
    verified(bundle, "--policy", both, code=1)
    countersigned.write_text(f"not a bundle\n{second}\n")
    verified(bundle, "--policy", both)


@pytest.mark.parametrize("first", ["key", "keyless"])
def test_keys_and_identities_countersign_each_other(
    tmp_path: Path, blank: Path, ours: Path, issuer: Issuer, first: str
) -> None:
    with_key, without = ("--new-key", tmp_path / "signer"), keyless(ours, issuer.token(WITNESS))
    one, other = (with_key, without) if first == "key" else (without, with_key)
    run("sign", blank, *one)
    run("sign", blank, *other, "--countersign")
    signers = "{name: A, key: signer.pub}", f"{{name: B, identity: {WITNESS}}}"
    both = policy(tmp_path, ours, *signers, more="thresholds: {vendor: 2}")
    assert len(verified(blank, "--policy", both)["vouched_for"]["by"]) == 2
    product = blank / "PRODUCT.yaml"
    product.write_text(product.read_text() + "# more\n")
    verified(blank, "--policy", both, code=1)
    said = run("sign", blank, *without, "--countersign", code=2)
    assert "what was signed is not this bundle" in said


# Services that do not serve


def changed(config: Path, folder: Path, service: str, url: str) -> Path:
    """The deployment with another address of one kind of service."""
    data = json.loads(config.read_text())
    data["signingConfig"][service][0]["url"] = url
    path = folder / "changed.json"
    path.write_text(json.dumps(data))
    return path


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of what accepts connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def nobody() -> str:
    """An address where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.parametrize("service", ["caUrls", "rekorTlogUrls", "tsaUrls"])
def test_a_service_that_cannot_be_reached(
    tmp_path: Path, blank: Path, ours: Path, issuer: Issuer, nobody: str, service: str
) -> None:
    config, token = changed(ours, tmp_path, service, nobody), issuer.token(VENDOR)
    said = run("sign", blank, *keyless(config, token), code=2)
    assert "sigstore could not sign" in said
    assert "--key" in said
    assert "Traceback" not in said
    assert not (blank / SIGNED).exists()


@pytest.mark.parametrize("service", ["caUrls", "rekorTlogUrls"])
def test_a_service_that_is_silent(
    tmp_path: Path, blank: Path, ours: Path, issuer: Issuer, silent: str, service: str
) -> None:
    config = changed(ours, tmp_path, service, silent)
    said = run("sign", blank, *keyless(config, issuer.token(VENDOR)), code=2, quick=True)
    assert "did not answer within 3 s" in said
    assert not (blank / SIGNED).exists()


def test_a_refusal_is_told_without_the_token(blank: Path, ours: Path, issuer: Issuer) -> None:
    refused = (issuer.token(VENDOR, "unknown"), issuer.token(VENDOR, email_verified=False))
    for token in refused:
        said = run("sign", blank, *keyless(ours, token), code=2)
        assert re.search(r"/api/v2/signingCert answered 4\d\d: .*identity token", said, re.IGNORECASE), said
        assert not any(part in said for part in token.split("."))
    said = run("sign", blank, *keyless(ours, issuer.token(VENDOR, exp=int(time.time()) - 60)), code=2)
    assert "sigstore could not sign" in said


@pytest.mark.parametrize("kind", ["silent", "nobody"])
def test_whom_the_public_deployment_trusts_cannot_be_known(
    tmp_path: Path, bundle: Path, request: pytest.FixtureRequest, kind: str
) -> None:
    proxy = request.getfixturevalue(kind)
    places = {"XDG_DATA_HOME": str(tmp_path / "data"), "XDG_CACHE_HOME": str(tmp_path / "cache"), "HTTPS_PROXY": proxy}
    said = run("verify", bundle, "--identity", VENDOR, code=2, quick=True, **places, https_proxy=proxy, NO_PROXY="")
    assert "whom sigstore's public deployment trusts cannot be known" in said
    assert "--sigstore-config" in said
