"""An API server of one cluster that takes a run as its guest, or refuses what a test says."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from email.message import Message
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from support import served
from support.api_server import serving, write_kubeconfig

Object = dict[str, Any]
SHELL = "registry.k8s.io/e2e-test-images/busybox:1.36.1-1"
_SERVED = {
    "/api/v1": [
        ("Node", "nodes", False),
        ("Namespace", "namespaces", False),
        ("Pod", "pods", True),
        ("Event", "events", True),
        ("Secret", "secrets", True),
        ("Service", "services", True),
        ("LimitRange", "limitranges", True),
        ("ResourceQuota", "resourcequotas", True),
    ],
    "/apis/authentication.k8s.io/v1": [("SelfSubjectReview", "selfsubjectreviews", False)],
    "/apis/coordination.k8s.io/v1": [("Lease", "leases", True)],
}


def status(code: int, message: str, reason: str = "") -> tuple[int, Object]:
    return code, {"kind": "Status", "message": message, "reason": reason}


def node(name: str = "n1", *, images: tuple[str, ...] = (), kubelet: str = "v1.37.2", **resources: str) -> Object:
    made = served.node(name, **resources)
    made["status"] |= {"images": [{"names": [each]} for each in images], "nodeInfo": {"kubeletVersion": kubelet}}
    return made


class HostingCluster:
    """One node with two accelerators, which has the suite's image; every request is allowed.

    forbidden: (verb, resource) of what is not. refuses: (kind, Namespace or "") -> the answer to whoever creates one.
    waiting: why the container of each Pod waits; all run by default.
    """

    def __init__(self) -> None:
        self.version = "v1.37.2"
        self.nodes = [node(images=(SHELL,), **{"nvidia.com/gpu": "2"})]
        self.forbidden: set[tuple[str, str]] = set()
        self.refuses: dict[tuple[str, str], tuple[int, Object]] = {}
        self.namespaces: dict[str, Object] = {"team": {"name": "team"}, "default": {"name": "default"}}
        self.quotas: list[Object] = []
        self.waiting: Object | None = None
        self.made: list[str] = []
        self.tried: list[Object] = []
        self.deleted: list[str] = []
        self.broken: dict[str, tuple[int, Object]] = {}
        self.pods: dict[str, Object] = {}

    # Reads

    def answer(self, path: str, _: Message) -> tuple[int, Any]:
        parts, query = urlsplit(path), dict(parse_qsl(urlsplit(path).query))
        path = parts.path
        if path in self.broken:
            return self.broken[path]
        if path == "/version":
            return 200, {"gitVersion": self.version}
        if path == "/apis":
            return 200, {"groups": []}
        if path in _SERVED:
            kinds = [
                {"kind": kind, "name": plural, "namespaced": namespaced, "verbs": []}
                for kind, plural, namespaced in _SERVED[path]
            ]
            return 200, {"resources": kinds}
        name = path.rpartition("/")[2]
        if path == "/api/v1/namespaces/kube-system":
            return 200, {"metadata": {"name": "kube-system", "uid": "0000-1111"}}
        if path == f"/api/v1/namespaces/{name}":
            about = self.namespaces.get(name)
            return (200, {"metadata": about}) if about else status(404, f'namespaces "{name}" not found')
        if path.endswith("/pods") and path.count("/") > 3:
            return self._pods(query)
        if name in self.pods:
            return 200, self._pod(name)
        if path.startswith(("/api/v1/", "/apis/coordination.k8s.io/v1/")) and name.endswith("s"):
            items = {"nodes": self.nodes, "resourcequotas": self.quotas}.get(name, [])
            return 200, {"items": items, "metadata": {"resourceVersion": "1"}}
        return status(404, "the server could not find the requested resource")

    def _pods(self, query: dict[str, str]) -> tuple[int, Any]:
        if "watch" not in query:
            return 200, {"items": list(self.pods.values()), "metadata": {"resourceVersion": "1"}}
        return 200, {"type": "ADDED", "object": self._pod(next(iter(self.pods)))}

    def _pod(self, name: str) -> Object:
        made = self.pods[name]
        state = {"waiting": self.waiting} if self.waiting else {"running": {}}
        statuses = [
            {"name": each["name"], "image": each["image"], "state": state} for each in made["spec"]["containers"]
        ]
        now = {"phase": "Pending" if self.waiting else "Running", "containerStatuses": statuses}
        spec = {**made["spec"], "nodeName": "n1"}
        return {**made, "spec": spec, "status": now}

    # Writes

    def written(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        parts = urlsplit(path)
        if method == "DELETE":
            return self._delete(parts.path)
        kind = body["kind"]
        if kind == "SelfSubjectReview":
            if answer := self.broken.get(parts.path):
                return answer
            return 201, {"metadata": {}, "status": {"userInfo": {"username": "ann", "groups": ["ops"]}}}
        if kind == "SelfSubjectAccessReview":
            asked = body["spec"]["resourceAttributes"]
            resource = asked["resource"] + (f"/{asked['subresource']}" if asked["subresource"] else "")
            # Who lacks something is no administrator.
            whole = asked["verb"] == "*" and bool(self.forbidden)
            return 201, {"status": {"allowed": not whole and (asked["verb"], resource) not in self.forbidden}}
        about = body["metadata"]
        if answer := self.refuses.get((kind, about.get("namespace", ""))):
            return answer
        self.tried.append(body)
        stored = {**body, "metadata": {**about, "uid": f"uid-{about['name']}", "resourceVersion": "1"}}
        if "dryRun=All" not in parts.query:
            self.made.append(f"{kind} {about['name']}")
            if kind == "Namespace":
                self.namespaces[about["name"]] = stored["metadata"]
            elif kind == "Pod":
                self.pods[about["name"]] = stored
        return 201, stored

    def _delete(self, path: str) -> tuple[int, Any]:
        name = path.rpartition("/")[2]
        self.deleted.append(name)
        self.namespaces.pop(name, None)
        self.pods.clear()
        return 200, {"kind": "Status"}

    @contextmanager
    def running(self, folder: Path) -> Iterator[Path]:
        """Yields a kubeconfig, whose token is `s3cr3t`."""
        with serving() as server:
            server.answer, server.written = self.answer, self.written
            yield write_kubeconfig(folder / "kubeconfig", server.url, {"token": "s3cr3t"})
