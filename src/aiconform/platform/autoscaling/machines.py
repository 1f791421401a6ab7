"""What Cluster API and OpenShift's Machine API say of a node group's machines, also where it has none.

Cluster Autoscaler reads the same annotations to scale a group up from zero. OpenShift writes one with the number of
GPUs by itself: it says nothing of their vendor, and nothing of accelerators that are no GPUs.
https://github.com/kubernetes/autoscaler/blob/master/cluster-autoscaler/cloudprovider/clusterapi/README.md,
https://docs.redhat.com/en/documentation/openshift_container_platform/4.20/html/machine_management/applying-autoscaling
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from aiconform.cluster import Forbidden, NotFound, Object
from aiconform.platform.accelerators.profiles import Profiles, load_profiles
from aiconform.platform.autoscaling.hardware import Hardware, stated
from aiconform.platform.inventory import Platform

_KINDS = {
    "machine.openshift.io": ("MachineSet",),
    "cluster.x-k8s.io": ("MachineDeployment", "MachineSet", "MachinePool"),
}
_CAPACITY = "capacity.cluster-autoscaler.kubernetes.io"
_TYPE = f"{_CAPACITY}/gpu-type"
_COUNT = f"{_CAPACITY}/gpu-count"
_COUNTS = (_COUNT, "machine.openshift.io/GPU")
# The kind of a Machine's providerSpec -> (its field with the type of the instance, the cloud in instances.yaml).
# https://github.com/openshift/api/tree/master/machine/v1beta1
_INSTANCES = {
    "AWSMachineProviderConfig": ("instanceType", "AWS"),
    "AzureMachineProviderSpec": ("vmSize", "Azure"),
    "GCPMachineProviderSpec": ("machineType", "Google Cloud"),
}
# Annotations of nodes with the name of their machine, which begins with that of its group.
_MACHINES = ("machine.openshift.io/machine", "cluster.x-k8s.io/machine")


@dataclass(frozen=True)
class Machines:
    """resource: the accelerator of a group's machines; without: why they have none. Both are empty if nothing is said.

    taints: (key, effect) of their nodes.
    """

    resource: str = ""
    without: str = ""
    taints: tuple[tuple[str, str], ...] = ()


NOTHING_TOLD = Machines()


async def described(
    platform: Platform, groups: Collection[str], profiles: Profiles | None = None
) -> dict[str, Machines]:
    """What is said of these groups, which are called KIND/NAMESPACE/NAME if they are such objects. Raises ClusterError.

    Nothing is said of those that these credentials may not list, or that are in another cluster.
    """
    kinds = {name.partition("/")[0] for name in groups}
    served = await platform.groups() if kinds & {kind for each in _KINDS.values() for kind in each} else {}
    found: dict[str, Machines] = {}
    for api in _KINDS.keys() & served.keys():
        for kind in (each for each in _KINDS[api] if each in kinds):
            try:
                async for item in platform.cluster.list(f"{api}/{served[api][0]}", kind):
                    metadata = item["metadata"]
                    found[f"{kind}/{metadata.get('namespace')}/{metadata['name']}"] = machines(item, profiles)
            except (NotFound, Forbidden):
                continue
    return found


def machines(item: Object, profiles: Profiles | None = None) -> Machines:
    """What one such object says, by its annotations and the taints and instances of its template.

    profiles: the known accelerators, by default those that come with the suite.
    """
    notes: Mapping[str, str] = item["metadata"].get("annotations") or {}
    template: Object = ((item.get("spec") or {}).get("template") or {}).get("spec") or {}
    taints = {(taint["key"], taint["effect"]) for taint in template.get("taints") or []}
    for text in filter(None, notes.get(f"{_CAPACITY}/taints", "").split(",")):
        pair, _, effect = text.strip().rpartition(":")
        taints.add((pair.partition("=")[0], effect))
    count = next((name for name in _COUNTS if name in notes), "")
    some = bool(count) and notes[count] != "0"
    known = profiles or load_profiles()
    tainted = next((key for key, _ in sorted(taints) if known.by_resource(key)), "")
    hardware = _ordered(template, notes)
    named = notes.get(_TYPE, tainted) if some else ""
    resource = named or next(iter(hardware.resources), "")
    without = hardware.without or (f"its annotation {_COUNT} is 0" if notes.get(_COUNT) == "0" else "")
    return Machines(resource, "" if resource or some else without, tuple(sorted(taints)))


def _ordered(template: Object, notes: Mapping[str, str]) -> Hardware:
    """What the instances that a template orders have, by their type and by the labels of their nodes."""
    pairs = (text.strip().partition("=") for text in notes.get(f"{_CAPACITY}/labels", "").split(","))
    labels = {key: value for key, _, value in pairs if key}
    instance: Object = (template.get("providerSpec") or {}).get("value") or {}
    field, cloud = _INSTANCES.get(str(instance.get("kind")), ("", ""))
    requirements = [{"key": "instance-type", "values": [instance[field]]}] if instance.get(field) else []
    if cloud and (attached := [each["type"] for each in instance.get("gpus") or [] if each.get("type")]):
        requirements.append({"key": "instance-gpu-name", "values": attached})
    return stated(requirements, labels, cloud)


def names(node: Object) -> list[str]:
    """The names of a node and of its machine: one of them begins with the name of its group."""
    notes = node["metadata"].get("annotations") or {}
    return [node["metadata"]["name"], *(notes[key].rpartition("/")[2] for key in _MACHINES if key in notes)]
