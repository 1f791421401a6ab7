"""What an error response of the API server means."""

from __future__ import annotations

import re
from typing import Any

from aiconform.cluster import admission
from aiconform.cluster.errors import (
    AdmissionBehind,
    ApiError,
    Conflict,
    Expired,
    Forbidden,
    NotFound,
    OverQuota,
    Rejected,
    ServerFailed,
    Unauthorized,
    WebhookBehind,
    WebhookUnreached,
)

_UNREACHED = re.compile(r'failed calling webhook "([^"]+)"')
# A webhook that reads from a cache does not know a new Namespace yet (Kueue's webhook for Pods).
_BEHIND = re.compile(r'admission webhook "([^"]+)" denied the request: .*?[Nn]amespaces? "[^"]+" not found', re.DOTALL)
# Nor an object that was created just before. It may as well be one that is not there: then this is its refusal.
_UNKNOWN_YET = re.compile(
    r'admission webhook "[^"]+" denied the request: .*?'
    r'("[^"]+" (was )?not found|(must|has to|needs to) (be created|exist) (before|first)|does not exist yet)',
    re.DOTALL | re.IGNORECASE,
)
# A quota refuses everything until its controller has counted for the first time (pkg/admission/plugin/resourcequota).
_NOT_COUNTED_YET = re.compile(r"status unknown for quota")
# The API server finds PriorityClasses in a cache; each replica of it has its own.
_NO_CLASS_YET = re.compile(r"no PriorityClass with name \S+ was found")
# What a policy for guests may refuse.
_OF_GUESTS = {"pods", "deployments", "jobs", "namespaces"}


def refusal(code: int, status: dict[str, Any], verb: str, resource: str) -> ApiError:
    """The exception for an error response, with the verb and the resource of the request."""
    said = str(status.get("message", "")).strip()
    reason = str(status.get("reason", ""))
    if code == 401:
        return Unauthorized(
            f"The credentials are not accepted ({said or 'Unauthorized'}): log in again or choose another context.",
            status=code,
            reason=reason,
        )
    if code < 400:
        return ServerFailed(
            f"{verb} {resource}: the server answers with a redirect (HTTP {code}), as a login page or an entry "
            "to https does: name the API server itself in the kubeconfig",
            status=code,
        )
    if code == 403 and "cannot" in said and "User" in said:
        return Forbidden(f"no permission to {verb} {resource}: {said}", verb=verb, resource=resource, reason=reason)
    if behind := _BEHIND.search(said):
        return WebhookBehind(f"{verb} {resource}: {said}", webhook=behind[1], status=code, reason=reason)
    if any(each.search(said) for each in (_UNKNOWN_YET, _NO_CLASS_YET, _NOT_COUNTED_YET)):
        return AdmissionBehind(f"{verb} {resource}: {said}", status=code, reason=reason)
    if unreached := code >= 500 and _UNREACHED.search(said):
        return WebhookUnreached(f"{verb} {resource}: {said}", webhook=unreached[1], status=code, reason=reason)
    words = f"{verb} {resource}: {said or f'HTTP {code}'}"
    # What a ValidatingAdmissionPolicy denies is 422 (Invalid), unless it names another reason.
    if verb == "create" and resource in _OF_GUESTS and (code == 403 or (code == 422 and admission.by_policy(said))):
        refused = OverQuota if admission.fits_quota_later(said) else Rejected
        return refused(f"{words}. What helps: {admission.way_out(said)}", status=code, reason=reason)
    classes: dict[int, type[ApiError]] = {404: NotFound, 409: Conflict, 410: Expired}
    fallback = ServerFailed if code >= 500 or code == 429 else Rejected
    return classes.get(code, fallback)(words, status=code, reason=reason)
