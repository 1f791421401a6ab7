"""Copies of a user's pull secrets in the Namespaces of a run. What a secret holds is never told or recorded."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from aiconform.cluster import wait
from aiconform.cluster.api import Cluster, Object
from aiconform.cluster.errors import ApiError, Conflict, Forbidden, NotFound, Stuck

REFERENCE = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?/[a-z0-9]([-a-z0-9.]*[a-z0-9])?")
"""NAMESPACE/NAME of a Secret."""
_TYPES = ("kubernetes.io/dockerconfigjson", "kubernetes.io/dockercfg")


@dataclass(frozen=True)
class PullSecret:
    """One of the user's Secrets. `source` is its NAMESPACE/NAME, `data` as the API has it."""

    source: str
    type: str
    data: Mapping[str, str] = field(repr=False)

    def copy(self, name: str, namespace: str, labels: Mapping[str, str], owners: Sequence[Object] = ()) -> Object:
        return {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name, "namespace": namespace, "labels": dict(labels), "ownerReferences": list(owners)},
            "type": self.type,
            "data": dict(self.data),
        }


async def read(cluster: Cluster, references: Iterable[str]) -> tuple[PullSecret, ...]:
    """The Secrets of these NAMESPACE/NAME. Raises ClusterError, which names the one that cannot be used."""
    return tuple([await _read(cluster, reference) for reference in references])


async def _read(cluster: Cluster, reference: str) -> PullSecret:
    namespace, _, name = reference.partition("/")
    try:
        found = await cluster.get("v1", "Secret", name, namespace)
    except NotFound:
        raise Stuck(f"--pull-secret {reference}: there is no such Secret") from None
    except Forbidden as error:
        raise Stuck(f"--pull-secret {reference}: {error} (see `aiconform rbac --pull-secret {reference}`)") from error
    if found.get("type") not in _TYPES:
        raise Stuck(f"--pull-secret {reference}: its type is {found.get('type')}, and has to be {' or '.join(_TYPES)}")
    return PullSecret(reference, found["type"], found.get("data") or {})


async def create(cluster: Cluster, secret: PullSecret, copy: Object) -> None:
    """Create a copy. Raises Stuck without the API server's words, which may quote what the Secret holds."""
    try:
        # A webhook may not know the new Namespace yet.
        await wait.reaching_webhooks(lambda: cluster.create(copy))
    except Conflict:
        # Made before an interruption.
        return
    except ApiError as error:
        place = copy["metadata"]["namespace"]
        raise Stuck(
            f"the copy of pull secret {secret.source} in Namespace {place} is refused (HTTP {error.status} "
            f"{error.reason}); let the run create secrets there, or name the platform's own by --pod-template "
            "(spec.imagePullSecrets)"
        ) from None
