"""Who vouches for a bundle: the valid signatures in it, held against the verifier's policy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from aiconform.certify.attestation import NotAttested, verify_with_key
from aiconform.certify.keyless import Deployment, verify_keyless
from aiconform.certify.timestamps import NoTimestamp, proven_time
from aiconform.certify.trust import Policy, Trusted
from aiconform.engine.journal import moment

# What differs between the statements of two signers who attest the same bundle.
_OWN = ("by", "signed")


@dataclass(frozen=True)
class Voucher:
    """A signer of the policy whose valid signature is in the bundle.

    key: fingerprint of the key, or the identity. issuer: who confirmed the identity, or "". claimed: when it says it
    signed. proven: when an authority or a transparency log says it had signed, or "". why_not: why it does not count,
    or "".
    """

    name: str
    role: str
    key: str
    issuer: str
    claimed: str
    proven: str
    why_not: str

    def as_data(self) -> dict[str, str]:
        return asdict(self)


@dataclass(frozen=True)
class Vouched:
    """What was signed, by whom, and what the policy finds wrong with that."""

    subjects: dict[str, str]
    predicate: dict[str, Any]
    vouchers: tuple[Voucher, ...]
    problems: tuple[str, ...]


def vouched(folder: Path, policy: Policy, now: datetime) -> Vouched:
    """Raises NotAttested if no signer of the policy has signed, NoDeployment if sigstore cannot be asked who has."""
    deployment = Deployment(policy.sigstore_config)
    found: list[tuple[Voucher, dict[str, Any]]] = []
    absent: list[str] = []
    problems: list[str] = []
    for signer in policy.signers:
        try:
            content = _signed(folder, signer, deployment)
        except NotAttested as error:
            absent.append(str(error))
            continue
        try:
            proven = content.get("logged") or proven_time(folder, content["signature"], policy.timestamps)
        except NoTimestamp as error:
            proven = None
            problems.append(f"{signer.name}: {error}")
        found.append((_voucher(signer, content, proven, policy, now), content))
    if not found:
        raise NotAttested(absent[0] if len(absent) == 1 else f"nobody of the policy has signed: {'; '.join(absent)}")
    first = found[0][1]
    for voucher, content in found:
        if _same(content) != _same(first):
            problems.append(f"{voucher.name} signed something else than {found[0][0].name}")
    problems += _missing(policy, [voucher for voucher, _ in found])
    return Vouched(first["subjects"], first["predicate"], tuple(voucher for voucher, _ in found), tuple(problems))


def _signed(folder: Path, signer: Trusted, deployment: Deployment) -> dict[str, Any]:
    if signer.identity:
        return verify_keyless(folder, signer.identity, signer.issuer or None, deployment)
    return verify_with_key(folder, signer.key.encode(), signer.name)


def _voucher(
    signer: Trusted, content: dict[str, Any], proven: datetime | None, policy: Policy, now: datetime
) -> Voucher:
    predicate = content["predicate"]
    platform = predicate.get("platform")
    vendor = str(platform.get("vendorName", "")) if isinstance(platform, dict) else ""
    claimed = str(predicate.get("signed", ""))
    why_not = signer.why_not(vendor, moment(claimed), proven, now)
    if not why_not and policy.timestamps_required and proven is None:
        why_not = "no timestamp proves when it signed"
    shown = proven.isoformat(timespec="seconds") if proven else ""
    return Voucher(signer.name, signer.role, signer.fingerprint, content.get("issuer", ""), claimed, shown, why_not)


def _same(content: dict[str, Any]) -> tuple[Any, Any]:
    return content["subjects"], {key: value for key, value in content["predicate"].items() if key not in _OWN}


def _missing(policy: Policy, vouchers: list[Voucher]) -> Iterator[str]:
    for role, needed in policy.thresholds.items():
        counting = [each for each in vouchers if each.role == role and not each.why_not]
        if len(counting) < needed:
            without = [f"{each.name} {each.why_not}" for each in vouchers if each.role == role and each.why_not]
            why = f" ({'; '.join(without)})" if without else ""
            yield f"{len(counting)} of {needed} {role} signatures that the policy asks for{why}"
