"""Signatures without a key to keep: by an identity that an OIDC issuer confirms to a deployment of sigstore.

A deployment is what sigstore calls a ClientTrustConfig: addresses of its services, and the keys that they sign with.
https://docs.sigstore.dev/about/security/
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from threading import Thread
from typing import Any, TypeVar

from aiconform.certify.attestation import (
    NotAttested,
    SigningFailed,
    encoded,
    first_line,
    read_signature,
    statement_in,
    written,
)
from aiconform.certify.bundle import COUNTERSIGNED, KEYLESS
from aiconform.untrusted import Refused, read, refuse_depth

SECONDS = 60.0
"""For all that the services do for one signature, and for getting the public deployment's configuration."""
_LARGEST = 1 << 20  # bytes of a configuration
_MOST = 32  # countersignatures
_SHORTEST = 8  # letters of a part of a token that tell something
_ISSUER = "1.3.6.1.4.1.57264.1.8"  # https://github.com/sigstore/fulcio/blob/main/docs/oid-info.md
_WITHOUT = "sign with --key, which needs no service"

Done = TypeVar("Done")


class NoDeployment(Exception):
    """Whom a deployment trusts cannot be known, so nothing is decided; the text says why and what to do."""


@dataclass(frozen=True)
class Deployment:
    """config: the ClientTrustConfig (JSON); "" means that of sigstore's public deployment."""

    config: str = ""

    @classmethod
    def of(cls, path: Path) -> Deployment:
        """The deployment that a file describes. Raises NoDeployment."""
        try:
            found = cls(read(path, _LARGEST).decode())
        except OSError as error:
            raise NoDeployment(f"{path} cannot be read: {error.strerror}") from error
        except (Refused, ValueError) as error:
            raise NoDeployment(f"{path} is no ClientTrustConfig of sigstore: {first_line(error)}") from error
        if not found.config:
            raise NoDeployment(f"{path} is no ClientTrustConfig of sigstore: it is empty")
        try:
            _ = found.trust
        except NoDeployment as error:
            raise NoDeployment(f"{path}: {error}") from error
        return found

    @cached_property
    def trust(self) -> Any:
        """sigstore's ClientTrustConfig. Raises NoDeployment."""
        import sigstore.errors
        from sigstore.models import ClientTrustConfig

        if not self.config:
            try:
                return _in_time(ClientTrustConfig.production)
            except (sigstore.errors.Error, OSError, ValueError) as error:
                raise NoDeployment(
                    f"whom sigstore's public deployment trusts cannot be known ({_reason(error)}): it is read over the "
                    "network. Try again with one, or name a deployment's own file (--sigstore-config, or "
                    "sigstore_config in a policy)"
                ) from error
        try:
            refuse_depth(self.config.encode(), "it")
            made = ClientTrustConfig.from_json(self.config)
            made.trusted_root.get_fulcio_certs()  # what it holds is read only when it is asked for
        except (sigstore.errors.Error, Refused, ValueError, KeyError, TypeError, AttributeError) as error:
            raise NoDeployment(f"it is no ClientTrustConfig of sigstore: {first_line(error)}") from error
        return made


@dataclass(frozen=True)
class Signer:
    """Whom the deployment's certificate names."""

    identity: str
    issuer: str


def sign_keyless(
    content: dict[str, Any],
    folder: Path,
    deployment: Deployment,
    token: str | None = None,
    *,
    countersign: bool = False,
) -> tuple[Path, Signer]:
    """Sign with the identity that an OIDC issuer confirms to sigstore. countersign: beside the signatures of others.

    Raises SigningFailed, NoDeployment.
    """
    import sigstore.errors
    from sigstore._internal.fulcio.client import ExpiredCertificate, FulcioClientError
    from sigstore._internal.rekor import RekorClientError
    from sigstore.oidc import ExpiredIdentity, IdentityToken, detect_credential

    # What its clients of services raise is no Error of sigstore's.
    refused = (FulcioClientError, RekorClientError, ExpiredCertificate, ExpiredIdentity)
    raw = token or ""
    try:
        raw = raw or _in_time(detect_credential) or ""
        if not raw:
            raise SigningFailed(
                "no identity to sign with: run where an OIDC token is available, or pass one with --identity-token; "
                f"or {_WITHOUT}"
            )
        identity = IdentityToken(raw)
        trust = deployment.trust
        bundle, signer = _in_time(lambda: _signed(encoded(content), identity, trust))
    except (sigstore.errors.Error, *refused, OSError, ValueError, KeyError, TypeError) as error:
        raise SigningFailed(f"sigstore could not sign ({_reason(error, raw)}): {_WITHOUT}") from error
    data = bundle.to_json().encode()
    if not countersign:
        return written(folder / KEYLESS, data), signer
    try:
        lines = _countersigned(folder)
    except NotAttested as error:
        raise SigningFailed(str(error)) from error
    if len(lines) == _MOST:
        raise SigningFailed(f"{COUNTERSIGNED} has {_MOST} signatures, and more are never read")
    return written(folder / COUNTERSIGNED, b"\n".join((*lines, data.replace(b"\n", b" "), b""))), signer


def _countersigned(folder: Path) -> list[bytes]:
    """Raises NotAttested."""
    path = folder / COUNTERSIGNED
    lines = read_signature(path).split(b"\n") if path.exists() else []
    return [line for line in lines if line.strip()]


def _signed(payload: bytes, identity: Any, trust: Any) -> tuple[Any, Signer]:
    """A bundle of sigstore's that verifies: it signs all the same if, for example, no authority gave it a time."""
    from sigstore.dsse import Statement
    from sigstore.sign import SigningContext

    with SigningContext.from_trust_config(trust).signer(identity) as signer:
        bundle = signer.sign_dsse(Statement(payload))
    _verified(bundle, trust, _Anybody())
    return bundle, _signer(bundle.signing_certificate)


def verify_keyless(folder: Path, identity: str, issuer: str | None, deployment: Deployment) -> dict[str, Any]:
    """The statement that `identity` signed through sigstore, whose `issuer` confirmed it, by when it was `logged`.

    The time is one that the transparency log promised or a timestamp authority signed: the bundle also has a field for
    it that nobody signs. Raises NotAttested, NoDeployment.
    """
    from sigstore.verify import policy

    whose = policy.Identity(identity=identity, issuer=issuer)
    lines = _countersigned(folder)[:_MOST]
    bundles = {f"{COUNTERSIGNED}, line {number}": line for number, line in enumerate(lines, 1)}
    if (folder / KEYLESS).exists() or not lines:
        bundles = {KEYLESS: read_signature(folder / KEYLESS), **bundles}
    whys = []
    for name, data in bundles.items():
        try:
            return _statement(data, whose, deployment)
        except NotAttested as error:
            whys.append(f"{name} is not proven to be by {identity}: {error}")
    raise NotAttested("; ".join(whys[:3]))


def _statement(data: bytes, whose: Any, deployment: Deployment) -> dict[str, Any]:
    """Of one bundle of sigstore's. Raises NotAttested, NoDeployment."""
    import sigstore.errors
    from sigstore.models import Bundle

    try:
        refuse_depth(data, "it")
        bundle = Bundle.from_json(data)
        kind, payload, logged = _verified(bundle, deployment.trust, whose)
    except (sigstore.errors.Error, Refused, OSError, ValueError) as error:
        raise NotAttested(first_line(error)) from error
    return {**statement_in(payload, kind), "logged": logged, "issuer": _signer(bundle.signing_certificate).issuer}


def _verified(bundle: Any, trust: Any, policy: Any) -> tuple[str, bytes, Any]:
    """(kind, payload, the earliest time that sigstore establishes). Raises sigstore's VerificationError."""
    from sigstore.verify import Verifier

    verifier = Verifier(trusted_root=trust.trusted_root)
    kind, payload = verifier.verify_dsse(bundle, policy)
    return kind, payload, min(each.time for each in verifier._establish_time(bundle))


class _Anybody:
    """A policy of sigstore's: whoever signs knows the own identity."""

    def verify(self, cert: Any) -> None:
        pass


def _signer(certificate: Any) -> Signer:
    from cryptography import x509
    from cryptography.hazmat import asn1

    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    identity = next((str(name.value) for name in names if not isinstance(name, x509.OtherName)), "a name of its own")
    try:
        extension = certificate.extensions.get_extension_for_oid(x509.ObjectIdentifier(_ISSUER))
        issuer = asn1.decode_der(str, extension.value.value)
    except (x509.ExtensionNotFound, ValueError):
        issuer = ""
    return Signer(identity, issuer)


def _in_time(call: Callable[[], Done]) -> Done:
    """What `call` returns or raises; TimeoutError after SECONDS. sigstore waits for its services for ever."""
    future: Future[Done] = Future()

    def run() -> None:
        try:
            future.set_result(call())
        except BaseException as error:  # noqa: BLE001 - it is raised where the result is asked for
            future.set_exception(error)

    # A daemon: one that still waits does not keep the command from ending.
    Thread(target=run, daemon=True).start()
    try:
        return future.result(SECONDS)
    except TimeoutError as error:
        if future.done():
            raise
        raise TimeoutError(f"a service did not answer within {SECONDS:g} s") from error


def _reason(error: BaseException, token: str = "") -> str:
    """The service's own words if sigstore holds its answer back, without the token."""
    words = next(_answers(error), "") or first_line(error)
    for secret in (token, *token.split(".")):
        if len(secret) >= _SHORTEST:
            words = words.replace(secret, "[token]")
    return words


def _answers(error: BaseException | None) -> Iterator[str]:
    while error is not None:
        answer = getattr(error, "response", None)
        if answer is not None:
            try:
                message = str(answer.json()["message"])
            except (ValueError, KeyError, TypeError):
                message = answer.text
            yield f"{answer.url} answered {answer.status_code}: {' '.join(message.split())[:300]}"
        error = error.__cause__ or error.__context__
