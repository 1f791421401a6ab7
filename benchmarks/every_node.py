"""How a run on every node grows with the platform: Nodes without machines (kwok), recorded logs, real API server.

    ./dev python benchmarks/every_node.py [--nodes 10 100 1000] [--at-once 16]

One command: it brings a lab up, makes the Nodes, runs `dra_support` and `secure_accelerator_access` on each of them,
prints the table, and takes all away. The API server, the scheduler and the controllers are real, and so are all objects
that a run makes: claims are allocated, Pods are scheduled and deleted. What a kubelet does is not: kwok says that Pods
run, and what their containers print was recorded and is served in place of kubelets. So the figures are the cost of the
suite and of the control plane, and a real platform's Pods take longer to start.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import ssl
import subprocess
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from scale import aiconform, grow, node

from aiconform.cluster import Object
from aiconform.lab import load
from aiconform.lab.kubernetes.pki import Authority

LAB = "bench"
CHECKS = ("dra_support", "secure_accelerator_access")
KEPT_FOR = "bench.aiconform.dev/every-node"
"""Taint of the Nodes: nothing of the lab is to be placed there. kwok's own taint says that a Node is not real."""
PORT = 10247
"""kwok says in the status of its Nodes that their kubelets listen here."""
KERNEL, BOOT = "6.1.0-recorded", "3f1c6b0e-8a52-4d0e-9d43-0f6a7f1f9c11"
_LOOKED = f"""kernel {KERNEL} {BOOT}
node /dev/null 1 3 character special file
node /dev/urandom 1 9 character special file
{{device}}env UEFUSD0vYmluAA==
mount /
mount /proc
"""


def said(pod: str, container: str) -> str:
    """What a container of `secure_accelerator_access` prints on a healthy node, as recorded on the lab."""
    second = int(pod.endswith("-second"))
    if container == "holder":
        device = f"node /dev/accel{second} f0 {second:x} character special file\n"
        return f"{_LOOKED.format(device=device)}own /dev/accel{second} opened\nlooked\n"
    forged = "control forged c:1:3 opened\n" + "".join(
        f"forged c:240:{number} sh: can't open /forged-{number}: Operation not permitted\n" for number in range(2)
    )
    return f"{_LOOKED.format(device='')}{forged if container == 'stranger' else ''}looked\n"


class Kubelets(BaseHTTPRequestHandler):
    """The part of all kubelets that an API server asks for logs: /containerLogs/NAMESPACE/POD/CONTAINER."""

    def do_GET(self) -> None:
        words = self.path.partition("?")[0].split("/")
        found = said(words[3], words[4]) if words[1] == "containerLogs" and len(words) == 5 else ""
        self.send_response(200 if found else 404)
        self.end_headers()
        self.wfile.write(found.encode())

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def kubelets(address: str, authority: Authority) -> Iterator[None]:
    """Kubelets of all Nodes, at an address of the host."""
    with tempfile.TemporaryDirectory() as folder:
        pair = authority.issue(Path(folder), "kubelets", "system:node:recorded", ["system:nodes"], hosts=[address])
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(*pair)
    server = ThreadingHTTPServer((address, PORT), Kubelets)
    server.daemon_threads = True
    # Each connection shakes hands in its own thread.
    server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()


def node_at(address: str, number: int) -> Object:
    """A Node of scale.py whose kubelet is at this address, and which Pods may use that tolerate its taint."""
    info = {"kernelVersion": KERNEL, "bootID": BOOT, "operatingSystem": "linux"}
    made = node(number)
    made["metadata"]["labels"]["kubernetes.io/os"] = "linux"
    # kwok deletes the addresses of a Node that lacks one of these types, and gives no ephemeral storage by itself.
    addresses = [
        {"type": "InternalIP", "address": address},
        {"type": "Hostname", "address": made["metadata"]["name"]},
    ]
    room = {"cpu": "64", "memory": "512Gi", "ephemeral-storage": "1Ti", "pods": "110"}
    return {
        **made,
        "spec": {"taints": [{"key": KEPT_FOR, "value": "fake", "effect": "NoSchedule"}]},
        "status": {"addresses": addresses, "nodeInfo": info, "capacity": room, "allocatable": room},
    }


@dataclass(frozen=True)
class Figures:
    """Of one run. seconds, processor: of the whole process. memory: its peak, MiB."""

    nodes: int
    seconds: float
    processor: float
    memory: float
    requests: int
    outcomes: Counter[str]
    verdicts: dict[str, str]


def run(kubeconfig: str, nodes: int, at_once: int) -> Figures:
    with tempfile.TemporaryDirectory() as folder:
        out, told = Path(folder) / "run", Path(folder) / "told"
        command = aiconform("run", *CHECKS, "--every-node", "--at-once", str(at_once), "--nodes", "type=kwok")
        command += ["--toleration", KEPT_FOR, "--kubeconfig", kubeconfig, "--out", str(out), "-o", "json"]
        begun = time.perf_counter()
        with told.open("w") as stderr:
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=stderr)
            _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - begun
        code = os.waitstatus_to_exitcode(status)
        assert code in (0, 1, 3), f"exit code {code}: {told.read_text()[-2000:]}"
        report = json.loads((out / "report.json").read_text())
        records = [
            record
            for check in CHECKS
            for record in json.loads((out / "observations" / f"{check}.json").read_text())["records"]
        ]
    for message in sorted({record["message"] for record in records if record["message"]})[:3]:
        print(f"  a probe said: {message[:300]}")
    return Figures(
        nodes,
        seconds,
        usage.ru_utime + usage.ru_stime,
        usage.ru_maxrss / 1024,
        report["requests"],
        Counter(record["outcome"] for record in records),
        {entry["id"]: entry["verdict"] for entry in report["checks"]},
    )


def table(rows: list[Figures]) -> None:
    """A line for each size, with what each figure is times that of the line before."""
    print("nodes  seconds         processor s     peak MiB        API requests    a node  probes")
    for position, row in enumerate(rows):
        before = rows[position - 1] if position else None
        cells = [
            f"{value:>8.0f}{f' (x{value / old:.1f})' if old else '':<8}"
            for value, old in (
                (row.seconds, before and before.seconds),
                (row.processor, before and before.processor),
                (row.memory, before and before.memory),
                (row.requests, before and before.requests),
            )
        ]
        probes = ", ".join(f"{count} {outcome}" for outcome, count in sorted(row.outcomes.items()))
        print(f"{row.nodes:>5}{''.join(cells)}{row.requests / row.nodes:>6.1f}  {probes}; {row.verdicts}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, nargs="+", default=[10, 100, 1000])
    parser.add_argument("--at-once", type=int, default=16)
    arguments = parser.parse_args()
    # The driver's DeviceClass is there if a node of the lab allocates by DRA.
    up = aiconform("lab", "up", "--name", LAB, "--nodes", "1", "--allocation", "dra", "--with", "kwok")
    subprocess.run(up, check=True, stdout=subprocess.DEVNULL)
    try:
        lab = load(LAB)
        assert lab is not None
        kubeconfig, address = str(lab.kubeconfig), lab.network.host
        rows: list[Figures] = []
        with kubelets(address, Authority(lab.paths.pki, "ca")):
            have = 0
            for nodes in sorted(arguments.nodes):
                asyncio.run(grow(kubeconfig, have, nodes, lambda number: node_at(address, number)))
                have = nodes
                rows.append(run(kubeconfig, nodes, arguments.at_once))
                print(f"{nodes} nodes: {rows[-1].seconds:.0f} s", flush=True)
        table(rows)
    finally:
        subprocess.run(aiconform("lab", "down", "--name", LAB), check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
