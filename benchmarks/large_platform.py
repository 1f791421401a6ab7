"""What a large platform costs to read and to plan, against a STAND-IN API server: no cluster, no kubelet, no driver.

    ./dev python benchmarks/large_platform.py [--nodes 10 100 1000] [--kubeconfig FILE]

The stand-in serves as many Nodes as are asked for, each with eight devices in a ResourceSlice and ten Pods, page by
page and with the managedFields that an API server has. The real command runs against it: `inspect`, and the plan of a
run on every node. Prints requests, seconds, and the peak memory of the whole process, and how many times of each the
next size takes. With --kubeconfig they run once against that cluster, such as a lab with kwok nodes (see scale.py).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

Object = dict[str, Any]
COMMANDS = (("inspect",), ("run", "--dry-run", "--every-node"))
DEVICES = 8
PODS = 10
MANAGED = [{"manager": "kubelet", "operation": "Update", "fieldsV1": {f"f:field-{n}": {} for n in range(200)}}]
KINDS = {
    "/api/v1": {"Node": "nodes", "Pod": "pods", "Namespace": "namespaces", "Service": "services"},
    "/apis/resource.k8s.io/v1": {
        "ResourceSlice": "resourceslices",
        "ResourceClaim": "resourceclaims",
        "DeviceClass": "deviceclasses",
    },
}


def metadata(name: str, **fields: Any) -> Object:
    return {"name": name, "uid": f"uid-{name}", "resourceVersion": "1", "managedFields": MANAGED, **fields}


def node(name: str) -> Object:
    return {
        "metadata": metadata(name, labels={"kubernetes.io/hostname": name, "kubernetes.io/os": "linux"}),
        "spec": {},
        "status": {
            "conditions": [{"type": "Ready", "status": "True"}],
            "allocatable": {"cpu": "64", "memory": "512Gi", "pods": "110"},
            "images": [{"names": [f"registry.example/image-{n}"], "sizeBytes": 10**9} for n in range(50)],
        },
    }


def resource_slice(name: str) -> Object:
    devices = [
        {"name": f"gpu-{n}", "attributes": {"uuid": {"string": f"GPU-{name}-{n}"}, "productName": {"string": "A1"}}}
        for n in range(DEVICES)
    ]
    pool = {"name": name, "generation": 1, "resourceSliceCount": 1}
    return {
        "metadata": metadata(f"{name}-slice"),
        "spec": {"driver": "gpu.nvidia.com", "nodeName": name, "pool": pool, "devices": devices},
    }


def pod(on: str, number: int) -> Object:
    return {
        "metadata": metadata(f"{on}-{number}", namespace="team"),
        "spec": {"nodeName": on, "containers": [{"name": "c", "env": [{"name": f"E{n}"} for n in range(20)]}]},
        "status": {"phase": "Running"},
    }


class StandIn:
    """Serves lists of the objects, page by page, and counts requests by path."""

    def __init__(self, nodes: int) -> None:
        names = [f"node-{number:05}" for number in range(nodes)]
        self.objects: dict[str, list[Object]] = {
            "/api/v1/nodes": [node(name) for name in names],
            "/api/v1/pods": [pod(name, number) for name in names for number in range(PODS)],
            "/apis/resource.k8s.io/v1/resourceslices": [resource_slice(name) for name in names],
        }
        self.requests: Counter[str] = Counter()

    def answer(self, url: str) -> tuple[int, Object]:
        parts = urlsplit(url)
        path, query = parts.path, {key: value[0] for key, value in parse_qs(parts.query).items()}
        self.requests[path] += 1
        if path == "/version":
            return 200, {"gitVersion": "v1.37.2"}
        if path == "/apis":
            version = {"groupVersion": "resource.k8s.io/v1", "version": "v1"}
            return 200, {"groups": [{"name": "resource.k8s.io", "versions": [version], "preferredVersion": version}]}
        if path in KINDS:
            verbs = ["create", "delete", "get", "list", "patch", "update", "watch"]
            kinds = KINDS[path].items()
            return 200, {"resources": [{"kind": k, "name": n, "namespaced": False, "verbs": verbs} for k, n in kinds]}
        if path.endswith("selfsubjectaccessreviews"):
            return 201, {"status": {"allowed": True}}
        if path == "/api/v1/namespaces/kube-system":
            return 200, {"metadata": metadata("kube-system")}
        root, _, plural = path.rpartition("/")
        if plural in KINDS.get(root, {}).values():
            return 200, self._page(path, query)
        return 404, {"kind": "Status", "message": "the stand-in does not serve this", "reason": "NotFound"}

    def _page(self, path: str, query: dict[str, str]) -> Object:
        every, start = self.objects.get(path, []), int(query.get("continue", 0))
        end = start + int(query.get("limit", len(every) or 1))
        more = {"continue": str(end)} if end < len(every) else {}
        return {"items": every[start:end], "metadata": {"resourceVersion": "1", **more}}


def served(stand_in: StandIn) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, content = stand_in.answer(self.path)
            data = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_POST = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def kubeconfig_of(server: ThreadingHTTPServer, folder: str) -> str:
    cluster = {"name": "stand-in", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}
    context = {"name": "stand-in", "context": {"cluster": "stand-in", "user": "nobody"}}
    content = {"clusters": [cluster], "contexts": [context], "users": [{"name": "nobody", "user": {"token": "none"}}]}
    path = Path(folder) / "kubeconfig"
    path.write_text(json.dumps({"apiVersion": "v1", "kind": "Config", "current-context": "stand-in", **content}))
    return str(path)


def measured(command: tuple[str, ...], kubeconfig: str) -> tuple[float, float, float]:
    """(seconds, processor seconds, peak MiB) of one process."""
    arguments = [sys.executable, "-m", "aiconform", *command, "--kubeconfig", kubeconfig]
    begun = time.perf_counter()
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0, command
    return time.perf_counter() - begun, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, nargs="+", default=[10, 100, 1000])
    parser.add_argument("--kubeconfig")
    arguments = parser.parse_args()
    if arguments.kubeconfig:
        for command in COMMANDS:
            seconds, processor, memory = measured(command, arguments.kubeconfig)
            print(f"{' '.join(command)}: {seconds:.1f} s, {processor:.1f} s of processor, {memory:.0f} MiB")
        return
    print("STAND-IN API server: these figures say nothing of a real API server's own time")
    before: dict[tuple[str, ...], tuple[float, ...]] = {}
    for size in sorted(arguments.nodes):
        stand_in = StandIn(size)
        server = served(stand_in)
        with tempfile.TemporaryDirectory() as folder:
            kubeconfig = kubeconfig_of(server, folder)
            for command in COMMANDS:
                stand_in.requests.clear()
                seconds, processor, memory = measured(command, kubeconfig)
                now = (float(stand_in.requests.total()), seconds, processor, memory)
                grown = [f"x{b / a:.1f}" for a, b in zip(before.get(command, ()), now, strict=False)]
                print(
                    f"{size:>5} nodes  {' '.join(command):<26} {now[0]:>4.0f} requests  {seconds:>6.1f} s  "
                    f"{processor:>6.1f} s of processor  {memory:>5.0f} MiB  {' '.join(grown)}",
                    flush=True,
                )
                before[command] = now
        server.shutdown()
        lists = {path: count for path, count in stand_in.requests.items() if path in stand_in.objects}
        print(f"             pages read by the last command: {lists}")


if __name__ == "__main__":
    main()
