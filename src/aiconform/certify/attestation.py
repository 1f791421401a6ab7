"""The attestation of a bundle: an in-toto Statement about each of its files, in a DSSE envelope.

It is signed with a PEM key by securesystemslib, or without a key by sigstore (see `keyless`).
https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md · https://github.com/secure-systems-lab/dsse
"""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from typing import Any

from aiconform.certify.bundle import ATTESTATION, KEYLESS
from aiconform.untrusted import Refused, json_value, read

STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://aiconform.dev/attestation/submission/v1"
PAYLOAD = "application/vnd.in-toto+json"
LARGEST = 16 << 20  # bytes of an envelope
PASSWORD = "AICONFORM_KEY_PASSWORD"  # noqa: S105 - the name of the variable


class SigningFailed(Exception):
    """The bundle was not signed; the text says why and what to do."""


class NotAttested(Exception):
    """The signature is not valid, or there is none."""


def statement(files: dict[str, str], predicate: dict[str, Any]) -> dict[str, Any]:
    return {
        "_type": STATEMENT,
        "subject": [{"name": name, "digest": {"sha256": digest}} for name, digest in sorted(files.items())],
        "predicateType": PREDICATE,
        "predicate": predicate,
    }


def public_beside(key: Path) -> Path:
    """Where the public key of a private key is kept that `new_key` creates."""
    return key.with_name(f"{key.name}.pub")


def new_key(path: Path) -> Path:
    """Create an Ed25519 key at `path`, readable by its owner only. Returns its public key. Raises SigningFailed."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.generate()
    password = os.environ.get(PASSWORD, "").encode()
    locked = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, locked)
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    beside = public_beside(path)
    try:
        for target, data, mode in ((path, private, 0o600), (beside, public, 0o644)):
            with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
                file.write(data)
    except FileExistsError as error:
        raise SigningFailed(f"{error.filename} exists: a key is never overwritten") from error
    except OSError as error:
        raise SigningFailed(f"{error.filename} cannot be written: {error.strerror}") from error
    return beside


def sign_with_key(content: dict[str, Any], key: Path, folder: Path) -> Path:
    """Raises SigningFailed."""
    from securesystemslib.dsse import Envelope

    return _sign(Envelope(encoded(content), PAYLOAD, {}), key, folder)


def _sign(envelope: Any, key: Path, folder: Path) -> Path:
    envelope.sign(_signer(key))
    return written(folder / ATTESTATION, json.dumps(envelope.to_dict(), indent=1).encode() + b"\n")


def _signer(key: Path) -> Any:
    """Raises SigningFailed."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key
    from securesystemslib.exceptions import Error
    from securesystemslib.signer import CryptoSigner

    password = os.environ.get(PASSWORD, "").encode() or None
    try:
        return CryptoSigner(load_pem_private_key(key.read_bytes(), password))
    except OSError as error:
        raise SigningFailed(f"{key} cannot be read: {error.strerror}") from error
    except (ValueError, TypeError, UnsupportedAlgorithm, Error) as error:
        raise SigningFailed(
            f"{key} is not a usable private key in PEM format (an encrypted one needs {PASSWORD}): {error}"
        ) from error


def countersign(content: dict[str, Any], key: Path, folder: Path) -> Path:
    """Add a signature to those of the statement that others have signed. Raises SigningFailed."""
    from securesystemslib.dsse import Envelope
    from securesystemslib.exceptions import Error

    if not (folder / ATTESTATION).exists():  # it was signed without a key
        return sign_with_key(content, key, folder)
    try:
        envelope = Envelope.from_dict(_json(read_signature(folder / ATTESTATION)))
    except (NotAttested, Error, ValueError, KeyError, TypeError, AttributeError) as error:
        raise SigningFailed(f"there is nothing to countersign: {first_line(error)}") from error
    return _sign(envelope, key, folder)


def attested(folder: Path) -> dict[str, Any]:
    """The statement that was signed, whoever signed it: for somebody who is about to sign it as well.

    Raises NotAttested.
    """
    from securesystemslib.dsse import Envelope
    from securesystemslib.exceptions import Error

    name = KEYLESS if (folder / KEYLESS).exists() and not (folder / ATTESTATION).exists() else ATTESTATION
    try:
        content = _json(read_signature(folder / name))
        if name == KEYLESS:
            content = content["dsseEnvelope"]
            return statement_in(base64.b64decode(content["payload"]), content["payloadType"])
        envelope = Envelope.from_dict(content)
    except (Error, ValueError, KeyError, TypeError, AttributeError) as error:
        raise NotAttested(f"{name} is no envelope: {first_line(error)}") from error
    return statement_in(envelope.payload, envelope.payload_type)


def signature_of(folder: Path, key: Path) -> bytes:
    """The signature in the envelope by this private key. Raises SigningFailed."""
    from securesystemslib.dsse import Envelope

    envelope = Envelope.from_dict(_json(read_signature(folder / ATTESTATION)))
    return bytes.fromhex(envelope.signatures[_signer(key).public_key.keyid].signature)


def verify_with_key(folder: Path, pem: bytes, name: str) -> dict[str, Any]:
    """The statement that this public key signed, with the `signature`. name: of the signer. Raises NotAttested."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_public_key
    from securesystemslib.dsse import Envelope
    from securesystemslib.exceptions import Error
    from securesystemslib.signer import SSlibKey

    try:
        public = SSlibKey.from_crypto(load_pem_public_key(pem))
    except (ValueError, TypeError, UnsupportedAlgorithm, Error) as error:
        raise NotAttested(f"{name}: not a usable public key in PEM format: {first_line(error)}") from error
    try:
        envelope = Envelope.from_dict(_json(read_signature(folder / ATTESTATION)))
        envelope.verify([public], 1)
    except (Error, ValueError, KeyError, TypeError, AttributeError) as error:
        raise NotAttested(f"{ATTESTATION} has no valid signature of {name}: {first_line(error)}") from error
    signature = bytes.fromhex(envelope.signatures[public.keyid].signature)
    return {**statement_in(envelope.payload, envelope.payload_type), "signature": signature}


def encoded(content: dict[str, Any]) -> bytes:
    return json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()


def written(path: Path, data: bytes) -> Path:
    try:
        path.write_bytes(data)
    except OSError as error:
        raise SigningFailed(f"{path} cannot be written: {error.strerror}") from error
    return path


def read_signature(path: Path) -> bytes:
    try:
        return read(path, LARGEST, inside=path.parent)
    except FileNotFoundError as error:
        raise NotAttested(f"there is no {path.name}: the bundle is not signed that way") from error
    except Refused as error:
        raise NotAttested(str(error)) from error
    except OSError as error:
        raise NotAttested(f"{path.name} cannot be read: {error.strerror}") from error


def _json(data: bytes) -> Any:
    return json_value(data, "it")


def statement_in(payload: bytes, kind: str) -> dict[str, Any]:
    try:
        content = _json(payload)
        known = kind == PAYLOAD and content["_type"] == STATEMENT and content["predicateType"] == PREDICATE
        subjects = {entry["name"]: entry["digest"]["sha256"] for entry in content["subject"]}
        if not known or not isinstance(content["predicate"], dict) or len(subjects) != len(content["subject"]):
            raise ValueError("another kind of statement")
    except (ValueError, KeyError, TypeError) as error:
        raise NotAttested(f"what was signed is not an attestation of a submission: {first_line(error)}") from error
    return {"subjects": subjects, "predicate": content["predicate"]}


def first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:300]
