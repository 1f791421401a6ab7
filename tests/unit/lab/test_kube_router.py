"""The enforcer of NetworkPolicies: what is installed, whether a machine can have it, and that it is seen to deny."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner

from aiconform.cli.ending import exit_code
from aiconform.cli.lab import clear_errors
from aiconform.lab.addons import enforcement, packet_filter
from aiconform.lab.addons.kube_router import ADD_ON, IMAGE, NAME
from aiconform.lab.addons.model import Site
from aiconform.lab.addons.registry import ADD_ONS, chosen
from aiconform.lab.build.assets import Assets
from aiconform.lab.config import DEFAULT_KUBERNETES, LabError, Unsupported
from aiconform.lab.machines import pace
from aiconform.lab.traits.catalog import TRAITS

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the lab is for Linux")

ADDRESSES = ("198.18.0.10", "198.18.0.11")


def site(family: str = "ipv4", services: str = "198.18.16.0/20") -> Site:
    return Site("simulated", {}, ADDRESSES, Assets({}, {}), family, services)


# What is installed


def agent(monkeypatch: pytest.MonkeyPatch, where: Site, backend: str = "legacy") -> dict[str, Any]:
    monkeypatch.setattr(packet_filter, "backend", lambda family: backend)
    (found,) = (obj for obj in ADD_ON.objects(where) if obj["kind"] == "DaemonSet")
    spec: dict[str, Any] = found["spec"]["template"]["spec"]
    return spec


@pytest.mark.parametrize(
    ("where", "arguments"),
    [
        (site(), ["--services=198.18.16.0/20"]),
        (site("ipv6", "2001:2::/112"), ["--services=2001:2::/112", "--ipv6"]),
    ],
)
def test_the_agent_enforces_the_lab_s_family_in_each_node_s_network(
    monkeypatch: pytest.MonkeyPatch, where: Site, arguments: list[str]
) -> None:
    spec = agent(monkeypatch, where, "nft")
    (container,) = spec["containers"]
    assert container["args"] == arguments
    assert container["image"] == IMAGE
    assert {entry["name"]: entry.get("value") for entry in container["env"]}["PATH"] == "/backends/nft:/usr/sbin"
    assert spec["hostNetwork"]
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"], "add": ["NET_ADMIN", "NET_RAW"]}


def test_nodes_that_traits_make_up_get_no_agent(monkeypatch: pytest.MonkeyPatch) -> None:
    (term,) = agent(monkeypatch, site())["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"][
        "nodeSelectorTerms"
    ]
    assert term["matchExpressions"] == [{"key": "aiconform.dev/trait", "operator": "DoesNotExist"}]


def test_the_image_has_every_command_of_each_backend(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(packet_filter, "_path", lambda program: str(tmp_path / program))
    monkeypatch.setattr(packet_filter, "linked", lambda file: (("lib/libc.so.6", tmp_path / "libc"),))
    monkeypatch.setattr(Assets, "of", lambda *_: tmp_path / "built")
    (image,) = ADD_ON.images(Assets({}, {}))
    paths = [path for path, _ in image.files]
    assert len(paths) == len(set(paths))
    assert {"usr/sbin/ipset", "lib/libc.so.6", image.entrypoint[0].lstrip("/")} <= set(paths)
    for path, target in image.links:
        assert target.lstrip("/") in paths, path
    assert {path.rpartition("/")[2] for path, _ in image.links} == {
        *("iptables", "iptables-save", "iptables-restore", "ip6tables", "ip6tables-save", "ip6tables-restore")
    }


def test_only_the_enforced_trait_needs_it() -> None:
    enforced, stored = TRAITS["enforced-default-deny"], TRAITS["default-deny"]
    assert enforced.needs == (NAME,)
    assert stored.needs == ()
    assert enforced.kept is not None
    assert stored.kept is not None
    (one,), (other,) = enforced.kept.objects("runs", ""), stored.kept.objects("runs", "")
    assert one["spec"] == other["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    assert one["metadata"]["name"] != other["metadata"]["name"]


def test_no_other_add_on_asks_anything_of_the_machine() -> None:
    for name, add_on in ADD_ONS.items():
        if name != NAME:
            add_on.requires("ipv4")
            assert not add_on.packages


# Whether a machine can have it


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Lets a kernel take the rules of some backends; returns the list of what is tried."""

    def kernel(*takes: str, installed: tuple[str, ...] = ("ipset", *packet_filter.BACKENDS.values())) -> list[str]:
        scripts: list[str] = []

        def run(argv: list[str], **_: Any) -> SimpleNamespace:
            scripts.append(argv[-1])
            works = any(packet_filter.BACKENDS[name] in argv[-1] for name in takes)
            return SimpleNamespace(returncode=0 if works else 1, stderr="" if works else "Operation not\nsupported\n")

        monkeypatch.setattr(packet_filter.subprocess, "run", run)
        monkeypatch.setattr(packet_filter, "_path", lambda program: program if program in installed else None)
        return scripts

    return kernel


@pytest.mark.parametrize(("used", "preferred"), [("nft", "legacy"), ("legacy", "nft")])
def test_tables_that_kube_proxy_does_not_write_come_first(
    tried: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch, used: str, preferred: str
) -> None:
    tried("legacy", "nft")
    monkeypatch.setattr(packet_filter, "_path", lambda program: f"/usr/sbin/{packet_filter.BACKENDS[used]}")
    assert packet_filter.backend("ipv4") == preferred


def test_what_is_tried_is_of_the_lab_s_family(tried: Callable[..., list[str]]) -> None:
    scripts = tried("legacy", "nft")
    assert packet_filter.backend("ipv4") == "legacy"
    assert packet_filter.backend("ipv6") == "legacy"
    assert "iptables-restore" in scripts[0]
    assert "family inet6" in scripts[1]
    assert "ip6tables-restore" in scripts[1]


@pytest.mark.parametrize("installed", [("ipset", *packet_filter.BACKENDS.values()), ("ipset", "xtables-nft-multi")])
def test_without_legacy_tables_it_is_nft(tried: Callable[..., list[str]], installed: tuple[str, ...]) -> None:
    tried("nft", installed=installed)
    assert packet_filter.backend("ipv4") == "nft"


@pytest.mark.parametrize(
    ("installed", "words"),
    [
        (("ipset", *packet_filter.BACKENDS.values()), "legacy: Operation not supported; nft: Operation not supported"),
        ((), "ipset or iptables is not installed"),
        (("ipset",), "ipset or iptables is not installed"),
    ],
)
def test_a_machine_that_cannot_enforce_is_told_why_and_what_helps(
    tried: Callable[..., list[str]], installed: tuple[str, ...], words: str
) -> None:
    tried(installed=installed)
    with pytest.raises(Unsupported, match=words) as raised:
        packet_filter.backend("ipv4")
    assert "What helps: a kernel with IP_SET" in str(raised.value)
    assert "trait default-deny" in str(raised.value)


@pytest.mark.parametrize(("error", "code"), [(Unsupported("cannot"), 3), (LabError("wrong"), 2)])
def test_the_command_ends_with_3_then_and_with_2_for_other_errors_of_the_lab(error: LabError, code: int) -> None:
    def command() -> None:
        with clear_errors():
            raise error

    assert exit_code(command) == code


def test_the_trait_brings_its_add_on(monkeypatch: pytest.MonkeyPatch) -> None:
    import aiconform.lab
    from aiconform.cli.lab import up

    asked: list[Any] = []

    def refuse(config: Any, progress: Any) -> None:
        asked.append(config)
        raise Unsupported("this machine cannot enforce NetworkPolicies")

    monkeypatch.setattr(aiconform.lab, "up", refuse, raising=False)
    done = CliRunner().invoke(up, ["--trait", "enforced-default-deny"])
    assert asked[0].add_ons == (NAME,)
    assert done.exit_code == 3
    assert "this machine cannot enforce NetworkPolicies" in done.output


def test_all_leaves_it_out_where_a_machine_cannot_have_it(
    tried: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    tried()
    # What another one needs of the kernel is another question.
    monkeypatch.setitem(ADD_ONS, "dranet", replace(ADD_ONS["dranet"], requires=lambda _: None))
    assert NAME not in chosen(["all"], DEFAULT_KUBERNETES, "ipv4")
    assert set(ADD_ONS) - set(chosen(["all"], DEFAULT_KUBERNETES, "ipv4")) == {NAME}
    with pytest.raises(Unsupported):
        chosen([NAME], DEFAULT_KUBERNETES, "ipv4")
    tried("nft")
    assert NAME in chosen(["all"], DEFAULT_KUBERNETES, "ipv4")


# That it denies


class Cluster:
    """A cluster in which Pods run at once, and clients hear what `answers` says under the policies that are there."""

    def __init__(self, answers: str) -> None:
        self.answers, self.objects, self.made = answers, list[Any](), list[str]()

    async def list(self, api_version: str, kind: str, namespace: str | None = None, **_: Any) -> AsyncIterator[Any]:
        if kind == "Node":
            for number, address in enumerate((*ADDRESSES, "198.18.0.99")):
                status = {"addresses": [{"type": "InternalIP", "address": address}]}
                yield {"metadata": {"name": f"node-{number}"}, "spec": {}, "status": status}
        for obj in [obj for obj in self.objects if obj["kind"] == kind]:
            yield obj

    async def create(self, obj: Any) -> Any:
        self.objects.append(obj)
        self.made.append(obj["metadata"]["name"])
        return obj

    async def delete(self, obj: Any) -> None:
        self.objects.remove(obj)

    async def logs(self, *_: str) -> str:
        return f"answered: 8080 8081 8082\nanswered: {self.answers}\n"


@pytest.fixture
def waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    from aiconform.cluster import TimedOut, wait

    async def until(cluster: Cluster, obj: Any, condition: Callable[[Any], Any], **_: Any) -> Any:
        """A Pod is ready before there are policies, and succeeds under them if only the allowed port answers."""
        under = any(each["kind"] == "NetworkPolicy" for each in cluster.objects)
        running = {"name": obj["spec"]["containers"][0]["name"], "state": {"running": {}}}
        status: dict[str, Any] = {"phase": "Running", "podIP": "2001:2::7", "containerStatuses": [running]}
        status["conditions"] = [{"type": "Ready", "status": "True"}]
        if under and cluster.answers == "8080":
            status["phase"] = "Succeeded"
        found = condition({**obj, "status": status})
        if found is None:
            raise TimedOut("too late")
        return found

    async def all_gone(*_: Any, **__: Any) -> None:
        pass

    monkeypatch.setattr(wait, "until", until)
    monkeypatch.setattr(wait, "all_gone", all_gone)
    monkeypatch.setattr(pace, "limit", lambda seconds: seconds)


async def test_it_works_when_every_node_denies_what_policies_deny(waiting: None) -> None:
    cluster: Any = Cluster("8080")
    await enforcement.enforces(cluster, site(), 9.0)
    assert sorted(cluster.made) == [
        *("enforcement-client", "enforcement-client-node-0", "enforcement-client-node-1"),
        *("enforcement-server", "enforcement-server-node-0", "enforcement-server-node-1"),
    ]
    assert cluster.objects == []


@pytest.mark.parametrize("answers", ["8080 8081", "8080 8082", "8080 8081 8082", "none"])
async def test_a_node_that_does_not_deny_or_denies_more_is_an_error(waiting: None, answers: str) -> None:
    cluster: Any = Cluster(answers)
    with pytest.raises(
        LabError, match=rf"not enforced on node-\d: .*answered: {answers} after 60 s.*--without"
    ) as told:
        await enforcement.enforces(cluster, site(), 9.0)
    assert not isinstance(told.value, Unsupported)
    assert cluster.objects == []


def test_each_denied_port_is_denied_on_one_side_alone() -> None:
    ingress, egress = (policy["spec"] for policy in enforcement.policies())
    received = {port["port"] for port in ingress["ingress"][0]["ports"]}
    sent = {port["port"] for port in egress["egress"][0]["ports"]}
    assert received & sent == {enforcement.ALLOWED}
    assert sent - received == {enforcement.NOT_RECEIVED}
    assert received - sent == {enforcement.NOT_SENT}


# On this machine


def _can_try() -> bool:
    return os.geteuid() == 0 and shutil.which("ipset") is not None and shutil.which("iptables") is not None


@pytest.mark.skipif(sys.platform != "linux" or not _can_try(), reason="takes root, iptables and ipset")
@pytest.mark.parametrize("family", ["ipv4", "ipv6"])
def test_what_is_tried_leaves_nothing_on_the_machine(family: str) -> None:
    before = subprocess.run(["ipset", "list", "-n"], capture_output=True, text=True, check=False).stdout
    try:
        assert packet_filter.backend(family) in packet_filter.BACKENDS
    except Unsupported as error:
        pytest.skip(str(error))
    after = subprocess.run(["ipset", "list", "-n"], capture_output=True, text=True, check=False).stdout
    assert after == before
