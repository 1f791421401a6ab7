"""Signing without a key where no service answers as it should; tests/sigstore shows it with real services."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from types import SimpleNamespace

import pytest
from support.certify_material import certify, product, write

from aiconform.certify import attestation, keyless

TOKEN = "eyJhbGciOiJub25l.eyJzdWIiOiJzb21lYm9keSJ9.c2lnbmF0dXJl"


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return write(tmp_path, product(), "v1.37/p").parent


def sign(bundle: Path, *options: str | Path) -> str:
    result = certify("sign", bundle, "--keyless", *options)
    assert result.exit_code == 2, result.output
    assert not (bundle / "attestation.sigstore.json").exists()
    return result.output


def test_without_an_identity(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "GITHUB_ACTIONS", "SIGSTORE_ID_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    assert "--key" in sign(bundle, "--identity-token", "no.such.token")
    monkeypatch.setattr("sigstore.oidc.detect_credential", lambda: None)
    assert "pass one with --identity-token" in sign(bundle)


@pytest.fixture
def services(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setattr("sigstore.models.ClientTrustConfig.production", lambda: None)
    monkeypatch.setattr("sigstore.oidc.IdentityToken", lambda raw: raw)
    return monkeypatch


def test_a_refusal_in_the_words_of_the_service_and_without_the_token(
    bundle: Path, services: pytest.MonkeyPatch
) -> None:
    import requests
    from sigstore._internal.fulcio.client import FulcioClientError

    def refuse(config: object) -> None:
        answer = requests.Response()
        answer.status_code = 400
        answer.url = "https://fulcio.test/api/v2/signingCert"
        payload = TOKEN.split(".")[1]
        answer._content = json.dumps({"message": f"no such issuer in {TOKEN}, that is {payload}"}).encode()
        raise FulcioClientError from requests.HTTPError(response=answer)

    services.setattr("sigstore.sign.SigningContext.from_trust_config", refuse)
    said = " ".join(sign(bundle, "--identity-token", TOKEN).split())
    assert "fulcio.test/api/v2/signingCert answered 400: no such issuer in [token], that is [token]" in said
    assert "--key" in said


def test_a_silent_service(bundle: Path, services: pytest.MonkeyPatch) -> None:
    done = Event()
    services.setattr(keyless, "SECONDS", 0.05)
    services.setattr("sigstore.sign.SigningContext.from_trust_config", lambda config: done.wait())
    said = sign(bundle, "--identity-token", TOKEN)
    done.set()
    assert "did not answer within 0.05 s" in said


def test_whom_the_public_deployment_trusts_cannot_be_known(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sigstore.errors import TUFError

    def fail() -> None:
        raise TUFError("Failed to refresh TUF metadata")

    monkeypatch.setattr("sigstore.models.ClientTrustConfig.production", fail)
    monkeypatch.setattr("sigstore.oidc.IdentityToken", lambda raw: raw)
    assert "--sigstore-config" in sign(bundle, "--identity-token", TOKEN)
    monkeypatch.setattr("sigstore.models.Bundle.from_json", lambda data: None)
    (bundle / "attestation.sigstore.json").write_text("{}")
    result = certify("verify", bundle, "--identity", "somebody@platform.test")
    assert result.exit_code == 2
    assert "cannot be known (Failed to refresh TUF metadata)" in result.output
    assert "--sigstore-config" in result.output


@pytest.mark.parametrize("text", ["", "{}", "[]", "[" * 2000, '{"mediaType": "x", "trustedRoot": {}}', "\0"])
def test_what_is_no_deployment(tmp_path: Path, bundle: Path, text: str) -> None:
    config = tmp_path / "config.json"
    config.write_text(text)
    assert f"{config}" in sign(bundle, "--sigstore-config", config)
    policy = tmp_path / "policy.yaml"
    policy.write_text("signers: [{name: A, identity: a@b.test}]\nsigstore_config: config.json\n")
    for options in (("--policy", policy), ("--identity", "a@b.test", "--sigstore-config", config)):
        result = certify("verify", bundle, *options)
        assert result.exit_code == 2
        assert "no ClientTrustConfig" in result.output


def test_a_deployment_goes_with_an_identity(tmp_path: Path, bundle: Path) -> None:
    config = tmp_path / "config.json"
    config.write_text("{}")
    for options in (("sign", bundle, "--key", config), ("verify", bundle, "--unsigned")):
        result = certify(*options, "--sigstore-config", config)
        assert result.exit_code == 2
        assert "--sigstore-config goes with" in result.output
    (bundle / "config.json").write_text("{}")
    result = certify("verify", bundle, "--identity", "a@b.test", "--sigstore-config", bundle / "config.json")
    assert result.exit_code == 2
    assert "lies in the bundle" in result.output


def test_no_field_of_a_bundle_proves_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a promise of the log binds its integratedTime: here a timestamp authority says when it was signed."""
    now = datetime(2026, 11, 29, 16, 12, tzinfo=UTC)
    statement = {"_type": attestation.STATEMENT, "predicateType": attestation.PREDICATE, "subject": [], "predicate": {}}
    entry = {"verificationMaterial": {"tlogEntries": [{"integratedTime": "946684800"}]}}

    class Verifier:
        def __init__(self, trusted_root: object) -> None:
            pass

        def verify_dsse(self, bundle: object, policy: object) -> tuple[str, bytes]:
            return attestation.PAYLOAD, json.dumps(statement).encode()

        def _establish_time(self, bundle: object) -> list[SimpleNamespace]:
            return [SimpleNamespace(time=now)]

    monkeypatch.setattr("sigstore.verify.Verifier", Verifier)
    monkeypatch.setattr("sigstore.models.ClientTrustConfig.production", lambda: SimpleNamespace(trusted_root=None))
    monkeypatch.setattr(keyless, "_signer", lambda certificate: keyless.Signer("somebody@platform.test", "issuer"))
    monkeypatch.setattr(
        "sigstore.models.Bundle.from_json",
        lambda data: SimpleNamespace(to_json=lambda: json.dumps(entry), signing_certificate=None),
    )
    (tmp_path / "attestation.sigstore.json").write_text("{}")
    found = keyless.verify_keyless(tmp_path, "somebody@platform.test", None, keyless.Deployment())
    assert found["logged"] == now
