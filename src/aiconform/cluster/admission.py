"""Refusals of Pods by what a cluster asks of its guests: whose they are, and what helps.

The words are those of Kubernetes' admission plugins, policies and webhooks, in answers to requests and in the events of
controllers that make Pods.
"""

from __future__ import annotations

import re

from aiconform.cluster.quantity import number

EXEMPT = "exempt Namespaces with the label app.kubernetes.io/managed-by=aiconform from it"
_GUEST = (
    "--pod-template FILE gives every Pod of a run what a policy asks for, --namespace-labels and "
    "--namespace-annotation its Namespaces"
)
# What a refusal says -> what helps; the first one that fits.
# https://github.com/kubernetes/kubernetes/tree/master/plugin/pkg/admission (resourcequota, limitranger,
# podnodeselector, podtolerationrestriction, priority, runtimeclass), https://github.com/kubernetes/pod-security-admission,
# https://github.com/openshift/apiserver-library-go (securitycontextconstraints)
_WAYS_OUT = (
    (r"exceeded quota", f"raise the quota, free some of it, or {EXEMPT}"),
    (
        r"failed quota: .* must specify",
        f"the run sets CPU, memory and ephemeral storage; let the quota ask for no more, or {EXEMPT}",
    ),
    (
        r"usage per (Container|Pod) is |limit to request ratio per ",
        "a LimitRange has bounds that the Pod cannot meet: let the run list limitranges (`aiconform rbac`), see "
        f"--set accelerator_metrics.load_limits=..., change the bounds, or {EXEMPT}",
    ),
    (
        r"violates PodSecurity",
        "the Namespace has to allow what this Pod needs: let its label pod-security.kubernetes.io/enforce be as the "
        f"run sets it, or {EXEMPT}",
    ),
    (
        r"security context constraint",
        "let the ServiceAccount of the Namespace use an SCC that allows this Pod (oc adm policy add-scc-to-group SCC "
        "system:serviceaccounts:NAMESPACE)",
    ),
    (
        r"node label selector|pod tolerations|PriorityClass|priorityClassName|RuntimeClass",
        f"{_GUEST} (spec.nodeSelector, spec.tolerations, spec.priorityClassName, spec.runtimeClassName)",
    ),
    (
        r"(?i)\b(registr(y|ies)|digest|:latest|image tag|untrusted image|image signature)",
        "--image-registry REGISTRY takes the images from a mirror that the policy accepts, --image-digests names them "
        f"by digest (`aiconform images`), or {EXEMPT}",
    ),
    (r"(?i)\blabels?\b", f"{_GUEST} (metadata.labels), or {EXEMPT}"),
    (r"(?i)\bannotations?\b", f"{_GUEST} (metadata.annotations), or {EXEMPT}"),
    (r"", f"{_GUEST}; or {EXEMPT}"),
)
# A refusal in an event of the Job, ReplicaSet or StatefulSet controller, or of an operator that makes Pods.
_OF_PODS = re.compile(
    r'(Error creating: |failed error: |[Ff]ailed to create [^"]*)(pods "[^"]*" is forbidden|admission webhook )'
)
_QUOTA = re.compile(
    r"exceeded quota: [^,]+, requested: (?P<requested>.+?), used: (?P<used>.+?), limited: (?P<limited>.+)"
)


def way_out(said: str) -> str:
    """What helps against a refusal of a Pod, or of what makes Pods."""
    return next(way for pattern, way in _WAYS_OUT if re.search(pattern, said))


def by_policy(said: str) -> bool:
    """Whether a policy or a webhook refused a Pod for what is in it, and not a quota or the like."""
    return bool(re.search(r'ValidatingAdmissionPolicy|admission webhook "[^"]+" denied the request', said))


def refuses_pods(said: str) -> bool:
    """Whether the message of an event says that admission refused a Pod."""
    return bool(_OF_PODS.search(said))


def fits_quota_later(said: str) -> bool:
    """Whether a quota has room for what it refused once other Pods end."""
    found = _QUOTA.search(said)
    if found is None:
        return False
    requested, limited = _amounts(found["requested"]), _amounts(found["limited"])
    return bool(requested) and all(amount <= limited.get(name, 0.0) for name, amount in requested.items())


def _amounts(text: str) -> dict[str, float]:
    pairs = (entry.strip().partition("=") for entry in text.split(","))
    return {name: number(amount) for name, _, amount in pairs if re.fullmatch(r"[0-9.]+[a-zA-Z]*", amount)}
