"""A Pod that the platform refuses: its own words stay, and which option helps is said."""

from __future__ import annotations

import pytest

from aiconform.cluster import AdmissionBehind, OverQuota, Rejected, admission, wait
from aiconform.cluster.refusals import refusal

FORBIDDEN = 'pods "probe-holder" is forbidden: '
QUOTA = (
    f"{FORBIDDEN}exceeded quota: compute, requested: limits.cpu=1,limits.memory=256Mi, "
    "used: limits.cpu=3500m,limits.memory=1Gi, limited: limits.cpu={cpu},limits.memory=2Gi"
)


@pytest.mark.parametrize(
    ("said", "helps"),
    [
        (QUOTA.format(cpu="4"), "raise the quota"),
        (f"{FORBIDDEN}failed quota: compute: must specify limits.example.com/x for: holder", "let the quota ask for"),
        (f"{FORBIDDEN}[maximum cpu usage per Container is 5m, but limit is 10m]", "list limitranges"),
        (f"{FORBIDDEN}cpu max limit to request ratio per Container is 2, but provided ratio is 3.0", "LimitRange"),
        (
            f'{FORBIDDEN}violates PodSecurity "restricted:latest": runAsNonRoot != true',
            "pod-security.kubernetes.io/enf",
        ),
        (f"{FORBIDDEN}unable to validate against any security context constraint: []", "oc adm policy"),
        (f"{FORBIDDEN}pod node label selector conflicts with its namespace node label selector", "spec.nodeSelector"),
        (
            f"{FORBIDDEN}ValidatingAdmissionPolicy 'p' with binding 'b' denied request: label team is required",
            "--pod-template FILE",
        ),
        (
            'admission webhook "validate.kyverno.svc-fail" denied the request: images have to come from our registry',
            "--image-registry",
        ),
        (
            'admission webhook "validation.gatekeeper.sh" denied the request: [owner] no annotation',
            "metadata.annotations",
        ),
        ('admission webhook "policy.example.com" denied the request: no', "app.kubernetes.io/managed-by=aiconform"),
    ],
)
def test_a_refusal_of_a_pod_has_the_platform_s_words_and_what_helps(said: str, helps: str) -> None:
    error = refusal(403, {"message": said, "reason": "Forbidden"}, "create", "pods")
    assert isinstance(error, Rejected)
    assert not isinstance(error, AdmissionBehind)
    words, _, way = str(error).partition(". What helps: ")
    assert words == f"create pods: {said}"
    assert helps in way


def test_what_is_no_pod_has_no_such_advice() -> None:
    said = 'admission webhook "vjobset.kb.io" denied the request: no'
    assert str(refusal(403, {"message": said}, "create", "jobsets")) == f"create jobsets: {said}"


@pytest.mark.parametrize(("cpu", "later"), [("4", True), ("500m", False)])
def test_a_quota_that_others_use_is_waited_for_and_one_that_is_too_small_is_not(cpu: str, later: bool) -> None:
    assert isinstance(refusal(403, {"message": QUOTA.format(cpu=cpu)}, "create", "pods"), OverQuota) is later


async def test_a_quota_that_others_use_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wait, "_WEBHOOK_RETRY_SECONDS", 0.01)
    asked = 0

    async def request() -> str:
        nonlocal asked
        asked += 1
        if asked < 3:
            raise refusal(403, {"message": QUOTA.format(cpu="4")}, "create", "pods")
        return "made"

    assert await wait.reaching_webhooks(request, seconds=5.0) == "made"
    asked = 0
    with pytest.raises(OverQuota, match="exceeded quota: compute"):
        await wait.reaching_webhooks(request, seconds=0.0)


@pytest.mark.parametrize(
    ("said", "refused"),
    [
        ('Error creating: pods "a-x" is forbidden: exceeded quota: small', True),
        ('create Pod a-0 in StatefulSet a failed error: pods "a-0" is forbidden: exceeded quota: small', True),
        ('Failed to create head Pod n/a, pods "a-head" is forbidden: exceeded quota: small', True),
        ('Error creating: admission webhook "validate.kyverno.svc-fail" denied the request: no', True),
        ("Error creating: etcdserver: leader changed", False),
        ('Failed to create service: services "a" is forbidden: exceeded quota: small', False),
    ],
)
def test_events_of_controllers_say_whether_admission_refused_a_pod(said: str, refused: bool) -> None:
    assert admission.refuses_pods(said) is refused
