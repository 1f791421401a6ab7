"""Pods that look for accelerators and report what they see."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from aiconform.cluster import Cluster, NotFound, Object
from aiconform.lab import Lab, device_numbers
from aiconform.lab.accelerators import Device, devices_of, read_config
from aiconform.lab.accelerators.devices import nodes_of
from aiconform.platform.images import IMAGES

IMAGE = IMAGES["shell"]
PATIENCE = 60.0
NUMBERS = [device_numbers.number(slot) for slot in range(device_numbers.FIRST, device_numbers.LAST + 1)]
MAJORS = {major for major, _ in NUMBERS}
# dd opens the devices: a shell would make the console its terminal. `forged` creates a device node for each number
# that an accelerator may have, which depends on what other labs have.
LOOK = f"""
for node in $(find /dev -type c | sort); do
  number=$(stat -c '%t %T' $node)
  case $number in {"|".join(f'"{major:x} "*' for major in sorted(MAJORS))})
    dd if=$node of=/dev/null count=0 2>/dev/null && how=open || how=closed
    echo "sees $node $how";; esac
done
for number in {" ".join(f"{major}:{minor}" for major, minor in NUMBERS)}; do
  mknod /tmp/forged c ${{number%:*}} ${{number#*:}}
  dd if=/tmp/forged of=/dev/null count=0 2>/dev/null && echo "forged $number"
  rm /tmp/forged
done
env | grep _DEVICE_ | sed 's/^/env /'
"""
STAY = "trap 'exit 0' TERM; while :; do sleep 3600 & wait $!; done"


@dataclass(frozen=True)
class View:
    """What one container sees."""

    nodes: dict[str, bool]
    """Path of each accelerator's device node -> whether it opens."""
    forged: frozenset[tuple[int, int]]
    """(major, minor) that open through a device node that the container created itself."""
    environment: dict[str, str]


NOTHING = View({}, frozenset(), {})


def read_view(log: str) -> View:
    lines = [line.split(maxsplit=2) for line in log.splitlines()]
    return View(
        {line[1]: line[2] == "open" for line in lines if line[0] == "sees"},
        frozenset(_number(line[1]) for line in lines if line[0] == "forged"),
        dict(line[1].split("=", 1) for line in lines if line[0] == "env"),
    )


def _number(text: str) -> tuple[int, int]:
    major, minor = text.split(":")
    return int(major), int(minor)


def devices(lab: Lab, node: str) -> dict[str, Device]:
    """Path of a device's main node in a container -> device."""
    config = lab.node(node).accelerators
    assert config
    return {device.container_path: device for device in devices_of(read_config(config))}


def sound(view: View, lab: Lab, node: str, *, count: int = 1) -> list[Device]:
    """The devices that a container sees; fails unless it sees exactly so many, and can open these and no others."""
    known = devices(lab, node)
    seen = [known[path] for path in view.nodes if path in known]
    assert len(seen) == count
    given = [each for each in nodes_of(seen) if each.major in MAJORS]
    assert set(view.nodes) == {each.container_path for each in given}
    assert all(view.nodes.values())
    assert view.forged == {(each.major, each.minor) for each in given}
    assert set(view.environment.values()) == {device.uuid for device in seen}
    return seen


def container(name: str, script: str = LOOK, **resources: Any) -> Object:
    return {"name": name, "image": IMAGE, "command": ["sh", "-c", script], "resources": resources}


def pod(name: str, node: str, *containers: Object, **spec: Any) -> Object:
    fields = {"nodeSelector": {"kubernetes.io/hostname": node}, "restartPolicy": "Never", **spec}
    common = {"terminationGracePeriodSeconds": 1, "automountServiceAccountToken": False}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {**common, **fields, "containers": list(containers)},
    }


class Pods:
    """Creates claims and Pods, and removes all of them at the end."""

    def __init__(self, cluster: Cluster, device_class: str) -> None:
        self.cluster = cluster
        self._class = device_class
        self._made: list[Object] = []

    async def claim(self, name: str, count: int = 1, selector: str = "") -> Object:
        exactly: Object = {"deviceClassName": self._class, "count": count}
        if selector:
            exactly["selectors"] = [{"cel": {"expression": selector}}]
        return await self._make(
            {
                "apiVersion": "resource.k8s.io/v1",
                "kind": "ResourceClaim",
                "metadata": {"name": name, "namespace": "default"},
                "spec": {"devices": {"requests": [{"name": "gpu", "exactly": exactly}]}},
            }
        )

    async def start(self, name: str, node: str, *containers: Object, claim: str = "") -> Object:
        """Create a Pod; with `claim`, its containers can refer to that ResourceClaim as `device`."""
        claims = {"resourceClaims": [{"name": "device", "resourceClaimName": claim}]} if claim else {}
        return await self._make(pod(name, node, *containers, **claims))

    async def phase(self, made: Object, *phases: str) -> Object:
        """The Pod as soon as it is in one of the phases."""
        return await self.until(made, lambda seen: seen.get("status", {}).get("phase") in phases)

    async def until(self, made: Object, holds: Any) -> Object:
        name = made["metadata"]["name"]
        async with asyncio.timeout(PATIENCE):
            async for event in self.cluster.watch(
                made["apiVersion"], made["kind"], "default", fields=f"metadata.name={name}"
            ):
                if holds(event.object):
                    return event.object
        raise AssertionError(f"the watch of {name} ended")

    async def view(self, made: Object, container_name: str = "holder") -> View:
        """What a container saw, once its Pod has ended."""
        ended = await self.phase(made, "Succeeded", "Failed")
        assert ended["status"]["phase"] == "Succeeded", ended["status"]
        return read_view(await self.cluster.logs("default", made["metadata"]["name"], container_name))

    async def look(self, name: str, node: str, *, claim: str = "", resource: str = "") -> View:
        """What a container sees that holds a claim, requests one of a resource, or neither."""
        resources: Object = {"claims": [{"name": "device"}]} if claim else {}
        if resource:
            resources["limits"] = {resource: "1"}
        made = await self.start(name, node, container("holder", **resources), claim=claim)
        found = await self.view(made)
        await self.remove(made)
        return found

    async def remove(self, made: Object) -> None:
        """Delete an object and wait until it is gone."""
        await self.cluster.delete(made)
        self._made = [other for other in self._made if other["metadata"]["uid"] != made["metadata"]["uid"]]
        async with asyncio.timeout(PATIENCE):
            while True:
                try:
                    await self.cluster.get(made["apiVersion"], made["kind"], made["metadata"]["name"], "default")
                except NotFound:
                    return
                await asyncio.sleep(0.1)

    async def remove_all(self) -> None:
        """Pods first: a claim is deleted only when no Pod holds it."""
        for made in reversed(self._made):
            await self.remove(made)

    async def _make(self, obj: Object) -> Object:
        made = await self.cluster.create(obj)
        self._made.append(made)
        return made
