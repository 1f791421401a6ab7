"""What a run records of its cluster's identity, and the challenge that it carries into the cluster and back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from support.empty_cluster import EmptyCluster

from aiconform.cluster import Forbidden, Object, Resource
from aiconform.cluster.api import WatchEvent
from aiconform.cluster.guest import CHALLENGE, Guest
from aiconform.cluster.space import Space
from aiconform.engine.evidence import Identity
from aiconform.engine.identity import identify
from aiconform.platform.images import Images

NONCE = "00112233445566778899aabbccddeeff"
BOOT = "99999999-8888-7777-6666-555555555555"


def node(name: str) -> Object:
    info = {"machineID": f"machine-of-{name}", "systemUUID": f"system-of-{name}", "bootID": BOOT}
    return {
        "metadata": {"name": name, "uid": f"uid-of-{name}", "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {"providerID": f"cloud:///zone/{name}"},
        "status": {"nodeInfo": info, "conditions": [{"type": "Ready", "status": "True"}]},
    }


class OneNode(EmptyCluster):
    """A cluster with two nodes that runs Pods at once: a container prints its environment variable and the boot id."""

    def __init__(self, *, answers: bool = True, refuses: bool = False) -> None:
        self.answers, self.refuses = answers, refuses
        self.made: dict[tuple[str, str], Object] = {}

    async def get(self, api_version: str, kind: str, name: str, namespace: str | None = None) -> Object:
        if kind != "ConfigMap":
            return await super().get(api_version, kind, name, namespace)
        if self.refuses:
            raise Forbidden("configmaps is forbidden", verb="get", resource="configmaps")
        return {"data": {"ca.crt": "-----BEGIN CERTIFICATE-----\n"}}

    async def list(self, api_version: str, kind: str, *_: object, **__: object) -> AsyncIterator[Object]:
        for each in (node("n1"), node("n2")) if kind == "Node" else ():
            yield each
        for (made, _name), obj in list(self.made.items()):
            if made == kind:
                yield obj

    async def snapshot(self, api_version: str, kind: str, *_: object, **__: object) -> tuple[list[Object], str]:
        return [obj for (made, _name), obj in self.made.items() if made == kind], "1"

    async def resource(self, api_version: str, kind: str) -> Resource:
        return Resource(api_version, kind, kind.lower() + "s", kind != "Namespace", frozenset())

    async def create(self, obj: Object, **_: Any) -> Object:
        made = {**obj, "metadata": {**obj["metadata"], "uid": f"uid-of-{obj['metadata']['name']}"}}
        self.made[obj["kind"], obj["metadata"]["name"]] = made
        return made

    async def delete(self, obj: Object, **_: Any) -> None:
        self.made.pop((obj["kind"], obj["metadata"]["name"]), None)

    async def watch(self, *kind: Any, fields: str = "", **_: Any) -> AsyncIterator[WatchEvent]:
        pod = self.made["Pod", fields.removeprefix("metadata.name=")]
        running = {"phase": "Running", "containerStatuses": [{"name": "echo", "state": {"running": {}}}]}
        yield WatchEvent("ADDED", {**pod, "spec": {**pod["spec"], "nodeName": "n2"}, "status": running})
        await asyncio.sleep(60)

    async def follow(self, namespace: str, pod: str, container: str, *, seconds: float) -> AsyncIterator[str]:
        (wanted,) = self.made["Pod", pod]["spec"]["containers"][0]["env"]
        assert wanted["valueFrom"]["fieldRef"]["fieldPath"] == f"metadata.annotations['{CHALLENGE}']"
        if self.answers:
            yield self.made["Pod", pod]["metadata"]["annotations"][CHALLENGE]
            yield BOOT
            yield "end"


async def identified(cluster: OneNode, challenge: str = NONCE, namespace: str = "") -> Identity:
    guest = Guest(namespace=namespace)
    space = Space(cluster, "0a1b2c3d", guest.challenged(challenge) if challenge else guest)  # type: ignore[arg-type]
    return await identify(cluster, space, Images(), ["n2"], challenge, 5)  # type: ignore[arg-type]


async def test_a_challenge_goes_into_the_cluster_and_comes_back() -> None:
    cluster = OneNode()
    found = await identified(cluster)
    assert found.problems == ()
    assert found.echo is not None
    assert found.echo.said == (NONCE, BOOT)
    assert (found.echo.node, found.echo.pod_uid) == ("n2", "uid-of-identity-echo")
    assert found.echo.namespace_uid == "uid-of-aiconform-0a1b2c3d"
    namespace = cluster.made["Namespace", "aiconform-0a1b2c3d"]
    assert namespace["metadata"]["annotations"] == {CHALLENGE: NONCE}
    assert [kind for kind, _ in cluster.made] == ["Namespace"]


async def test_a_challenge_comes_back_from_a_namespace_that_is_given() -> None:
    cluster = OneNode()
    found = await identified(cluster, namespace="team")
    assert found.problems == ()
    assert found.echo is not None
    assert found.echo.said == (NONCE, BOOT)
    assert found.echo.namespace_uid == ""
    # Another run with a challenge can be in the same Namespace.
    assert found.echo.pod_uid == "uid-of-identity-0a1b2c3d-echo"
    assert [kind for kind, _ in cluster.made] == ["Lease"]


async def test_nodes_are_named_by_what_is_hard_to_copy() -> None:
    found = await identified(OneNode(), "")
    (only,) = found.nodes
    assert (only.name, only.uid, only.boot_id) == ("n2", "uid-of-n2", BOOT)
    assert (only.machine_id, only.system_uuid) == ("machine-of-n2", "system-of-n2")
    assert only.provider_id == "cloud:///zone/n2"
    assert found.authority.startswith("sha256:")
    assert found.echo is None


async def test_what_cannot_be_read_is_named_and_stops_nothing() -> None:
    found = await identified(OneNode(refuses=True, answers=False))
    assert found.authority == ""
    assert found.echo is None
    assert [text.partition(":")[0] for text in found.problems] == [
        "the cluster's certificate authority",
        "the challenge",
    ]
