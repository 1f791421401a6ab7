"""The trust policy: whose signatures a verifier accepts, for which vendors, how many, and for how long.

A policy is the verifier's own file. Nothing in a bundle can add to it.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from datetime import UTC, date, datetime, time
from functools import cached_property
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from aiconform.certify.days import Day
from aiconform.untrusted import Refused
from aiconform.untrusted import read as read_file

LARGEST = 1 << 20  # bytes of a key or of certificates

Role = Literal["vendor", "witness"]


class BadPolicy(Exception):
    """The file is no trust policy; the text says where and why."""


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Trusted(_Model):
    """A signer: a public key (PEM), or an identity that an OIDC issuer confirmed to sigstore.

    role: `vendor` signs for a product of its own, `witness` for a run that it has seen. vendors: for whom the signer
    may sign, by vendorName; empty: for anybody. since, until: days (UTC) between which signatures count. revoked: the
    day from which nothing signed with this key counts; without a proven time, nothing at all does.
    """

    name: str
    role: Role = "vendor"
    vendors: tuple[str, ...] = ()
    key: str = ""
    identity: str = ""
    issuer: str = ""
    since: Day | None = None
    until: Day | None = None
    revoked: Day | None = None

    @model_validator(mode="after")
    def _known_by_one_thing(self) -> Trusted:
        if bool(self.key) == bool(self.identity):
            raise ValueError("a signer has either a key or an identity")
        return self

    @cached_property
    def fingerprint(self) -> str:
        """sha256 of the key, or the identity. Raises BadPolicy."""
        if not self.key:
            return self.identity
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

        try:
            public = load_pem_public_key(self.key.encode())
        except (ValueError, UnsupportedAlgorithm) as error:
            raise BadPolicy(f"{self.name}: not a usable public key in PEM format") from error
        data = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return f"sha256:{hashlib.sha256(data).hexdigest()}"

    def why_not(self, vendor: str, claimed: datetime | None, proven: datetime | None, now: datetime) -> str:
        """Why a valid signature does not count; "" if it does. claimed: the time that the signature names itself."""
        at = proven or claimed
        if self.vendors and vendor.casefold() not in {each.casefold() for each in self.vendors}:
            return f"may not sign for {vendor or 'a vendor without a name'}"
        if self.since and (at is None or at < _start(self.since)):
            return f"its signatures count from {self.since}"
        if self.until and (proven or now) >= _start(self.until):
            return f"expired on {self.until}" + ("" if proven else ", and no timestamp proves an earlier signature")
        if self.revoked and not (proven and proven < _start(self.revoked)):
            return f"revoked on {self.revoked}" + ("" if proven else ", and no timestamp proves an earlier signature")
        return ""


class Policy(_Model):
    """thresholds: how many signers of each role must have signed. timestamps: certificates (PEM) of the timestamp
    authorities; with `timestamps_required`, only signatures with a proven time count. sigstore_config: the
    ClientTrustConfig (JSON) of the deployment that confirms identities; "" is sigstore's public one."""

    signers: tuple[Trusted, ...]
    thresholds: dict[Role, int] = {"vendor": 1}
    timestamps: tuple[str, ...] = ()
    timestamps_required: bool = False
    sigstore_config: str = ""

    @model_validator(mode="after")
    def _makes_sense(self) -> Policy:
        if not self.signers or not any(count > 0 for count in self.thresholds.values()):
            raise ValueError("a policy names signers, and how many must have signed")
        for role, count in self.thresholds.items():
            if count > sum(each.role == role for each in self.signers):
                raise ValueError(f"the threshold of {role} is above the number of its signers")
        return self


def of_key(path: Path) -> Policy:
    """The policy that one key must have signed. Raises BadPolicy."""
    return _checked(Policy(signers=(Trusted(name=path.name, key=_text(path)),)))


def of_identity(identity: str, issuer: str | None, sigstore_config: Path | None) -> Policy:
    """The policy that one identity must have signed. Raises BadPolicy."""
    signer = Trusted(name=identity, identity=identity, issuer=issuer or "")
    return Policy(signers=(signer,), sigstore_config=_deployment(sigstore_config))


def read_policy(path: Path) -> Policy:
    """From YAML. Keys and certificates are PEM or files beside it, `sigstore_config` is a file. Raises BadPolicy."""
    from aiconform.spec.errors import MalformedFile
    from aiconform.spec.yamlfile import read

    try:
        data = read(path).data
        policy = Policy.model_validate(data)
    except MalformedFile as error:
        raise BadPolicy(str(error)) from error
    except OSError as error:
        raise BadPolicy(f"{path} cannot be read: {error.strerror}") from error
    except ValidationError as error:
        problem = error.errors()[0]
        place = ".".join(str(part) for part in problem["loc"]) or "the policy"
        raise BadPolicy(f"{path}: {place}: {problem['msg']}") from error
    signers = tuple(
        each.model_copy(update={"key": _pem(each.key, path)}) if each.key else each for each in policy.signers
    )
    certificates = tuple(_pem(each, path) for each in policy.timestamps)
    config = _deployment(path.parent / policy.sigstore_config if policy.sigstore_config else None)
    changed = {"signers": signers, "timestamps": certificates, "sigstore_config": config}
    return _checked(policy.model_copy(update=changed))


def _checked(policy: Policy) -> Policy:
    """Nobody may stand in the policy twice: one signer would meet a threshold of two."""
    counts = Counter(each.fingerprint for each in policy.signers)
    twice = [each.name for each in policy.signers if counts[each.fingerprint] > 1]
    if twice:
        raise BadPolicy(f"the same signer stands in the policy as {' and '.join(twice)}")
    return policy


def _pem(text: str, policy: Path) -> str:
    return text if "-----BEGIN" in text else _text(policy.parent / text)


def _deployment(path: Path | None) -> str:
    from aiconform.certify.keyless import Deployment, NoDeployment

    try:
        return Deployment.of(path).config if path else ""
    except NoDeployment as error:
        raise BadPolicy(str(error)) from error


def _text(path: Path) -> str:
    try:
        return read_file(path, LARGEST).decode("ascii")
    except Refused as error:
        raise BadPolicy(str(error)) from error
    except OSError as error:
        raise BadPolicy(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise BadPolicy(f"{path} is not a usable public key in PEM format") from error


def _start(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
