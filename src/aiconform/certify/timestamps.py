"""Times of signatures that an authority vouches for, by RFC 3161: a signature existed at that time.

Each token is over one signature of the envelope, so that a second signer does not invalidate the first one's.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from aiconform.certify.bundle import TIMESTAMPS

LARGEST = 1 << 20  # bytes of the file; a token has about six thousand
SECONDS = 30.0


class NoTimestamp(Exception):
    """The authority gave none, or it proves nothing; the text says why."""


def add_timestamp(folder: Path, signature: bytes, url: str) -> datetime:
    """Ask the authority at `url` for a token over `signature`, and keep it. Returns its time. Raises NoTimestamp."""
    import httpx
    from rfc3161_client import TimestampRequestBuilder, decode_timestamp_response

    request = TimestampRequestBuilder().data(signature).nonce(nonce=True).cert_request(cert_request=True).build()
    try:
        answer = httpx.post(
            url,
            content=request.as_bytes(),
            headers={"Content-Type": "application/timestamp-query"},
            timeout=SECONDS,
        )
        answer.raise_for_status()
        token = decode_timestamp_response(answer.content)
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
        raise NoTimestamp(f"{url} gave no timestamp: {error}") from error
    if token.status != 0 or token.tst_info.nonce != request.nonce or not _is_over(token, signature):
        raise NoTimestamp(f"{url} gave a timestamp of something else (status {token.status})")
    kept = {**_kept(folder), _name(signature): base64.b64encode(answer.content).decode()}
    (folder / TIMESTAMPS).write_text(json.dumps({"tokens": kept}, indent=1) + "\n", encoding="utf-8")
    return token.tst_info.gen_time


def proven_time(folder: Path, signature: bytes, authorities: Sequence[str]) -> datetime | None:
    """When the signature existed, if one of the authorities (certificates, PEM) says so; None if there is no token.

    Raises NoTimestamp for a token that proves nothing.
    """
    from cryptography.x509 import load_pem_x509_certificates
    from rfc3161_client import VerificationError, VerifierBuilder, decode_timestamp_response

    kept = _kept(folder).get(_name(signature))
    if kept is None or not authorities:
        return None
    try:
        token = decode_timestamp_response(base64.b64decode(kept))
        builder = VerifierBuilder()
        for text in authorities:
            for certificate in load_pem_x509_certificates(text.encode()):
                builder = builder.add_root_certificate(certificate)
        builder.build().verify_message(token, signature)
    except (ValueError, TypeError, VerificationError) as error:
        raise NoTimestamp(f"{TIMESTAMPS}: the timestamp is not of an authority that you trust: {error}") from error
    return token.tst_info.gen_time


def _is_over(token: Any, signature: bytes) -> bool:
    imprint: bytes = token.tst_info.message_imprint.message
    return imprint in {hashlib.new(kind, signature).digest() for kind in ("sha256", "sha384", "sha512")}


def _name(signature: bytes) -> str:
    return hashlib.sha256(signature).hexdigest()


def _kept(folder: Path) -> dict[str, str]:
    path = folder / TIMESTAMPS
    if path.is_symlink() or not path.is_file() or path.stat().st_size > LARGEST:
        return {}
    try:
        tokens = json.loads(path.read_bytes())["tokens"]
        return {str(name): str(value) for name, value in tokens.items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}
