"""What Kubernetes asks its authorizers about a request, and what a Role or ClusterRole allows.

https://kubernetes.io/docs/reference/access-authn-authz/authorization/#determine-the-request-verb
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

_VERBS = {"GET": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
# What every user may by default, by the ClusterRoles system:discovery, system:public-info-viewer and system:basic-user.
_OPEN = re.compile(r"/(healthz|livez|readyz|version|api|apis|api/[^/]+|apis/[^/]+(/[^/]+)?|openapi(/.*)?)/?")
_OF_ONESELF = ("selfsubjectaccessreviews", "selfsubjectrulesreviews", "selfsubjectreviews")
# Subresources whose request is a connection: its verb follows the method as that of any other.
_SINGULAR = re.compile(r"/(?:api|apis/(?P<group>[^/]+))/[^/]+(?P<rest>/.+)")


@dataclass(frozen=True, order=True)
class Asked:
    """The attributes of a request. namespace: empty for cluster-scoped objects, and for all namespaces at once."""

    verb: str
    group: str
    resource: str
    subresource: str
    namespace: str
    name: str

    @property
    def qualified(self) -> str:
        return f"{self.resource}/{self.subresource}" if self.subresource else self.resource

    def __str__(self) -> str:
        where = f" in namespace {self.namespace}" if self.namespace else ""
        what = f"{self.qualified}.{self.group}" if self.group else self.qualified
        return f"{self.verb} {what} {self.name}".rstrip() + where


def asked(method: str, path: str, query: Mapping[str, str]) -> Asked | None:
    """What is asked about a request; None for what every user may."""
    if _OPEN.fullmatch(path):
        return None
    match = _SINGULAR.fullmatch(path)
    assert match, f"{method} {path} is about no resource"
    namespace, parts = "", match["rest"].strip("/").split("/")
    if parts[0] == "namespaces" and len(parts) > 2 and parts[2] not in ("status", "finalize"):
        namespace, parts = parts[1], parts[2:]
    resource, name, subresource, *_ = [*parts, "", ""]
    if resource in _OF_ONESELF:
        return None
    verb = _VERBS[method]
    if verb == "get" and not name:
        verb = "watch" if query.get("watch") in ("1", "true") else "list"
        # A list of one name is authorized as one of that name.
        only = re.fullmatch(r"metadata\.name=([^,]+)", query.get("fieldSelector", ""))
        name = only[1] if only else ""
    elif verb == "delete" and not name:
        verb = "deletecollection"
    if resource == "namespaces" and name:
        namespace = name
    return Asked(verb, match["group"] or "", resource, subresource, namespace, name)


def allows(role: Mapping[str, Any], request: Asked) -> bool:
    """Whether a Role or ClusterRole, bound where its kind says, allows the request."""
    if role["kind"] == "Role" and request.namespace != role["metadata"]["namespace"]:
        return False
    return any(_covers(rule, request) for rule in role["rules"])


def _covers(rule: Mapping[str, Any], request: Asked) -> bool:
    names = rule.get("resourceNames")
    return (
        _has(rule["verbs"], request.verb)
        and _has(rule["apiGroups"], request.group)
        and _has(rule["resources"], request.qualified)
        and (not names or request.name in names)
    )


def _has(values: Iterable[str], value: str) -> bool:
    return not {"*", value}.isdisjoint(values)
