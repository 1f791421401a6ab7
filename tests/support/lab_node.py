"""A node of the lab without a cluster: its own data, and a scheduler and a kubelet of a few lines."""

from __future__ import annotations

import base64
from collections.abc import Sequence

from aiconform.cluster import Object, quantity
from aiconform.lab.accelerators import AcceleratorConfig, Device, DriverFault, devices_of, split
from aiconform.lab.accelerators.driver import device_folder
from aiconform.lab.accelerators.objects import node_labels
from aiconform.lab.accelerators.prepared import environment
from aiconform.lab.accelerators.sharing import acts, opened_by_claim, plugged, refusal_of_claim, refusal_of_ids
from aiconform.lab.accelerators.slices import describe, plan, shared_counters
from aiconform.lab.accelerators.virtual import given_again, opened_with, refusal_of_function
from aiconform.platform.accelerators.counting import Room, holdings, left, open_
from aiconform.platform.accelerators.offered import extended_resources
from aiconform.platform.accelerators.resource_slices import published
from aiconform.platform.accelerators.selecting import DeviceClass
from support.shared_devices import FakeCluster


class LabNode(FakeCluster):
    """A node of the lab: its scheduler allocates what the node publishes, its kubelet asks the lab's own drivers."""

    def __init__(self, config: AcceleratorConfig) -> None:
        self.config = config
        by_dra, by_plugin = split(config)
        self.ids = {resource: list(ids) for resource, ids in plugged(config).items()} if by_plugin else {}
        amounts = {resource: str(len(ids)) for resource, ids in self.ids.items()}
        node = {
            "kind": "Node",
            "metadata": {"name": config.node_name, "labels": node_labels(config)},
            "spec": {},
            "status": {
                "conditions": [{"type": "Ready", "status": "True"}],
                "nodeInfo": {"kernelVersion": "6.8.0", "bootID": "boot-1"},
                "allocatable": amounts,
                "capacity": amounts,
            },
        }
        slices: list[Object] = []
        if by_dra:
            counters = shared_counters(by_dra)
            made = plan([], describe(config, by_dra), counters, config=config, version="v1", node_uid="u").create
            slices = [{**each, "kind": "ResourceSlice"} for each in made]
            for number, each in enumerate(slices):
                each["metadata"]["name"] = f"slice-{number}"
        super().__init__(node, *slices)
        self.published = {each.name: each for each in published(slices)[0]}
        self.by_name = {each.name: each for each in devices_of(config)}
        self.held: dict[str, list[str]] = {}
        self.opened: dict[str, Sequence[Device]] = {}

    def schedule(self, made: Object) -> str:
        name = made["metadata"]["name"]
        self.held.pop(name, None)
        for resource, count in extended_resources(made).items():
            taken = [id_ for pod in self.of("Pod") for id_ in self.held.get(pod["metadata"]["name"], ())]
            free = [id_ for id_ in self.ids[resource] if id_ not in taken]
            if len(free) < count:
                return f"0/1 nodes are available: 1 Insufficient {resource}."
            self.held[name] = free[:count]
        for claim in self.claims_of(made):
            if not claim["status"] and not self.allocate(claim):
                return "0/1 nodes are available: 1 cannot allocate all claims."
        return ""

    def allocate(self, claim: Object) -> bool:
        (asked,) = claim["spec"]["devices"]["requests"]
        exactly = asked["exactly"]
        wanted = DeviceClass({"metadata": {"name": ""}, "spec": exactly})
        held = holdings(self.of("ResourceClaim"))
        alike = [each for each in self.published.values() if wanted.selects(each)]
        amounts = (exactly.get("capacity") or {}).get("requests") or {}
        room = Room(self.published.values(), held)
        fitting = [
            each
            for each in room.fitting(each for each in alike if open_(each, held))
            if all(left(each, held)[key] >= quantity.number(amount) for key, amount in amounts.items())
        ]
        if not fitting and alike and acts(self.config, DriverFault.MORE_SHARES):
            fitting = [*alike]
        if not fitting:
            said = " ".join(each["cel"]["expression"] for each in exactly.get("selectors") or ())
            fitting = [self.published[name] for name in given_again(self.config, said, [each[2] for each in held])]
        if len(fitting) < exactly.get("count", 1):
            return False
        claim["status"] = {
            "allocation": {
                "devices": {
                    "results": [
                        {
                            "request": asked["name"],
                            "driver": each.driver,
                            "pool": each.pool,
                            "device": each.name,
                            **({"consumedCapacity": amounts} if amounts else {}),
                        }
                        for each in fitting[: exactly.get("count", 1)]
                    ]
                }
            }
        }
        return True

    def prepare(self, made: Object) -> str:
        """Why the kubelet starts no containers of a Pod; empty if it does."""
        name = made["metadata"]["name"]
        for resource in extended_resources(made):
            ids = self.held[name]
            if refusal := refusal_of_ids(self.config, resource, {*ids}):
                return refusal
            self.opened[name] = opened_with(self.config, [plugged(self.config)[resource][each] for each in ids])
        for claim in self.claims_of(made):
            (result, *_) = claim["status"]["allocation"]["devices"]["results"]
            device = self.by_name[result["device"]]
            others = [
                each["device"]
                for other in self.of("ResourceClaim")
                if other["status"] and other is not claim
                for each in other["status"]["allocation"]["devices"]["results"]
            ]
            if refusal := refusal_of_claim(self.config, device, others) or refusal_of_function(self.config, device):
                return refusal
            self.opened[name] = opened_with(self.config, [opened_by_claim(self.config, device, others)])
        return ""

    async def delete(self, obj: Object) -> None:
        """What a deleted Pod had is free, and who waits is placed; not while the driver keeps it."""
        await super().delete(obj)
        name = obj["metadata"]["name"]
        opened = self.opened.get(name, ())
        if obj["kind"] != "Pod":
            return
        if DriverFault.VIRTUAL_KEPT in self.config.faults and any(device.virtual for device in opened):
            return
        self.held.pop(name, None)
        for claim in self.claims_of(obj):
            claim["status"] = {}
        for each in self.created:
            if each["kind"] == "Pod" and not each["spec"].get("nodeName"):
                self.place(each)

    def shows(self, name: str) -> list[str]:
        told, nodes = dict[str, str](), list[tuple[str, str]]()
        lines = []
        for device in self.opened[name]:
            folder = device_folder(self.config, device)
            assert folder
            told |= {f"{folder.container_path}/{each}": text for each, text in folder.contents.items()}
            lines.append(f"mount {folder.container_path}")
            closed = "r" not in self.config.permissions(device)
            nodes += [(each.container_path, "not permitted" if closed else "opened") for each in device.nodes]
            lines += [
                f"node {each.container_path} {each.major:x} {each.minor:x} character special file"
                for each in device.nodes
            ]
        by = "cdi" if self.config.offer.value == "dra" else "device-plugin"
        given = environment(self.config, list(self.opened[name]), by=by)
        own = "\0".join(f"{key}={value}" for key, value in given.items())
        return [
            *lines,
            f"env {base64.b64encode(own.encode()).decode()}",
            *(f"own {path} {outcome}" for path, outcome in nodes),
            *(f"file {path} {base64.b64encode(text.encode()).decode()}" for path, text in told.items()),
        ]
